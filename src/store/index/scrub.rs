//! The scrub: reads each page of the index once a day and once after a start, so that damage is found while it can
//! still be repaired, and not only when someone needs the page.
//!
//! A slice reads a bounded number of pages. Slices are due at fixed intervals, and between slices, and between passes,
//! an idle process sleeps. A page that turns out to be damaged is noted by the read itself, and repaired like one that
//! a look-up has met.

use rusqlite::Connection;

use super::layout::Description;
use super::pages::LevelPages;
use super::segment::{unless_damaged_page, Segment};
use crate::limits::{SCRUB_INTERVAL_MS, SCRUB_PAGES_PER_SLICE, SCRUB_PASS_INTERVAL_MS};

/// How far the scrub has come. Times are milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Scrub {
    /// When the next slice is due; the first one immediately.
    due_ms: u64,
    pass: Option<Pass>,
}

/// A skip all pages, the oldest segments first.
#[derive(Debug)]
struct Pass {
    begun_ms: u64,
    /// The segments up to this seq are done.
    done_seq: u64,
    /// The segment that is being read, and its next page.
    current: Option<(Description, i64)>,
}

impl Scrub {
    pub(super) fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// Reads a slice of pages, if one is due at `now_ms`.
    pub(super) fn step(
        &mut self,
        db: &Connection,
        segments: &[Segment],
        now_ms: u64,
    ) -> rusqlite::Result<()> {
        if now_ms < self.due_ms {
            return Ok(());
        }
        self.due_ms = now_ms + SCRUB_INTERVAL_MS;
        let pass = self.pass.get_or_insert(Pass {
            begun_ms: now_ms,
            done_seq: 0,
            current: None,
        });
        if pass.read_slice(db, segments)? {
            self.due_ms = self.due_ms.max(pass.begun_ms + SCRUB_PASS_INTERVAL_MS);
            self.pass = None;
        }
        Ok(())
    }

    /// The next slice begins a new pass.
    pub(super) fn begin_again(&mut self) {
        *self = Self::default();
    }
}

impl Pass {
    /// Returns whether these were the last pages. An error leaves the pass where it was.
    fn read_slice(&mut self, db: &Connection, segments: &[Segment]) -> rusqlite::Result<bool> {
        let mut pages_left = SCRUB_PAGES_PER_SLICE;
        while pages_left > 0 {
            // A merge may have replaced the segment; then its successor, which covers the same seqs, comes next.
            let Some(segment) = segments
                .iter()
                .find(|segment| segment.about.last_seq > self.done_seq)
            else {
                return Ok(true);
            };
            let next = match self.current {
                Some((about, next)) if about.owner() == segment.about.owner() => next,
                _ => segment.layout.first_page,
            };
            let end = segment.layout.end().min(next + pages_left);
            let mut level = LevelPages::of_level(db, segment.about.level)?;
            for id in next..end {
                unless_damaged_page(level.with(&segment.pages, id, |_| ()))?;
            }
            pages_left -= (end - next).max(1);
            self.current = Some((segment.about, end));
            if end == segment.layout.end() {
                self.done_seq = segment.about.last_seq;
                self.current = None;
            }
        }
        Ok(false)
    }
}
