//! The checksum of a row of numbers, and, for a row that does not match it, which bit was flipped, if it was one.
//!
//! A CRC-32 tells any two flips of one bit in so few bytes apart, so one flipped bit is not only found but corrected.
//! That matters where a row cannot be rebuilt from others: the key of a removed event is nowhere else.

use rusqlite::types::ValueRef;

use super::page_checksum::of_numbers;

/// The checksum as its column has it: with a sign, because then nearly all take four bytes, and SQLite overwrites a
/// row in place where its length stays.
pub(super) fn checksum(numbers: &[u64]) -> i32 {
    of_numbers(numbers).cast_signed()
}

/// What a row is, judged by its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState<const N: usize> {
    Right,
    /// One bit was flipped; these are the numbers without that.
    Corrected([u64; N]),
    Damaged,
}

/// Compares the numbers of a row with its checksum. Rows that older versions have written have none, and are trusted.
pub(super) fn judge<const N: usize>(numbers: [u64; N], stored: ValueRef<'_>) -> RowState<N> {
    let stored = match stored {
        ValueRef::Null => return RowState::Right,
        ValueRef::Integer(stored) => i32::try_from(stored).ok(),
        _ => None,
    };
    match stored {
        Some(stored) if stored == checksum(&numbers) => RowState::Right,
        Some(stored) => correct(numbers, stored),
        None => RowState::Damaged,
    }
}

fn correct<const N: usize>(numbers: [u64; N], stored: i32) -> RowState<N> {
    // The checksum itself may have the flipped bit.
    if (stored ^ checksum(&numbers)).count_ones() == 1 {
        return RowState::Corrected(numbers);
    }
    let mut tried = numbers;
    for at in 0..N {
        for bit in 0..u64::BITS {
            tried[at] ^= 1 << bit;
            if checksum(&tried) == stored {
                return RowState::Corrected(tried);
            }
            tried[at] ^= 1 << bit;
        }
    }
    RowState::Damaged
}

/// The checksum of a row that has text, as bytes.
pub(super) fn checksum_of_bytes(bytes: &[u8]) -> i32 {
    crc32fast::hash(bytes).cast_signed()
}

/// What the bytes of a row are. [`BytesState::Corrected`] has corrected them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BytesState {
    Right,
    Corrected,
    Damaged,
}

/// Compares the bytes of a row with its checksum, which it must have.
pub(super) fn judge_bytes(bytes: &mut [u8], stored: ValueRef<'_>) -> BytesState {
    let ValueRef::Integer(stored) = stored else {
        return BytesState::Damaged;
    };
    let Ok(stored) = i32::try_from(stored) else {
        return BytesState::Damaged;
    };
    match (stored ^ checksum_of_bytes(bytes)).count_ones() {
        0 => return BytesState::Right,
        // The checksum itself has the flipped bit.
        1 => return BytesState::Corrected,
        _ => {}
    }
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if checksum_of_bytes(bytes) == stored {
            return BytesState::Corrected;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    BytesState::Damaged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flipped_bit_in_text_is_put_right() {
        let right = b"0123456789abcdef a subscription".to_vec();
        let sum = checksum_of_bytes(&right);
        for bit in 0..8 * right.len() {
            let mut flipped = right.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let state = judge_bytes(&mut flipped, ValueRef::Integer(sum.into()));
            assert_eq!((state, &flipped), (BytesState::Corrected, &right));
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped[3] ^= 6;
            let twice = flipped.clone();
            let state = judge_bytes(&mut flipped, ValueRef::Integer(sum.into()));
            assert!(state == BytesState::Damaged || flipped == right, "{bit}");
            assert!(state != BytesState::Damaged || flipped == twice);
        }
        let mut bytes = right.clone();
        let mut judged = |stored| judge_bytes(&mut bytes, stored);
        assert_eq!(judged(ValueRef::Integer(sum.into())), BytesState::Right);
        assert_eq!(judged(ValueRef::Null), BytesState::Damaged);
        assert_eq!(judged(ValueRef::Integer(1 << 40)), BytesState::Damaged);
    }

    #[test]
    fn one_flipped_bit_is_put_right_and_two_are_not_believed() {
        let numbers = [77, u64::MAX, 0, 0x0123_4567_89AB_CDEF, 5];
        let sum = checksum(&numbers);
        let judged = |numbers, sum: i32| judge(numbers, ValueRef::Integer(sum.into()));
        assert_eq!(judged(numbers, sum), RowState::Right);
        for bit in 0..32 {
            assert_eq!(
                judged(numbers, sum ^ (1 << bit)),
                RowState::Corrected(numbers)
            );
        }
        let bits = 64 * numbers.len();
        for first in 0..bits {
            let mut flipped = numbers;
            flipped[first / 64] ^= 1 << (first % 64);
            assert_eq!(judged(flipped, sum), RowState::Corrected(numbers));
            for second in first + 1..bits {
                let mut twice = flipped;
                twice[second / 64] ^= 1 << (second % 64);
                assert_eq!(judged(twice, sum), RowState::Damaged, "{first} {second}");
            }
        }
        assert_eq!(judge(numbers, ValueRef::Null), RowState::Right);
        assert_eq!(judge(numbers, ValueRef::Real(1.0)), RowState::Damaged);
    }
}
