//! The memory that all clients share for requests being received and answers waiting to be taken. Owns the sums of
//! what they hold and the queues of clients that wait; never looks at a client, and never serves one.
//!
//! It has four parts: for the requests of clients that hold little, for larger requests, for small answers, and for
//! long ones. So large bodies never keep a small request waiting, clients that do not read never keep a publisher
//! waiting, and health checks and statistics never wait for pages that are not read.
//!
//! # Requests
//!
//! Where the part of its kind is full, a client is read no further than its own share, which each has, but for one, the
//! *reserve holder*: it is read until its request is complete, so that one is completed and frees memory. Then it is
//! the next one's turn. A small request that grows becomes a large one. Without room for that it stays half as large as
//! a small one may be: its buffer may double with the next byte.
//!
//! # Answers
//!
//! An answer that finds no room waits, and so does its client's next request. Answers are of three kinds
//! ([`AnswerKind`]), each with a queue of its own, so a small one never waits for a long one. Answers of a few KiB
//! do not wait at all.
//!
//! # Order
//!
//! In each queue it is first come, first served. A client gets its [`Place`] when it first finds no room, and keeps it
//! until it makes progress: one that is tried and finds no room again keeps its place, and a new one takes no room
//! while others wait for it. An answer is admitted while its part is not full, however long it is, so small ones do not
//! keep a long one waiting either.

use std::collections::VecDeque;

use crate::app::Ticket;
use crate::limits::{
    ANSWER_SMALL_BYTES, ANSWER_SMALL_SHARE, CLIENT_RESERVE_BYTES, SMALL_SHARE_BYTES,
    STREAM_SLICE_BYTES,
};

/// What one client holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Of requests that are not answered yet.
    pub received: usize,
    /// Of answers that it has not taken.
    pub to_send: usize,
    /// Where those count.
    pub answers: AnswerMemory,
}

/// A part of the memory for answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AnswerMemory {
    #[default]
    Small,
    Long,
}

/// What decides for which memory an answer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerKind {
    /// Small whatever is stored. It may use all of the memory for small answers.
    Fixed,
    /// Small by its length. It may use half of that memory.
    Small,
    Long,
}

impl AnswerKind {
    /// The kind of an answer of `bytes`. `is_fixed` says that it is small by its route.
    pub(super) fn of(bytes: usize, is_fixed: bool) -> AnswerKind {
        match bytes {
            _ if is_fixed => AnswerKind::Fixed,
            0..=ANSWER_SMALL_BYTES => AnswerKind::Small,
            _ => AnswerKind::Long,
        }
    }
}

/// A place in the order in which clients began to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// Clients that wait for the same memory, by slab key, in the order of their places.
#[derive(Debug, Default)]
struct Queue(VecDeque<(Place, usize)>);

impl Queue {
    fn enter(&mut self, place: Place, key: usize) {
        let at = self.0.partition_point(|(other, _)| *other < place);
        if self.0.get(at).is_none_or(|(other, _)| *other != place) {
            self.0.insert(at, (place, key));
        }
    }

    fn leave(&mut self, place: Place) {
        if self.0.front().is_some_and(|(first, _)| *first == place) {
            self.0.pop_front();
        }
    }

