//! What waits for the next commit: publications on the ring, and changes of subscriptions beside it. All of it shares
//! one transaction, and nothing of it has an answer before that.

use std::collections::VecDeque;

use super::ingest_work::IngestWork;
use super::reply::Ticket;
use super::socket_records::RecordCounts;
use crate::api::publish;
use crate::event::Protocol;
use crate::http::{detail_shape, Refusal, Response};
use crate::ring::{Full, Ring, Slot};
use crate::store::{Outcome, Store, StoreError, SubscriptionOp, SubscriptionResult};

/// A publication that waits to be decoded, or on the ring.
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) work: Work,
}

/// What the answer to a publication is made of.
pub(super) enum Work {
    /// `POST /publish`.
    Publish(publish::PublishParams),
    /// A request of another protocol.
    Ingest(Box<IngestWork>),
    /// A publication of a request whose body is read as it arrives.
    Upload(Protocol),
    /// The answer to a body of this protocol that was refused and is kept.
    Refused(Protocol, Box<Response>),
    /// Records of a socket, to which nothing is answered.
    Socket(RecordCounts),
}

impl Work {
    /// The answer that says that nothing of it was stored, or not all.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Response {
        match self {
            Work::Publish(_) | Work::Upload(_) | Work::Socket(_) => refusal.shaped(detail_shape),
            Work::Ingest(work) => refusal.shaped(work.shape()),
            // A fault of the server says more than what was wrong with the request.
            Work::Refused(_, response) => Response::clone(response),
        }
    }
}

/// The queue.
pub(super) struct CommitQueue {
    ring: Ring<Waiting>,
    /// Requests that have brought a publication and have more, the oldest first.
    unfinished: VecDeque<Waiting>,
    /// The changes in the order in which they came, and who waits for each.
    changes: Vec<SubscriptionOp>,
    tickets: Vec<Ticket>,
    /// Of the last commit, an outcome for each event.
    outcomes: Vec<Outcome>,
}

impl CommitQueue {
    /// With room for `capacity` events.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ring: Ring::new(capacity),
            unfinished: VecDeque::new(),
            changes: Vec::new(),
            tickets: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    pub(super) fn ring(&self) -> &Ring<Waiting> {
        &self.ring
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.changes.is_empty() && self.unfinished.is_empty()
    }

    pub(super) fn push_unfinished(&mut self, waiting: Waiting) {
        self.unfinished.push_back(waiting);
    }

    pub(super) fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    pub(super) fn next_unfinished(&mut self) -> Option<Waiting> {
        self.unfinished.pop_front()
    }

    /// A client has gone: what its request has not brought yet is dropped.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        self.unfinished.retain(|waiting| waiting.ticket != ticket);
    }

    /// # Errors
    /// The publication, where the ring has no room for it.
    pub(super) fn push(&mut self, slot: Slot<Waiting>) -> Result<(), Full<Waiting>> {
        self.ring.push(slot)
    }

    pub(super) fn push_change(&mut self, ticket: Ticket, change: SubscriptionOp) {
        self.tickets.push(ticket);
        self.changes.push(change);
    }

    /// Commits all of it in one transaction; it stays here until it is taken out. Returns the results of the changes.
    pub(super) fn commit(
        &mut self,
        store: &mut Store,
        unix_us: i64,
        retain_at: i64,
    ) -> Result<Vec<SubscriptionResult>, StoreError> {
        self.outcomes.clear();
        let publications = self.ring.slots().map(|slot| &slot.publication);
        store.commit_all(
            publications,
            &self.changes,
            unix_us,
            retain_at,
            &mut self.outcomes,
        )
    }

    /// Takes out the oldest publication.
    pub(super) fn pop(&mut self) -> Option<Slot<Waiting>> {
        self.ring.pop()
    }

    /// Takes out the changes.
    pub(super) fn take_changes(&mut self) -> impl Iterator<Item = (Ticket, SubscriptionOp)> {
        let tickets = std::mem::take(&mut self.tickets);
        tickets.into_iter().zip(std::mem::take(&mut self.changes))
    }

    /// Takes out the outcomes of the last commit, to be given back for their memory.
    pub(super) fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    pub(super) fn give_back(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes = outcomes;
    }
}
