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
    pub(super) for_summaries: SummaryTime,
    /// The last seq when the last turn ended; none before the first.
    last_seq: Option<u64>,
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
            for_summaries: SummaryTime::default(),
            last_seq: None,
            summaries_at: None,
            retains_first: false,
        }
    }

    /// Events have been committed in this turn.
    pub(super) fn committed(&mut self, now: Now) {
        self.has_committed = true;
        self.last_commit_at = Some(now.mono_ms);
    }

    /// How many events the turn has committed, now that this is the last seq.
    pub(super) fn new_events(&mut self, last_seq: u64) -> u64 {
        let before = self.last_seq.replace(last_seq);
        before.map_or(0, |before| last_seq.saturating_sub(before))
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

/// A turn of the loop, as far as summaries are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// How long it has taken, and how long the loop had waited before it.
    pub(super) time: Duration,
    pub(super) waited: Duration,
    /// Nanoseconds that the summaries of the events take which it has committed.
    pub(super) needed_ns: u64,
}

/// The time that summaries may take beside commits.
#[derive(Debug, Default)]
pub(super) struct SummaryTime {
    /// Nanoseconds that have been saved; negative after a step that took more than there was.
    pub(super) saved_ns: i64,
    /// Sums over the last turns, each of which weighs less than the next one: nanoseconds of the turns, and those that
    /// the summaries of their events take.
    turns_ns: u64,
    needed_ns: u64,
}

impl SummaryTime {
    /// Saves a part of the time that the turn has taken, and half of a wait before it in which a slice fits: that time
    /// is free. After a longer wait quiet turns make summaries. What was not needed is not kept for long, so that no
    /// publication meets a slice of many turns.
    pub(super) fn add(&mut self, turn: Turn) {
        let time = nanoseconds(turn.time);
        let waited = nanoseconds(turn.waited).min(limits::SUMMARY_QUIET_MS * 1_000_000);
        let count = |sum: &mut u64, ns: u64| {
            *sum = (*sum - *sum / limits::SUMMARY_PACE_TURNS).saturating_add(ns);
        };
        let all = time.saturating_add(waited);
        count(&mut self.turns_ns, all);
        count(&mut self.needed_ns, turn.needed_ns);
        let share = match self.keeps_pace() {
            true => all / limits::SUMMARY_PACE_SHARE,
            false => time / limits::SUMMARY_TURN_SHARE,
        };
        let free = Some(waited / limits::SUMMARY_WAIT_SHARE);
        let free = free.filter(|free| *free >= limits::SUMMARY_SLICE_MIN_NS);
        let share = (share + free.unwrap_or(0)).min(limits::SUMMARY_SLICE_NS);
        let most = share.max(limits::SUMMARY_SAVED_NS) as i64;
        self.saved_ns = self.saved_ns.saturating_add(share as i64).min(most);
    }

    /// Whether the larger share is enough for the summaries of what is published. Where it is not, publishers do not
    /// pay for it.
    fn keeps_pace(&self) -> bool {
        self.needed_ns > 0 && self.needed_ns <= self.turns_ns / limits::SUMMARY_PACE_SHARE
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(time_us: u64, waited_us: u64, needed_us: u64) -> Turn {
        Turn {
            time: Duration::from_micros(time_us),
            waited: Duration::from_micros(waited_us),
            needed_ns: needed_us * 1_000,
        }
    }

    #[test]
    fn a_turn_gives_summaries_a_part_of_its_time_and_of_the_wait_before_it() {
        // The turn, the wait before it, what the summaries of its events take, and what they get, in microseconds.
        for (name, time, waited, needed, gets) in [
            ("no events", 160, 0, 0, 8),
            ("they keep pace with a larger part", 160, 0, 20, 20),
            ("they keep pace with neither", 160, 0, 21, 8),
            ("they keep pace in short waits", 80, 80, 20, 20),
            ("short waits are not free", 80, 80, 21, 4),
            ("a slice fits in the wait", 80, 200, 0, 4 + 100),
            ("they keep pace, and it fits", 80, 200, 1, 35 + 100),
            ("a longer wait has quiet turns", 0, 5_000, 0, 500),
            ("the longest slice", 1_000_000, 0, 0, 2_000),
            ("the longest slice after a wait", 1_000_000, 1_000, 1, 2_000),
            ("years", u64::MAX / 1_000, u64::MAX / 1_000, 1, 2_000),
        ] {
            let mut summaries = SummaryTime::default();
            summaries.add(turn(time, waited, needed));
            assert_eq!(summaries.saved_ns, gets * 1_000, "{name}");
        }
    }

    #[test]
    fn little_is_saved_and_a_long_step_is_paid_back() {
        let mut summaries = SummaryTime::default();
        for _ in 0..1_000 {
            summaries.add(turn(200, 0, 0));
        }
        assert_eq!(summaries.saved_ns, limits::SUMMARY_SAVED_NS as i64);
        summaries.saved_ns = -15_000;
        summaries.add(turn(200, 0, 0));
        assert_eq!(summaries.saved_ns, -5_000);
        // A single turn may give more than that, and it does not add up.
        for _ in 0..3 {
            summaries.add(turn(20_000, 0, 0));
        }
        assert_eq!(summaries.saved_ns, 1_000_000);
    }

    #[test]
    fn the_last_turns_say_which_part_keeps_pace() {
        let mut summaries = SummaryTime::default();
        for turns in 0..4 * limits::SUMMARY_PACE_TURNS {
            assert_eq!(summaries.keeps_pace(), turns > 0);
            summaries.add(turn(160, 0, 10));
        }
        // A burst is not the pace.
        for (keeps_pace, needed_us) in [(false, 40), (true, 10)] {
            let mut turns = 0;
            while summaries.keeps_pace() != keeps_pace {
                turns += 1;
                summaries.add(turn(160, 0, needed_us));
            }
            let few = limits::SUMMARY_PACE_TURNS / 4;
            assert!(keeps_pace || turns > few, "after {turns} turns");
        }
    }

    #[test]
    fn events_are_counted_by_the_last_seq() {
        let mut schedule = IdleSchedule::new(Now::default());
        for (last_seq, events) in [(10, 0), (10, 0), (14, 4), (3, 0), (5, 2)] {
            assert_eq!(schedule.new_events(last_seq), events);
        }
    }
}