    /// Whether no client with an earlier place waits. A client without a place is new.
    fn lets(&self, place: Option<Place>) -> bool {
        match self.0.front() {
            Some((first, _)) => place.is_some_and(|place| place <= *first),
            None => true,
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The memory for one kind of requests or answers.
#[derive(Debug)]
struct Part {
    limit: usize,
    held: usize,
}

impl Part {
    fn new(limit: usize) -> Self {
        Self { limit, held: 0 }
    }

    fn has_room(&self) -> bool {
        self.held < self.limit
    }

    fn is_half_full(&self) -> bool {
        self.held >= self.limit / 2
    }
}

/// How much is held, and who waits.
#[derive(Debug)]
pub(super) struct SharedMemory {
    small: Part,
    large: Part,
    small_answers: Part,
    answers: Part,
    reserve_holder: Option<Ticket>,
    /// Clients that wait to receive a small request, or a large one.
    wait_small: Queue,
    wait_large: Queue,
    /// Clients whose answers wait, by kind.
    wait_answer: [Queue; 3],
    next_place: u64,
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
            reserve_holder: None,
            wait_small: Queue::default(),
            wait_large: Queue::default(),
            wait_answer: Default::default(),
            next_place: 0,
        }
    }

    fn part(&mut self, received: usize) -> &mut Part {
        if received < SMALL_SHARE_BYTES {
            &mut self.small
        } else {
            &mut self.large
        }
    }

    /// A client's usage has changed.
    pub(super) fn account(&mut self, before: Usage, after: Usage) {
        self.part(before.received).held -= before.received;
        self.part(after.received).held += after.received;
        self.answers_of(before).held -= before.to_send;
        self.answers_of(after).held += after.to_send;
    }

    fn answers_of(&mut self, usage: Usage) -> &mut Part {
        match usage.answers {
            AnswerMemory::Small => &mut self.small_answers,
            AnswerMemory::Long => &mut self.answers,
        }
    }

    /// How many of the `wanted` bytes a client may receive that holds `received`. Without room, the first to ask
    /// becomes the reserve holder.
    pub(super) fn may_receive(
        &mut self,
        ticket: Ticket,
        place: Option<Place>,
        received: usize,
        wanted: usize,
    ) -> usize {
        if self.reserve_holder == Some(ticket) {
            return wanted;
        }
        let small = self.small.has_room() && self.wait_small.lets(place);
        let large = self.large.has_room() && self.wait_large.lets(place);
        let has_room = if received < SMALL_SHARE_BYTES {
            small
        } else {
            large
        };
        let most = if !has_room {
            CLIENT_RESERVE_BYTES
        } else if !large {
            SMALL_SHARE_BYTES / 2
        } else {
            return wanted;
        };
        if received < most {
            return wanted.min(most - received);
        }
        let is_next = self.wait_small.lets(place) && self.wait_large.lets(place);
        if self.reserve_holder.is_none() && is_next {
            self.reserve_holder = Some(ticket);
            return wanted;
        }
        0
    }

    /// Whether a client may have a long answer made, or begun.
    pub(super) fn may_begin_long(&self, place: Option<Place>) -> bool {
        self.answers.has_room() && self.queue_of(AnswerKind::Long).lets(place)
    }

    /// Whether memory for answers is short: then each client has its answers taken before it gets the next,
    /// and [`SharedMemory::room_for_answer`] has to be asked.
    pub(super) fn is_short(&self) -> bool {
        !self.answers.has_room()
            || self.small_answers.is_half_full()
            || !self.wait_answer.iter().all(Queue::is_empty)
    }

    fn queue_of(&self, kind: AnswerKind) -> &Queue {
        &self.wait_answer[kind as usize]
    }

    /// Where an answer of `bytes` counts while memory is not short.
    pub(super) fn place_of(bytes: usize) -> AnswerMemory {
        if bytes > ANSWER_SMALL_BYTES {
            AnswerMemory::Long
        } else {
            AnswerMemory::Small
        }
    }

    /// Where the answer of a client counts; none if it has to wait.
    pub(super) fn room_for_answer(
        &self,
        bytes: usize,
        kind: AnswerKind,
        place: Option<Place>,
    ) -> Option<AnswerMemory> {
        if bytes <= CLIENT_RESERVE_BYTES {
            return Some(AnswerMemory::Small);
        }
        self.room_for(kind)
            .filter(|_| self.queue_of(kind).lets(place))
    }

    /// Where the next answer of a kind counts. A small one may take the room of long ones, if no long one waits for it.
    fn room_for(&self, kind: AnswerKind) -> Option<AnswerMemory> {
        let is_small = match kind {
            AnswerKind::Fixed => self.small_answers.has_room(),
            AnswerKind::Small => !self.small_answers.is_half_full(),
            AnswerKind::Long => false,
        };
        let may_be_long = kind == AnswerKind::Long || self.queue_of(AnswerKind::Long).is_empty();
        if is_small {
            Some(AnswerMemory::Small)
        } else if may_be_long && self.answers.has_room() {
            Some(AnswerMemory::Long)
        } else {
            None
        }
    }

    /// Whether a stream may begin with `bytes`.
    pub(super) fn may_stream(&self, bytes: usize, place: Option<Place>) -> bool {
        bytes <= CLIENT_RESERVE_BYTES || self.may_begin_long(place)
    }

    /// How many bytes the client of a stream may be given more. Streams leave half of the memory for
    /// answers to others; beyond that one whose reader has taken everything still gets a little.
    pub(super) fn stream_room(&self, usage: Usage) -> usize {
        if self.answers.held < self.answers.limit / 2 {
            STREAM_SLICE_BYTES
        } else if usage.to_send == 0 {
            CLIENT_RESERVE_BYTES
        } else {
            0
        }
    }

    /// This client has received its request, or has gone.
    pub(super) fn done_receiving(&mut self, ticket: Ticket) {
        if self.reserve_holder == Some(ticket) {
            self.reserve_holder = None;
        }
    }

    /// This client, which holds `received` bytes and may receive no more, waits for [`SharedMemory::wake`] at its
    /// place, or gets one.
    pub(super) fn wait_to_receive(
        &mut self,
        key: usize,
        place: Option<Place>,
        received: usize,
    ) -> Place {
        let place = self.place_or_next(place);
        // A small one for which there is room waits to become a large one.
        let is_small = received < SMALL_SHARE_BYTES && !self.small.has_room();
        let queue = if is_small {
            &mut self.wait_small
        } else {
            &mut self.wait_large
        };
        queue.enter(place, key);
        place
    }

    /// This client's answer waits for [`SharedMemory::wake`] at its place, or gets one.
    pub(super) fn wait_to_answer(
        &mut self,
        key: usize,
        place: Option<Place>,
        kind: AnswerKind,
    ) -> Place {
        let place = self.place_or_next(place);
        // It may have waited as one of another kind before it was made again.
        self.leave(place);
        self.wait_answer[kind as usize].enter(place, key);
        place
    }

    fn place_or_next(&mut self, place: Option<Place>) -> Place {
        place.unwrap_or_else(|| {
            self.next_place += 1;
            Place(self.next_place)
        })
    }

    /// The client at this place is answered, or its answer is being made.
    pub(super) fn leave(&mut self, place: Place) {
        for queue in &mut self.wait_answer {
            queue.leave(place);
        }
    }

    /// Calls the clients that may try again: all that may receive more, else the next reserve holder if there is none,
    /// and the first of each kind that there is room to answer; what its answer takes decides about the next. `call`
    /// has the client served that waits at the place, and returns its ticket, or none if no client waits there any
    /// more. The first of a kind stays in its queue until it is answered, and is called each time.
    pub(super) fn wake(&mut self, mut call: impl FnMut(usize, Place) -> Option<Ticket>) {
        let queues = [
            (&self.small, &mut self.wait_small),
            (&self.large, &mut self.wait_large),
        ];
        for (part, Queue(waiting)) in queues {
            if part.has_room() {
                waiting
                    .drain(..)
                    .for_each(|(place, key)| _ = call(key, place));
            }
        }
        while self.reserve_holder.is_none() {
            let large = self.wait_large.0.pop_front();
            let Some((place, key)) = large.or_else(|| self.wait_small.0.pop_front()) else {
                break;
            };
            self.reserve_holder = call(key, place);
        }
        for kind in [AnswerKind::Long, AnswerKind::Fixed, AnswerKind::Small] {
            let has_room = self.room_for(kind).is_some();
            let Queue(waiting) = &mut self.wait_answer[kind as usize];
            while let Some((place, key)) = waiting.front().copied().filter(|_| has_room) {
                if call(key, place).is_some() {
                    break;
                }
                waiting.pop_front();
            }
        }
    }

    /// Whether the client at this place will be called.
    pub(super) fn is_waiting(&self, place: Place) -> bool {
        let receive = [&self.wait_small, &self.wait_large];
        let mut queues = receive.into_iter().chain(&self.wait_answer);
        queues.any(|Queue(waiting)| waiting.iter().any(|(other, _)| *other == place))
    }

    /// Panics when the sums are not those of the clients' usage.
    pub(super) fn check_invariants(&self, usages: impl Iterator<Item = Usage>) {
        let mut sums = [0, 0, 0, 0];
        for usage in usages {
            sums[usize::from(usage.received >= SMALL_SHARE_BYTES)] += usage.received;
            sums[2 + usage.answers as usize] += usage.to_send;
        }
        let parts = [&self.small, &self.large, &self.small_answers, &self.answers];
        let held = parts.map(|part| part.held);
        assert_eq!(sums, held, "usage of memory");
    }
}

#[cfg(test)]
mod tests;
