//! The work on segments: which builds are due, a part of it inside the open transaction, and what
//! becomes of that part once the transaction has ended.

use rusqlite::Connection;

use super::build::SegmentBuilder;
use super::layout::Description;
use super::merge::Source;
use super::pages::delete_pages;
use super::record::{KeyRecord, Record};
use super::segment::{time_of, Segment};
use super::stored::report_collision;
use super::{Job, KeyIndex, PageRange};
use crate::limits::{
    FILTER_BITS_PER_KEY, MEMTABLES_MAX, SEGMENT_LEVELS, SEGMENT_PAGE_BYTES,
    SEGMENT_ROWS_DELETED_AT_ONCE,
};

impl KeyIndex {
    /// Whether there is work that an idle moment could do.
    pub(crate) fn has_work(&self) -> bool {
        self.memtables.len() > 1
            || !self.obsolete.is_empty()
            || self.builds.iter().any(Option::is_some)
            || (1..SEGMENT_LEVELS).any(|level| self.merge_inputs(level, 0).is_some())
    }

    /// Does work of about `budget` records inside the open transaction, lowest level first: what waits
    /// there costs every look-up. Memtables may hold entries of this transaction; what becomes of
    /// them becomes of their segment.
    pub(crate) fn compact(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        let mut left = budget;
        for level in 0..SEGMENT_LEVELS {
            loop {
                // Memtables in memory are bounded, whatever a commit brings.
                let waiting = self.memtables.len() - self.finished_of(0).count();
                let urgent = level == 0 && waiting > MEMTABLES_MAX;
                if left == 0 && !urgent {
                    break;
                }
                self.plan(db, level)?;
                let Some(running) = &mut self.builds[level] else {
                    break;
                };
                running.dirty = true;
                let records = if urgent { usize::MAX } else { left };
                let horizons = self.horizons;
                let done = running.build.step(db, records, &mut |collision| {
                    report_collision(db, collision, horizons)
                })?;
                left = left.saturating_sub(done);
                if running.build.is_complete() {
                    publish_segment(db, &running.build.about)?;
                    self.finished.extend(self.builds[level].take());
                }
            }
        }
        self.delete_obsolete(db, budget)
    }

    /// The builds of a level that the open transaction has completed.
    fn finished_of(&self, level: usize) -> impl DoubleEndedIterator<Item = &SegmentBuilder> {
        let builds = self.finished.iter().map(|running| &running.build);
        builds.filter(move |build| build.about.level == level)
    }

    /// Begins the build of a level if none is running and one is due.
    fn plan(&mut self, db: &Connection, level: usize) -> rusqlite::Result<()> {
        if self.builds[level].is_some() {
            return Ok(());
        }
        let build = if level == 0 {
            self.plan_flush()
        } else {
            self.plan_merge(level)
        };
        if let Some(build) = build {
            self.builds[level] = Some(Job {
                newest_at: time_of(db, build.about.last_seq)?,
                build,
                dirty: false,
                has_committed_pages: false,
            });
        }
        Ok(())
    }

    fn plan_flush(&self) -> Option<SegmentBuilder> {
        let flushed = self.finished_of(0).count();
        if self.memtables.len() <= flushed + 1 {
            return None;
        }
        let sealed = &self.memtables[flushed];
        let before = self.finished_of(0).next_back();
        let about = Description {
            level: 0,
            first_seq: before.map_or(self.mark(), |build| build.about.last_seq) + 1,
            last_seq: sealed.last_seq(),
            entries: sealed.len() as u64,
            first_page: before.map_or(self.next_page[0], |build| build.pages().end),
            filter_bits: FILTER_BITS_PER_KEY,
            has_checksums: true,
        };
        let keys = vec![Source::memory(sealed.sorted_keys())];
        let postings = vec![Source::memory(sealed.sorted_postings())];
        Some(SegmentBuilder::new(
            about,
            keys,
            postings,
            true,
            &self.damage,
        ))
    }

