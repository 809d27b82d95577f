//! A block of a filter: one cache line that says whether a key is one of the few that it was made of, without holding
//! them.
//!
//! Three slots belong to a key, and the XOR of their values is a value that the key has by itself. Graf and
//! Lemire, "Xor Filters" (2020), with two differences. A block is made of the keys that fall to it, some forty,
//! so a look-up costs one line where theirs costs three. And the slots' values are found by elimination, which
//! fills a small block better than peeling: Genuzio, Ottaviano and Vigna, "Fast Scalable Construction of
//! (Minimal Perfect Hash) Functions" (2016). The fewer keys a block has, the wider are its slots, so that it is
//! always full.

use std::ops::BitXorAssign;

use super::super::record::BLOCK_BYTES;

/// Five bits say how wide a slot is and two which of the seeds was taken; then come the slots. A block of
/// zeros has no slots, and says yes to every key.
pub(super) type Block = [u8; BLOCK_BYTES];

const WIDTH_BITS: usize = 5;
const SEEDS: u64 = 4;
const HEAD_BITS: usize = 7;
const WIDTH_MIN: usize = 4;
const WIDTH_MAX: usize = 16;
/// The slots for a hundred keys. With fewer, elimination fails more often; with more, they are narrower.
const SLOTS_PER_100_KEYS: usize = 110;

/// By the width of a slot, how many there are.
const SLOTS: [u8; 1 << WIDTH_BITS] = {
    let mut slots = [0; 1 << WIDTH_BITS];
    let mut width = WIDTH_MIN;
    while width <= WIDTH_MAX {
        slots[width] = ((8 * BLOCK_BYTES - HEAD_BITS) / width) as u8;
        width += 1;
    }
    slots
};
/// No block has more.
const SLOTS_MAX: usize = SLOTS[WIDTH_MIN] as usize;

/// False only if the key, of which these are 64 random bits, is none of the block's.
#[inline]
pub(super) fn may_contain(block: &Block, key: u64) -> bool {
    let head = usize::from(block[0]);
    let width = head % (1 << WIDTH_BITS);
    let value = slots_of(key, (head >> WIDTH_BITS) as u64 % SEEDS, SLOTS[width])
        .map(|slot| read(block, HEAD_BITS + slot * width))
        .into_iter()
        .fold(value_of(key), |sum, slot| sum ^ slot);
    value & ((1 << width) - 1) == 0
}

/// The block of these keys.
pub(super) fn made_of(keys: &[u64]) -> Block {
    let wanted = (keys.len() * SLOTS_PER_100_KEYS / 100).max(1);
    let mut values = [0; SLOTS_MAX];
    let widest = ((8 * BLOCK_BYTES - HEAD_BITS) / wanted).min(WIDTH_MAX);
    for width in (WIDTH_MIN..=widest).rev() {
        for seed in 0..SEEDS {
            let is_solved = match SLOTS[width] {
                ..=64 => solve::<u64, 64>(keys, seed, width, &mut values),
                _ => solve::<u128, SLOTS_MAX>(keys, seed, width, &mut values),
            };
            if is_solved {
                return packed(&values[..usize::from(SLOTS[width])], seed, width);
            }
        }
    }
    // More keys than any block can tell apart.
    [0; BLOCK_BYTES]
}

