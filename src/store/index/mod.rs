//! The key index: is this event's key stored already?
//!
//! A log-structured merge tree over the table of events, which is the truth: everything in here can
//! be made again from it. The newest keys are in memory ([`memtable`]); a full memtable becomes a
//! sorted, immutable segment on disk ([`segment`]); sixteen segments of a level become one of the
//! next ([`build`]). The segments cover the seqs from the first up to a mark without a gap, the memtables
//! those behind it, so a start reads only the events behind the mark.
//!
//! Work on segments rides along with the commits, in their transaction and so without an fsync of its
//! own, in proportion to the events that they store; idle turns do the rest. What a transaction did is
//! taken into memory by [`KeyIndex::committed`] or undone by [`KeyIndex::rolled_back`].

pub(crate) mod build;
mod compaction;
mod damage;
mod expiry;
pub(crate) mod filter;
pub(crate) mod fingerprint;
pub(crate) mod layout;
mod load;
mod lookup;
pub(crate) mod memtable;
pub(crate) mod merge;
pub(crate) mod pages;
pub(crate) mod record;
mod repair;
mod scrub;
pub(crate) mod segment;
pub(crate) mod stored;
#[cfg(test)]
mod tests;
mod upgrade;

use std::collections::VecDeque;

use rusqlite::Connection;

use crate::limits::{ENTRIES_PER_UNIT, FILTER_BITS_PER_KEY, LOOK_UP_UNITS, SEGMENT_LEVELS};
use crate::store::error::damaged;
use crate::store::range::{Bound, TopicRange};
use crate::store::retention::horizons::Horizons;
use crate::store::topics::topic::TopicId;
use build::SegmentBuilder;
pub(super) use damage::Damage;
pub(crate) use damage::DamagedPage;
pub(super) use expiry::MergeBound;
use fingerprint::{EventParts, Fingerprint, Fingerprinter};
use lookup::CandidateSegments;
pub(super) use lookup::KeyLookup;
use memtable::Memtable;
use record::KeyRecord;
use repair::Repair;
use scrub::Scrub;
use segment::Segment;
use stored::{compare, has_key, Compared};
use upgrade::Upgrade;

/// The topic under which an event stands that was removed before its segment was made. No topic has this
/// id.
pub(super) const REMOVED_TOPIC: TopicId = 0;

/// Bits of filter that a key has in the segments of older tables, and in those that are made now.
pub(super) const FILTER_BITS: [u64; 2] = [13, FILTER_BITS_PER_KEY];

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

/// Two events with one fingerprint, by their seqs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Collision {
    pub first: u64,
    pub second: u64,
}

/// Pages of a level that no segment refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageRange {
    level: usize,
    first: i64,
    end: i64,
}

impl PageRange {
    /// The pages of a segment that is none any more.
    fn of(segment: &Segment) -> Self {
        Self {
            level: segment.about.level,
            first: segment.layout.first_page,
            end: segment.layout.end(),
        }
    }
}

/// A build, and what the open transaction has to do with it.
struct Job {
    build: SegmentBuilder,
    /// About when the last of its events was processed.
    newest_at: i64,
    /// The open transaction has written some of it.
    dirty: bool,
    /// Earlier transactions, which were committed, have written some of it.
    has_committed_pages: bool,
}

/// The index as memory knows it.
pub(super) struct KeyIndex {
    fingerprinter: Fingerprinter,
    /// Bytes of filters that may be in memory.
    filter_memory_max: usize,
    /// By seq, ascending.
    segments: Vec<Segment>,
    /// By seq, ascending. The last is being filled, the others are sealed.
    memtables: VecDeque<Memtable>,
    /// Slots of the memtables to come.
    memtable_slots: usize,
    /// By the level that they make.
    builds: [Option<Job>; SEGMENT_LEVELS],
    /// Builds that the open transaction has completed, the oldest of a level first.
    finished: Vec<Job>,
    /// By level, the id of the page that the next build begins with.
    next_page: [i64; SEGMENT_LEVELS],
    obsolete: Vec<PageRange>,
    /// PageRange as it is once the open transaction is committed.
    obsolete_left: Option<Vec<PageRange>>,
    /// Entries added by the open transaction.
    added: usize,
    /// What retention has let go, the open transaction included: an event may have gone, and its key be
    /// still known.
    horizons: Horizons,
    /// The first segments, as many as the open transaction has dropped.
    dropped: usize,
    merge_bound: MergeBound,
    /// Pages that have turned out to be damaged.
    damage: Damage,
    /// How far making some of them again is.
    repair: Option<Repair>,
    /// How far giving checksums to a segment of older tables is.
    upgrade: Option<Upgrade>,
    scrub: Scrub,
}

