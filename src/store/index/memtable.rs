//! The newest keys, in memory: a memtable is filled by commits, sealed when it is full, and dropped when its segment is
//! on disk.
//!
//! A table with open addressing and linear probing. It may hold several entries of one fingerprint.
//! Entries leave only in the reverse of the order in which they came, when a commit failed, and so a
//! slot can simply be emptied: no entry that came earlier was ever pushed past a later one.

use super::record::{Fingerprint, KeyRecord, Posting};
use crate::store::topics::topic::TopicId;

/// Keys of events with ascending seqs.
pub(crate) struct Memtable {
    /// An empty slot has the seq 0.
    slots: Box<[KeyRecord]>,
    /// The slot and the topic of each entry, in the order in which they came.
    order: Vec<(u32, TopicId)>,
}

impl Memtable {
    /// A memtable with `slots` slots, a power of two.
    pub(crate) fn new(slots: usize) -> Self {
        assert!(slots.is_power_of_two(), "a fingerprint's bits are a slot");
        Self {
            slots: vec![KeyRecord::default(); slots].into_boxed_slice(),
            order: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether three quarters of its slots are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= self.slots.len() / 4 * 3
    }

    /// Bytes of memory that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.len() * size_of::<KeyRecord>()
            + self.order.capacity() * size_of::<(u32, TopicId)>()
    }

    /// Adds an entry after the others; its seq is greater than theirs.
    pub(crate) fn push(&mut self, entry: KeyRecord, topic: TopicId) {
        assert!(
            !self.is_full() && entry.seq > self.last_seq(),
            "entries come in order, into room"
        );
        let mut at = self.slot_of(entry.fingerprint);
        while self.slots[at].seq != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = entry;
        self.order.push((at as u32, topic));
    }

    /// Removes the newest entry.
    pub(crate) fn pop(&mut self) {
        if let Some((at, _)) = self.order.pop() {
            self.slots[at as usize] = KeyRecord::default();
        }
    }

    /// Reads the slot of each fingerprint, so that many loads from memory are in flight at a time.
    pub(crate) fn prefetch(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let read = fingerprints.fold(0, |read, fingerprint| {
            read | self.slots[self.slot_of(fingerprint)].seq
        });
        std::hint::black_box(read);
    }

    /// The entries of a fingerprint.
    pub(crate) fn find(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &KeyRecord> {
        let from = self.slot_of(fingerprint);
        let round = self.slots[from..].iter().chain(&self.slots[..from]);
        round
            .take_while(|entry| entry.seq != 0)
            .filter(move |entry| entry.fingerprint == fingerprint)
    }

    /// The greatest seq; 0 when empty.
    pub(crate) fn last_seq(&self) -> u64 {
        self.order
            .last()
            .map_or(0, |(at, _)| self.slots[*at as usize].seq)
    }

    /// The least seq; 0 when empty.
    pub(crate) fn first_seq(&self) -> u64 {
        self.order
            .first()
            .map_or(0, |(at, _)| self.slots[*at as usize].seq)
    }

    /// The seqs of a topic, ascending.
    pub(crate) fn seqs_of(&self, topic: TopicId) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.order
            .iter()
            .filter(move |(_, of)| *of == topic)
            .map(|(at, _)| self.slots[*at as usize].seq)
    }

    /// All keys, sorted.
    ///
    /// The slots have them in order already, but for those that found their slot taken: they are further on in
    /// the same run of taken slots. So only each run is sorted, which takes a fraction of sorting all.
    pub(crate) fn sorted_keys(&self) -> Vec<KeyRecord> {
        let free = self.slots.iter().position(|entry| entry.seq == 0);
        let (first, others) = self.slots.split_at(free.unwrap_or(0));
        let is_around_the_end = |entry: &&KeyRecord| self.slot_of(entry.fingerprint) >= first.len();
        let mut keys = Vec::with_capacity(self.len());
        keys.extend(first.iter().filter(|entry| !is_around_the_end(entry)));
        keys.sort_unstable();
        for run in others.split(|entry| entry.seq == 0) {
            let from = keys.len();
            keys.extend_from_slice(run);
            keys[from..].sort_unstable();
        }
        // They follow the last run, and are after all of it or among it.
        let around_the_end: Vec<_> = first.iter().filter(is_around_the_end).copied().collect();
        if !around_the_end.is_empty() {
            let last_run = others.rsplit(|entry| entry.seq == 0).next();
            let from = keys.len() - last_run.map_or(0, <[_]>::len);
            keys.extend(around_the_end);
            keys[from..].sort_unstable();
        }
        keys
    }

    /// All postings in the order of their seqs, in which they came.
    pub(crate) fn postings(&self) -> Vec<Posting> {
        let posting = |(at, topic): &(u32, TopicId)| Posting {
            topic: *topic,
            seq: self.slots[*at as usize].seq,
        };
        self.order.iter().map(posting).collect()
    }

    /// The first bits choose the slot, so that a fingerprint cut short in a test chooses one too.
    fn slot_of(&self, fingerprint: Fingerprint) -> usize {
        (fingerprint >> (u128::BITS - self.slots.len().ilog2())) as usize
    }
}

