//! The commit of what waits: what has been committed is answered, or goes on, and the rest is refused.

use super::commit_queue::{Waiting, Work};
use super::gate::Gate;
use super::host::{Desk, Host};
use super::ingest::Ingesting;
use super::ingest_state::IngestState;
use super::options::Options;
use super::publish::Publishing;
use super::reply::{Completion, NOT_STORED};
use super::upload::Uploading;
use super::App;
use crate::clock::Now;
use crate::http::Refusal;
use crate::ingest::adapter::ServerState;
use crate::ring::{Full, Slot};
use crate::store::StoreError;

impl App {
    /// Commits what waits, in one transaction, and makes the answers. A database that another program has locked
    /// is tried again for a while before the waiting requests are refused.
    pub fn drain(&mut self, now: Now) {
        self.note_last_hour(now);
        // Before the answers of this turn are delivered.
        self.expire_uploads(now);
        self.retry_uploads(now);
        if self.queue.is_empty() || !self.health.may_commit(now) {
            return;
        }
        self.read_on_ingest();
        if self.queue.is_empty() {
            return;
        }
        let retain_at = self.steady_time(now);
        let (events, begun) = (self.queue.ring().len(), self.counters.instant());
        let changed = self.queue.commit(&mut self.store, now.unix_us, retain_at);
        match changed {
            Ok(changed) => {
                self.schedule.committed(now);
                self.counters.committed(events, begun);
                self.recovered();
                self.answer_committed(now);
                self.answer_changes(changed);
            }
            Err(StoreError::Locked) if self.health.locked(now) => {}
            Err(StoreError::Repairing) => self.wait_for_repair(now),
            Err(error) => self.refuse_waiting(&error, now),
        }
    }

    pub(super) fn refuse_waiting(&mut self, error: &StoreError, now: Now) {
        self.health.failed(error, now);
        let mut sentence = NOT_STORED;
        let is_replaced = matches!(error, StoreError::Replaced(_));
        if is_replaced {
            sentence =
                "The database's file was replaced, so the events may be lost; send them again.";
            self.live.restart(self.store.last_seq());
        }
        let refusal = Refusal::unavailable_for(self.health.retry_after(now), sentence);
        if is_replaced {
            self.refuse_uploads(&refusal);
        }
        while let Some(slot) = self.queue.pop() {
            match slot.ticket.work {
                Work::Upload(_) => {
                    self.ingest
                        .uploads
                        .park(slot.ticket.ticket, slot.publication, now)
                }
                _ => self.refuse_or_return(slot, &refusal),
            }
        }
        while let Some(waiting) = self.queue.next_unfinished() {
            let response = waiting.work.refuse(&refusal);
            self.committed
                .push(Completion::bare(waiting.ticket, response));
        }
        self.refuse_changes();
    }

    pub(super) fn refuse_or_return(&mut self, slot: Slot<Waiting>, refusal: &Refusal) {
        match slot.ticket.work {
            Work::Socket(counts) => {
                self.return_records(slot.ticket.ticket, slot.publication, counts);
            }
            _ => self.refuse_slot(slot, refusal),
        }
    }

    /// Puts the next publication of the oldest request that has more on the ring, if nothing else is on it.
    fn read_on_ingest(&mut self) {
        while self.queue.ring().is_empty() {
            let Some(waiting) = self.queue.next_unfinished() else {
                return;
            };
            if let Some((ticket, publication)) = self.next_publication(waiting) {
                // An empty ring takes any one publication.
                let _ = self.queue.push(Slot {
                    ticket,
                    publication,
                });
            }
        }
    }

    fn answer_committed(&mut self, now: Now) {
        let outcomes = self.queue.take_outcomes();
        let mut rest = &outcomes[..];
        while let Some(slot) = self.queue.pop() {
            let (own, others) = rest.split_at(slot.publication.events.len());
            rest = others;
            self.duplicates
                .committed(&slot.publication, own, now.mono_ms);
            self.live.keep(&slot.publication, own, now.unix_us);
            match slot.ticket.work {
                Work::Socket(counts) => {
                    self.socket_committed(slot.ticket.ticket, slot.publication, counts, own);
                }
                _ => self.committed(slot, own, now),
            }
        }
        self.queue.give_back(outcomes);
    }

    /// Whether a request has more to bring that can be committed in the next turn.
    pub fn has_unfinished(&self, now: Now) -> bool {
        self.queue.has_unfinished() && self.health.may_commit(now)
    }
}

impl Host for App {
    fn options(&self) -> Options {
        self.options
    }

    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn ingest_state(&self) -> &IngestState {
        &self.ingest
    }

    fn server_state(&self) -> ServerState<'_> {
        ServerState {
            is_healthy: self.health.fault().is_none(),
            database_id: &self.store.identity().database_id,
            last_seq: self.store.last_seq(),
        }
    }

    fn desk(&mut self) -> Desk<'_> {
        Desk {
            ingest: &mut self.ingest,
            encoded: &mut self.encoded,
            counters: &mut self.counters,
            buffers: &mut self.buffers,
            committed: &mut self.committed,
        }
    }

    fn try_push(&mut self, slot: Slot<Waiting>, _now: Now) -> Result<(), Full<Waiting>> {
        self.queue.push(slot)
    }

    fn make_room(&mut self, now: Now) {
        self.drain(now);
    }

    fn no_room(&self, _now: Now) -> Refusal {
        Refusal::unavailable(
            "The database is locked by another program, or being repaired; try again.",
        )
    }

    fn push_unfinished(&mut self, waiting: Waiting, _now: Now) {
        self.queue.push_unfinished(waiting);
    }
}
