//! What came in during the last hour, in intervals of ten seconds, so that a page that was just opened has
//! something to draw. Memory is bounded, and an idle server is not woken: what has passed is noted when it is asked
//! for, or with the next turn.

use std::collections::VecDeque;

use crate::api::watch::{Figures, LastHour};
use crate::clock::Now;

const INTERVAL_MS: u64 = 10_000;
const INTERVALS: usize = 360;

pub(super) struct Recent {
    /// What came in each interval, the oldest first.
    intervals: VecDeque<Figures>,
    /// The counts where the last of them ended.
    before: Figures,
    /// When the current one ends, on the monotonic clock.
    ends_ms: u64,
}

impl Recent {
    pub(super) fn new(now: Now) -> Self {
        Self {
            intervals: VecDeque::new(),
            before: Figures::default(),
            ends_ms: now.mono_ms + INTERVAL_MS,
        }
    }

    /// Whether the current interval has ended.
    pub(super) fn is_over(&self, now: Now) -> bool {
        now.mono_ms >= self.ends_ms
    }

    /// All intervals that were noted.
    pub(super) fn figures(&self) -> LastHour {
        LastHour::of(INTERVAL_MS / 1_000, self.intervals.iter())
    }

    /// Notes the intervals that have passed, all that came as of the first of them. Only if one is over.
    pub(super) fn pass(&mut self, now_ms: u64, counts: Figures) {
        let passed = (now_ms - self.ends_ms) / INTERVAL_MS + 1;
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
        let mut recent = Recent::new(Now::default());
        let at = |accepted| Figures {
            accepted,
            ..Figures::default()
        };
        recent.pass(INTERVAL_MS, at(5));
        recent.pass(3 * INTERVAL_MS + 1, at(12));
        let accepted = |recent: &Recent| -> Vec<u64> {
            recent.intervals.iter().map(|one| one.accepted).collect()
        };
        assert_eq!(accepted(&recent), [5, 7, 0]);
        assert_eq!(recent.ends_ms, 4 * INTERVAL_MS);
        recent.pass(u64::MAX / 2, at(13));
        assert_eq!(accepted(&recent), [0; INTERVALS]);
        recent.pass(recent.ends_ms, at(20));
        assert_eq!(accepted(&recent).last(), Some(&7));
    }
}
