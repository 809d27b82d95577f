//! What came in during the last hour, in intervals of ten seconds, so that a page that was just opened has
//! something to draw. Memory is bounded, and an idle server is not woken: what has passed is noted when it is asked
//! for, or with the next turn.

use std::collections::VecDeque;

use super::commit_times::CommitTimes;
use crate::api::watch::{Commits, Figures, LastHour};
use crate::clock::Now;

const INTERVAL_MS: u64 = 10_000;
const INTERVALS: usize = 360;
/// The times of commits are kept by the minute, which takes 48 kB for an hour.
const INTERVALS_A_MINUTE: u64 = 6;
const MINUTES: u64 = 60;

pub(super) struct PastIntervals {
    /// What came in each interval, the oldest first.
    intervals: VecDeque<Figures>,
    /// The counts where the last of them ended.
    before: Figures,
    /// The times of the commits of a minute, with its number; those without a commit are left out.
    minutes: VecDeque<(u64, CommitTimes)>,
    /// How many intervals have ended.
    ended: u64,
    /// When the current one ends, on the monotonic clock.
    ends_ms: u64,
}

impl PastIntervals {
    pub(super) fn new(now: Now) -> Self {
        Self {
            intervals: VecDeque::new(),
            before: Figures::default(),
            minutes: VecDeque::new(),
            ended: 0,
            ends_ms: now.mono_ms + INTERVAL_MS,
        }
    }

    /// Whether the current interval has ended.
    pub(super) fn is_over(&self, now: Now) -> bool {
        now.mono_ms >= self.ends_ms
    }

    /// All intervals that were noted, and the commits since.
    pub(super) fn figures(&self, current: &CommitTimes) -> LastHour {
        let mut all = current.clone();
        for (_, times) in &self.minutes {
            all.add(times);
        }
        let commits = Commits {
            count: all.count(),
            p50_us: all.percentile_us(50),
            p99_us: all.percentile_us(99),
            slowest_us: all.slowest_us(),
        };
        LastHour::of(INTERVAL_MS / 1_000, self.intervals.iter(), commits)
    }

    fn keep_times(&mut self, times: &CommitTimes, passed: u64) {
        let minute = self.ended / INTERVALS_A_MINUTE;
        self.ended += passed;
        match self.minutes.back_mut() {
            _ if times.count() == 0 => {}
            Some((last, all)) if *last == minute => all.add(times),
            _ => self.minutes.push_back((minute, times.clone())),
        }
        let now = self.ended / INTERVALS_A_MINUTE;
        let is_old = |(minute, _): &(u64, CommitTimes)| minute + MINUTES <= now;
        while self.minutes.front().is_some_and(is_old) {
            self.minutes.pop_front();
        }
    }

    /// Notes the intervals that have passed; all counts go to the first of them. Only if one is over.
    pub(super) fn pass(&mut self, now_ms: u64, counts: Figures, times: &CommitTimes) {
        let passed = (now_ms - self.ends_ms) / INTERVAL_MS + 1;
        self.keep_times(times, passed);
        self.ends_ms += passed * INTERVAL_MS;
        let came = counts.since(&self.before);
        self.before = counts;
        let quiet = usize::try_from(passed - 1).unwrap_or(INTERVALS);
        let quiet = std::iter::repeat_n(Figures::default(), quiet.min(INTERVALS));
        self.intervals.extend(std::iter::once(came).chain(quiet));
        let beyond = self.intervals.len().saturating_sub(INTERVALS);
        self.intervals.drain(..beyond);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_without_a_turn_are_quiet_and_old_ones_go() {
        let mut past = PastIntervals::new(Now::default());
        let at = |accepted| Figures {
            accepted,
            ..Figures::default()
        };
        let none = CommitTimes::default();
        past.pass(INTERVAL_MS, at(5), &none);
        past.pass(3 * INTERVAL_MS + 1, at(12), &none);
        let accepted = |past: &PastIntervals| -> Vec<u64> {
            past.intervals.iter().map(|one| one.accepted).collect()
        };
        assert_eq!(accepted(&past), [5, 7, 0]);
        assert_eq!(past.ends_ms, 4 * INTERVAL_MS);
        past.pass(u64::MAX / 2, at(13), &none);
        assert_eq!(accepted(&past), [0; INTERVALS]);
        past.pass(past.ends_ms, at(20), &none);
        assert_eq!(accepted(&past).last(), Some(&7));
    }

    #[test]
    fn the_times_of_commits_are_those_of_an_hour() {
        let mut past = PastIntervals::new(Now::default());
        let commits = |past: &PastIntervals, current: &CommitTimes| {
            let hour = serde_json::to_value(past.figures(current)).unwrap();
            ["count", "p50_us", "slowest_us"]
                .map(|name| hour["all_commits"][name].as_u64().unwrap())
        };
        let times = |us| {
            let mut times = CommitTimes::default();
            times.note(us);
            times
        };
        for n in 0..1_000 {
            let us = if n < 10 { 1_000 } else { 5 };
            past.pass(past.ends_ms, Figures::default(), &times(us));
            assert!(past.minutes.len() <= MINUTES as usize);
        }
        let [count, median, slowest] = commits(&past, &times(7));
        // One is of the interval that has not ended, and some of the minute that has not.
        assert!((355..=361).contains(&count), "{count}");
        assert_eq!((median, slowest), (5, 7));
        let none = CommitTimes::default();
        past.pass(past.ends_ms + 400 * INTERVAL_MS, Figures::default(), &none);
        assert_eq!(commits(&past, &none), [0, 0, 0]);
    }
}