    fn plan_merge(&self, level: usize) -> Option<SegmentBuilder> {
        let before = self.finished_of(level).next_back();
        let merged = before.map_or(0, |build| build.about.last_seq);
        let inputs = self.merge_inputs(level, merged)?;
        let about = Description {
            level,
            first_seq: inputs[0].about.first_seq,
            last_seq: inputs[inputs.len() - 1].about.last_seq,
            entries: inputs.iter().map(|segment| segment.about.entries).sum(),
            first_page: before.map_or(self.next_page[level], |build| build.pages().end),
            filter_bits: FILTER_BITS_PER_KEY,
            has_checksums: true,
        };
        let pages = || inputs.iter().map(|segment| &segment.pages);
        Some(SegmentBuilder::new(
            about,
            pages().map(Source::of).collect(),
            pages().map(Source::of).collect(),
            self.has_room_for_filter(&about),
            &self.damage,
        ))
    }

    fn delete_obsolete(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        let mut left = self.obsolete.clone();
        let Some(obsolete) = left.last_mut() else {
            return Ok(());
        };
        let rows =
            (budget * KeyRecord::BYTES / SEGMENT_PAGE_BYTES + 1).min(SEGMENT_ROWS_DELETED_AT_ONCE);
        obsolete.first = delete_pages(
            db,
            obsolete.level,
            obsolete.first,
            obsolete.end,
            rows as i64,
        )?;
        if obsolete.first >= obsolete.end {
            left.pop();
        }
        self.obsolete_left = Some(left);
        Ok(())
    }

    /// The open transaction has been committed.
    pub(crate) fn committed(&mut self) {
        self.added = 0;
        if let Some(left) = self.obsolete_left.take() {
            self.obsolete = left;
        }
        for dropped in self.segments.drain(..std::mem::take(&mut self.dropped)) {
            self.obsolete.push(PageRange::of(&dropped));
        }
        for running in std::mem::take(&mut self.finished) {
            self.take_over(running.build, running.newest_at);
        }
        for running in self.builds.iter_mut().flatten() {
            running.has_committed_pages |= running.dirty;
            running.dirty = false;
        }
    }

    /// Puts a finished segment in the place of what it was made of.
    fn take_over(&mut self, build: SegmentBuilder, newest_at: i64) {
        let segment = build.into_segment(newest_at);
        let about = segment.about;
        self.next_page[about.level] = segment.layout.end();
        if about.level == 0 {
            self.memtables.pop_front();
            self.segments.push(segment);
        } else {
            let from = self
                .segments
                .partition_point(|s| s.about.first_seq < about.first_seq);
            let to = self
                .segments
                .partition_point(|s| s.about.last_seq <= about.last_seq);
            for input in self.segments.splice(from..to, [segment]) {
                self.obsolete.push(PageRange::of(&input));
            }
        }
        self.keep_filters_within_bound();
    }

    /// Whether a segment's filter could stay in memory, in the place of those of what it is made of.
    fn has_room_for_filter(&self, about: &Description) -> bool {
        let is_other = |segment: &&Segment| {
            segment.about.last_seq < about.first_seq || segment.about.first_seq > about.last_seq
        };
        let others = self.segments.iter().filter(is_other);
        let others: usize = others.map(Segment::filter_bytes).sum();
        others + about.filter_bytes() <= self.filter_memory_max
    }

    /// Leaves the filters of the largest segments to the disk where memory may not hold all.
    fn keep_filters_within_bound(&mut self) {
        let mut total: usize = self.segments.iter().map(Segment::filter_bytes).sum();
        while total > self.filter_memory_max {
            let Some(largest) = self
                .segments
                .iter_mut()
                .max_by_key(|segment| segment.filter_bytes())
            else {
                break;
            };
            total -= largest.filter_bytes();
            largest.filter = None;
        }
    }

    /// The open transaction has failed: nothing of it is on disk.
    pub(crate) fn rolled_back(&mut self) {
        for _ in 0..std::mem::take(&mut self.added) {
            if self.memtables.back().is_some_and(|g| g.len() == 0) && self.memtables.len() > 1 {
                self.memtables.pop_back();
            }
            if let Some(filling) = self.memtables.back_mut() {
                filling.pop();
            }
        }
        self.obsolete_left = None;
        self.dropped = 0;
        let dirty = |build: &mut Option<Job>| build.take_if(|running| running.dirty);
        let dirty: Vec<_> = self.builds.iter_mut().filter_map(dirty).collect();
        for Job {
            build,
            has_committed_pages,
            ..
        } in self.finished.drain(..).chain(dirty)
        {
            if has_committed_pages {
                // Earlier transactions have left pages of it; a new build goes behind them.
                let (level, pages) = (build.about.level, build.pages());
                self.obsolete.push(PageRange {
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
