//! All sockets that do not speak HTTP: owns the list of them, and what each waits for. It reads none of them.

use slab::Slab;

use super::input::{Input, Wait};
use super::platform::{Readiness, Socket};
use crate::app::SocketCompletion;
use crate::event::Publication;
use crate::limits;

/// The bit that tells the key of such a socket from that of a client.
pub(super) const INPUT: usize = 1 << 40;

/// All sockets that do not speak HTTP.
pub(super) struct Inputs<S> {
    pub(super) slab: Slab<Input<S>>,
    /// Connections among them.
    pub(super) connections: usize,
    /// Those that receive datagrams, which are never closed.
    pub(super) datagrams: Vec<usize>,
    /// To be served without waiting for readiness.
    pub(super) ready: Vec<usize>,
    /// Not served until the store can commit, and not read until there is memory.
    wait_for_store: Vec<usize>,
    wait_for_memory: Vec<usize>,
    pub(super) closing: Vec<usize>,
    /// Have something to write.
    pub(super) flush: Vec<usize>,
    pub(super) completions: Vec<SocketCompletion>,
    /// What all of them hold, in bytes, and how much that may be before each is limited to a minimum.
    pub(super) held: usize,
    limit: usize,
    pub(super) dropped: DroppedLog,
    /// Events that may still be read in this turn.
    pub(super) budget: usize,
    /// Memory for the records of the sockets that are read next.
    pub(super) spares: Vec<Publication>,
}

/// Datagrams that the kernel has dropped.
#[derive(Debug, Default)]
pub(super) struct DroppedLog {
    /// Since they were last logged.
    pub(super) count: u64,
    pub(super) logged_at: Option<u64>,
    /// When the kernel is asked, after datagrams have come.
    pub(super) asked_at: Option<u64>,
}

impl<S: Socket> Inputs<S> {
    /// They may hold `limit` bytes of messages that have begun.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            slab: Slab::new(),
            connections: 0,
            datagrams: Vec::new(),
            ready: Vec::new(),
            wait_for_store: Vec::new(),
            wait_for_memory: Vec::new(),
            closing: Vec::new(),
            flush: Vec::new(),
            completions: Vec::new(),
            held: 0,
            limit,
            dropped: DroppedLog::default(),
            budget: 0,
            spares: Vec::new(),
        }
    }

    /// The key of such a socket in the key that a poll reports.
    pub(super) fn key(reported: usize) -> Option<usize> {
        (reported & INPUT != 0).then_some(reported & !INPUT)
    }

    pub(super) fn take_readiness(&mut self, key: usize, told: Readiness) {
        if let Some(input) = self.slab.get_mut(key) {
            input.take_readiness(told);
            self.want_service(key);
            self.want_flush(key);
        }
    }

    /// The one with the earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<(u64, usize)> {
        let keys = self.datagrams.iter();
        keys.filter_map(|key| Some((self.slab[*key].deadline()?, *key)))
            .min()
    }

    /// It is written to, if there is something to write.
    pub(super) fn want_flush(&mut self, key: usize) {
        let input = &mut self.slab[key];
        if input.may_write() && !input.on_flush_list {
            input.on_flush_list = true;
            self.flush.push(key);
        }
    }

    pub(super) fn want_service(&mut self, key: usize) {
        let input = &mut self.slab[key];
        if !input.on_ready_list {
            input.on_ready_list = true;
            self.ready.push(key);
        }
    }

    /// Whether one can be served now, given whether the store can commit.
    pub(super) fn is_any_queued(&self, takes_records: bool) -> bool {
        !self.ready.is_empty()
            || (takes_records && !self.wait_for_store.is_empty())
            || (self.held < self.limit && !self.wait_for_memory.is_empty())
    }

    pub(super) fn wait(&mut self, key: usize, reason: Wait) {
        if self.slab[key].waits.replace(reason).is_none() {
            match reason {
                Wait::Store => self.wait_for_store.push(key),
                Wait::Memory => self.wait_for_memory.push(key),
            }
        }
    }

    /// Serves those again that need not wait any more.
    pub(super) fn wake(&mut self, takes_records: bool) {
        let mut woken = Vec::new();
        if takes_records {
            woken.append(&mut self.wait_for_store);
        }
        if self.held < self.limit {
            woken.append(&mut self.wait_for_memory);
        }
        for key in woken {
            if let Some(input) = self.slab.get_mut(key) {
                input.waits = None;
                self.want_service(key);
            }
        }
    }

    /// Whether all that was read has been committed, and no more is read.
    pub(super) fn have_ended(&self) -> bool {
        self.slab
            .iter()
            .all(|(_, input)| input.has_ended && !input.is_busy())
    }

    /// The number of those that have read something that is not committed.
    pub(super) fn count_busy(&self) -> usize {
        self.slab
            .iter()
            .filter(|(_, input)| input.is_busy())
            .count()
    }

    pub(super) fn keep(&mut self, spare: Publication) {
        let is_fit = (1..=limits::SPARE_RECORDS_BYTES).contains(&spare.body.capacity());
        if is_fit && self.spares.len() < limits::SPARE_RECORDS {
            self.spares.push(spare);
        }
    }

    pub(super) fn account(&mut self, key: usize) {
        let input = &mut self.slab[key];
        let held = input.held_bytes();
        self.held = self.held - input.held + held;
        input.held = held;
    }

    /// Bytes that may be read from a connection at a time.
    pub(super) fn room(&self, input: &Input<S>, wanted: usize) -> usize {
        if self.held < self.limit {
            wanted
        } else {
            limits::CLIENT_RESERVE_BYTES
                .saturating_sub(input.held)
                .min(wanted)
        }
    }
}
