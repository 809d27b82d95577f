//! The work on segments: which builds are due, a part of it inside the open transaction, and what
//! becomes of that part once the transaction has ended.

use rusqlite::Connection;

use super::build::Build;
use super::layout::Description;
use super::merge::Source;
use super::pages::delete_pages;
use super::record::{KeyRecord, Record};
use super::segment::{time_of, Segment};
use super::stored::report_collision;
use super::{Garbage, KeyIndex, Running};
use crate::limits::{
    FILTER_BITS_PER_KEY, GENERATIONS_MAX, SEGMENT_LEVELS, SEGMENT_PAGE_BYTES,
    SEGMENT_ROWS_DELETED_AT_ONCE,
};

impl KeyIndex {
    /// Whether there is work that an idle moment could do.
    pub(crate) fn has_work(&self) -> bool {
        self.generations.len() > 1
            || !self.garbage.is_empty()
            || self.builds.iter().any(Option::is_some)
            || (1..SEGMENT_LEVELS).any(|level| self.merge_inputs(level, 0).is_some())
    }

    /// Does work of about `budget` records inside the open transaction, lowest level first: what waits
    /// there costs every look-up. Generations may hold entries of this transaction; what becomes of
    /// them becomes of their segment.
    pub(crate) fn work(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        let mut left = budget;
        for level in 0..SEGMENT_LEVELS {
            loop {
                // Generations in memory are bounded, whatever a commit brings.
                let waiting = self.generations.len() - self.finished_of(0).count();
                let urgent = level == 0 && waiting > GENERATIONS_MAX;
                if left == 0 && !urgent {
                    break;
                }
                self.plan(db, level)?;
                let Some(running) = &mut self.builds[level] else {
                    break;
                };
                running.touched = true;
                let records = if urgent { usize::MAX } else { left };
                let horizons = self.horizons;
                let done = running.build.step(db, records, &mut |collision| {
                    report_collision(db, collision, horizons)
                })?;
                left = left.saturating_sub(done);
                if running.build.is_complete() {
                    publish(db, &running.build.about)?;
                    self.finished.extend(self.builds[level].take());
                }
            }
        }
        self.delete_garbage(db, budget)
    }

    /// The builds of a level that the open transaction has completed.
    fn finished_of(&self, level: usize) -> impl DoubleEndedIterator<Item = &Build> {
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
            self.builds[level] = Some(Running {
                newest_at: time_of(db, build.about.last_seq)?,
                build,
                touched: false,
                kept: false,
            });
        }
        Ok(())
    }

    fn plan_flush(&self) -> Option<Build> {
        let flushed = self.finished_of(0).count();
        if self.generations.len() <= flushed + 1 {
            return None;
        }
        let sealed = &self.generations[flushed];
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
        Some(Build::new(about, keys, postings, true, &self.damage))
    }

    fn plan_merge(&self, level: usize) -> Option<Build> {
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
        Some(Build::new(
            about,
            pages().map(Source::of).collect(),
            pages().map(Source::of).collect(),
            self.has_room_for_filter(&about),
            &self.damage,
        ))
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
    pub(crate) fn committed(&mut self) {
        self.added = 0;
        if let Some(left) = self.garbage_left.take() {
            self.garbage = left;
        }
        for dropped in self.segments.drain(..std::mem::take(&mut self.dropped)) {
            self.garbage.push(Garbage::of(&dropped));
        }
        for running in std::mem::take(&mut self.finished) {
            self.install(running.build, running.newest_at);
        }
        for running in self.builds.iter_mut().flatten() {
            running.kept |= running.touched;
            running.touched = false;
        }
    }

    /// Puts a finished segment in the place of what it was made of.
    fn install(&mut self, build: Build, newest_at: i64) {
        let segment = build.into_segment(newest_at);
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
                self.garbage.push(Garbage::of(&input));
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
            if self.generations.back().is_some_and(|g| g.len() == 0) && self.generations.len() > 1 {
                self.generations.pop_back();
            }
            if let Some(filling) = self.generations.back_mut() {
                filling.pop();
            }
        }
        self.garbage_left = None;
        self.dropped = 0;
        let touched = |build: &mut Option<Running>| build.take_if(|running| running.touched);
        let touched: Vec<_> = self.builds.iter_mut().filter_map(touched).collect();
        for Running { build, kept, .. } in self.finished.drain(..).chain(touched) {
            if kept {
                // Earlier transactions have left pages of it; a new build goes behind them.
                let (level, pages) = (build.about.level, build.pages());
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

/// Enters a complete segment into the table, in the place of what it was made of.
fn publish(db: &Connection, about: &Description) -> rusqlite::Result<()> {
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
