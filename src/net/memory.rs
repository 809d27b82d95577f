//! The memory that all clients share for bodies being received and answers waiting.
//!
//! An eighth of it is for those who hold little, so that large bodies never keep a small request waiting.
//! Beyond the limit of its kind a client is read no further, but for one, the *exempt*: it goes on until its
//! request is complete, so that somebody gets done and gives memory back. Then it is the next one's turn,
//! in the order in which they began to wait.

use std::collections::VecDeque;

use crate::app::Ticket;
use crate::limits::{SMALL_SHARE_BYTES, STREAM_SLICE_BYTES};

/// Who holds how much, and who waits.
#[derive(Debug)]
pub struct SharedMemory {
    small: Part,
    large: Part,
    exempt: Option<Ticket>,
}

/// The memory for one kind of shares.
#[derive(Debug)]
struct Part {
    limit: usize,
    held: usize,
    /// By slab key. One that has gone, or has been given up, may still stand here.
    waiting: VecDeque<usize>,
}

impl Part {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            held: 0,
            waiting: VecDeque::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.held < self.limit
    }
}

impl SharedMemory {
    /// `limit` is in bytes, and for all clients together.
    pub fn new(limit: usize) -> Self {
        Self {
            small: Part::new(limit / 8),
            large: Part::new(limit - limit / 8),
            exempt: None,
        }
    }

    fn part(&mut self, share: usize) -> &mut Part {
        if share < SMALL_SHARE_BYTES {
            &mut self.small
        } else {
            &mut self.large
        }
    }

    /// A client's share has changed.
    pub fn account(&mut self, before: usize, after: usize) {
        self.part(before).held -= before;
        self.part(after).held += after;
    }

    /// Whether a client that holds `share` bytes may receive more. Where there is no room, the first to
    /// ask becomes the exempt.
    pub fn may_receive(&mut self, ticket: Ticket, share: usize) -> bool {
        self.part(share).has_room() || *self.exempt.get_or_insert(ticket) == ticket
    }

    /// How many bytes the client of a stream, which holds `share`, may be given more. Streams leave half
    /// of the memory for large shares to bodies; beyond that one whose reader has taken everything still
    /// gets a little.
    pub fn stream_room(&self, share: usize) -> usize {
        if self.large.held < self.large.limit / 2 {
            STREAM_SLICE_BYTES
        } else if share == 0 && self.small.has_room() {
            SMALL_SHARE_BYTES / 2
        } else {
            0
        }
    }

    /// This client has received its request, or has gone.
    pub fn done_receiving(&mut self, ticket: Ticket) {
        if self.exempt == Some(ticket) {
            self.exempt = None;
        }
    }

    /// This client, which holds `share` bytes, waits for [`SharedMemory::wake`].
    pub fn wait(&mut self, key: usize, share: usize) {
        self.part(share).waiting.push_back(key);
    }

    /// Calls `wakes` for those who may try again: all for whom there is room, else one if nobody is
    /// exempt. It says whether somebody was waiting under that key.
    pub fn wake(&mut self, mut wakes: impl FnMut(usize) -> bool) {
        for part in [&mut self.small, &mut self.large] {
            if part.has_room() {
                part.waiting.drain(..).for_each(|key| _ = wakes(key));
            }
        }
        while self.exempt.is_none() {
            let large = self.large.waiting.pop_front();
            let next = large.or_else(|| self.small.waiting.pop_front());
            if next.is_none_or(&mut wakes) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 80 * SMALL_SHARE_BYTES;
    const LARGE: usize = SMALL_SHARE_BYTES;
    /// What large shares may take together.
    const ALL: usize = LIMIT / 8 * 7;

    fn woken(memory: &mut SharedMemory) -> Vec<usize> {
        let mut keys = Vec::new();
        memory.wake(|key| {
            keys.push(key);
            true
        });
        keys
    }

    #[test]
    fn beyond_the_limit_one_at_a_time_goes_on() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(0, ALL - 1);
        assert!(memory.may_receive(1, LARGE) && memory.may_receive(2, LARGE));
        memory.account(ALL - 1, ALL);
        assert!(memory.may_receive(1, LARGE));
        assert!(!memory.may_receive(2, LARGE));
        memory.wait(2, LARGE);
        memory.wait(3, LARGE);
        assert!(woken(&mut memory).is_empty());
        memory.done_receiving(3);
        assert!(woken(&mut memory).is_empty());
        memory.done_receiving(1);
        assert_eq!(woken(&mut memory), [2]);
        assert!(memory.may_receive(2, LARGE));
        assert!(woken(&mut memory).is_empty());
        memory.account(ALL, LARGE);
        assert_eq!(woken(&mut memory), [3]);
    }

    #[test]
    fn small_shares_have_room_of_their_own() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(0, 2 * LIMIT);
        assert!(memory.may_receive(1, LARGE));
        for _ in 0..11 {
            assert!(memory.may_receive(2, LARGE - 1));
            memory.account(0, LARGE - 1);
        }
        assert!(!memory.may_receive(2, 0));
        memory.wait(2, 0);
        memory.wait(3, LARGE);
        assert!(woken(&mut memory).is_empty());
        memory.account(LARGE - 1, 0);
        assert_eq!(woken(&mut memory), [2]);
    }

    #[test]
    fn streams_leave_memory_to_bodies() {
        let mut memory = SharedMemory::new(LIMIT);
        assert_eq!(memory.stream_room(LARGE), STREAM_SLICE_BYTES);
        memory.account(0, ALL / 2);
        assert_eq!(memory.stream_room(LARGE), 0);
        assert!((1..SMALL_SHARE_BYTES).contains(&memory.stream_room(0)));
        (0..12).for_each(|_| memory.account(0, LARGE - 1));
        assert_eq!(memory.stream_room(0), 0);
    }

    #[test]
    fn one_that_has_gone_is_passed_over() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(0, LIMIT);
        for key in 1..4 {
            memory.wait(key, LARGE);
        }
        let mut asked = Vec::new();
        memory.wake(|key| {
            asked.push(key);
            key == 2
        });
        assert_eq!(asked, [1, 2]);
    }
}
