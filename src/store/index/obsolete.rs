//! Obsolete pages: those of segments that were replaced or expired, and of jobs that were dropped. No segment refers
//! to them. They are deleted a few rows at a time.

use rusqlite::Connection;

use super::pages::{delete_pages, last_page};
use super::record::{KeyRecord, Record};
use super::segment::Segment;
use crate::limits::{SEGMENT_LEVELS, SEGMENT_PAGE_BYTES, SEGMENT_ROWS_DELETED_AT_ONCE};
use crate::store::error::damaged;

/// Pages of a level that no segment refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRange {
    pub level: usize,
    pub first: i64,
    pub end: i64,
}

impl PageRange {
    /// The pages of a segment.
    pub(super) fn of(segment: &Segment) -> Self {
        Self {
            level: segment.about.level,
            first: segment.layout.first_page,
            end: segment.layout.end(),
        }
    }
}

/// All pages that are to be deleted.
#[derive(Debug, Default)]
pub(super) struct ObsoletePages {
    ranges: Vec<PageRange>,
    /// The ranges as they are once the open transaction is committed.
    left: Option<Vec<PageRange>>,
}

impl ObsoletePages {
    /// Finds the pages between those of the segments, left by jobs that the end of a process interrupted. Also returns,
    /// by level, the id of the page that the next job begins with.
    pub(super) fn find(
        db: &Connection,
        segments: &[Segment],
    ) -> rusqlite::Result<(Self, [i64; SEGMENT_LEVELS])> {
        let mut ranges = Vec::new();
        let mut next_page = [1; SEGMENT_LEVELS];
        for (level, next) in next_page.iter_mut().enumerate() {
            let of_level = segments.iter().filter(|s| s.about.level == level);
            let mut live: Vec<_> = of_level.map(|s| s.layout).collect();
            live.sort_by_key(|layout| layout.first_page);
            let mut first = 1;
            let end = last_page(db, level)? + 1;
            for layout in live {
                if layout.first_page < first || layout.end() > end {
                    return Err(damaged(format!(
                        "a segment of level {level} has pages that are not its own"
                    )));
                }
                if first < layout.first_page {
                    let end = layout.first_page;
                    ranges.push(PageRange { level, first, end });
                }
                first = layout.end();
            }
            if first < end {
                ranges.push(PageRange { level, first, end });
            }
            *next = first.max(end);
        }
        let pages = Self { ranges, left: None };
        Ok((pages, next_page))
    }

    pub(super) fn add(&mut self, range: PageRange) {
        self.ranges.push(range);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many pages these are.
    pub(super) fn count(&self) -> i64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.first)
            .sum()
    }

    /// Deletes pages inside the open transaction, about as many as hold `budget` records.
    pub(super) fn delete(&mut self, db: &Connection, budget: usize) -> rusqlite::Result<()> {
        let mut left = self.ranges.clone();
        let Some(range) = left.last_mut() else {
            return Ok(());
        };
        let rows =
            (budget * KeyRecord::BYTES / SEGMENT_PAGE_BYTES + 1).min(SEGMENT_ROWS_DELETED_AT_ONCE);
        range.first = delete_pages(db, range.level, range.first, range.end, rows as i64)?;
        if range.first >= range.end {
            left.pop();
        }
        self.left = Some(left);
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        if let Some(left) = self.left.take() {
            self.ranges = left;
        }
    }

    pub(super) fn rolled_back(&mut self) {
        self.left = None;
    }
}
