//! Timers: owns the times at which clients have to be checked.
//!
//! A client's deadline moves with every request, so moving one must cost nothing. A client has at most a few entries
//! here, and the earliest is never later than its deadline; an entry that comes too early is put back with the deadline
//! as it is then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The timers, by a key that the caller chooses.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Deadlines {
    /// Asks for `key` to come back at `at`.
    pub(super) fn push(&mut self, at: u64, key: u64) {
        self.heap.push(Reverse((at, key)));
    }

    /// The earliest time at which something may be due.
    pub(super) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out a key that is due.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<u64> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, key))| key)
    }

    /// Whether `key` will come back at `at`. Scans all timers, so only for checks.
    pub(super) fn holds(&self, at: u64, key: u64) -> bool {
        self.heap.iter().any(|Reverse(timer)| *timer == (at, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_in_the_order_of_their_times() {
        let mut deadlines = Deadlines::default();
        for (at, key) in [(30, 3), (10, 1), (20, 2)] {
            deadlines.push(at, key);
        }
        assert_eq!(deadlines.next(), Some(10));
        assert_eq!(deadlines.pop_due(9), None);
        assert_eq!(deadlines.pop_due(20), Some(1));
        assert_eq!(deadlines.pop_due(20), Some(2));
        assert_eq!(deadlines.pop_due(20), None);
        assert_eq!(deadlines.next(), Some(30));
    }
}
