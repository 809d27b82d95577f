//! The key index: is this event's key stored already?
//!
//! A log-structured merge tree over the table of events, which is the truth: everything in here can
//! be made again from it. The newest keys are in memory ([`generation`]); a full generation becomes a
//! sorted, immutable segment on disk ([`segment`]); eight segments of a level become one of the next
//! ([`build`]). The segments cover the seqs from the first up to a mark without a gap, the generations
//! those behind it, so a start reads only the events behind the mark.
//!
//! Work on segments rides along with the commits, in their transaction and so without an fsync of its
//! own, in proportion to the events that they store; idle turns do the rest. What a transaction did is
//! taken into memory by [`KeyIndex::committed`] or undone by [`KeyIndex::rolled_back`].

pub mod build;
pub mod filter;
pub mod fingerprint;
pub mod generation;
mod load;
pub mod record;
pub mod segment;
pub mod stored;
#[cfg(test)]
mod tests;
mod work;

use std::collections::VecDeque;

use rusqlite::Connection;

use super::read::{Bound, TopicRange};
use super::{damaged, TopicId};
use crate::limits::SEGMENT_LEVELS;
use build::Build;
use fingerprint::{EventParts, Fingerprint, Fingerprinter};
use generation::Generation;
use record::KeyRecord;
use segment::Segment;
use stored::{compare, has_key, Compared};

/// What the index says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Its key is not stored; the record to be added, still without a seq.
    New(KeyRecord),
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
    pub generations_bytes: usize,
}

/// Two events with one fingerprint, by their seqs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collision {
    pub first: u64,
    pub second: u64,
}

/// Pages of a level that no segment refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Garbage {
    level: usize,
    first: i64,
    end: i64,
}

/// A build, and what the open transaction has to do with it.
struct Running {
    build: Build,
    /// The open transaction has written some of it.
    touched: bool,
    /// Earlier transactions, which were committed, have written some of it.
    kept: bool,
}

/// The index as memory knows it.
pub struct KeyIndex {
    fingerprinter: Fingerprinter,
    /// Bytes of filters that may be in memory.
    filter_memory_max: usize,
    /// By seq, ascending.
    segments: Vec<Segment>,
    /// By seq, ascending. The last is being filled, the others are sealed.
    generations: VecDeque<Generation>,
    /// Slots of the generations to come.
    generation_slots: usize,
    /// By the level that they make.
    builds: [Option<Running>; SEGMENT_LEVELS],
    /// Builds that the open transaction has completed, the oldest of a level first.
    finished: Vec<Running>,
    /// By level, the id of the page that the next build begins with.
    next_page: [i64; SEGMENT_LEVELS],
    garbage: Vec<Garbage>,
    /// Garbage as it is once the open transaction is committed.
    garbage_left: Option<Vec<Garbage>>,
    /// Entries added by the open transaction.
    added: usize,
}

impl KeyIndex {
    /// The last seq that the segments cover; 0 when there are none.
    pub fn mark(&self) -> u64 {
        self.segments
            .last()
            .map_or(0, |segment| segment.about.last_seq)
    }

    /// The segments, by seq.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Makes the fingerprints of this database.
    pub fn fingerprinter(&self) -> Fingerprinter {
        self.fingerprinter
    }

    /// What the index takes of memory.
    pub fn memory(&self) -> IndexMemory {
        IndexMemory {
            segments: self.segments.len(),
            filter_and_fence_bytes: self.segments.iter().map(Segment::memory_bytes).sum(),
            generations_bytes: self.generations.iter().map(Generation::memory_bytes).sum(),
        }
    }

    /// Adds a stored event from behind the mark, at start. A seq that is not greater than the one before
    /// is an error: the file is damaged.
    pub fn restore(&mut self, event: &EventParts, seq: u64) -> rusqlite::Result<()> {
        let newest = self.generations.iter().map(Generation::last_seq).max();
        if seq <= newest.unwrap_or(0) {
            return Err(damaged("the events are not in the order of their seqs"));
        }
        self.push(self.fingerprinter.record(event, seq), event.topic);
        Ok(())
    }

