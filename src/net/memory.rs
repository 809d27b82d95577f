//! The memory that all clients share for bodies being received and answers waiting.
//!
//! It has four parts: for requests of those who hold little, for larger requests, for small answers, and for
//! longer ones. So large bodies never keep a small request waiting, clients that do not read never keep a
//! publisher, and what asks how the server is doing never waits for pages that nobody takes.
//! Where the part of its kind is full, a client is read no further than its own share, which each has, but
//! for one, the *exempt*: it goes on until its request is complete, so that somebody gets done and gives
//! memory back. Then it is the next one's turn, in the order in which they began to wait. Where the answers
//! take all of theirs, no long answer is begun; one of a few KiB still is, once for each client.
//!
//! A small request that grows becomes a large one. Where there is no room for that it stays half as large
//! as a small one may be: its buffer may double with the next byte.

use std::collections::VecDeque;

use crate::app::Ticket;
use crate::limits::{
    ANSWER_SMALL_BYTES, ANSWER_SMALL_SHARE, OWN_SHARE_BYTES, SMALL_SHARE_BYTES, STREAM_SLICE_BYTES,
};

/// What one client holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Of requests that are not answered yet.
    pub received: usize,
    /// Of answers that it has not taken.
    pub to_send: usize,
    /// Where those count.
    pub answers: Answers,
}

/// A part of the memory for answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answers {
    #[default]
    Small,
    Long,
}

/// Who holds how much, and who waits.
#[derive(Debug)]
pub(super) struct SharedMemory {
    small: Part,
    large: Part,
    small_answers: Part,
    answers: Part,
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

    fn is_half_full(&self) -> bool {
        self.held >= self.limit / 2
    }
}

impl SharedMemory {
    /// `limit` is in bytes, and for all clients together.
    pub(super) fn new(limit: usize) -> Self {
        let (small, answers) = (limit / 8, limit / 4);
        let small_answers = limit / ANSWER_SMALL_SHARE;
        Self {
            small: Part::new(small),
            large: Part::new(limit - small - small_answers - answers),
            small_answers: Part::new(small_answers),
            answers: Part::new(answers),
            exempt: None,
        }
    }

    fn part(&mut self, received: usize) -> &mut Part {
        if received < SMALL_SHARE_BYTES {
            &mut self.small
        } else {
            &mut self.large
        }
    }

    /// A client's share has changed.
    pub(super) fn account(&mut self, before: Share, after: Share) {
        self.part(before.received).held -= before.received;
        self.part(after.received).held += after.received;
        self.answers_of(before).held -= before.to_send;
        self.answers_of(after).held += after.to_send;
    }

    fn answers_of(&mut self, share: Share) -> &mut Part {
        match share.answers {
            Answers::Small => &mut self.small_answers,
            Answers::Long => &mut self.answers,
        }
    }

    /// How many of the bytes that are `wanted` a client may receive that has `received` so many. Where
    /// there is no room, the first to ask becomes the exempt.
    pub(super) fn may_receive(&mut self, ticket: Ticket, received: usize, wanted: usize) -> usize {
        if self.exempt == Some(ticket) {
            return wanted;
        }
        let most = if !self.part(received).has_room() {
            OWN_SHARE_BYTES
        } else if !self.large.has_room() {
            SMALL_SHARE_BYTES / 2
        } else {
            return wanted;
        };
        if received < most {
            return wanted.min(most - received);
        }
        if *self.exempt.get_or_insert(ticket) == ticket {
            wanted
        } else {
            0
        }
    }

    /// Whether there is room for long answers.
    pub(super) fn may_answer_at_length(&self) -> bool {
        self.answers.has_room()
    }

    /// Whether memory for answers is short: then each client has its answers taken before it gets the next,
    /// and [`SharedMemory::place`] has to be asked.
    pub(super) fn is_short(&self) -> bool {
        !self.answers.has_room() || self.small_answers.is_half_full()
    }

    /// Where an answer of so many bytes goes while memory is not short.
    pub(super) fn place_of(bytes: usize) -> Answers {
        if bytes > ANSWER_SMALL_BYTES {
            Answers::Long
        } else {
            Answers::Small
        }
    }

    /// Where an answer of so many bytes goes; none where it has to wait. One that is small by its kind
    /// (`is_fixed`) has all of the memory for small answers, others that happen to be small have half of it.
    pub(super) fn place(&self, bytes: usize, is_fixed: bool) -> Option<Answers> {
        let is_small = is_fixed || bytes <= ANSWER_SMALL_BYTES;
        let has_room = if is_fixed {
            self.small_answers.has_room()
        } else {
            !self.small_answers.is_half_full()
        };
        if (is_small && has_room) || bytes <= OWN_SHARE_BYTES {
            Some(Answers::Small)
        } else if self.answers.has_room() {
            Some(Answers::Long)
        } else {
            None
        }
    }

    /// Whether a stream may begin with so many bytes.
    pub(super) fn may_stream(&self, bytes: usize) -> bool {
        self.may_answer_at_length() || bytes <= OWN_SHARE_BYTES
    }

