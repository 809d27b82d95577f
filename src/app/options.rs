//! What the application needs to know of the configuration.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events in the ring, and in one request.
    pub ring_capacity: usize,
    /// Bytes of a body after decoding.
    pub max_body_bytes: usize,
    /// Units of reading in a slice ([`crate::limits::READ_UNITS_PER_SLICE`]).
    pub read_units: u64,
}
