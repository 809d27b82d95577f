//! Flushes and compactions: which are due, a part of them inside the open transaction, and what becomes of that part
//! once the transaction has ended.
//!
//! A flush makes a segment of level 0 of a full memtable, a compaction one of the next level of sixteen segments.
//! What a job has written counts only when its transaction is committed. When one fails, the job is dropped and
//! begins again: its inputs are still there, and the pages that it left are obsolete.

use rusqlite::Connection;

use super::build::SegmentBuilder;
use super::damage::Damage;
use super::expiry::{merge_inputs, MergeBound};
use super::layout::Description;
use super::memtable::sort_postings;
use super::memtables::Memtables;
use super::merge::Source;
use super::obsolete::{ObsoletePages, PageRange};
use super::segment::{time_of, Segment};
use super::segments::Segments;
use super::stored::report_collision;
use crate::limits::{FILTER_BITS_PER_KEY, MEMTABLES_MAX, SEGMENT_LEVELS};
use crate::store::retention::horizons::Horizons;

/// A flush or a compaction, and what the open transaction has to do with it.
struct Job {
    builder: SegmentBuilder,
    /// About when the last of its events was processed.
    newest_at: i64,
    /// The open transaction has written pages of it.
    dirty: bool,
    /// Earlier transactions have.
    has_committed_pages: bool,
}

/// What jobs are made of.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub memtables: &'a Memtables,
    pub segments: &'a Segments,
    pub damage: &'a Damage,
    pub horizons: Horizons,
}

/// The jobs, and the pages that they leave.
pub(super) struct Compaction {
    /// By the level that they make.
    running: [Option<Job>; SEGMENT_LEVELS],
    /// Jobs that the open transaction has completed, the oldest of a level first.
    finished: Vec<Job>,
    /// By level, the id of the page that the next job begins with.
    next_page: [i64; SEGMENT_LEVELS],
    obsolete: ObsoletePages,
    merge_bound: MergeBound,
}

impl Compaction {
    pub(super) fn new(obsolete: ObsoletePages, next_page: [i64; SEGMENT_LEVELS]) -> Self {
        Self {
            running: Default::default(),
            finished: Vec::new(),
            next_page,
            obsolete,
            merge_bound: MergeBound::None,
        }
    }

    /// What the segments that compactions make may span from now on.
    pub(super) fn set_merge_bound(&mut self, bound: MergeBound) {
        self.merge_bound = bound;
    }

    /// Whether there is work that an idle moment could do.
    pub(super) fn has_work(&self, inputs: Inputs) -> bool {
        inputs.memtables.to_flush(0).is_some()
            || !self.obsolete.is_empty()
            || self.running.iter().any(Option::is_some)
            || (1..SEGMENT_LEVELS).any(|level| self.merge_inputs(inputs, level, 0).is_some())
    }

    /// Pages that jobs have written or left.
    pub(super) fn pages(&self) -> i64 {
        let running = self.running.iter().flatten();
        let begun: i64 = running.map(|job| job.builder.pages_written()).sum();
        self.obsolete.count() + begun
    }

