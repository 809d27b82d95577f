//! The domain: what an event is and which events are legal.
//!
//! An event that was received is not copied into a structure of its own: it is a set of [`Span`]s
//! into the body that brought it ([`Publication::body`]), so a body of a thousand events costs no
//! allocation per event. This module does no I/O and never panics on what a peer sent.

mod compact;
mod filter;
mod payload;
mod peer;
mod protocol;
mod rejected;
mod timestamp;

pub(crate) use compact::{compact, TooDeep};
pub use filter::{NameFilter, Pattern};
pub use payload::payload_error;
pub use peer::Peer;
pub use protocol::{IdentityCounts, Protocol};
pub use rejected::RejectedRecord;
pub use timestamp::timestamp_is_valid;

use crate::limits::NAME_MAX_BYTES;
use crate::text::Eight;

/// A range of bytes in a [`Publication`]'s body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// The bytes of the span. `body` must be the one that the span was made for.
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// One legal event as spans into the body of its publication.
///
/// The four strings are unescaped; `payload` is the JSON text as it was sent with the white space
/// between tokens removed, `{}` where the member was absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSpans {
    pub topic: Span,
    pub event_id: Span,
    pub timestamp: Span,
    pub source: Span,
    pub payload: Span,
}

/// Which members of an event the server filled in by itself: the time of receipt and the address of the peer. A
/// retry gets others, so they are not compared when a duplicate is told from a conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    pub timestamp: bool,
    pub source: bool,
}

impl Filled {
    /// Whether anything was filled in.
    pub fn any(self) -> bool {
        self.timestamp || self.source
    }
}

/// What one request brings to one transaction: legal events in order, with the bytes that they point into, and the
/// records that could not become events.
#[derive(Debug, Default)]
pub struct Publication {
    /// The body as it came. Text that had to be changed (strings with escapes, payloads with white
    /// space between tokens) is appended to it, so that all spans point into this one buffer.
    pub body: Vec<u8>,
    pub events: Vec<EventSpans>,
    /// What was filled in, by the places of the events. May be shorter than `events`: nothing was filled in for the
    /// rest. Empty for events that were sent as events.
    pub filled: Vec<Filled>,
    /// Kept in the table `rejected`, in the same transaction.
    pub rejected: Vec<RejectedRecord>,
}

impl Publication {
    /// What was filled in for the event at this place.
    pub fn filled(&self, place: usize) -> Filled {
        self.filled.get(place).copied().unwrap_or_default()
    }

    /// Bytes of the body, and of what is kept of rejected records.
    pub fn held_bytes(&self) -> usize {
        let rejected = self.rejected.iter().map(RejectedRecord::held_bytes);
        self.body.len() + rejected.sum::<usize>()
    }
}

/// Why a name (a topic, an event id, a source, a subscription) is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    /// More than [`NAME_MAX_BYTES`] bytes.
    TooLong,
    /// A character of U+0000 to U+001F, or U+007F.
    ControlCharacter,
}

impl NameError {
    /// What is wrong, as the end of a sentence that starts with what the name is.
    pub fn complaint(self) -> &'static str {
        match self {
            NameError::Empty => "must not be empty",
            NameError::TooLong => "must be at most 255 bytes long",
            NameError::ControlCharacter => "must not contain control characters",
        }
    }
}

const _: () = assert!(NAME_MAX_BYTES == 255, "the complaint names the number");

/// What is wrong with `name`, if anything: a name has 1 to [`NAME_MAX_BYTES`] bytes and no control
/// character.
pub fn name_error(name: &str) -> Option<NameError> {
    if name.is_empty() {
        return Some(NameError::Empty);
    }
    if name.len() > NAME_MAX_BYTES {
        return Some(NameError::TooLong);
    }
    // In UTF-8 these bytes are never part of another character.
    let control = |eight: Eight| eight.less_than(0x20) | eight.xor(0x7f).less_than(1);
    Eight::any_in(name.as_bytes(), control).then_some(NameError::ControlCharacter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_1_to_255_bytes() {
        assert_eq!(name_error(""), Some(NameError::Empty));
        assert_eq!(name_error("a"), None);
        assert_eq!(name_error(&"a".repeat(255)), None);
        assert_eq!(name_error(&"a".repeat(256)), Some(NameError::TooLong));
        // The bound counts bytes: 127 letters of two bytes fit, 128 do not.
        assert_eq!(name_error(&"é".repeat(127)), None);
        assert_eq!(name_error(&"é".repeat(128)), Some(NameError::TooLong));
    }

    #[test]
    fn names_have_no_control_characters() {
        for character in (0..0x20).chain([0x7f]).map(char::from) {
            for name in [
                format!("{character}"),
                format!("{}{character}", "a".repeat(254)),
                format!("{character}{}", "a".repeat(60)),
            ] {
                assert_eq!(name_error(&name), Some(NameError::ControlCharacter));
            }
        }
        // U+0080 to U+009F are not among them, nor are spaces, slashes or quotes.
        for name in [
            " ",
            "~",
            "\u{80}",
            "\u{9f}",
            "\u{a0}",
            "a/b c\"d\\",
            "\u{feff}",
            "日本",
        ] {
            assert_eq!(name_error(name), None, "{name:?}");
        }
    }
}