/// The slots of a key, which need not differ.
fn slots_of(key: u64, seed: u64, slots: u8) -> [usize; 3] {
    let seeded =
        (key ^ seed.wrapping_mul(0xA24B_AED4_963E_E407)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
    let mixed = seeded ^ seeded >> 32;
    [0, 16, 32].map(|shift| (((mixed >> shift & 0xFFFF) * u64::from(slots)) >> 16) as usize)
}

/// What the slots of a key must add up to, in as many of its bits as a slot has.
fn value_of(key: u64) -> u32 {
    (key >> 48) as u32
}

/// The bits from this one on: those of a slot, and others.
fn read(block: &Block, bit: usize) -> u32 {
    let byte = (bit / 8).min(BLOCK_BYTES - 4);
    let bytes = block[byte..].first_chunk().expect("four bytes are left");
    u32::from_le_bytes(*bytes) >> (bit - 8 * byte)
}

/// A set of slots, as bits.
trait Slots: Copy + Eq + BitXorAssign {
    const NONE: Self;
    fn one(slot: usize) -> Self;
    /// The last slot of a set that has one.
    fn last(self) -> usize;
}

impl Slots for u64 {
    const NONE: Self = 0;
    fn one(slot: usize) -> Self {
        1 << slot
    }
    fn last(self) -> usize {
        self.ilog2() as usize
    }
}

impl Slots for u128 {
    const NONE: Self = 0;
    fn one(slot: usize) -> Self {
        1 << slot
    }
    fn last(self) -> usize {
        self.ilog2() as usize
    }
}

/// Finds values of the slots with which each key's add up to its own, unless the keys contradict each other. There
/// are at most `MAX` slots.
fn solve<S: Slots, const MAX: usize>(
    keys: &[u64],
    seed: u64,
    width: usize,
    values: &mut [u32; SLOTS_MAX],
) -> bool {
    let slots = SLOTS[width];
    let mut rows = [(S::NONE, 0); MAX];
    for key in keys {
        let mut set = S::NONE;
        for slot in slots_of(*key, seed, slots) {
            set ^= S::one(slot);
        }
        let mut value = value_of(*key) & ((1 << width) - 1);
        // A row is at its last slot, which is the last of no other row.
        while set != S::NONE {
            let row = &mut rows[set.last()];
            if row.0 == S::NONE {
                *row = (set, value);
                value = 0;
                break;
            }
            set ^= row.0;
            value ^= row.1;
        }
        if value != 0 {
            return false;
        }
    }
    // The other slots of a row are before its last, so their values are known.
    for (slot, (set, value)) in rows[..usize::from(slots)].iter().enumerate() {
        let (mut others, mut sum) = (*set, *value);
        if others != S::NONE {
            others ^= S::one(slot);
        }
        while others != S::NONE {
            let other = others.last();
            sum ^= values[other];
            others ^= S::one(other);
        }
        values[slot] = sum;
    }
    true
}

fn packed(values: &[u32], seed: u64, width: usize) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let mut words = block.chunks_exact_mut(4);
    let mut bits = seed << WIDTH_BITS | width as u64;
    let mut have = HEAD_BITS;
    for value in values {
        bits |= u64::from(*value) << have;
        have += width;
        if have >= 32 {
            let word = words.next().expect("the slots fit into a block");
            word.copy_from_slice(&(bits as u32).to_le_bytes());
            bits >>= 32;
            have -= 32;
        }
    }
    if let Some(word) = words.next() {
        word.copy_from_slice(&(bits as u32).to_le_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random.
    fn keys(from: u64, count: usize) -> Vec<u64> {
        let mixed = |n: u64| {
            let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            n ^ n >> 31
        };
        (from..from + count as u64)
            .map(|n| mixed(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect()
    }

    #[test]
    fn every_key_is_found_however_many_there_are() {
        for round in 0..50 {
            for count in 0..=SLOTS_MAX + 10 {
                let keys = keys(round * 1_000, count);
                let block = made_of(&keys);
                assert!(keys.iter().all(|key| may_contain(&block, *key)), "{count}");
            }
        }
    }

    #[test]
    fn little_else_is_found() {
        // At most one false alarm in this many, with forty keys, with ten more and ten less.
        for (count, wanted) in [(30, 10_000), (40, 1_500), (50, 300), (100, 8)] {
            let (mut asked, mut alarms) = (0, 0);
            for round in 0..200 {
                let block = made_of(&keys(round * 10_000, count));
                let others = keys(round * 10_000 + 1_000, 5_000);
                asked += others.len();
                alarms += others
                    .iter()
                    .filter(|key| may_contain(&block, **key))
                    .count();
            }
            assert!(
                alarms * wanted <= asked,
                "{count} keys: {alarms} of {asked}"
            );
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_no_contradiction() {
        for key in [0, 1, u64::MAX] {
            let block = made_of(&[key; 50]);
            assert!(may_contain(&block, key));
            assert!(!may_contain(&block, key ^ 1 << 48));
        }
    }

    #[test]
    fn keys_that_nothing_tells_apart_are_all_found() {
        // One set of slots, two values.
        let contradicting: Vec<u64> = (0..1_000).collect();
        let block = made_of(&contradicting);
        assert!(contradicting.iter().all(|key| may_contain(&block, *key)));
        assert!((0..100).all(|key| may_contain(&[0; BLOCK_BYTES], key)));
    }
}