    /// The first seq whose segment a compaction is reading; it is not dropped before that has ended.
    pub(super) fn reading_from(&self) -> u64 {
        let jobs = self.running.iter().flatten().chain(&self.finished);
        jobs.filter(|job| job.builder.about.level > 0)
            .map(|job| job.builder.about.first_seq)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Does work of about `budget` records inside the open transaction, lowest level first: what waits there slows
    /// every look-up. Memtables may hold entries of this transaction; their segment shares its fate.
    pub(super) fn compact(
        &mut self,
        db: &Connection,
        budget: usize,
        inputs: Inputs,
    ) -> rusqlite::Result<()> {
        let mut left = budget;
        for level in 0..SEGMENT_LEVELS {
            loop {
                // Memtables are bounded, whatever a commit brings.
                let waiting = inputs.memtables.count() - self.finished_of(0).count();
                let urgent = level == 0 && waiting > MEMTABLES_MAX;
                if left == 0 && !urgent {
                    break;
                }
                self.plan(db, level, inputs)?;
                let Some(job) = &mut self.running[level] else {
                    break;
                };
                job.dirty = true;
                let records = if urgent { usize::MAX } else { left };
                let done = job.builder.step(db, records, &mut |collision| {
                    report_collision(db, collision, inputs.horizons)
                })?;
                left = left.saturating_sub(done);
                if job.builder.is_complete() {
                    publish_segment(db, &job.builder.about)?;
                    self.finished.extend(self.running[level].take());
                }
            }
        }
        self.obsolete.delete(db, budget)
    }

    /// The builders of a level that the open transaction has completed.
    fn finished_of(&self, level: usize) -> impl DoubleEndedIterator<Item = &SegmentBuilder> {
        let builders = self.finished.iter().map(|job| &job.builder);
        builders.filter(move |builder| builder.about.level == level)
    }

    /// Begins the job of a level if none is running and one is due.
    fn plan(&mut self, db: &Connection, level: usize, inputs: Inputs) -> rusqlite::Result<()> {
        if self.running[level].is_some() {
            return Ok(());
        }
        let builder = if level == 0 {
            self.plan_flush(inputs)
        } else {
            self.plan_merge(level, inputs)
        };
        if let Some(builder) = builder {
            self.running[level] = Some(Job {
                newest_at: time_of(db, builder.about.last_seq)?,
                builder,
                dirty: false,
                has_committed_pages: false,
            });
        }
        Ok(())
    }

    fn plan_flush(&self, inputs: Inputs) -> Option<SegmentBuilder> {
        let table = inputs.memtables.to_flush(self.finished_of(0).count())?;
        let before = self.finished_of(0).next_back();
        let mark = before.map_or(inputs.segments.mark(), |builder| builder.about.last_seq);
        let about = Description {
            level: 0,
            first_seq: mark + 1,
            last_seq: table.last_seq(),
            entries: table.len() as u64,
            first_page: before.map_or(self.next_page[0], |builder| builder.pages().end),
            filter_bits: FILTER_BITS_PER_KEY[0],
            has_checksums: true,
        };
        let keys = vec![Source::memory(table.sorted_keys())];
        // Not in one turn with the keys: they are read once these and the filter have been written.
        let postings = vec![Source::sorted_later(table.postings(), sort_postings)];
        Some(SegmentBuilder::new(
            about,
            keys,
            postings,
            true,
            inputs.damage,
        ))
    }

    fn plan_merge(&self, level: usize, inputs: Inputs) -> Option<SegmentBuilder> {
        let before = self.finished_of(level).next_back();
        let merged = before.map_or(0, |builder| builder.about.last_seq);
        let merge = self.merge_inputs(inputs, level, merged)?;
        let about = Description {
            level,
            first_seq: merge[0].about.first_seq,
            last_seq: merge[merge.len() - 1].about.last_seq,
            entries: merge.iter().map(|segment| segment.about.entries).sum(),
            first_page: before.map_or(self.next_page[level], |builder| builder.pages().end),
            filter_bits: FILTER_BITS_PER_KEY[level],
            has_checksums: true,
        };
        let pages = || merge.iter().map(|segment| &segment.pages);
        Some(SegmentBuilder::new(
            about,
            pages().map(Source::of).collect(),
            pages().map(Source::of).collect(),
            inputs.segments.has_room_for_filter(&about),
            inputs.damage,
        ))
    }

    fn merge_inputs<'a>(
        &self,
        inputs: Inputs<'a>,
        level: usize,
        merged: u64,
    ) -> Option<&'a [Segment]> {
        // A merge reads each record once and checks it only by its page's checksum.
        let can_merge = |s: &Segment| s.about.has_checksums && !inputs.damage.is_in(&s.about);
        let segments = inputs.segments.kept();
        merge_inputs(segments, self.merge_bound, level, merged, can_merge)
    }

    /// The open transaction has been committed.
    pub(super) fn committed(&mut self, memtables: &mut Memtables, segments: &mut Segments) {
        self.obsolete.committed();
        for dropped in segments.committed() {
            self.obsolete.add(PageRange::of(&dropped));
        }
        for job in std::mem::take(&mut self.finished) {
            let segment = job.builder.into_segment(job.newest_at);
            let level = segment.about.level;
            self.next_page[level] = segment.layout.end();
            for replaced in segments.replace(segment) {
                self.obsolete.add(PageRange::of(&replaced));
            }
            if level == 0 {
                memtables.drop_oldest();
            }
        }
        for job in self.running.iter_mut().flatten() {
            job.has_committed_pages |= job.dirty;
            job.dirty = false;
        }
    }

    /// The open transaction has failed: nothing of it is on disk.
    pub(super) fn rolled_back(&mut self) {
        self.obsolete.rolled_back();
        let dirty = |job: &mut Option<Job>| job.take_if(|job| job.dirty);
        let dirty: Vec<_> = self.running.iter_mut().filter_map(dirty).collect();
        for job in self.finished.drain(..).chain(dirty) {
            if job.has_committed_pages {
                // A new job goes after the pages of this one.
                let (level, pages) = (job.builder.about.level, job.builder.pages());
                self.obsolete.add(PageRange {
                    level,
                    first: pages.start,
                    end: pages.end,
                });
                self.next_page[level] = pages.end;
            }
        }
    }
}

/// Enters a complete segment into the table, in the place of what it was made of.
fn publish_segment(db: &Connection, about: &Description) -> rusqlite::Result<()> {
    let (first, last) = (about.first_seq as i64, about.last_seq as i64);
    let lost: i64 = db
        .prepare_cached(
            "SELECT ifnull(sum(lost_records), 0) FROM segments WHERE first_seq >= ?1 AND last_seq <= ?2",
        )?
        .query_row((first, last), |row| row.get(0))?;
    db.prepare_cached("DELETE FROM segments WHERE first_seq >= ?1 AND last_seq <= ?2")?
        .execute((first, last))?;
    db.prepare_cached(
        "INSERT INTO segments(first_seq, last_seq, level, entries, first_page, filter_bits, checksum, \
         lost_records) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        first,
        last,
        about.level as i64,
        about.entries as i64,
        about.first_page,
        about.filter_bits as i64,
        about.owner().number(),
        lost,
    ))
    .map(|_| ())
}
