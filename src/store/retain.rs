//! Retention: which events are gone, the oldest first.

/// What retention has let go, by seq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Horizons {
    /// The events up to this seq have been removed.
    pub events: u64,
}
