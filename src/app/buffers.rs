//! Buffers for the events of a publication, used again after its commit.

use crate::event::EventSpans;
use crate::limits;

/// Spare buffers, all of them empty, at most [`limits::SPARE_BUFFERS`] with room for
/// [`limits::SPARE_EVENTS`] together.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    spare: Vec<Vec<EventSpans>>,
    /// Events that they have room for together.
    room: usize,
}

impl BufferPool {
    pub(super) fn take(&mut self) -> Vec<EventSpans> {
        let events = self.spare.pop().unwrap_or_default();
        self.room -= events.capacity();
        events
    }

    pub(super) fn give_back(&mut self, mut events: Vec<EventSpans>) {
        let room = self.room + events.capacity();
        if self.spare.len() < limits::SPARE_BUFFERS && room <= limits::SPARE_EVENTS {
            events.clear();
            self.spare.push(events);
            self.room = room;
        }
    }
}
