//! What a search looks at.

/// A stored event without its seq, as it lies in its row.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub topic: &'a [u8],
    pub event_id: &'a [u8],
    pub source: &'a [u8],
    pub timestamp: &'a [u8],
    /// A JSON object without white space between its tokens. Anything else matches somehow, but never panics.
    pub payload: &'a [u8],
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub processed_at: i64,
}