impl KeyIndex {
    /// The last seq that the segments cover; 0 when there are none.
    pub(super) fn mark(&self) -> u64 {
        self.segments
            .last()
            .map_or(0, |segment| segment.about.last_seq)
    }

    /// From now on these events have been removed and these keys forgotten.
    pub(super) fn set_horizons(&mut self, horizons: Horizons) {
        self.horizons = horizons;
    }

    /// What has been let go.
    pub(super) fn horizons(&self) -> Horizons {
        self.horizons
    }

    /// The segments, by seq.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Makes the fingerprints of this database.
    pub(super) fn fingerprinter(&self) -> Fingerprinter {
        self.fingerprinter
    }

    /// What the index takes of memory.
    pub(super) fn memory(&self) -> IndexMemory {
        IndexMemory {
            segments: self.segments.len(),
            filter_and_fence_bytes: self.segments.iter().map(Segment::memory_bytes).sum(),
            memtables_bytes: self.memtables.iter().map(Memtable::memory_bytes).sum(),
        }
    }

    /// When the next slice of the scrub is due, in milliseconds of the monotonic clock.
    pub(super) fn scrub_due_ms(&self) -> u64 {
        self.scrub.due_ms()
    }

    /// Reads some pages that perhaps nobody else reads, if that is due.
    pub(super) fn scrub(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<()> {
        if self.damage.take_missed() {
            self.scrub.begin_again();
        }
        self.scrub.step(db, &self.segments, now_ms)
    }

    /// Adds a stored event from behind the mark, at start. A seq that is not greater than the one before
    /// is an error: the file is damaged.
    pub(super) fn restore(&mut self, event: &EventParts, seq: u64) -> rusqlite::Result<()> {
        let record = self.fingerprinter.record(event, seq);
        self.restore_record(record, event.topic)
    }

    /// The same of an event that has been removed. Nobody asks for its topic any more.
    pub(super) fn restore_removed(&mut self, record: KeyRecord) -> rusqlite::Result<()> {
        self.restore_record(record, REMOVED_TOPIC)
    }

    fn restore_record(&mut self, record: KeyRecord, topic: TopicId) -> rusqlite::Result<()> {
        let newest = self.memtables.iter().map(Memtable::last_seq).max();
        if record.seq <= newest.unwrap_or(0) {
            return Err(damaged("the events are not in the order of their seqs"));
        }
        self.push(record, topic);
        Ok(())
    }

    /// Whether an event, whose candidates have been found, is new, a repeat, or differs from what its key is stored with.
    pub(super) fn check(&self, db: &Connection, asked: &KeyLookup) -> rusqlite::Result<Check> {
        let KeyLookup {
            event,
            record: new,
            candidates,
            found: read,
        } = asked;
        for memtable in self.memtables.iter().rev() {
            for entry in memtable.find(new.fingerprint) {
                let told =
                    self.classify(db, event, entry.seq, entry.event_hash == new.event_hash)?;
                if let Some(check) = told {
                    return Ok(check);
                }
            }
        }
        if let Some(record) = read {
            let has_its_hash = record.event_hash == new.event_hash;
            if let Some(check) = self.classify(db, event, record.seq, has_its_hash)? {
                return Ok(check);
            }
        }
        let mut found = Check::New;
        self.find_in_segments(db, *candidates, new.fingerprint, |record| {
            let told = self.classify(db, event, record.seq, record.event_hash == new.event_hash)?;
            let is_told = told.is_some();
            found = told.unwrap_or(found);
            Ok(is_told)
        })?;
        Ok(found)
    }

    /// Whether an event with a seq behind `seq` has the fingerprint of this one.
    pub(super) fn has_behind(&self, seq: u64, asked: &KeyLookup) -> bool {
        let newest = self.memtables.iter().rev();
        newest
            .take_while(|memtable| memtable.last_seq() > seq)
            .flat_map(|memtable| memtable.find(asked.record.fingerprint))
            .any(|entry| entry.seq > seq)
    }

    /// What it says of an event that `seq` has its fingerprint, and whether also its hash; none where
    /// that is another key or one that is forgotten.
    fn classify(
        &self,
        db: &Connection,
        event: &EventParts,
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
            // There is no row to ask any more: the fingerprint decides alone.
            return Ok(Some(Check::Differs(seq)));
        }
        Ok(match compare(db, seq, event)? {
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
        for entry in self
            .memtables
            .iter()
            .rev()
            .flat_map(|g| g.find(fingerprint))
        {
            if is_it(entry.seq)? {
                return Ok(Some(entry.seq));
            }
        }
        let mut found = None;
        let candidates = self.candidates_of(fingerprint);
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
        for at in candidates.newest_first(self.segments.len()) {
            if self.segments[at].find(db, fingerprint, &mut take)? {
                break;
            }
        }
        Ok(())
    }

    /// About how many units of work it takes to find a topic's seqs.
    pub(super) fn look_up_units(&self, range: &TopicRange) -> u64 {
        let segments = self.segments_in(range).count();
        let entries: usize = self.generations_in(range).map(Memtable::len).sum();
        segments as u64 * LOOK_UP_UNITS + entries as u64 / ENTRIES_PER_UNIT
    }

    fn segments_in<'k>(
        &'k self,
        range: &'k TopicRange,
    ) -> impl DoubleEndedIterator<Item = &'k Segment> {
        let is_in = |segment: &&Segment| {
            let about = &segment.about;
            range.meets(about.first_seq, about.last_seq)
        };
        self.segments.iter().filter(is_in)
    }

