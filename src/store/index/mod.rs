//! The key index: is this event's key stored already?
//!
//! A log-structured merge tree over the table of events, which is the truth: everything in here can be rebuilt
//! from it. The newest keys are in memory ([`memtables`]). A full memtable is flushed to a sorted, immutable segment
//! on disk ([`segment`]), and sixteen segments of a level are compacted into one of the next ([`compaction`]). The
//! segments cover the seqs from the first up to a mark without a gap, the memtables those after it, so a start reads
//! only the events after the mark.
//!
//! Flushes and compactions are part of the commits: in their transaction, without an fsync of their own, in
//! proportion to the events that they store. Quiet turns do the rest. Memory changes with the disk:
//! [`KeyIndex::committed`] takes over what a transaction did, [`KeyIndex::rolled_back`] undoes it.
//!
//! [`KeyIndex`] puts the parts together. Each part owns its fields, and uses the others' only through their methods.

mod build;
mod compaction;
mod damage;
mod expiry;
pub(crate) mod filter;
pub(crate) mod fingerprint;
pub(crate) mod layout;
pub(super) mod load;
mod lookup;
mod memtable;
mod memtables;
pub(crate) mod merge;
mod obsolete;
pub(crate) mod pages;
pub(crate) mod record;
mod repair;
mod scrub;
pub(crate) mod segment;
pub(crate) mod segments;
pub(crate) mod stored;
#[cfg(test)]
mod tests;
mod upgrade;
mod upkeep;

use rusqlite::Connection;

use crate::limits::{ENTRIES_PER_UNIT, LOOK_UP_UNITS};
use crate::store::error::damaged;
use crate::store::range::{Bound, TopicRange};
use crate::store::retention::horizons::Horizons;
use crate::store::topics::topic::TopicId;
use compaction::{Compaction, Inputs};
pub(super) use damage::Damage;
pub(crate) use damage::DamagedPage;
pub(super) use expiry::MergeBound;
use fingerprint::{EventParts, Fingerprinter};
use lookup::CandidateSegments;
pub(super) use lookup::KeyLookup;
use memtables::Memtables;
use record::{Fingerprint, KeyRecord, REMOVED_TOPIC};
use repair::{Remade, Repairs};
use scrub::Scrub;
use segment::Segment;
use segments::Segments;
use stored::{compare, has_key, Compared};
use upgrade::Upgrades;

/// What the index says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Its key is not stored.
    New,
    /// It is stored as this seq, all of it the same.
    Same(u64),
    /// Its key is stored as this seq, with other content.
    Differs(u64),
}

/// What the key index takes of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexMemory {
    /// Segments on disk, of which memory holds the filters and the fences.
    pub segments: usize,
    pub filter_and_fence_bytes: usize,
    /// Bytes of the newest keys, which have no segment yet.
    pub memtables_bytes: usize,
}

/// The index as memory knows it.
pub(crate) struct KeyIndex {
    fingerprinter: Fingerprinter,
    segments: Segments,
    memtables: Memtables,
    compaction: Compaction,
    /// What retention has removed, by the open transaction as well: an event may be gone, and its key still known.
    horizons: Horizons,
    /// The same as of the last commit.
    committed_horizons: Horizons,
    damage: Damage,
    repairs: Repairs,
    upgrades: Upgrades,
    scrub: Scrub,
    /// Pages that the open transaction has made again.
    remade: Option<Remade>,
    /// The open transaction has given pages their checksums.
    has_sealed: bool,
}

impl KeyIndex {
    /// Adds a stored event from after the mark, at start. A seq that is not greater than the one before
    /// is an error: the file is damaged.
    pub(super) fn restore(&mut self, event: &EventParts, seq: u64) -> rusqlite::Result<()> {
        let record = self.fingerprinter.record(event, seq);
        self.restore_record(record, event.topic)
    }

    /// The same of an event that has been removed. Its topic is not asked for any more.
    pub(super) fn restore_removed(&mut self, record: KeyRecord) -> rusqlite::Result<()> {
        self.restore_record(record, REMOVED_TOPIC)
    }

    fn restore_record(&mut self, record: KeyRecord, topic: TopicId) -> rusqlite::Result<()> {
        if record.seq <= self.memtables.last_seq() {
            return Err(damaged("the events are not in the order of their seqs"));
        }
        self.memtables.restore(record, topic);
        Ok(())
    }

    /// The greatest seq of those that the memtables have; 0 where they are empty.
    pub(super) fn last_restored(&self) -> u64 {
        self.memtables.last_seq()
    }

    /// The last seq that the segments cover; 0 when there are none.
    pub(super) fn mark(&self) -> u64 {
        self.segments.mark()
    }

    /// The segments, by seq.
    pub(super) fn segments(&self) -> &[Segment] {
        self.segments.all()
    }

