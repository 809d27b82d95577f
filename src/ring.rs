//! The bounded first-in-first-out queue between the requests and the commit. Owns the publications that wait; never
//! looks into them.
//!
//! A slot is one request's publication; the bound counts events, and bytes as well, because a
//! thousand large bodies would fill the memory long before the limit of events. The ring refuses what
//! does not fit and never grows beyond its bounds; an empty ring takes one publication of any size.

use std::collections::VecDeque;

use crate::event::Publication;
use crate::limits;

/// A queued publication, and the request that waits for its outcome.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    /// Names the connection that waits; opaque here.
    pub ticket: T,
    pub publication: Publication,
}

/// The ring. `T` is the ticket's type.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    events: usize,
    bytes: usize,
    capacity: usize,
}

/// The ring has no room; the slot comes back.
#[derive(Debug)]
pub(crate) struct Full<T>(pub Box<Slot<T>>);

impl<T> Ring<T> {
    /// A ring for `capacity` events, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            events: 0,
            bytes: 0,
            capacity: capacity.max(1),
        }
    }

    /// Queues a publication after the others.
    pub(crate) fn push(&mut self, slot: Slot<T>) -> Result<(), Full<T>> {
        let events = slot.publication.events.len();
        let bytes = slot.publication.held_bytes();
        let fits =
            self.events + events <= self.capacity && self.bytes + bytes <= limits::RING_MAX_BYTES;
        if !fits && !self.slots.is_empty() {
            return Err(Full(Box::new(slot)));
        }
        self.events += events;
        self.bytes += bytes;
        self.slots.push_back(slot);
        Ok(())
    }

    /// The queued publications, oldest first.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot<T>> + Clone {
        self.slots.iter()
    }

    /// Takes out the oldest publication.
    pub(crate) fn pop(&mut self) -> Option<Slot<T>> {
        let slot = self.slots.pop_front()?;
        self.events -= slot.publication.events.len();
        self.bytes -= slot.publication.held_bytes();
        Some(slot)
    }

    /// Events queued.
    pub(crate) fn len(&self) -> usize {
        self.events
    }

    /// Whether no publication waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Events that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Panics when a sum is wrong or a bound is passed.
    pub(crate) fn check_invariants(&self) {
        let publications = || self.slots.iter().map(|slot| &slot.publication);
        let events = publications().map(|p| p.events.len()).sum::<usize>();
        let bytes = publications().map(Publication::held_bytes).sum::<usize>();
        assert_eq!(
            (self.events, self.bytes),
            (events, bytes),
            "sums of the ring"
        );
        let is_bounded = events <= self.capacity && bytes <= limits::RING_MAX_BYTES;
        assert!(is_bounded || self.slots.len() == 1, "the ring's bounds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventSpans;

    fn slot(ticket: u32, events: usize, bytes: usize) -> Slot<u32> {
        let publication = Publication {
            body: vec![0; bytes],
            events: vec![EventSpans::default(); events],
            ..Publication::default()
        };
        Slot {
            ticket,
            publication,
        }
    }

    #[test]
    fn keeps_order_and_counts_events() {
        let mut ring = Ring::new(10);
        ring.push(slot(1, 3, 5)).expect("room");
        ring.push(slot(2, 7, 5)).expect("room");
        assert_eq!(ring.len(), 10);
        let Full(refused) = ring
            .push(slot(3, 1, 1))
            .expect_err("no room for an eleventh event");
        assert_eq!(refused.ticket, 3);
        assert_eq!(ring.pop().map(|s| s.ticket), Some(1));
        ring.push(*refused).expect("room again");
        assert_eq!(ring.pop().map(|s| s.ticket), Some(2));
        assert_eq!(ring.pop().map(|s| s.ticket), Some(3));
        assert_eq!((ring.is_empty(), ring.len()), (true, 0));
    }

    #[test]
    fn bytes_are_bounded_but_one_large_body_always_fits() {
        let mut ring = Ring::new(10);
        ring.push(slot(1, 1, limits::RING_MAX_BYTES + 1))
            .expect("an empty ring takes it");
        assert!(ring.push(slot(2, 1, 1)).is_err());
    }
}
