//! The distinct words of a block, as hashes, while its summary is made.

use crate::limits::SUMMARY_WORDS_MAX;

/// Slots to begin with; doubled while half of them are taken.
const SLOTS: usize = 16 * 1024;

/// A set of hashes of words, of a bounded number.
#[derive(Debug, Default)]
pub(super) struct WordSet {
    /// Open addressing with linear probing; 0 is a free slot.
    slots: Vec<u64>,
    len: usize,
    has_overflown: bool,
}

impl WordSet {
    /// Makes it empty.
    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
        self.len = 0;
        self.has_overflown = false;
    }

    /// Adds a hash, which is never 0. One that there is no room for shows in [`WordSet::has_overflown`].
    #[inline]
    pub(super) fn insert(&mut self, hash: u64) {
        if 2 * self.len >= self.slots.len() && !self.grow() {
            self.has_overflown = true;
            return;
        }
        if put(&mut self.slots, hash) {
            self.len += 1;
        }
    }

    #[cold]
    fn grow(&mut self) -> bool {
        if self.len >= SUMMARY_WORDS_MAX {
            return false;
        }
        let slots = (2 * self.slots.len()).max(SLOTS);
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        for hash in old.into_iter().filter(|hash| *hash != 0) {
            put(&mut self.slots, hash);
        }
        true
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there were more than it takes.
    pub(super) fn has_overflown(&self) -> bool {
        self.has_overflown
    }

    /// The words, in no order, with zeros between them.
    pub(super) fn slots(&self) -> &[u64] {
        &self.slots
    }
}

/// Puts a hash into a table with free slots. Returns whether it was new.
#[inline]
fn put(slots: &mut [u64], hash: u64) -> bool {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    loop {
        match slots[at] {
            0 => {
                slots[at] = hash;
                return true;
            }
            found if found == hash => return false,
            _ => at = (at + 1) & mask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> u64 {
        super::super::words::hash_text(&number.to_be_bytes())
    }

    #[test]
    fn it_holds_each_word_once_up_to_its_bound() {
        let mut set = WordSet::default();
        for count in [0, 1, 1_000, SUMMARY_WORDS_MAX] {
            set.clear();
            for _ in 0..2 {
                (0..count as u64).for_each(|number| set.insert(hash(number)));
            }
            let in_slots = set.slots().iter().filter(|hash| **hash != 0).count();
            assert_eq!((set.len(), in_slots), (count, count));
        }
        // At its bound it takes none, not even one that it has.
        set.insert(hash(u64::MAX));
        assert!(set.has_overflown());
        assert_eq!(set.len(), SUMMARY_WORDS_MAX);
        set.clear();
        assert!(!set.has_overflown());
        set.insert(7);
        assert!(set.slots().contains(&7));
    }
}
