//! The buckets of a histogram: intervals of the same length that begin at its multiples since 1970.

use super::instant::{seconds_of_age, Instant};
use crate::limits::BUCKETS_MAX;

/// The lengths that are chosen from, in seconds.
const LENGTHS: [u64; 24] = {
    const M: u64 = 60;
    const H: u64 = 60 * M;
    const D: u64 = 24 * H;
    [
        1,
        2,
        5,
        10,
        15,
        30,
        M,
        2 * M,
        5 * M,
        10 * M,
        15 * M,
        30 * M,
        H,
        2 * H,
        3 * H,
        6 * H,
        12 * H,
        D,
        2 * D,
        7 * D,
        30 * D,
        365 * D,
        3_650 * D,
        36_500 * D,
    ]
};

/// How the length is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// The length in seconds, at least 1.
    Interval(u64),
    /// The shortest length that needs no more buckets than this, at least 1.
    Buckets(u64),
}

impl Division {
    /// Reads the value of `interval`; `None` if it is not legal.
    pub fn parse_interval(text: &str) -> Option<Self> {
        let seconds = seconds_of_age(text).filter(|seconds| *seconds > 0)?;
        Some(Division::Interval(seconds))
    }
}

/// The buckets that hold a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// Where the first begins, in seconds since 1970.
    start: i64,
    /// The length of each, in seconds.
    interval: u64,
    count: usize,
}

impl Buckets {
    /// The buckets of the range from `since` to before `until`, which is later. `None` where a given interval needs
    /// more than [`BUCKETS_MAX`].
    pub fn new(since: Instant, until: Instant, division: Division) -> Option<Self> {
        match division {
            Division::Interval(interval) => Self::of_length(since, until, interval),
            Division::Buckets(max) => {
                let fits = |length: &u64| {
                    Self::of_length(since, until, *length)
                        .is_some_and(|buckets| buckets.count as u64 <= max)
                };
                let length = LENGTHS.into_iter().find(fits);
                Self::of_length(since, until, length.unwrap_or(LENGTHS[LENGTHS.len() - 1]))
            }
        }
    }

    fn of_length(since: Instant, until: Instant, interval: u64) -> Option<Self> {
        let length = i64::try_from(interval).ok()?;
        let last_second = until.seconds - i64::from(until.nanos == 0);
        let (first, last) = (
            since.seconds.div_euclid(length),
            last_second.div_euclid(length),
        );
        let count = u64::try_from(last - first).ok()? + 1;
        (count <= BUCKETS_MAX).then_some(Self {
            start: first * length,
            interval,
            count: count as usize,
        })
    }

    /// Where the first one begins.
    pub fn start(&self) -> Instant {
        Instant {
            seconds: self.start,
            nanos: 0,
        }
    }

    /// Seconds of each.
    pub fn interval(&self) -> u64 {
        self.interval
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// The place of the bucket that holds this moment; `None` outside of all.
    pub fn place_of(&self, instant: Instant) -> Option<usize> {
        let after = instant.seconds.checked_sub(self.start)?;
        let place = u64::try_from(after).ok()? / self.interval;
        usize::try_from(place)
            .ok()
            .filter(|place| *place < self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Instant {
        Instant::of_timestamp(text.as_bytes()).unwrap()
    }

    fn buckets(since: &str, until: &str, division: Division) -> Option<(String, u64, usize)> {
        let buckets = Buckets::new(instant(since), instant(until), division)?;
        let start = buckets.start().to_rfc3339().unwrap();
        Some((start, buckets.interval(), buckets.count()))
    }

    #[test]
    fn buckets_begin_at_multiples_and_hold_the_range() {
        let hour = ("2026-01-02T02:42:13.5Z", "2026-01-02T03:42:13.5Z");
        let all = |start: &str, interval, count| Some((start.to_owned(), interval, count));
        let of = |division| buckets(hour.0, hour.1, division);
        assert_eq!(
            of(Division::Buckets(61)),
            all("2026-01-02T02:42:00Z", 60, 61)
        );
        assert_eq!(
            of(Division::Buckets(60)),
            all("2026-01-02T02:42:00Z", 120, 31)
        );
        assert_eq!(
            of(Division::Buckets(1)),
            all("2026-01-02T02:00:00Z", 7_200, 1)
        );
        assert_eq!(of(Division::Interval(8)).unwrap().1, 8);
        assert_eq!(of(Division::Interval(7)), None);
        let before = buckets(
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:01Z",
            Division::Interval(60),
        );
        assert_eq!(before, all("1969-12-31T23:59:00Z", 60, 2));
        // The last moment before `until` has the last bucket.
        let whole = buckets(
            "2026-01-02T00:00Z",
            "2026-01-02T01:00Z",
            Division::Buckets(60),
        );
        assert_eq!(whole, all("2026-01-02T00:00:00Z", 60, 60));
        let longer = buckets(
            "2026-01-02T00:00Z",
            "2026-01-02T01:00:00.000000001Z",
            Division::Interval(60),
        );
        assert_eq!(longer, all("2026-01-02T00:00:00Z", 60, 61));
    }

    #[test]
    fn where_no_length_suffices_the_longest_is_taken() {
        let two = buckets("1969-12-31", "1970-01-02", Division::Buckets(1)).unwrap();
        assert_eq!(two.1, 36_500 * 86_400);
        assert_eq!(two.2, 2);
    }

    #[test]
    fn each_moment_of_the_range_has_its_bucket() {
        let (since, until) = (
            instant("2026-01-02T02:42:13.5Z"),
            instant("2026-01-02T03:42:13.5Z"),
        );
        let buckets = Buckets::new(since, until, Division::Interval(60)).unwrap();
        assert_eq!(buckets.place_of(since), Some(0));
        assert_eq!(buckets.place_of(instant("2026-01-02T02:43:00Z")), Some(1));
        assert_eq!(buckets.place_of(until), Some(60));
        assert_eq!(buckets.place_of(instant("2026-01-02T02:41:59.9Z")), None);
        assert_eq!(buckets.place_of(instant("2026-01-02T03:43:00Z")), None);
    }

    #[test]
    fn intervals_are_read() {
        assert_eq!(
            Division::parse_interval("90s"),
            Some(Division::Interval(90))
        );
        assert_eq!(
            Division::parse_interval("2w"),
            Some(Division::Interval(14 * 86_400))
        );
        for text in ["", "0s", "0w", "1", "1.5h", "now", "1000000000s", "-1h"] {
            assert_eq!(Division::parse_interval(text), None, "{text}");
        }
    }
}
