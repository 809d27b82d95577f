//! When background work is done.

use crate::clock::{Now, SteadyClock};
use crate::limits;

/// Times are in `mono_ms`.
#[derive(Debug)]
pub(super) struct IdleSchedule {
    /// The time that retention goes by.
    pub(super) steady: SteadyClock,
    /// Work has failed, and is tried again at this time.
    pub(super) resume_at: u64,
    /// When the names of the database's files are looked at again.
    pub(super) files_check_at: u64,
    /// Events have been committed since the last idle work.
    has_committed: bool,
    /// Nanoseconds that turns with commits have left for summaries.
    pub(super) for_summaries_ns: i64,
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
            for_summaries_ns: 0,
            retains_first: false,
        }
    }

    /// Events have been committed in this turn.
    pub(super) fn committed(&mut self) {
        self.has_committed = true;
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

    /// What made work fail is over.
    pub(super) fn resume(&mut self) {
        self.resume_at = 0;
    }

    pub(super) fn pause(&mut self, now: Now) {
        self.resume_at = now.mono_ms + limits::RETRY_MS;
    }
}