/// Sorts postings that are in the order of their seqs. So they are only sorted by topic, byte by byte from the lowest:
/// a radix sort, whose passes keep the order of what is equal.
pub(crate) fn sort_postings(postings: &mut Vec<Posting>) {
    let greatest = postings.iter().map(|posting| posting.topic).max();
    let greatest = greatest.unwrap_or_default().to_le_bytes();
    let digits = greatest
        .iter()
        .rposition(|byte| *byte > 0)
        .map_or(0, |at| at + 1);
    let mut sorted = postings.clone();
    for digit in 0..digits {
        let digit_of = |posting: &Posting| usize::from(posting.topic.to_le_bytes()[digit]);
        let mut counts = [0_usize; 256];
        for posting in &*postings {
            counts[digit_of(posting)] += 1;
        }
        let mut next = 0;
        let mut places = counts.map(|count| {
            next += count;
            next - count
        });
        for posting in &*postings {
            let place = &mut places[digit_of(posting)];
            sorted[*place] = *posting;
            *place += 1;
        }
        std::mem::swap(postings, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MEMTABLE_ENTRIES, MEMTABLE_SLOTS};

    fn entry(fingerprint: u128, seq: u64) -> KeyRecord {
        KeyRecord {
            fingerprint,
            seq,
            event_hash: seq * 7,
        }
    }

    fn seqs(memtable: &Memtable, fingerprint: u128) -> Vec<u64> {
        memtable.find(fingerprint).map(|e| e.seq).collect()
    }

    #[test]
    fn entries_of_one_slot_are_told_apart_and_leave_in_reverse() {
        let mut memtable = Memtable::new(MEMTABLE_SLOTS);
        let last = u128::MAX << (u128::BITS - MEMTABLE_SLOTS.ilog2());
        for (at, fingerprint) in [last, last | 1, last, 0].into_iter().enumerate() {
            memtable.push(entry(fingerprint, at as u64 + 10), 1 + at as u32 % 2);
        }
        assert_eq!(seqs(&memtable, last), [10, 12]);
        assert_eq!(seqs(&memtable, last | 1), [11]);
        assert_eq!(seqs(&memtable, 0), [13], "it was pushed around the end");
        assert_eq!(memtable.seqs_of(2).collect::<Vec<_>>(), [11, 13]);
        memtable.pop();
        memtable.pop();
        assert_eq!(seqs(&memtable, last), [10]);
        assert_eq!(seqs(&memtable, 0), [] as [u64; 0]);
        assert_eq!(memtable.last_seq(), 11);
    }

    #[test]
    fn a_full_memtable_gives_back_all_keys_sorted() {
        let mut memtable = Memtable::new(MEMTABLE_SLOTS);
        let mut fingerprint = 1_u128;
        let mut expected = Vec::new();
        for seq in 1..=MEMTABLE_ENTRIES as u64 {
            fingerprint = fingerprint
                .wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645)
                .wrapping_add(99);
            memtable.push(entry(fingerprint, seq), 1);
            expected.push(entry(fingerprint, seq));
        }
        assert!(memtable.is_full());
        expected.sort_unstable();
        assert_eq!(memtable.sorted_keys(), expected);
        for record in expected {
            assert_eq!(seqs(&memtable, record.fingerprint), [record.seq]);
        }
    }

    /// Small tables, so that runs of taken slots are long, touch, and go around the end; entries leave as well.
    #[test]
    fn any_memtable_gives_back_its_records_sorted() {
        let mut random = 7_u64;
        let mut below = |bound: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % bound
        };
        for round in 0..3_000 {
            let slots = 4 << (round % 6);
            let mut memtable = Memtable::new(slots);
            // Few different fingerprints in some rounds, which are near the end in some.
            let (kinds, shift) = (1 + below(20), [120, 64, 0][round % 3]);
            let base = if below(2) == 0 { u128::MAX << 125 } else { 0 };
            let topics = [1, 3, 300, 70_000, 1 << 31][round % 5];
            let mut expected = Vec::new();
            for seq in 1..=below(slots as u64) {
                if memtable.is_full() || (below(4) == 0 && !expected.is_empty()) {
                    memtable.pop();
                    expected.pop();
                    continue;
                }
                let fingerprint = base | u128::from(below(kinds) << 56 | below(9)) << shift;
                let topic = 1 + below(topics) as TopicId;
                memtable.push(entry(fingerprint, seq), topic);
                expected.push((entry(fingerprint, seq), topic));
            }
            let mut keys: Vec<_> = expected.iter().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            assert_eq!(memtable.sorted_keys(), keys, "round {round}");
            let posting = |(key, topic): &(KeyRecord, TopicId)| (*topic, key.seq);
            let mut postings: Vec<_> = expected.iter().map(posting).collect();
            postings.sort_unstable();
            let mut found = memtable.postings();
            sort_postings(&mut found);
            let found: Vec<_> = found.iter().map(|one| (one.topic, one.seq)).collect();
            assert_eq!(found, postings, "round {round}");
        }
    }
}
