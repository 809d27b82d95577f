//! Whether the server serves or is about to stop.

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Serving,
    /// Answers what has been received, until this time on the monotonic clock at the latest, in milliseconds.
    Draining(u64),
}
