//! The commit of what waits, and what becomes of each publication: its answer after the commit, or its refusal. No
//! other code answers 200 to a publication that brought events.

use super::commit_queue::{Waiting, Work};
use super::reply::{Completion, Ticket, NOT_STORED};
use super::App;
use crate::clock::Now;
use crate::event::{Protocol, Publication};
use crate::http::{Refusal, Response};
use crate::ring::Slot;
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
                _ => self.refuse_slot(slot, &refusal),
            }
        }
        while let Some(waiting) = self.queue.next_unfinished() {
            let response = waiting.work.refuse(&refusal);
            self.committed
                .push(Completion::bare(waiting.ticket, response));
        }
        self.refuse_changes();
    }

    pub(super) fn refuse_slot(&mut self, slot: Slot<Waiting>, refusal: &Refusal) {
        if matches!(slot.ticket.work, Work::Upload(_)) {
            return self.refuse_upload(slot.ticket.ticket, refusal);
        }
        if let Work::Socket(counts) = slot.ticket.work {
            return self.return_records(slot.ticket.ticket, slot.publication, counts);
        }
        let response = slot.ticket.work.refuse(refusal);
        self.finish(slot.ticket.ticket, slot.publication, response);
    }

    fn answer_committed(&mut self, now: Now) {
        let processed_at = now.unix_us;
        let outcomes = self.queue.take_outcomes();
        let mut rest = &outcomes[..];
        while let Some(slot) = self.queue.pop() {
            let (own, others) = rest.split_at(slot.publication.events.len());
            rest = others;
            self.duplicates
                .committed(&slot.publication, own, now.mono_ms);
            self.live.keep(&slot.publication, own, processed_at);
            let Slot {
                ticket: Waiting { ticket, work },
                publication,
            } = slot;
            let response = match work {
                Work::Publish(params) => {
                    let identities = params.identities(own.len());
                    self.counters.ingested(Protocol::Publish, own, identities);
                    self.counters.rejected(Protocol::Publish, params.rejected());
                    params.answer(own)
                }
                Work::Ingest(work) => {
                    self.ingest_committed(ticket, work, publication, own, processed_at);
                    continue;
                }
                Work::Upload(protocol) => {
                    self.upload_committed(ticket, protocol, publication, own);
                    continue;
                }
                Work::Refused(protocol, response) => {
                    self.counters.rejected(protocol, 1);
                    *response
                }
                Work::Socket(counts) => {
                    self.socket_committed(ticket, publication, counts, own);
                    continue;
                }
            };
            self.finish(ticket, publication, response);
        }
        self.queue.give_back(outcomes);
    }

    fn finish(&mut self, ticket: Ticket, publication: Publication, response: Response) {
        self.buffers.give_back(publication.events);
        self.committed.push(Completion {
            ticket,
            response,
            buffer: publication.body,
        });
    }
}