    /// Makes the fingerprints of this database.
    pub(super) fn fingerprinter(&self) -> Fingerprinter {
        self.fingerprinter
    }

    /// What the index takes of memory.
    pub(super) fn memory(&self) -> IndexMemory {
        let segments = self.segments.all();
        IndexMemory {
            segments: segments.len(),
            filter_and_fence_bytes: segments.iter().map(Segment::memory_bytes).sum(),
            memtables_bytes: self.memtables.memory_bytes(),
        }
    }

    /// Seals the memtable that is being filled, and gives those to come `slots` slots.
    pub(super) fn set_memtable_slots(&mut self, slots: usize) {
        self.memtables.set_slots(slots);
    }
}

/// Look-ups.
impl KeyIndex {
    /// Finds out which segments the checks of these events have to look into. That holds until a
    /// transaction has ended.
    pub(super) fn probe_filters(&self, lookups: &mut [KeyLookup]) {
        let fingerprints = lookups.iter().map(|lookup| lookup.record.fingerprint);
        self.memtables.prefetch(fingerprints);
        lookup::probe_filters(self.segments.all(), lookups);
    }

    /// Reads the page of each event that has one candidate. The others are left to the check.
    pub(super) fn probe_pages(
        &self,
        db: &Connection,
        lookups: &mut [KeyLookup],
    ) -> rusqlite::Result<()> {
        lookup::probe_pages(self.segments.all(), db, lookups)
    }

    /// Whether an event whose filters and pages have been probed is new, a repeat, or differs from what its key is
    /// stored with.
    pub(super) fn check(&self, db: &Connection, lookup: &KeyLookup) -> rusqlite::Result<Check> {
        let new = &lookup.record;
        let classify = |record: &KeyRecord| {
            let has_its_hash = record.event_hash == new.event_hash;
            self.classify(db, lookup, record.seq, has_its_hash)
        };
        for table in self.memtables.newest_first() {
            for record in table.find(new.fingerprint) {
                if let Some(check) = classify(record)? {
                    return Ok(check);
                }
            }
        }
        if let Some(record) = &lookup.found {
            if let Some(check) = classify(record)? {
                return Ok(check);
            }
        }
        let mut found = Check::New;
        self.find_in_segments(db, lookup.candidates, new.fingerprint, |record| {
            let check = classify(&record)?;
            found = check.unwrap_or(found);
            Ok(check.is_some())
        })?;
        Ok(found)
    }

    /// Whether an event with a seq after `seq` has the fingerprint of this one.
    pub(super) fn has_after(&self, seq: u64, lookup: &KeyLookup) -> bool {
        self.memtables.has_after(seq, lookup.record.fingerprint)
    }

    /// What it says of an event that `seq` has its fingerprint, and whether also its hash; none if
    /// that is another key or one that has expired.
    fn classify(
        &self,
        db: &Connection,
        lookup: &KeyLookup,
        seq: u64,
        has_its_hash: bool,
    ) -> rusqlite::Result<Option<Check>> {
        if seq <= self.horizons.keys {
            return Ok(None);
        }
        if has_its_hash {
            return Ok(Some(Check::Same(seq)));
        }
        if seq <= self.horizons.events {
            // There is no row any more: the fingerprint decides alone. The hash is over what was filled in as well, so
            // it says nothing where anything was.
            return Ok(Some(match lookup.filled.any() {
                true => Check::Same(seq),
                false => Check::Differs(seq),
            }));
        }
        Ok(match compare(db, seq, &lookup.event, lookup.filled)? {
            Compared::OtherKey => None,
            Compared::Same => Some(Check::Same(seq)),
            Compared::Differs => Some(Check::Differs(seq)),
        })
    }