    fn generations_in<'k>(
        &'k self,
        range: &'k TopicRange,
    ) -> impl DoubleEndedIterator<Item = &'k Memtable> {
        let is_in = |memtable: &&Memtable| range.meets(memtable.first_seq(), memtable.last_seq());
        self.memtables.iter().filter(is_in)
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub(super) fn seqs_of(
        &self,
        db: &Connection,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        let topic = range.topic;
        match range.bound {
            Bound::After(_) => {
                for segment in self.segments_in(range) {
                    if range.room(out) == 0 {
                        return Ok(());
                    }
                    segment.seqs_of(db, range, out)?;
                }
                for memtable in self.generations_in(range) {
                    let seqs = memtable.seqs_of(topic).filter(|seq| range.has(*seq));
                    out.extend(seqs.take(range.room(out)));
                }
            }
            Bound::Before(_) => {
                for memtable in self.generations_in(range).rev() {
                    let seqs = memtable.seqs_of(topic).rev();
                    let seqs = seqs.filter(|seq| range.has(*seq));
                    out.extend(seqs.take(range.room(out)));
                }
                for segment in self.segments_in(range).rev() {
                    if range.room(out) == 0 {
                        return Ok(());
                    }
                    segment.seqs_of(db, range, out)?;
                }
            }
        }
        Ok(())
    }

    /// Adds an event that the open transaction stores.
    pub(super) fn add(&mut self, entry: KeyRecord, topic: TopicId) {
        self.push(entry, topic);
        self.added += 1;
    }

    /// Seals the memtable that is being filled, and gives those to come so many slots.
    pub(super) fn set_memtable_slots(&mut self, slots: usize) {
        self.memtable_slots = slots;
        self.memtables.retain(|memtable| memtable.len() > 0);
        self.memtables.push_back(Memtable::new(slots));
    }

    fn push(&mut self, entry: KeyRecord, topic: TopicId) {
        if self.memtables.back().is_none_or(Memtable::is_full) {
            self.memtables.push_back(Memtable::new(self.memtable_slots));
        }
        let filling = self.memtables.back_mut().expect("one was added");
        filling.push(entry, topic);
    }
}
