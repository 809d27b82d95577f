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
pub mod record;
pub mod segment;
pub mod stored;

use std::collections::VecDeque;

use rusqlite::Connection;

use super::TopicId;
use crate::limits::{
    GENERATIONS_MAX, MERGE_WIDTH, SEGMENT_LEVELS, SEGMENT_PAGE_BYTES, SEGMENT_ROWS_DELETED_AT_ONCE,
};
use build::{Build, Source};
use fingerprint::{EventParts, Fingerprint, Fingerprinter};
use generation::{Entry, Generation};
use record::{KeyRecord, Record};
use segment::{delete_pages, last_page, Description, Segment};
use stored::{compare, has_key, report_collision, Compared};

/// What the index says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Its key is not stored; the entry to be added, still without a seq.
    New(Entry),
    /// It is stored as this seq, all of it the same.
    Same(u64),
    /// Its key is stored as this seq, with other content.
    Differs(u64),
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
    /// By the level that they make.
    builds: [Option<Running>; SEGMENT_LEVELS],
    /// By level, the id of the page that the next build begins with.
    next_page: [i64; SEGMENT_LEVELS],
    garbage: Vec<Garbage>,
    /// Garbage as it is once the open transaction is committed.
    garbage_left: Option<Vec<Garbage>>,
    /// Entries added by the open transaction.
    added: usize,
    /// Pairs of stored events with one key, which a merge has met.
    broken: u64,
}

impl KeyIndex {
    /// Reads what memory has to know of the segments. The events behind [`KeyIndex::mark`] are to be
    /// handed to [`KeyIndex::restore`].
    pub fn load(
        db: &Connection,
        fingerprinter: Fingerprinter,
        filter_memory_max: usize,
    ) -> rusqlite::Result<Self> {
        let mut statement =
            db.prepare("SELECT level, first_seq, last_seq, entries, first_page FROM segments ORDER BY first_seq")?;
        let described = statement.query_map([], |row| {
            Ok(Description {
                level: row.get::<_, u32>(0)? as usize,
                first_seq: row.get::<_, i64>(1)? as u64,
                last_seq: row.get::<_, i64>(2)? as u64,
                entries: row.get::<_, i64>(3)? as u64,
                first_page: row.get(4)?,
            })
        })?;
        let described = described.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut index = Self {
            fingerprinter,
            filter_memory_max,
            segments: Vec::with_capacity(described.len()),
            generations: VecDeque::from([Generation::new()]),
            builds: Default::default(),
            next_page: [1; SEGMENT_LEVELS],
            garbage: Vec::new(),
            garbage_left: None,
            added: 0,
            broken: 0,
        };
        for about in described {
            if about.level >= SEGMENT_LEVELS {
                return Err(rusqlite::Error::IntegralValueOutOfRange(
                    0,
                    about.level as i64,
                ));
            }
            index.segments.push(Segment::load(db, about, false)?);
        }
        index.load_filters(db)?;
        index.find_garbage(db)?;
        Ok(index)
    }

    /// Takes the filters into memory, those of small segments first: they are asked as often as those
    /// of large ones and cost less.
    fn load_filters(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut by_size: Vec<usize> = (0..self.segments.len()).collect();
        by_size.sort_by_key(|at| self.segments[*at].about.entries);
        let mut bytes = 0;
        for at in by_size {
            let about = self.segments[at].about;
            bytes += filter::blocks_for(about.entries) * 64;
            if bytes > self.filter_memory_max {
                break;
            }
            self.segments[at] = Segment::load(db, about, true)?;
        }
        Ok(())
    }

    /// Finds the pages that builds cut off by the end of the process have left.
    fn find_garbage(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for level in 0..SEGMENT_LEVELS {
            let mut live: Vec<_> = self
                .segments
                .iter()
                .filter(|s| s.about.level == level)
                .map(|s| s.layout)
                .collect();
            live.sort_by_key(|layout| layout.first_page);
            let mut from = 1;
            for layout in live {
                if from < layout.first_page {
                    self.garbage.push(Garbage {
                        level,
                        first: from,
                        end: layout.first_page,
                    });
                }
                from = layout.end();
            }
            let end = last_page(db, level)? + 1;
            if from < end {
                self.garbage.push(Garbage {
                    level,
                    first: from,
                    end,
                });
            }
            self.next_page[level] = from.max(end);
        }
        Ok(())
    }

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

    /// Adds a stored event from behind the mark, at start.
    pub fn restore(&mut self, event: &EventParts, seq: u64) {
        let KeyRecord {
            fingerprint,
            seq,
            event_hash,
        } = self.fingerprinter.record(event, seq);
        let entry = Entry {
            fingerprint,
            seq,
            event_hash,
        };
        self.push(entry, event.topic);
    }

