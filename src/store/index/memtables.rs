//! The memtables of the index: the last is being filled, the others are full and wait to be flushed to a segment.

use std::collections::VecDeque;

use super::memtable::Memtable;
use super::record::{Fingerprint, KeyRecord};
use crate::limits::MEMTABLE_SLOTS;
use crate::store::range::TopicRange;
use crate::store::topics::topic::TopicId;

/// All memtables, by seq, ascending. There is always one.
pub(super) struct Memtables {
    tables: VecDeque<Memtable>,
    /// Slots of the tables to come.
    slots: usize,
    /// Entries that the open transaction has added.
    added: usize,
}

impl Memtables {
    pub(super) fn new() -> Self {
        Self {
            tables: VecDeque::from([Memtable::new(MEMTABLE_SLOTS)]),
            slots: MEMTABLE_SLOTS,
            added: 0,
        }
    }

    /// How many there are, with the one that is being filled.
    pub(super) fn count(&self) -> usize {
        self.tables.len()
    }

    /// The table that is to be flushed after `flushed` others, if it is full.
    pub(super) fn to_flush(&self, flushed: usize) -> Option<&Memtable> {
        let full = self.tables.len() - 1;
        (flushed < full).then(|| &self.tables[flushed])
    }

    /// The oldest table is in a segment now.
    pub(super) fn drop_oldest(&mut self) {
        self.tables.pop_front();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.tables.iter().map(Memtable::memory_bytes).sum()
    }

    /// The greatest seq; 0 where they are empty.
    pub(super) fn last_seq(&self) -> u64 {
        let last = self.tables.iter().map(Memtable::last_seq).max();
        last.unwrap_or(0)
    }

    /// Seals the table that is being filled, and gives those to come `slots` slots, a power of two.
    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
        self.tables.retain(|table| table.len() > 0);
        self.tables.push_back(Memtable::new(slots));
    }

    /// Adds an entry that is on disk already; its seq is greater than the others.
    pub(super) fn restore(&mut self, entry: KeyRecord, topic: TopicId) {
        if self.tables.back().is_none_or(Memtable::is_full) {
            self.tables.push_back(Memtable::new(self.slots));
        }
        let filling = self.tables.back_mut().expect("one was added");
        filling.push(entry, topic);
    }

    /// Adds an entry of the open transaction.
    pub(super) fn add(&mut self, entry: KeyRecord, topic: TopicId) {
        self.restore(entry, topic);
        self.added += 1;
    }

    pub(super) fn committed(&mut self) {
        self.added = 0;
    }

    pub(super) fn rolled_back(&mut self) {
        for _ in 0..std::mem::take(&mut self.added) {
            if self.tables.len() > 1 && self.tables.back().is_some_and(|table| table.len() == 0) {
                self.tables.pop_back();
            }
            if let Some(filling) = self.tables.back_mut() {
                filling.pop();
            }
        }
    }

    /// Reads the slots of these fingerprints, so that many loads from memory are in flight at a time.
    pub(super) fn prefetch(&self, fingerprints: impl Iterator<Item = Fingerprint> + Clone) {
        for table in &self.tables {
            table.prefetch(fingerprints.clone());
        }
    }

    /// The tables, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Memtable> {
        self.tables.iter().rev()
    }

    /// Whether an entry after `seq` has this fingerprint.
    pub(super) fn has_after(&self, seq: u64, fingerprint: Fingerprint) -> bool {
        // Loops in place of adaptors, as in the check of a key: this runs for every event.
        for table in self.newest_first() {
            if table.last_seq() <= seq {
                break;
            }
            if table.find(fingerprint).any(|entry| entry.seq > seq) {
                return true;
            }
        }
        false
    }

    /// How many entries the tables have that a search in `range` goes through.
    pub(super) fn entries_in(&self, range: &TopicRange) -> usize {
        self.tables_in(range).map(Memtable::len).sum()
    }

    /// Appends the seqs that are asked for, ascending or descending, until `out` holds as many as it may.
    pub(super) fn seqs_of(&self, range: &TopicRange, is_ascending: bool, out: &mut Vec<u64>) {
        let is_wanted = |seq: &u64| range.has(*seq);
        if is_ascending {
            for table in self.tables_in(range) {
                let seqs = table.seqs_of(range.topic).filter(is_wanted);
                out.extend(seqs.take(range.room(out)));
            }
        } else {
            for table in self.tables_in(range).rev() {
                let seqs = table.seqs_of(range.topic).rev().filter(is_wanted);
                out.extend(seqs.take(range.room(out)));
            }
        }
    }

    fn tables_in<'m>(
        &'m self,
        range: &'m TopicRange,
    ) -> impl DoubleEndedIterator<Item = &'m Memtable> {
        let is_in = |table: &&Memtable| range.meets(table.first_seq(), table.last_seq());
        self.tables.iter().filter(is_in)
    }
}
