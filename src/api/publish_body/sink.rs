//! What becomes of the objects of a body. Both paths over a body give them to a sink.

use super::members::{Fault, Member, Members, Validator};
use crate::event::EventSpans;

/// Makes events of objects.
pub(super) trait Sink<'a> {
    /// Makes an event of an object with these members, whose whole text is `text`. False where a rule is broken;
    /// each fault goes to `report`.
    fn object(
        &mut self,
        members: &Members<'a>,
        text: &'a str,
        report: impl FnMut(Member, Fault),
    ) -> bool;

    /// Whether a member `events`, whose value begins with this byte, makes the outermost object a wrapper.
    fn is_wrapper(&self, _first: Option<u8>) -> bool {
        true
    }

    /// Forgets all objects: the body is read again from its start.
    fn clear(&mut self);
}

/// Objects that must be events: spans into the body.
pub(super) struct EventSink<'a, 'r> {
    text: &'a str,
    text_start: usize,
    validator: Validator<'a>,
    events: &'r mut Vec<EventSpans>,
}

impl<'a, 'r> EventSink<'a, 'r> {
    /// For `text`, which starts `text_start` bytes into the body. `events` is empty.
    pub(super) fn new(text: &'a str, text_start: usize, events: &'r mut Vec<EventSpans>) -> Self {
        Self {
            text,
            text_start,
            validator: Validator::new(text, text_start),
            events,
        }
    }

    /// Text that the events point into, to be appended to the body.
    pub(super) fn into_appended(self) -> Vec<u8> {
        self.validator.appended
    }
}

impl<'a> Sink<'a> for EventSink<'a, '_> {
    fn object(
        &mut self,
        members: &Members<'a>,
        _text: &'a str,
        report: impl FnMut(Member, Fault),
    ) -> bool {
        match self.validator.event(members, report) {
            Some(event) => {
                self.events.push(event);
                true
            }
            None => false,
        }
    }

    fn clear(&mut self) {
        self.events.clear();
        self.validator = Validator::new(self.text, self.text_start);
    }
}
