//! Whether two long lists hold the same records, in whatever order each comes, with neither of them in
//! memory: the hashes of all records, under a key that is random for each check, are added up. Lists
//! that differ have equal sums with a chance of some 2^-128.

use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::store::index::record::Record;

/// A list of records, as far as it has been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub records: u64,
    hashes: u128,
}

/// Adds records to sums; sums of one adder may be compared.
pub(super) struct Adder {
    key: [u8; 16],
    bytes: Vec<u8>,
}

impl Adder {
    pub(super) fn new() -> Self {
        Self {
            key: random_key(),
            bytes: Vec::new(),
        }
    }

    pub(super) fn add<R: Record>(&mut self, sum: &mut Sum, record: R) {
        self.bytes.clear();
        record.write(&mut self.bytes);
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(&self.bytes);
        sum.records += 1;
        sum.hashes = sum.hashes.wrapping_add(hasher.finish128().as_u128());
    }
}

/// Sixteen random bytes.
fn random_key() -> [u8; 16] {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64 | half()).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::index::record::Posting;

    fn sum(adder: &mut Adder, seqs: &[u64]) -> Sum {
        let mut sum = Sum::default();
        for seq in seqs {
            adder.add(
                &mut sum,
                Posting {
                    topic: 1,
                    seq: *seq,
                },
            );
        }
        sum
    }

    #[test]
    fn the_order_does_not_count_and_all_else_does() {
        let mut adder = Adder::new();
        let one = sum(&mut adder, &[1, 2, 3]);
        assert_eq!(one, sum(&mut adder, &[3, 1, 2]));
        for other in [&[1, 2][..], &[1, 2, 4], &[1, 2, 3, 3], &[2, 2, 2]] {
            assert_ne!(one, sum(&mut adder, other));
        }
    }
}