    /// How many bytes the client of a stream may be given more. Streams leave half of the memory for
    /// answers to others; beyond that one whose reader has taken everything still gets a little.
    pub(super) fn stream_room(&self, share: Share) -> usize {
        if self.answers.held < self.answers.limit / 2 {
            STREAM_SLICE_BYTES
        } else if share.to_send == 0 {
            OWN_SHARE_BYTES
        } else {
            0
        }
    }

    /// This client has received its request, or has gone.
    pub(super) fn done_receiving(&mut self, ticket: Ticket) {
        if self.exempt == Some(ticket) {
            self.exempt = None;
        }
    }

    /// This client, which has `received` so many bytes and may receive no more, waits for
    /// [`SharedMemory::wake`].
    pub(super) fn wait(&mut self, key: usize, received: usize) {
        // A small one for which there is room waits to become a large one.
        let part = if self.part(received).has_room() {
            &mut self.large
        } else {
            self.part(received)
        };
        part.waiting.push_back(key);
    }

    /// This client's answer waits for [`SharedMemory::wake`].
    pub(super) fn wait_to_answer(&mut self, key: usize, is_fixed: bool) {
        let part = if is_fixed {
            &mut self.small_answers
        } else {
            &mut self.answers
        };
        part.waiting.push_back(key);
    }

    /// Calls `wakes` for those who may try again: all who may receive more, else one if nobody is exempt,
    /// and one of each kind who may be answered; what its answer takes decides about the next. `wakes` says whether
    /// somebody was waiting under that key.
    pub(super) fn wake(&mut self, mut wakes: impl FnMut(usize) -> bool) {
        for part in [&mut self.small, &mut self.large] {
            if part.has_room() {
                part.waiting.drain(..).for_each(|key| _ = wakes(key));
            }
        }
        while self.exempt.is_none() {
            let large = self.large.waiting.pop_front();
            let next = large.or_else(|| self.small.waiting.pop_front());
            if next.is_none_or(&mut wakes) {
                break;
            }
        }
        // What is small may go where there is room for what is long.
        let may_be_long = self.answers.has_room();
        for part in [&mut self.small_answers, &mut self.answers] {
            while part.has_room() || may_be_long {
                if part.waiting.pop_front().is_none_or(&mut wakes) {
                    break;
                }
            }
        }
    }

    /// Whether this client will be woken.
    pub(super) fn is_waiting(&self, key: usize) -> bool {
        let parts = [&self.small, &self.large, &self.small_answers, &self.answers];
        parts.iter().any(|part| part.waiting.contains(&key))
    }

    /// Panics when the sums are not those of the clients' shares.
    pub(super) fn check_invariants(&self, shares: impl Iterator<Item = Share>) {
        let mut sums = [0, 0, 0, 0];
        for share in shares {
            sums[usize::from(share.received >= SMALL_SHARE_BYTES)] += share.received;
            sums[2 + share.answers as usize] += share.to_send;
        }
        let parts = [&self.small, &self.large, &self.small_answers, &self.answers];
        let held = parts.map(|part| part.held);
        assert_eq!(sums, held, "shares of memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What large requests may take together.
    const ALL: usize = 50 * SMALL_SHARE_BYTES;
    const LIMIT: usize = ALL * 2;
    const LARGE: usize = SMALL_SHARE_BYTES;
    const BUFFER: usize = 64 * 1024;

    fn received(received: usize) -> Share {
        Share {
            received,
            ..Share::default()
        }
    }

    fn sends(to_send: usize, answers: Answers) -> Share {
        Share {
            received: 0,
            to_send,
            answers,
        }
    }

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
        memory.account(received(0), received(ALL - 1));
        for ticket in [1, 2] {
            assert_eq!(memory.may_receive(ticket, LARGE, BUFFER), BUFFER);
        }
        memory.account(received(ALL - 1), received(ALL));
        assert_eq!(memory.may_receive(1, LARGE, BUFFER), BUFFER);
        assert_eq!(memory.may_receive(2, LARGE, BUFFER), 0);
        memory.wait(2, LARGE);
        memory.wait(3, LARGE);
        assert!(woken(&mut memory).is_empty());
        memory.done_receiving(3);
        assert!(woken(&mut memory).is_empty());
        memory.done_receiving(1);
        assert_eq!(woken(&mut memory), [2]);
        assert_eq!(memory.may_receive(2, LARGE, BUFFER), BUFFER);
        assert!(woken(&mut memory).is_empty());
        memory.account(received(ALL), received(LARGE));
        assert_eq!(woken(&mut memory), [3]);
    }

    #[test]
    fn small_requests_have_room_of_their_own() {
        const HALF: usize = SMALL_SHARE_BYTES / 2;
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(received(0), received(2 * LIMIT));
        assert_eq!(memory.may_receive(1, LARGE, BUFFER), BUFFER);
        for _ in 0..LIMIT / 8 / HALF {
            assert_eq!(memory.may_receive(2, 0, BUFFER), HALF);
            assert_eq!(memory.may_receive(2, HALF - 1, BUFFER), 1);
            memory.account(received(0), received(HALF));
        }
        assert_eq!(memory.may_receive(2, HALF - 1, BUFFER), 0);
        memory.wait(2, HALF - 1);
        memory.wait(3, LARGE);
        assert!(woken(&mut memory).is_empty());
        memory.account(received(HALF), received(0));
        assert_eq!(woken(&mut memory), [2]);
    }

    #[test]
    fn streams_leave_memory_to_other_answers() {
        let mut memory = SharedMemory::new(LIMIT);
        let some = sends(1, Answers::Long);
        assert_eq!(memory.stream_room(some), STREAM_SLICE_BYTES);
        let half = sends(LIMIT / 8, Answers::Long);
        memory.account(Share::default(), half);
        assert_eq!(memory.stream_room(some), 0);
        assert_eq!(memory.stream_room(Share::default()), OWN_SHARE_BYTES);
        assert!(!memory.is_short());
    }

    #[test]
    fn a_small_request_becomes_large_where_there_is_room() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(received(0), received(ALL));
        assert_eq!(memory.may_receive(1, LARGE, BUFFER), BUFFER);
        assert_eq!(memory.may_receive(2, SMALL_SHARE_BYTES / 2, BUFFER), 0);
        memory.wait(2, SMALL_SHARE_BYTES / 2);
        assert!(woken(&mut memory).is_empty());
        memory.account(received(ALL), received(ALL - 1));
        assert_eq!(woken(&mut memory), [2]);
        assert_eq!(memory.may_receive(2, SMALL_SHARE_BYTES / 2, BUFFER), BUFFER);
    }

