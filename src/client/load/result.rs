//! What a run measured, and whether its counts add up.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The most different statuses that are expected.
const STATUSES: usize = 16;
/// Latencies are recorded up to this many nanoseconds, with three significant digits.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// What a run measured. `requests`, `events` and `latency` are those between warm-up and end; the
/// other numbers are of the whole run.
#[derive(Clone, Debug)]
pub struct LoadResult {
    pub requests: u64,
    pub events: u64,
    /// Nanoseconds from when a request was sent, or at a pace from when it was due, to its answer.
    pub latency: Histogram<u64>,
    /// The time that `requests` took.
    pub elapsed: Duration,
    pub requests_sent: u64,
    pub answers: u64,
    pub accepted: u64,
    pub duplicates: u64,
    pub errors: u64,
    /// The first of the errors in words.
    pub first_error: Option<String>,
    /// Answers by their status, where the protocol has one.
    pub statuses: Vec<(u16, u64)>,
}

impl LoadResult {
    pub(super) fn new() -> LoadResult {
        LoadResult {
            requests: 0,
            events: 0,
            latency: new_latency(),
            elapsed: Duration::ZERO,
            requests_sent: 0,
            answers: 0,
            accepted: 0,
            duplicates: 0,
            errors: 0,
            first_error: None,
            statuses: Vec::with_capacity(STATUSES),
        }
    }

    /// Requests a second.
    pub fn request_rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Events a second, or requests where they hold none.
    pub fn rate(&self) -> f64 {
        self.events.max(self.requests) as f64 / self.elapsed.as_secs_f64()
    }

    /// Events a second.
    pub fn event_rate(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    pub(super) fn add_status(&mut self, status: u16) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => self.statuses.push((status, 1)),
        }
    }

    pub(super) fn add_errors(&mut self, errors: u64, text: impl FnOnce() -> String) {
        self.errors += errors;
        self.first_error.get_or_insert_with(text);
    }

    /// Each answered event was new or a duplicate, and each distinct event was accepted once.
    pub(super) fn check_counts(&mut self, distinct: u64, events_per_request: u64) {
        let sent = self.requests_sent * events_per_request;
        let (accepted, duplicates) = (self.accepted, self.duplicates);
        if accepted != distinct || accepted + duplicates != sent {
            self.add_errors(accepted.abs_diff(distinct).max(1), || {
                format!(
                    "{sent} events sent, {distinct} of them distinct, \
                     but {accepted} accepted and {duplicates} duplicates"
                )
            });
        }
    }
}

/// An empty histogram of latencies in nanoseconds.
pub fn new_latency() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX_NS, 3)
        .expect("the bounds are constants that hdrhistogram accepts")
}

#[cfg(test)]
mod tests {
    use super::LoadResult;

    fn result(accepted: u64, duplicates: u64) -> LoadResult {
        LoadResult {
            requests_sent: 10,
            accepted,
            duplicates,
            ..LoadResult::new()
        }
    }

    #[test]
    fn counts_that_add_up_are_no_error() {
        let mut result = result(60, 40);
        result.check_counts(60, 10);
        assert_eq!((result.errors, result.first_error), (0, None));
    }

    #[test]
    fn a_lost_event_and_one_stored_twice_are_errors() {
        for (accepted, duplicates, errors) in [(61, 39, 1), (57, 43, 3), (60, 39, 1)] {
            let mut result = result(accepted, duplicates);
            result.check_counts(60, 10);
            assert_eq!(result.errors, errors);
            assert!(result
                .first_error
                .is_some_and(|text| text.contains("100 events sent")));
        }
    }
}
