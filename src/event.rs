//! The domain: what an event is and which events are legal.
//!
//! An event that was received is not copied into a structure of its own: it is a set of [`Span`]s
//! into the body that brought it ([`Publication::body`]), so a body of a thousand events costs no
//! allocation per event. This module does no I/O and never panics on what a peer sent.

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