    /// Whether an event is new, a repeat, or differs from what its key is stored with.
    pub fn check(&self, db: &Connection, event: &EventParts) -> rusqlite::Result<Check> {
        let new = self.fingerprinter.record(event, 0);
        for generation in self.generations.iter().rev() {
            for entry in generation.find(new.fingerprint) {
                if entry.event_hash == new.event_hash {
                    return Ok(Check::Same(entry.seq));
                }
                match compare(db, entry.seq, event)? {
                    Compared::OtherKey => {}
                    Compared::Same => return Ok(Check::Same(entry.seq)),
                    Compared::Differs => return Ok(Check::Differs(entry.seq)),
                }
            }
        }
        let mut found = Check::New(new);
        self.find_in_segments(db, new.fingerprint, |record| {
            found = if record.event_hash == new.event_hash {
                Check::Same(record.seq)
            } else {
                match compare(db, record.seq, event)? {
                    Compared::OtherKey => return Ok(false),
                    Compared::Same => Check::Same(record.seq),
                    Compared::Differs => Check::Differs(record.seq),
                }
            };
            Ok(true)
        })?;
        Ok(found)
    }

    /// The seq of a key, if it is stored.
    pub fn find(
        &self,
        db: &Connection,
        topic: TopicId,
        event_id: &[u8],
    ) -> rusqlite::Result<Option<u64>> {
        let fingerprint = self.fingerprinter.of_key(topic, event_id);
        for entry in self
            .generations
            .iter()
            .rev()
            .flat_map(|g| g.find(fingerprint))
        {
            if has_key(db, entry.seq, topic, event_id)? {
                return Ok(Some(entry.seq));
            }
        }
        let mut found = None;
        self.find_in_segments(db, fingerprint, |record| {
            found = has_key(db, record.seq, topic, event_id)?.then_some(record.seq);
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    fn find_in_segments(
        &self,
        db: &Connection,
        fingerprint: Fingerprint,
        mut take: impl FnMut(KeyRecord) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        for segment in self.segments.iter().rev() {
            if segment.find(db, fingerprint, &mut take)? {
                break;
            }
        }
        Ok(())
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub fn seqs_of(
        &self,
        db: &Connection,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        let topic = range.topic;
        match range.bound {
            Bound::After(from) => {
                let segments = self.segments.iter();
                for segment in segments.filter(|s| s.about.last_seq > from) {
                    if range.room(out) == 0 {
                        return Ok(());
                    }
                    segment.seqs_of(db, range, out)?;
                }
                for generation in self.generations.iter().filter(|g| g.last_seq() > from) {
                    let behind = generation.seqs_of(topic).filter(|seq| *seq > from);
                    out.extend(behind.take(range.room(out)));
                }
            }
            Bound::Before(from) => {
                for generation in self.generations.iter().rev() {
                    let seqs = generation.seqs_of(topic).rev();
                    let in_front = seqs.filter(|seq| *seq < from);
                    out.extend(in_front.take(range.room(out)));
                }
                let segments = self.segments.iter().rev();
                for segment in segments.filter(|s| s.about.first_seq < from) {
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
    pub fn add(&mut self, entry: KeyRecord, topic: TopicId) {
        self.push(entry, topic);
        self.added += 1;
    }

    /// Seals the generation that is being filled, and gives those to come so many slots.
    pub fn set_generation_slots(&mut self, slots: usize) {
        self.generation_slots = slots;
        self.generations.retain(|generation| generation.len() > 0);
        self.generations.push_back(Generation::new(slots));
    }

    fn push(&mut self, entry: KeyRecord, topic: TopicId) {
        if self.generations.back().is_none_or(Generation::is_full) {
            self.generations
                .push_back(Generation::new(self.generation_slots));
        }
        let filling = self.generations.back_mut().expect("one was added");
        filling.push(entry, topic);
    }
}