    /// Whether an event is new, a repeat, or differs from what its key is stored with.
    pub fn check(&self, db: &Connection, event: &EventParts) -> rusqlite::Result<Check> {
        let fingerprint = self.fingerprinter.of_key(event.topic, event.event_id);
        let event_hash = self.fingerprinter.of_event(event);
        for generation in self.generations.iter().rev() {
            for entry in generation.find(fingerprint) {
                if entry.event_hash == event_hash {
                    return Ok(Check::Same(entry.seq));
                }
                match compare(db, entry.seq, event)? {
                    Compared::OtherKey => {}
                    Compared::Same => return Ok(Check::Same(entry.seq)),
                    Compared::Differs => return Ok(Check::Differs(entry.seq)),
                }
            }
        }
        let mut found = Check::New(Entry {
            fingerprint,
            seq: 0,
            event_hash,
        });
        self.find_in_segments(db, fingerprint, |record| {
            found = if record.event_hash == event_hash {
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

    /// The seqs of a topic behind (ascending) or in front of (descending) `from`, at most `limit`.
    pub fn seqs_of(
        &self,
        db: &Connection,
        topic: TopicId,
        from: u64,
        ascending: bool,
        limit: usize,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        let wanted = out.len() + limit;
        if ascending {
            for segment in self
                .segments
                .iter()
                .filter(|segment| segment.about.last_seq > from)
            {
                if out.len() >= wanted {
                    return Ok(());
                }
                segment.seqs_of(db, topic, from, true, wanted - out.len(), out)?;
            }
            for generation in self.generations.iter().filter(|g| g.last_seq() > from) {
                let room = wanted - out.len();
                out.extend(
                    generation
                        .seqs_of(topic)
                        .filter(|seq| *seq > from)
                        .take(room),
                );
            }
        } else {
            for generation in self.generations.iter().rev() {
                let room = wanted - out.len();
                out.extend(
                    generation
                        .seqs_of(topic)
                        .rev()
                        .filter(|seq| *seq < from)
                        .take(room),
                );
            }
            for segment in self
                .segments
                .iter()
                .rev()
                .filter(|segment| segment.about.first_seq < from)
            {
                if out.len() >= wanted {
                    break;
                }
                segment.seqs_of(db, topic, from, false, wanted - out.len(), out)?;
            }
        }
        Ok(())
    }

    /// Adds an event that the open transaction stores.
    pub fn add(&mut self, entry: Entry, topic: TopicId) {
        self.push(entry, topic);
        self.added += 1;
    }

    fn push(&mut self, entry: Entry, topic: TopicId) {
        if self.generations.back().is_none_or(Generation::is_full) {
            self.generations.push_back(Generation::new());
        }
        let filling = self.generations.back_mut().expect("one was added");
        filling.push(entry, topic);
    }

    /// Whether there is work that an idle moment could do.
    pub fn has_work(&self) -> bool {
        self.generations.len() > 1
            || !self.garbage.is_empty()
            || self.builds.iter().any(Option::is_some)
            || (1..SEGMENT_LEVELS).any(|level| self.is_merge_due(level))
    }

    /// Whether memory holds more generations than it may. Each transaction with some work then makes a
    /// segment of the oldest.
    pub fn is_behind(&self) -> bool {
        self.generations.len() > GENERATIONS_MAX
    }

    fn is_merge_due(&self, level: usize) -> bool {
        self.segments
            .iter()
            .filter(|segment| segment.about.level == level - 1)
            .count()
            >= MERGE_WIDTH
    }

    /// Does work of about `budget` records inside the open transaction, lowest level first: what waits
    /// there costs every look-up. All entries that are not of this transaction must be committed.
    pub fn work(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        self.plan();
        let is_behind = self.is_behind();
        let mut left = budget;
        for level in 0..SEGMENT_LEVELS {
            let Some(running) = &mut self.builds[level] else {
                continue;
            };
            if running.build.is_complete() {
                continue;
            }
            let urgent = level == 0 && is_behind;
            let broken = &mut self.broken;
            let mut collide = |collision| report_collision(db, collision, broken);
            running.touched = true;
            let done =
                running
                    .build
                    .step(db, if urgent { usize::MAX } else { left }, &mut collide)?;
            if running.build.is_complete() {
                publish(db, &running.build.about)?;
            }
            left = left.saturating_sub(done);
            if left == 0 {
                break;
            }
        }
        self.delete_garbage(db, budget)
    }

    /// Begins the builds that are due.
    fn plan(&mut self) {
        if self.builds[0].is_none() && self.generations.len() > 1 {
            let sealed = &self.generations[0];
            let about = Description {
                level: 0,
                first_seq: self.mark() + 1,
                last_seq: sealed.last_seq(),
                entries: sealed.len() as u64,
                first_page: self.next_page[0],
            };
            let keys = vec![Source::memory(sealed.sorted_keys())];
            let postings = vec![Source::memory(sealed.sorted_postings())];
            self.builds[0] = Some(Running {
                build: Build::new(about, keys, postings),
                touched: false,
            });
        }
        for level in 1..SEGMENT_LEVELS {
            if self.builds[level].is_some() || !self.is_merge_due(level) {
                continue;
            }
            let inputs: Vec<&Segment> = self
                .segments
                .iter()
                .filter(|s| s.about.level == level - 1)
                .take(MERGE_WIDTH)
                .collect();
            let about = Description {
                level,
                first_seq: inputs[0].about.first_seq,
                last_seq: inputs[MERGE_WIDTH - 1].about.last_seq,
                entries: inputs.iter().map(|segment| segment.about.entries).sum(),
                first_page: self.next_page[level],
            };
            let keys = |s: &&Segment| Source::pages(level - 1, s.layout.first_page, s.layout.keys);
            let postings =
                |s: &&Segment| Source::pages(level - 1, s.layout.postings_at(), s.layout.postings);
            let build = Build::new(
                about,
                inputs.iter().map(keys).collect(),
                inputs.iter().map(postings).collect(),
            );
            self.builds[level] = Some(Running {
                build,
                touched: false,
            });
        }
    }

    fn delete_garbage(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        let mut left = self.garbage.clone();
        let Some(garbage) = left.last_mut() else {
            return Ok(());
        };
        let rows =
            (budget * KeyRecord::BYTES / SEGMENT_PAGE_BYTES + 1).min(SEGMENT_ROWS_DELETED_AT_ONCE);
        garbage.first = delete_pages(db, garbage.level, garbage.first, garbage.end, rows as i64)?;
        if garbage.first >= garbage.end {
            left.pop();
        }
        self.garbage_left = Some(left);
        Ok(())
    }

    /// The open transaction has been committed.
    pub fn committed(&mut self) {
        self.added = 0;
        if let Some(left) = self.garbage_left.take() {
            self.garbage = left;
        }
        for level in 0..SEGMENT_LEVELS {
            let Some(running) = &mut self.builds[level] else {
                continue;
            };
            running.touched = false;
            if running.build.is_complete() {
                if let Some(running) = self.builds[level].take() {
                    self.install(running.build);
                }
            }
        }
    }

    /// Puts a finished segment in the place of what it was made of.
    fn install(&mut self, build: Build) {
        let segment = build.into_segment(true);
        let about = segment.about;
        self.next_page[about.level] = segment.layout.end();
        if about.level == 0 {
            self.generations.pop_front();
            self.segments.push(segment);
        } else {
            let from = self
                .segments
                .partition_point(|s| s.about.first_seq < about.first_seq);
            let to = self
                .segments
                .partition_point(|s| s.about.last_seq <= about.last_seq);
            for input in self.segments.splice(from..to, [segment]) {
                let (first, end) = (input.layout.first_page, input.layout.end());
                self.garbage.push(Garbage {
                    level: input.about.level,
                    first,
                    end,
                });
            }
        }
        self.keep_filters_within_bound();
    }

    /// Leaves the filters of the largest segments to the disk where memory may not hold all.
    fn keep_filters_within_bound(&mut self) {
        let bytes = |segment: &Segment| segment.filter.as_ref().map_or(0, |f| f.as_bytes().len());
        let mut total: usize = self.segments.iter().map(bytes).sum();
        while total > self.filter_memory_max {
            let Some(largest) = self
                .segments
                .iter_mut()
                .max_by_key(|segment| bytes(segment))
            else {
                break;
            };
            total -= bytes(largest);
            largest.filter = None;
        }
    }

    /// The open transaction has failed: nothing of it is on disk.
    pub fn rolled_back(&mut self) {
        for _ in 0..std::mem::take(&mut self.added) {
            if self.generations.back().is_some_and(|g| g.len() == 0) && self.generations.len() > 1 {
                self.generations.pop_back();
            }
            if let Some(filling) = self.generations.back_mut() {
                filling.pop();
            }
        }
        self.garbage_left = None;
        for level in 0..SEGMENT_LEVELS {
            if self.builds[level]
                .as_ref()
                .is_some_and(|running| running.touched)
            {
                if let Some(Running { build, .. }) = self.builds[level].take() {
                    // Earlier transactions may have left pages of it; a new build goes behind them.
                    let pages = build.pages();
                    self.garbage.push(Garbage {
                        level,
                        first: pages.start,
                        end: pages.end,
                    });
                    self.next_page[level] = pages.end;
                }
            }
        }
    }
}

/// Enters a complete segment into the table, in the place of what it was made of.
fn publish(db: &Connection, about: &Description) -> rusqlite::Result<()> {
    let (first, last) = (about.first_seq as i64, about.last_seq as i64);
    db.prepare_cached("DELETE FROM segments WHERE first_seq >= ?1 AND last_seq <= ?2")?
        .execute((first, last))?;
    db.prepare_cached(
        "INSERT INTO segments(first_seq, last_seq, level, entries, first_page) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((first, last, about.level as i64, about.entries as i64, about.first_page))
    .map(|_| ())
}
