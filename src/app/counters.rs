//! What is counted since the start.

use std::time::{Duration, Instant};

use super::commit_times::CommitTimes;
use super::last_hour::PastIntervals;
use crate::clock::Now;
use crate::event::{IdentityCounts, Protocol};
use crate::metrics::Metrics;
use crate::store::Outcome;

/// The counts that are not the database's.
pub(super) struct Counters {
    pub(super) started: Now,
    /// Records of all protocols that did not become events.
    pub(super) rejected: u64,
    /// Commits.
    pub(super) batches: u64,
    /// Searches that have begun, those at work, and seqs that searches have decided.
    pub(super) searches: u64,
    pub(super) searches_at_work: usize,
    pub(super) seqs_scanned: u64,
    /// Of these, those that summaries have ruled out.
    pub(super) seqs_skipped: u64,
    /// The time of all commits, in microseconds, and the times of those since they were last taken.
    pub(super) commit_us: u64,
    pub(super) commit_times: CommitTimes,
    pub(super) last_hour: PastIntervals,
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
            searches: 0,
            searches_at_work: 0,
            seqs_scanned: 0,
            seqs_skipped: 0,
            commit_us: 0,
            commit_times: CommitTimes::default(),
            last_hour: PastIntervals::new(started),
            connections: 0,
            metrics: Metrics::default(),
            clock: None,
        }
    }

    pub(super) fn instant(&self) -> Option<Instant> {
        self.clock.map(|clock| clock())
    }

    /// A publication was committed: what became of its events, and where their identities are from.
    pub(super) fn ingested(
        &mut self,
        protocol: Protocol,
        outcomes: &[Outcome],
        identities: IdentityCounts,
    ) {
        self.metrics.ingested(protocol, outcomes);
        self.metrics.identified(protocol, identities);
    }

    /// Records, or whole bodies, did not become events.
    pub(super) fn rejected(&mut self, protocol: Protocol, records: u64) {
        self.rejected += records;
        self.metrics.rejected(protocol, records);
    }

    /// A transaction with this many events, which began at `begun`, was committed.
    pub(super) fn committed(&mut self, events: usize, begun: Option<Instant>) {
        self.batches += 1;
        let took: Option<Duration> = self
            .instant()
            .zip(begun)
            .map(|(now, begun)| now.saturating_duration_since(begun));
        let us = took.map_or(0, |took| took.as_micros() as u64);
        self.commit_us += us;
        self.commit_times.note(us);
        self.metrics.committed(events, took);
    }
}
