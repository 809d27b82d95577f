//! The times of a block's events: up to eight intervals that hold all of them, cut at the largest gaps. The least and
//! the greatest alone say little if a few events come late.

use crate::limits::{SUMMARY_INTERVALS, SUMMARY_SECONDS_BYTES};
use crate::search::Instant;

/// The first and the last time of some events, and how many these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub first: Instant,
    pub last: Instant,
    pub events: u32,
}

const INTERVAL_BYTES: usize = 28;
const LENGTH_BYTES: usize = 4;

/// Nanoseconds since the epoch.
fn nanos(instant: Instant) -> i128 {
    i128::from(instant.seconds) * 1_000_000_000 + i128::from(instant.nanos)
}

/// The intervals of these times, which are sorted for it.
pub(super) fn intervals_of(times: &mut [Instant]) -> Vec<Interval> {
    times.sort_unstable();
    // The greatest gaps, and before which time each is.
    let mut cuts: Vec<(i128, usize)> = Vec::with_capacity(SUMMARY_INTERVALS);
    for at in 1..times.len() {
        let gap = nanos(times[at]) - nanos(times[at - 1]);
        let is_full = cuts.len() == SUMMARY_INTERVALS - 1;
        if gap == 0 || is_full && cuts.last().is_some_and(|least| gap <= least.0) {
            continue;
        }
        if is_full {
            cuts.pop();
        }
        let place = cuts.partition_point(|cut| cut.0 >= gap);
        cuts.insert(place, (gap, at));
    }
    let mut ends: Vec<usize> = cuts.into_iter().map(|(_, at)| at).collect();
    ends.sort_unstable();
    ends.push(times.len());
    let mut from = 0;
    let interval = |end| {
        let part = &times[std::mem::replace(&mut from, end)..end];
        Some(Interval {
            first: *part.first()?,
            last: *part.last()?,
            events: part.len() as u32,
        })
    };
    ends.into_iter().filter_map(interval).collect()
}

/// Whether all times of each interval are of the same second.
pub(super) fn are_of_one_second(intervals: &[Interval]) -> bool {
    intervals
        .iter()
        .all(|interval| interval.first.seconds == interval.last.seconds)
}

/// The column `times`: the intervals, and after them how long the list of seconds is, if there is one.
pub(super) fn encode(intervals: &[Interval], seconds_bytes: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(intervals.len() * INTERVAL_BYTES + LENGTH_BYTES);
    for Interval {
        first,
        last,
        events,
    } in intervals
    {
        for Instant { seconds, nanos } in [first, last] {
            bytes.extend_from_slice(&seconds.to_be_bytes());
            bytes.extend_from_slice(&nanos.to_be_bytes());
        }
        bytes.extend_from_slice(&events.to_be_bytes());
    }
    if seconds_bytes > 0 {
        bytes.extend_from_slice(&seconds_bytes.to_be_bytes());
    }
    bytes
}

/// What [`encode`] has written; none if it is not one of ours.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<Interval>, u32)> {
    let (bytes, length) = bytes.split_at(bytes.len() / INTERVAL_BYTES * INTERVAL_BYTES);
    let seconds_bytes = match length {
        [] => 0,
        length => u32::from_be_bytes(length.try_into().ok()?),
    };
    let is_long = seconds_bytes as usize > SUMMARY_SECONDS_BYTES;
    if is_long || bytes.len() > SUMMARY_INTERVALS * INTERVAL_BYTES {
        return None;
    }
    let interval = |bytes: &[u8]| {
        let (first, rest) = split_instant(bytes)?;
        let (last, rest) = split_instant(rest)?;
        Some(Interval {
            first,
            last,
            events: u32::from_be_bytes(*rest.first_chunk()?),
        })
    };
    let intervals: Option<_> = bytes.chunks(INTERVAL_BYTES).map(interval).collect();
    Some((intervals?, seconds_bytes))
}

fn split_instant(bytes: &[u8]) -> Option<(Instant, &[u8])> {
    let (seconds, rest) = bytes.split_first_chunk()?;
    let (nanos, rest) = rest.split_first_chunk()?;
    let instant = Instant {
        seconds: i64::from_be_bytes(*seconds),
        nanos: u32::from_be_bytes(*nanos),
    };
    Some((instant, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(nanos: i64) -> Instant {
        Instant {
            seconds: nanos.div_euclid(1_000_000_000),
            nanos: nanos.rem_euclid(1_000_000_000) as u32,
        }
    }

    fn ends(times: &[i64]) -> Vec<(i128, i128, u32)> {
        let mut times: Vec<Instant> = times.iter().map(|nanos| at(*nanos)).collect();
        let intervals = intervals_of(&mut times);
        let ends = intervals.iter();
        ends.map(|i| (nanos(i.first), nanos(i.last), i.events))
            .collect()
    }

    #[test]
    fn they_are_cut_at_the_largest_gaps() {
        assert_eq!(ends(&[]), []);
        assert_eq!(ends(&[5]), [(5, 5, 1)]);
        assert_eq!(ends(&[7, 5, 5]), [(5, 5, 2), (7, 7, 1)]);
        let mut late: Vec<i64> = (0..4_000).collect();
        late.extend([-9_000, 10_000, -5_000]);
        let found = ends(&late);
        assert_eq!(found.len(), SUMMARY_INTERVALS);
        for single in [-9_000, 10_000, -5_000] {
            assert!(found.contains(&(single, single, 1)));
        }
        assert_eq!(ends(&[i64::MIN, i64::MAX]).len(), 2);
    }

    proptest! {
        #[test]
        fn they_hold_all_times_and_their_number(
            times in prop::collection::vec(prop_oneof![-50..50_i64, any::<i64>()], 0..60),
        ) {
            let times: Vec<Instant> = times.into_iter().map(at).collect();
            let intervals = intervals_of(&mut times.clone());
            prop_assert!(intervals.len() <= SUMMARY_INTERVALS);
            for interval in &intervals {
                let inside = |time: &&Instant| (interval.first..=interval.last).contains(*time);
                prop_assert_eq!(times.iter().filter(inside).count(), interval.events as usize);
            }
            let sum: u32 = intervals.iter().map(|interval| interval.events).sum();
            prop_assert_eq!(sum as usize, times.len());
            for length in [0, 1, SUMMARY_SECONDS_BYTES as u32] {
                let bytes = encode(&intervals, length);
                prop_assert_eq!(decode(&bytes), Some((intervals.clone(), length)));
            }
            prop_assert_eq!(decode(&encode(&intervals, u32::MAX)), None);
        }
    }
}