    /// The seq of a key, if its event is stored.
    pub(super) fn find(
        &self,
        db: &Connection,
        topic: TopicId,
        event_id: &[u8],
    ) -> rusqlite::Result<Option<u64>> {
        let fingerprint = self.fingerprinter.of_key(topic, event_id);
        let removed = self.horizons.events;
        let is_it = |seq| match seq > removed {
            true => has_key(db, seq, topic, event_id),
            false => Ok(false),
        };
        for table in self.memtables.newest_first() {
            for entry in table.find(fingerprint) {
                if is_it(entry.seq)? {
                    return Ok(Some(entry.seq));
                }
            }
        }
        let mut found = None;
        let candidates = CandidateSegments::of(self.segments.all(), fingerprint);
        self.find_in_segments(db, candidates, fingerprint, |record| {
            found = is_it(record.seq)?.then_some(record.seq);
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    fn find_in_segments(
        &self,
        db: &Connection,
        candidates: CandidateSegments,
        fingerprint: Fingerprint,
        mut take: impl FnMut(KeyRecord) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        let segments = self.segments.all();
        for at in candidates.newest_first(segments.len()) {
            if segments[at].find(db, fingerprint, &mut take)? {
                break;
            }
        }
        Ok(())
    }

    /// About how many units of work it takes to find a topic's seqs.
    pub(super) fn look_up_units(&self, range: &TopicRange) -> u64 {
        let segments = self.segments_in(range).count() as u64;
        let entries = self.memtables.entries_in(range) as u64;
        segments * LOOK_UP_UNITS + entries / ENTRIES_PER_UNIT
    }

    fn segments_in<'k>(
        &'k self,
        range: &'k TopicRange,
    ) -> impl DoubleEndedIterator<Item = &'k Segment> {
        let is_in = |segment: &&Segment| {
            let about = &segment.about;
            range.meets(about.first_seq, about.last_seq)
        };
        self.segments.all().iter().filter(is_in)
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub(super) fn seqs_of(
        &self,
        db: &Connection,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        let is_ascending = matches!(range.bound, Bound::After(_));
        if is_ascending {
            for segment in self.segments_in(range) {
                if range.room(out) == 0 {
                    return Ok(());
                }
                segment.seqs_of(db, range, out)?;
            }
        }
        self.memtables.seqs_of(range, is_ascending, out);
        if !is_ascending {
            for segment in self.segments_in(range).rev() {
                if range.room(out) == 0 {
                    return Ok(());
                }
                segment.seqs_of(db, range, out)?;
            }
        }
        Ok(())
    }
}

/// Writing, inside the open transaction, and what comes after it.
impl KeyIndex {
    /// Adds an event that the open transaction stores.
    pub(super) fn add(&mut self, entry: KeyRecord, topic: TopicId) {
        self.memtables.add(entry, topic);
    }

    /// Whether there is work that an idle moment could do.
    pub(super) fn has_work(&self) -> bool {
        self.compaction.has_work(self.inputs())
    }

    /// Flushes and compacts about `budget` records inside the open transaction.
    pub(super) fn compact(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        let inputs = Inputs {
            memtables: &self.memtables,
            segments: &self.segments,
            damage: &self.damage,
            horizons: self.horizons,
        };
        self.compaction.compact(db, budget, inputs)
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            memtables: &self.memtables,
            segments: &self.segments,
            damage: &self.damage,
            horizons: self.horizons,
        }
    }

    /// The open transaction has been committed.
    pub(super) fn committed(&mut self) {
        self.memtables.committed();
        self.compaction
            .committed(&mut self.memtables, &mut self.segments);
        self.committed_horizons = self.horizons;
        if let Some(remade) = self.remade.take() {
            repair::take_over(remade, &mut self.segments, &self.damage);
        }
        if std::mem::take(&mut self.has_sealed) {
            self.upgrades.ended(true, &mut self.segments);
        }
    }

    /// The open transaction has failed: nothing of it is on disk.
    pub(super) fn rolled_back(&mut self) {
        self.memtables.rolled_back();
        self.segments.rolled_back();
        self.compaction.rolled_back();
        self.horizons = self.committed_horizons;
        self.remade = None;
        if std::mem::take(&mut self.has_sealed) {
            self.upgrades.ended(false, &mut self.segments);
        }
    }
}

/// Expiry.
impl KeyIndex {
    /// From now on these events have been removed and these keys have expired.
    pub(super) fn set_horizons(&mut self, horizons: Horizons) {
        self.horizons = horizons;
    }

    /// What has been removed.
    pub(super) fn horizons(&self) -> Horizons {
        self.horizons
    }

    /// What the segments that compactions make may span from now on.
    pub(super) fn set_merge_bound(&mut self, bound: MergeBound) {
        self.compaction.set_merge_bound(bound);
    }

    /// Pages of all segments, of those that are being made and of those that have been replaced.
    pub(super) fn pages(&self) -> u64 {
        let segments = self.segments.all().iter().map(Segment::page_count);
        (segments.sum::<i64>() + self.compaction.pages()).max(0) as u64
    }

    /// Where the horizon of the keys has to be so that the segments after it take at most `pages`, as far as their
    /// events have been removed. None if no segment can be dropped.
    pub(super) fn surplus(&self, pages: u64, removed: u64) -> Option<u64> {
        let until = self.compaction.reading_from();
        expiry::surplus(self.segments.all(), until, pages, removed)
    }

    /// Whether there are segments with nothing but expired keys.
    pub(super) fn has_expired(&self) -> bool {
        self.expired() > 0
    }

    /// Drops these segments inside the open transaction.
    pub(super) fn drop_expired(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let count = self.expired();
        self.segments.drop_first(db, count)
    }

    fn expired(&self) -> usize {
        let until = self.compaction.reading_from();
        expiry::expired(self.segments.all(), until, self.horizons.keys)
    }
}
