//! How long, and how often, something that failed is retried.
//!
//! The pauses grow from a tenth of a second to ten, each shortened by a random part, so that clients that
//! lost a server together do not come back together. `Retry-After` makes a pause longer.

use std::time::{Duration, Instant};

use rustix::rand::{getrandom, GetRandomFlags};

use super::error::Error;
use super::settings::GiveUp;
use crate::limits::{
    CLIENT_PAUSE_MAX_MS, CLIENT_PAUSE_MIN_MS, CLIENT_QUIET_MS, CLIENT_RETRY_AFTER_MAX_MS,
};

/// The failures since the last success.
#[derive(Debug)]
pub struct Backoff {
    give_up: GiveUp,
    /// When the first of them came.
    since: Option<Instant>,
    failures: u32,
    /// Whether the failures have been reported.
    is_reported: bool,
}

/// What to do about a failure.
#[derive(Debug)]
pub enum RetryDecision {
    /// Try again after this pause.
    Pause(Duration),
    /// Give up, with this error.
    Fail(Error),
}

impl Backoff {
    pub fn new(give_up: GiveUp) -> Backoff {
        Backoff {
            give_up,
            since: None,
            failures: 0,
            is_reported: false,
        }
    }

    /// Takes a failure into account.
    pub fn failed(&mut self, error: Error, now: Instant) -> RetryDecision {
        if !error.is_transient() {
            return RetryDecision::Fail(error);
        }
        let since = *self.since.get_or_insert(now);
        let doublings = self.failures.min(16);
        self.failures += 1;
        let whole = (CLIENT_PAUSE_MIN_MS << doublings).min(CLIENT_PAUSE_MAX_MS);
        let mut pause = Duration::from_millis(whole / 2 + random() % (whole / 2 + 1));
        if let Some(asked) = error.retry_after() {
            let most = Duration::from_millis(CLIENT_RETRY_AFTER_MAX_MS);
            pause = pause.max(asked.min(most));
        }
        match self.give_up {
            GiveUp::Never => RetryDecision::Pause(pause),
            GiveUp::After(time) => {
                let spent = now.duration_since(since);
                let left = time.saturating_sub(spent);
                if !left.is_zero() {
                    // The last try comes when the time is up.
                    return RetryDecision::Pause(pause.min(left));
                }
                match self.failures {
                    1 => RetryDecision::Fail(error),
                    _ => RetryDecision::Fail(Error::GaveUp(Box::new(error), spent)),
                }
            }
        }
    }

    /// True once when failures have lasted long enough to be reported.
    pub fn must_tell(&mut self, now: Instant) -> bool {
        let least = Duration::from_millis(CLIENT_QUIET_MS);
        let is_long = self.since.is_some_and(|since| now - since >= least);
        is_long && !std::mem::replace(&mut self.is_reported, true)
    }

    /// Takes a success into account; returns the failures before it and whether they have been reported.
    pub fn succeeded(&mut self) -> (u32, bool) {
        self.since = None;
        let failures = std::mem::take(&mut self.failures);
        (failures, std::mem::take(&mut self.is_reported))
    }
}

/// A random number. Where the system has none it is 0, which only makes all pauses equal.
fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = getrandom(&mut bytes, GetRandomFlags::NONBLOCK);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorResponse;
    use super::*;

    fn lost() -> Error {
        Error::Lost("lost".to_owned())
    }

    fn pause(decision: RetryDecision) -> Duration {
        match decision {
            RetryDecision::Pause(pause) => pause,
            RetryDecision::Fail(error) => panic!("{error}"),
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_restart_after_a_success() {
        let mut backoff = Backoff::new(GiveUp::Never);
        let now = Instant::now();
        for whole in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
            let pause = pause(backoff.failed(lost(), now)).as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
        }
        assert_eq!(backoff.succeeded(), (9, false));
        assert!(pause(backoff.failed(lost(), now)).as_millis() <= 100);
    }

    #[test]
    fn retry_after_is_heeded_within_reason() {
        let refused = |seconds| {
            Error::Refused(Box::new(ErrorResponse {
                status: 503,
                retry_after: Some(Duration::from_secs(seconds)),
                body: Vec::new(),
            }))
        };
        let mut backoff = Backoff::new(GiveUp::Never);
        let now = Instant::now();
        let pauses = [1, 7, 86_400].map(|asked| pause(backoff.failed(refused(asked), now)));
        assert_eq!(pauses, [1, 7, 60].map(Duration::from_secs));
    }

    #[test]
    fn the_last_try_comes_when_the_time_is_up() {
        let mut backoff = Backoff::new(GiveUp::After(Duration::from_millis(130)));
        let start = Instant::now();
        let mut now = start;
        let mut tries = 1;
        let error = loop {
            match backoff.failed(lost(), now) {
                RetryDecision::Pause(pause) => now += pause,
                RetryDecision::Fail(error) => break error,
            }
            tries += 1;
        };
        assert_eq!(now - start, Duration::from_millis(130));
        assert!((3..=4).contains(&tries), "{tries}");
        assert!(matches!(error, Error::GaveUp(..)), "{error:?}");
    }

    #[test]
    fn a_short_failure_is_not_told_of_and_a_long_one_once() {
        let mut backoff = Backoff::new(GiveUp::Never);
        let start = Instant::now();
        let reported = [0, 999, 1_000, 5_000].map(|millis| {
            let now = start + Duration::from_millis(millis);
            pause(backoff.failed(lost(), now));
            backoff.must_tell(now)
        });
        assert_eq!(reported, [false, false, true, false]);
        assert_eq!(backoff.succeeded(), (4, true));
        pause(backoff.failed(lost(), start));
        assert_eq!(backoff.succeeded(), (1, false));
    }

    #[test]
    fn zero_is_one_try_and_what_cannot_change_is_not_tried_again() {
        let mut backoff = Backoff::new(GiveUp::After(Duration::ZERO));
        let decision = backoff.failed(lost(), Instant::now());
        assert!(matches!(decision, RetryDecision::Fail(Error::Lost(_))));
        let mut backoff = Backoff::new(GiveUp::Never);
        let decision = backoff.failed(Error::Unexpected(String::new()), Instant::now());
        assert!(matches!(
            decision,
            RetryDecision::Fail(Error::Unexpected(_))
        ));
    }
}
