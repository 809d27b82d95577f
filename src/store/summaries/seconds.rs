//! How many events of a block each second has, for histograms whose buckets are shorter than what the block's
//! intervals span.
//!
//! Eight bytes are the first second. Then each second has a number of seven bits a byte, the lowest first: twice its
//! distance to the one before, and 1 if it has several events; these are counted by another such number.

use super::times::Interval;
use crate::limits::{SUMMARY_BLOCK_EVENTS, SUMMARY_SECONDS_BYTES};
use crate::search::Instant;

/// Seven bits of a byte are of a number; this one says that more follow.
const MORE: u8 = 0x80;

/// The seconds of ascending times; nothing where they take too many bytes.
pub(super) fn encode(times: &[Instant]) -> Vec<u8> {
    let Some(first) = times.first() else {
        return Vec::new();
    };
    let mut bytes = first.seconds.to_be_bytes().to_vec();
    let mut before = first.seconds;
    for second in times.chunk_by(|a, b| a.seconds == b.seconds) {
        let distance = second[0].seconds.abs_diff(before);
        before = second[0].seconds;
        write_number(
            &mut bytes,
            u128::from(distance) << 1 | u128::from(second.len() > 1),
        );
        if second.len() > 1 {
            write_number(&mut bytes, second.len() as u128);
        }
        if bytes.len() > SUMMARY_SECONDS_BYTES {
            return Vec::new();
        }
    }
    bytes
}

/// The seconds with their events, as intervals that hold all of each; `None` if the bytes are not ours.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Interval>> {
    let (first, mut bytes) = bytes.split_first_chunk()?;
    let mut seconds = i64::from_be_bytes(*first);
    let mut intervals = Vec::with_capacity(bytes.len() / 2);
    while !bytes.is_empty() {
        let number = read_number(&mut bytes)?;
        seconds = seconds.checked_add_unsigned(u64::try_from(number >> 1).ok()?)?;
        let events = match number & 1 {
            0 => 1,
            _ => read_number(&mut bytes)?,
        };
        intervals.push(Interval {
            first: Instant { seconds, nanos: 0 },
            last: Instant {
                seconds,
                nanos: 999_999_999,
            },
            events: u32::try_from(events).ok()?,
        });
    }
    (intervals.len() as u64 <= SUMMARY_BLOCK_EVENTS).then_some(intervals)
}

fn write_number(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= u128::from(MORE) {
        bytes.push(number as u8 | MORE);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number from the bytes; none if it has no end, or is too large.
fn read_number(bytes: &mut &[u8]) -> Option<u128> {
    let len = 1 + bytes.iter().position(|byte| byte & MORE == 0)?;
    let (number, rest) = bytes.split_at(len);
    *bytes = rest;
    let shift = |number: u128, byte: &u8| number << 7 | u128::from(byte & !MORE);
    (len <= 10).then(|| number.iter().rev().fold(0, shift))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(times: &[Instant]) -> Vec<(i64, u32)> {
        let intervals = decode(&encode(times)).unwrap();
        let second = |interval: &Interval| {
            assert_eq!(interval.first.seconds, interval.last.seconds);
            (interval.first.seconds, interval.events)
        };
        intervals.iter().map(second).collect()
    }

    #[test]
    fn seconds_far_apart_are_told_apart() {
        let at = |seconds| Instant { seconds, nanos: 5 };
        let times = [at(i64::MIN), at(-1), at(0), at(0), at(i64::MAX)];
        let expected = [(i64::MIN, 1), (-1, 1), (0, 2), (i64::MAX, 1)];
        assert_eq!(decoded(&times), expected);
        assert!(encode(&[]).is_empty());
        let mut wide: Vec<Instant> = (0..4_096).map(|n| at(n << 40)).collect();
        assert!(encode(&wide).is_empty());
        wide.truncate(1_000);
        assert_eq!(decoded(&wide).len(), 1_000);
    }

    #[test]
    fn what_is_not_ours_says_nothing() {
        for bytes in [&[][..], &[0; 7], &[0, 0, 0, 0, 0, 0, 0, 0, 0x80]] {
            assert_eq!(decode(bytes), None);
        }
        let mut endless = vec![0; 8];
        endless.extend([0xFF; 12]);
        endless.push(0);
        assert_eq!(decode(&endless), None);
        assert_eq!(decode(&[0; 8 + 5_000]), None);
    }

    proptest! {
        #[test]
        fn each_second_has_its_events(
            mut times in prop::collection::vec((-50..50_i64, 0..1_000_000_000_u32), 1..300),
        ) {
            times.sort_unstable();
            let instants: Vec<Instant> = times
                .iter()
                .map(|(seconds, nanos)| Instant { seconds: *seconds, nanos: *nanos })
                .collect();
            for (second, events) in decoded(&instants) {
                let there = times.iter().filter(|time| time.0 == second).count();
                prop_assert_eq!(there, events as usize);
            }
            let sum: u32 = decoded(&instants).iter().map(|second| second.1).sum();
            prop_assert_eq!(sum as usize, times.len());
        }
    }
}