    #[test]
    fn a_share_of_its_own_is_left_to_each() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(received(0), received(2 * LIMIT));
        for _ in 0..LIMIT / 8 {
            memory.account(received(0), received(1));
        }
        for ticket in 1..100 {
            let may = memory.may_receive(ticket, 0, BUFFER);
            assert_eq!(may, OWN_SHARE_BYTES);
            assert_eq!(memory.may_receive(ticket, OWN_SHARE_BYTES - 1, BUFFER), 1);
        }
        // Beyond it there is the exempt.
        assert_eq!(memory.may_receive(1, OWN_SHARE_BYTES, BUFFER), BUFFER);
        assert_eq!(memory.may_receive(2, OWN_SHARE_BYTES, BUFFER), 0);
    }

    #[test]
    fn answers_wait_for_answers_alone() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(received(0), received(2 * LIMIT));
        assert!(!memory.is_short());
        let waits = sends(LIMIT / 4, Answers::Long);
        memory.account(Share::default(), waits);
        assert!(memory.is_short());
        assert_eq!(memory.place(ANSWER_SMALL_BYTES + 1, false), None);
        memory.account(received(2 * LIMIT), received(0));
        assert_eq!(memory.may_receive(1, LARGE, BUFFER), BUFFER);
        memory.wait_to_answer(7, false);
        memory.wait_to_answer(8, false);
        assert!(woken(&mut memory).is_empty());
        memory.account(waits, Share::default());
        assert_eq!(woken(&mut memory), [7]);
        assert_eq!(woken(&mut memory), [8]);
    }

    #[test]
    fn small_answers_have_memory_of_their_own() {
        const SMALL: usize = ANSWER_SMALL_BYTES;
        const ITS_MEMORY: usize = LIMIT / ANSWER_SMALL_SHARE;
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(Share::default(), sends(LIMIT, Answers::Long));
        assert_eq!(memory.place(SMALL, false), Some(Answers::Small));
        assert_eq!(memory.place(8 * SMALL, true), Some(Answers::Small));
        assert_eq!(memory.place(SMALL + 1, false), None);
        // Half of it is for what is small by its kind.
        let half = sends(ITS_MEMORY / 2, Answers::Small);
        memory.account(Share::default(), half);
        assert_eq!(memory.place(SMALL, false), None);
        assert_eq!(memory.place(8 * SMALL, true), Some(Answers::Small));
        memory.account(Share::default(), half);
        assert_eq!(memory.place(SMALL, true), None);
        // A little is left to each.
        assert_eq!(memory.place(OWN_SHARE_BYTES, false), Some(Answers::Small));
        memory.wait_to_answer(1, true);
        memory.wait_to_answer(2, false);
        assert!(woken(&mut memory).is_empty());
        memory.account(half, Share::default());
        assert_eq!(woken(&mut memory), [1]);
        // Where long answers have room, small ones may have it too.
        memory.account(Share::default(), half);
        memory.account(sends(LIMIT, Answers::Long), Share::default());
        assert!(memory.is_short());
        assert_eq!(memory.place(SMALL, true), Some(Answers::Long));
        assert_eq!(woken(&mut memory), [2]);
    }

    #[test]
    fn one_that_has_gone_is_passed_over() {
        let mut memory = SharedMemory::new(LIMIT);
        memory.account(received(0), received(LIMIT));
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
