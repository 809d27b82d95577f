//! When background work is done.

use std::time::Duration;

use crate::clock::{Now, SteadyClock};
use crate::limits;

/// Times are in `mono_ms`.
#[derive(Debug)]
pub(super) struct IdleSchedule {
    /// The time that retention goes by.
    pub(super) steady: SteadyClock,
    /// Work has failed, and is tried again at this time.
    pub(super) resume_at: u64,
    /// When the names of the database's files are checked again.
    pub(super) files_check_at: u64,
    /// Events have been committed since the last idle work.
    has_committed: bool,
    /// The time of the last turn that has committed events; none before the first.
    last_commit_at: Option<u64>,
    /// What summaries may take beside commits.
    pub(super) for_summaries: SavedTime,
    /// Summaries wait for this time, because events have just been committed.
    pub(super) summaries_at: Option<u64>,
    /// The last quiet turn did retention before all else.
    retains_first: bool,
}

impl IdleSchedule {
    pub(super) fn new(now: Now) -> Self {
        Self {
            steady: SteadyClock::new(now),
            resume_at: 0,
            files_check_at: 0,
            has_committed: false,
            last_commit_at: None,
            for_summaries: SavedTime::default(),
            summaries_at: None,
            retains_first: false,
        }
    }

    /// Events have been committed in this turn.
    pub(super) fn committed(&mut self, now: Now) {
        self.has_committed = true;
        self.last_commit_at = Some(now.mono_ms);
    }

    /// Nanoseconds that summaries may take in a quiet turn: a part of the time since the last commit. A publisher that
    /// waits for each answer sends its next request about as long after the last one, and waits for the slice that it
    /// meets.
    pub(super) fn quiet_summaries_ns(&self, now: Now) -> i64 {
        let Some(last) = self.last_commit_at else {
            return limits::SUMMARY_SLICE_NS as i64;
        };
        let quiet_ms = now.mono_ms.saturating_sub(last);
        let part = quiet_ms.saturating_mul(1_000_000) / limits::SUMMARY_TURN_SHARE;
        part.min(limits::SUMMARY_SLICE_NS) as i64
    }

    /// Summaries go on when a quiet turn has a slice for them.
    pub(super) fn put_summaries_off(&mut self) {
        let last = self.last_commit_at.unwrap_or(0);
        self.summaries_at = Some(last + limits::SUMMARY_QUIET_MS);
    }

    /// Whether nothing was committed since the last call.
    pub(super) fn take_quiet(&mut self) -> bool {
        !std::mem::take(&mut self.has_committed)
    }

    /// Whether retention comes first in this quiet turn: in every other one.
    pub(super) fn take_turn_of_retention(&mut self) -> bool {
        self.retains_first = !self.retains_first;
        self.retains_first
    }

    /// The cause of the failures is gone.
    pub(super) fn resume(&mut self) {
        self.resume_at = 0;
    }

    pub(super) fn pause(&mut self, now: Now) {
        self.resume_at = now.mono_ms + limits::RETRY_MS;
    }
}

/// Time that has been saved for summaries.
#[derive(Debug, Default)]
pub(super) struct SavedTime {
    /// Nanoseconds; negative after a step that took more than there was.
    pub(super) ns: i64,
}

impl SavedTime {
    /// Saves a part of the time that a turn has taken, and a larger one of what the loop has waited before it: that
    /// time is free. After a longer wait quiet turns make summaries. What was not needed is not kept for long, so that
    /// no publication meets a slice of many turns.
    pub(super) fn add(&mut self, turn: Duration, waited: Duration) {
        let waited = waited.min(Duration::from_millis(limits::SUMMARY_QUIET_MS));
        let share = turn.as_nanos() / u128::from(limits::SUMMARY_TURN_SHARE)
            + waited.as_nanos() / u128::from(limits::SUMMARY_WAIT_SHARE);
        let slice = limits::SUMMARY_SLICE_NS as i64;
        let share = i64::try_from(share).map_or(slice, |share| share.min(slice));
        let most = share.max(limits::SUMMARY_SAVED_NS as i64);
        self.ns = self.ns.saturating_add(share).min(most);
    }
}
