//! Which topics have rows that are out of date: a bit for each topic, so that a round over all of them needs no
//! sorting and no list, and takes as many at a time as there is time for.

use std::cmp::Ordering;
use std::ops::Range;

use super::topic::TopicId;

/// Ids whose rows are out of date.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// The bit of an id is the bit `id % 64` of the word `id / 64`.
    words: Vec<u64>,
    count: usize,
}

fn place(id: TopicId) -> (usize, u64) {
    (id as usize / 64, 1 << (id % 64))
}

impl Stale {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds one, unless it is in the set already.
    pub(super) fn add(&mut self, id: TopicId) {
        let (word, bit) = place(id);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.count += usize::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    /// Removes those of a range.
    pub(super) fn remove(&mut self, ids: Range<TopicId>) {
        let (first, from) = place(ids.start);
        let (last, to) = place(ids.end);
        for (at, word) in self.words.iter_mut().enumerate().skip(first) {
            let not_before = if at == first { from - 1 } else { 0 };
            let not_after = match at.cmp(&last) {
                Ordering::Less => 0,
                Ordering::Equal => !(to - 1),
                Ordering::Greater => break,
            };
            let kept = *word & (not_before | not_after);
            self.count -= (*word ^ kept).count_ones() as usize;
            *word = kept;
        }
    }

    /// Those from an id on, ascending.
    pub(super) fn from(&self, id: TopicId) -> impl Iterator<Item = TopicId> + '_ {
        let (first, bit) = place(id);
        let words = self.words.iter().enumerate().skip(first);
        words.flat_map(move |(at, word)| {
            let mut left = if at == first {
                word & !(bit - 1)
            } else {
                *word
            };
            std::iter::from_fn(move || {
                let lowest = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at as TopicId * 64 + lowest)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order_and_once() {
        let mut stale = Stale::default();
        for id in [200, 1, 64, 63, 200, 128] {
            stale.add(id);
        }
        let from = |stale: &Stale, id| stale.from(id).collect::<Vec<_>>();
        assert_eq!(from(&stale, 0), [1, 63, 64, 128, 200]);
        assert_eq!(from(&stale, 64), [64, 128, 200]);
        assert_eq!(from(&stale, 65), [128, 200]);
        assert_eq!(stale.count(), 5);
        stale.remove(64..65);
        stale.remove(64..65);
        stale.remove(9_999..TopicId::MAX);
        assert_eq!(from(&stale, 2), [63, 128, 200]);
        assert_eq!(stale.count(), 4);
        assert!(from(&stale, 10_000).is_empty());
        stale.remove(2..128);
        assert_eq!(from(&stale, 0), [1, 128, 200]);
        stale.remove(0..TopicId::MAX);
        assert_eq!(stale.count(), 0);
    }
}
