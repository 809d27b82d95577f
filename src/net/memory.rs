//! The memory that all clients share for bodies being received and answers waiting.
//!
//! Beyond the limit a client is read no further, but for one, the *exempt*: it goes on until its request
//! is complete, so that somebody gets done and gives memory back. Then it is the next one's turn, in the
//! order in which they began to wait.

use std::collections::VecDeque;

use crate::app::Ticket;

/// Who holds how much, and who waits.
#[derive(Debug)]
pub struct SharedMemory {
    limit: usize,
    held: usize,
    exempt: Option<Ticket>,
    /// By slab key. One that has gone, or been given up, may still stand here.
    waiting: VecDeque<usize>,
}

impl SharedMemory {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: 0,
            exempt: None,
            waiting: VecDeque::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.held >= self.limit
    }

    /// A client's share has changed.
    pub fn account(&mut self, before: usize, after: usize) {
        self.held = self.held - before + after;
    }

    /// Whether this client may receive more. Beyond the limit the first to ask becomes the exempt.
    pub fn may_receive(&mut self, ticket: Ticket) -> bool {
        !self.is_full() || *self.exempt.get_or_insert(ticket) == ticket
    }

    /// This client has received its request, or has gone.
    pub fn done_receiving(&mut self, ticket: Ticket) {
        if self.exempt == Some(ticket) {
            self.exempt = None;
        }
    }

    /// This client waits until [`SharedMemory::next_to_wake`] names it.
    pub fn wait(&mut self, key: usize) {
        self.waiting.push_back(key);
    }

    /// The next that may try again: all of them while there is room, else one where nobody is exempt.
    /// To be called until it has none, or until the one it named will ask to receive.
    pub fn next_to_wake(&mut self) -> Option<usize> {
        if self.is_full() && self.exempt.is_some() {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Whether one woken client is as many as may be woken.
    pub fn is_one_enough(&self) -> bool {
        self.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_one_at_a_time_goes_on() {
        let mut memory = SharedMemory::new(100);
        memory.account(0, 99);
        assert!(memory.may_receive(1) && memory.may_receive(2));
        memory.account(99, 100);
        assert!(memory.may_receive(1));
        assert!(!memory.may_receive(2));
        memory.wait(2);
        memory.wait(3);
        assert_eq!(memory.next_to_wake(), None);
        memory.done_receiving(3);
        assert_eq!(memory.next_to_wake(), None);
        memory.done_receiving(1);
        assert_eq!(memory.next_to_wake(), Some(2));
        assert!(memory.is_one_enough());
        assert!(memory.may_receive(2));
        assert_eq!(memory.next_to_wake(), None);
        memory.account(100, 50);
        assert_eq!(memory.next_to_wake(), Some(3));
        assert_eq!(memory.next_to_wake(), None);
    }
}
