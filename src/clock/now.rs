//! A reading of the clocks.

/// One reading of the monotonic and the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the process started, from the monotonic clock. Deadlines count in this.
    pub mono_ms: u64,
    /// Microseconds since 1970-01-01T00:00:00Z, from the wall clock. What is stored and shown.
    pub unix_us: i64,
}

/// The earlier of two times, where none is never.
pub(crate) fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        _ => a.or(b),
    }
}
