//! What the application needs to know of the configuration.

/// How duplicates are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDuplicates {
    /// A line for each.
    Each,
    /// A line for each second that had some.
    Summary,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events in the ring, and in one request.
    pub ring_capacity: usize,
    /// Bytes of a body after decoding.
    pub max_body_bytes: usize,
    pub log_duplicates: LogDuplicates,
    /// Units of reading in a slice ([`crate::limits::READ_UNITS_PER_SLICE`]).
    pub read_units: u64,
}
