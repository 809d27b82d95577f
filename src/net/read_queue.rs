//! Requests that wait for their turn to read, and in which order they get it. Owns the queues, and never reads.
//!
//! A turn of the loop reads a bounded amount for all requests together. A request that comes when that is spent waits
//! here; one whose page takes more than a slice continues here, a slice at a time. Small requests, new requests and
//! running pages take turns, so that none waits for those that ask for much. Entries are tickets; the caller skips
//! those of clients that have gone.

use std::collections::VecDeque;

use crate::api::reading::Reading;
use crate::api::route::Effort;
use crate::app::Ticket;
use crate::limits::READS_AT_WORK;

/// Queues that take turns.
const QUEUES: usize = 3;

/// A client's request that waits to read.
pub(super) struct PendingRead {
    /// Its page, if it has begun.
    pub page: Option<Reading>,
    /// When it came or had its last slice, in `mono_ms`.
    pub since: u64,
}

/// The requests of all clients that wait to read.
#[derive(Default)]
pub(super) struct ReadQueue {
    /// Requests that are little work, requests that have not begun, and pages at work.
    small: VecDeque<Ticket>,
    new: VecDeque<Ticket>,
    at_work: VecDeque<Ticket>,
    /// Requests that have been tried, take more than a slice, and wait for a place among the pages at work.
    waiting: VecDeque<Ticket>,
    /// Which queue is next.
    turn: usize,
    /// Pages at work.
    pub working: usize,
}

impl ReadQueue {
    /// A request that has not begun waits for its turn.
    pub(super) fn push_new(&mut self, ticket: Ticket, effort: Effort) {
        match effort {
            Effort::Small => self.small.push_back(ticket),
            Effort::Slice => self.new.push_back(ticket),
        }
    }

    /// A page at work waits for its next turn.
    pub(super) fn push_at_work(&mut self, ticket: Ticket) {
        self.at_work.push_back(ticket);
    }

    /// A request waits for a place among the pages at work.
    pub(super) fn push_waiting(&mut self, ticket: Ticket) {
        self.waiting.push_back(ticket);
    }

    fn has_place(&self) -> bool {
        self.working < READS_AT_WORK
    }

    /// Whether a page that has just begun may continue: there is a place, and no request has waited longer for it.
    pub(super) fn may_begin(&self) -> bool {
        self.has_place() && self.waiting.is_empty()
    }

    /// The next request, and whether a place is kept for it.
    pub(super) fn next(&mut self) -> Option<(Ticket, bool)> {
        if self.has_place() {
            if let Some(ticket) = self.waiting.pop_front() {
                return Some((ticket, true));
            }
        }
        for _ in 0..QUEUES {
            let queue = match self.turn {
                0 => &mut self.small,
                1 => &mut self.new,
                _ => &mut self.at_work,
            };
            self.turn = (self.turn + 1) % QUEUES;
            if let Some(ticket) = queue.pop_front() {
                return Some((ticket, false));
            }
        }
        None
    }

    /// Whether requests wait that have not begun. Others that come must not overtake them.
    pub(super) fn has_new(&self) -> bool {
        !self.small.is_empty() || !self.new.is_empty() || !self.waiting.is_empty()
    }

    /// Whether a request can have its turn now.
    pub(super) fn is_any_queued(&self) -> bool {
        let is_any_waiting = !self.waiting.is_empty() && self.has_place();
        is_any_waiting || !(self.small.is_empty() && self.new.is_empty() && self.at_work.is_empty())
    }

    /// Whether a client is in a queue. Scans all of them, so only for checks.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        let queues = [&self.small, &self.new, &self.at_work, &self.waiting];
        queues.iter().any(|queue| queue.contains(&ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(reads: &mut ReadQueue) -> Vec<Ticket> {
        std::iter::from_fn(|| reads.next().map(|(ticket, _)| ticket)).collect()
    }

    #[test]
    fn what_is_small_new_and_at_work_take_turns() {
        let mut reads = ReadQueue::default();
        for ticket in 0..3 {
            reads.push_new(10 + ticket, Effort::Small);
            reads.push_new(20 + ticket, Effort::Slice);
            reads.push_at_work(30 + ticket);
        }
        reads.push_at_work(33);
        let expected = [10, 20, 30, 11, 21, 31, 12, 22, 32, 33];
        assert_eq!(order(&mut reads), expected);
        assert!(!reads.is_any_queued());
    }

    #[test]
    fn a_place_goes_to_who_has_waited_longest() {
        let mut reads = ReadQueue {
            working: READS_AT_WORK,
            ..ReadQueue::default()
        };
        reads.push_waiting(7);
        reads.push_waiting(8);
        assert!(!reads.is_any_queued(), "the poll may sleep");
        assert_eq!(reads.next(), None);
        reads.working -= 1;
        assert!(reads.is_any_queued() && !reads.may_begin());
        assert_eq!(reads.next(), Some((7, true)));
        reads.working += 1;
        assert_eq!(reads.next(), None);
        assert!(reads.holds(8));
    }
}
