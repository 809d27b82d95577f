//! What waits for the next transactions: publications, and requests that bring more of them than one.

use std::collections::VecDeque;

use super::transaction::Pending;
use crate::app::commit_queue::Waiting;
use crate::app::reply::Ticket;
use crate::clock::Now;
use crate::limits::{FRONT_BATCH_BYTES, FRONT_BATCH_EVENTS, FRONT_SILENCE_MS, RING_MAX_BYTES};
use crate::ring::Full;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    pending: VecDeque<Pending>,
    /// Events in it, and bytes.
    events: usize,
    bytes: usize,
    /// Requests that have brought a publication and have more, the oldest first, and since when each has waited for
    /// its turn, in `mono_ms`.
    unfinished: VecDeque<(Waiting, u64)>,
}

impl Queue {
    /// Events that wait.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the next transaction has room for more.
    pub(super) fn has_room(&self) -> bool {
        self.events < FRONT_BATCH_EVENTS && self.bytes < FRONT_BATCH_BYTES
    }

    /// Whether a request that has more can bring it.
    pub(super) fn can_read_on(&self) -> bool {
        !self.unfinished.is_empty() && self.has_room()
    }

    pub(super) fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// # Errors
    /// There is no room for it: there may be `capacity` events.
    pub(super) fn try_push(
        &mut self,
        pending: Pending,
        capacity: usize,
    ) -> Result<(), Full<Waiting>> {
        let bytes = self.bytes + pending.slot.publication.held_bytes();
        let is_full = self.events + pending.events() > capacity || bytes > RING_MAX_BYTES;
        if is_full && !self.is_empty() {
            return Err(Full(Box::new(pending.slot)));
        }
        self.push(pending);
        Ok(())
    }

    /// Its place is that of its time, also where it has been in a transaction that failed: so the first is always the
    /// one that is due next.
    pub(super) fn push(&mut self, pending: Pending) {
        self.events += pending.events();
        self.bytes += pending.slot.publication.held_bytes();
        let is_older = |other: &Pending| other.since <= pending.since;
        let at = self.pending.partition_point(is_older);
        self.pending.insert(at, pending);
    }

    pub(super) fn push_unfinished(&mut self, waiting: Waiting, now: Now) {
        self.unfinished.push_back((waiting, now.mono_ms));
    }

    /// Takes out what the next transaction takes.
    pub(super) fn take_batch(&mut self) -> Vec<Pending> {
        let (mut events, mut bytes) = (0, 0);
        let mut batch = Vec::new();
        while let Some(next) = self.pending.front() {
            events += next.events();
            bytes += next.slot.publication.held_bytes();
            let is_full = events > FRONT_BATCH_EVENTS || bytes > FRONT_BATCH_BYTES;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(self.pop());
        }
        batch
    }

    fn pop(&mut self) -> Option<Pending> {
        let pending = self.pending.pop_front()?;
        self.events -= pending.events();
        self.bytes -= pending.slot.publication.held_bytes();
        Some(pending)
    }

    /// Takes out the oldest if it has waited for too long.
    pub(super) fn pop_expired(&mut self, now: Now) -> Option<Pending> {
        let since = self.pending.front()?.since;
        (since + FRONT_SILENCE_MS <= now.mono_ms).then(|| self.pop())?
    }

    /// The same for a request that has more.
    pub(super) fn pop_expired_unfinished(&mut self, now: Now) -> Option<Waiting> {
        let (_, since) = self.unfinished.front()?;
        let is_due = since + FRONT_SILENCE_MS <= now.mono_ms;
        let (waiting, _) = is_due.then(|| self.pop_unfinished())??;
        Some(waiting)
    }

    /// Takes out the oldest request that has more.
    pub(super) fn pop_unfinished(&mut self) -> Option<(Waiting, u64)> {
        self.unfinished.pop_front()
    }

    /// When the oldest has waited for too long, in `mono_ms`.
    pub(super) fn deadline(&self) -> Option<u64> {
        let pending = self.pending.front().map(|next| next.since);
        let unfinished = self.unfinished.front().map(|(_, since)| *since);
        let oldest = pending.into_iter().chain(unfinished).min();
        oldest.map(|since| since + FRONT_SILENCE_MS)
    }

    /// A client has gone: what its request has not brought yet is dropped.
    pub(super) fn remove_unfinished(&mut self, ticket: Ticket) {
        self.unfinished
            .retain(|(waiting, _)| waiting.ticket != ticket);
    }
}
