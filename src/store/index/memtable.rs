//! The newest keys, in memory: a memtable is filled by commits, sealed when it is full, and let go
//! when its segment is on disk.
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

    /// Takes the newest entry back.
    pub(crate) fn pop(&mut self) {
        if let Some((at, _)) = self.order.pop() {
            self.slots[at as usize] = KeyRecord::default();
        }
    }

    /// Reads the slot of each fingerprint, so that many are on their way from memory at a time.
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
    pub(crate) fn sorted_keys(&self) -> Vec<KeyRecord> {
        let entry = |(at, _): &(u32, TopicId)| self.slots[*at as usize];
        let mut keys: Vec<_> = self.order.iter().map(entry).collect();
        keys.sort_unstable();
        keys
    }

    /// All postings, sorted.
    pub(crate) fn sorted_postings(&self) -> Vec<Posting> {
        let posting = |(at, topic): &(u32, TopicId)| Posting {
            topic: *topic,
            seq: self.slots[*at as usize].seq,
        };
        let mut postings: Vec<_> = self.order.iter().map(posting).collect();
        postings.sort_unstable();
        postings
    }

    /// The first bits choose the slot, so that a fingerprint cut short in a test chooses one too.
    fn slot_of(&self, fingerprint: Fingerprint) -> usize {
        (fingerprint >> (u128::BITS - self.slots.len().ilog2())) as usize
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
}
