//! The wall clock for what is judged by its age. A wall clock may be set wrong for a moment, and what is
//! removed as too old in that moment is gone. So this one goes at the pace of the monotonic clock: it
//! follows a wall clock that goes back at once, and one that jumps ahead only when that has lasted.

use super::now::Now;

/// The longest jump ahead of the wall clock that is followed immediately, in microseconds.
const STEP_US: i64 = 60_000_000;
/// Milliseconds after which a clock that is further ahead is believed: a machine that was suspended, or
/// one whose clock was set, and not one whose time server was wrong for a while.
const DOUBT_MS: u64 = 3_600_000;

#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// The wall clock less the monotonic clock, in microseconds, as far as it is believed.
    offset_us: i64,
    /// Since when the wall clock has been ahead of this one, in `mono_ms`.
    ahead_since: Option<u64>,
}

impl SteadyClock {
    pub fn new(now: Now) -> Self {
        Self {
            offset_us: offset(now),
            ahead_since: None,
        }
    }

    /// Takes a reading. Returns by how many microseconds the wall clock has just jumped ahead, where that
    /// is too much to be followed now.
    pub fn see(&mut self, now: Now) -> Option<i64> {
        let ahead = offset(now).saturating_sub(self.offset_us);
        let is_new = self.ahead_since.is_none();
        if ahead > STEP_US {
            let since = *self.ahead_since.get_or_insert(now.mono_ms);
            if now.mono_ms.saturating_sub(since) < DOUBT_MS {
                return is_new.then_some(ahead);
            }
        }
        *self = Self::new(now);
        None
    }

    /// Microseconds since 1970-01-01T00:00:00Z, according to the readings so far.
    pub fn at(&self, now: Now) -> i64 {
        mono_us(now).saturating_add(self.offset_us)
    }
}

fn mono_us(now: Now) -> i64 {
    i64::try_from(now.mono_ms).map_or(i64::MAX, |ms| ms.saturating_mul(1_000))
}

fn offset(now: Now) -> i64 {
    now.unix_us.saturating_sub(mono_us(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const YEAR: i64 = 365 * 86_400 * SECOND;
    const START: i64 = 1_767_323_045 * SECOND;

    /// A reading `mono_ms` after the start, by a wall clock that is `ahead_us` ahead.
    fn reading(mono_ms: u64, ahead_us: i64) -> Now {
        Now {
            mono_ms,
            unix_us: START + mono_ms as i64 * 1_000 + ahead_us,
        }
    }

    /// What it says after all of these readings, less what a right clock says then; and the jumps.
    fn after(readings: &[(u64, i64)]) -> (i64, Vec<i64>) {
        let mut clock = SteadyClock::new(reading(0, 0));
        let mut jumps = Vec::new();
        let mut error = 0;
        for &(mono_ms, ahead) in readings {
            let now = reading(mono_ms, ahead);
            jumps.extend(clock.see(now));
            error = clock.at(now) - reading(mono_ms, 0).unix_us;
        }
        (error, jumps)
    }

    #[test]
    fn small_steps_and_all_steps_back_are_followed_at_once() {
        assert_eq!(after(&[(1_000, 37)]), (37, vec![]));
        assert_eq!(after(&[(1_000, STEP_US)]), (STEP_US, vec![]));
        assert_eq!(after(&[(1_000, -YEAR)]), (-YEAR, vec![]));
        assert_eq!(after(&[(1_000, -YEAR), (2_000, -YEAR)]), (-YEAR, vec![]));
    }

    #[test]
    fn a_jump_ahead_is_told_once_and_passes_by() {
        let jump = [(1_000, 0), (2_000, YEAR), (3_000, YEAR + 5), (4_000, YEAR)];
        assert_eq!(after(&jump), (0, vec![YEAR]));
        let back = [&jump[..], &[(5_000, 3)]].concat();
        assert_eq!(after(&back), (3, vec![YEAR]));
        let again = [&back[..], &[(6_000, YEAR)]].concat();
        assert_eq!(after(&again), (3, vec![YEAR, YEAR - 3]));
    }

    #[test]
    fn a_jump_ahead_that_lasts_is_believed() {
        let last = 2_000 + DOUBT_MS;
        assert_eq!(after(&[(2_000, YEAR), (last - 1, YEAR)]), (0, vec![YEAR]));
        assert_eq!(after(&[(2_000, YEAR), (last, YEAR)]), (YEAR, vec![YEAR]));
        // A moment of right time in between begins the doubt again.
        let split = [(2_000, YEAR), (3_000, 0), (4_000, YEAR), (last, YEAR)];
        assert_eq!(after(&split), (0, vec![YEAR, YEAR]));
    }

    #[test]
    fn no_reading_overflows() {
        for unix_us in [i64::MIN, 0, i64::MAX] {
            let mut clock = SteadyClock::new(Now::default());
            for mono_ms in [0, 1, u64::MAX] {
                let now = Now { mono_ms, unix_us };
                clock.see(now);
                clock.at(now);
            }
        }
    }
}
