//! What a search looks at.

/// A stored event without its seq, as it is in its row.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub topic: &'a [u8],
    pub event_id: &'a [u8],
    pub source: &'a [u8],
    pub timestamp: &'a [u8],
    /// A JSON object without white space between its tokens. On anything else the result is undefined, without a panic.
    pub payload: &'a [u8],
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub processed_at: i64,
}
