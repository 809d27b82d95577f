//! What is counted since the start.

use std::time::{Duration, Instant};

use crate::clock::Now;
use crate::metrics::Metrics;

/// The counts that are not the database's.
pub(super) struct Counters {
    pub(super) started: Now,
    /// Events that validation refused.
    pub(super) rejected: u64,
    /// Commits.
    pub(super) batches: u64,
    /// Open connections.
    pub(super) connections: usize,
    pub(super) metrics: Metrics,
    /// The shell's clock, by which commits are timed; without one they are not.
    pub(super) clock: Option<fn() -> Instant>,
}

impl Counters {
    pub(super) fn new(started: Now) -> Self {
        Self {
            started,
            rejected: 0,
            batches: 0,
            connections: 0,
            metrics: Metrics::default(),
            clock: None,
        }
    }

    pub(super) fn instant(&self) -> Option<Instant> {
        self.clock.map(|clock| clock())
    }

    /// A transaction with this many events, which began at `begun`, was committed.
    pub(super) fn committed(&mut self, events: usize, begun: Option<Instant>) {
        self.batches += 1;
        let took: Option<Duration> = self
            .instant()
            .zip(begun)
            .map(|(now, begun)| now.saturating_duration_since(begun));
        self.metrics.committed(events, took);
    }
}
