//! The records of damaged pages, found again among everything that their segment was made of.
//!
//! A segment is sorted, so the records of a damaged page are those between the last one on the page before it and
//! the first one on the page after it. They are collected while the events of the segment are gone through in the
//! order of their seqs. Memory holds a bounded number of them: of more damaged pages in a row it takes the first.

use std::ops::Range;

use rusqlite::Connection;

use crate::limits::{REPAIR_PAGES_LOOKED_AT, REPAIR_RECORDS_MAX};
use crate::store::index::pages::Pages;
use crate::store::index::record::{records, Known, Record};
use crate::store::index::segment::unless_damaged_page;

/// Adjacent damaged pages, of which the first are to be rebuilt.
struct Run<R> {
    ids: Range<i64>,
    /// The records next to all of them.
    after: Option<R>,
    before: Option<R>,
    /// Records on `ids`.
    wanted: usize,
    /// Records on all of them; none if the end of the run has not been looked for.
    total: Option<usize>,
    /// Records found.
    seen: usize,
}

/// The pages of a run, and their records.
pub(super) struct Collected<R> {
    pub ids: Range<i64>,
    pub records: Vec<R>,
    /// How many of the first records replace lost ones.
    pub lost: usize,
}

/// Collects the records of damaged pages.
pub(super) struct Collector<R> {
    runs: Vec<Run<R>>,
    found: Vec<R>,
}

impl<R: Record> Collector<R> {
    /// For the first of these damaged pages, which ascend. Reads the pages next to them.
    pub(super) fn new(db: &Connection, pages: &Pages, damaged: &[i64]) -> rusqlite::Result<Self> {
        let mut collector = Self {
            runs: Vec::new(),
            found: Vec::new(),
        };
        let mut left = REPAIR_RECORDS_MAX;
        for id in damaged {
            if collector.runs.last().is_some_and(|run| *id < run.ids.end) {
                continue;
            }
            let mut run = Run::around(db, pages, *id)?;
            let is_first = collector.runs.is_empty();
            if !is_first && run.total.is_none_or(|total| total > left) {
                break;
            }
            let most = (REPAIR_RECORDS_MAX / R::PER_PAGE) as i64;
            let is_cut = run.ids.end - run.ids.start > most;
            if is_cut {
                run.ids.end = run.ids.start + most;
            }
            run.wanted = records_on::<R>(pages, &run.ids);
            left = left.saturating_sub(run.wanted);
            collector.runs.push(run);
            if is_cut {
                break;
            }
        }
        Ok(collector)
    }

    /// The pages that are rebuilt.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.runs.iter().flat_map(|run| run.ids.clone())
    }

    /// Whether a record is on one of the pages.
    pub(super) fn wants(&self, record: R) -> bool {
        self.run_of(record).is_some()
    }

    fn run_of(&self, record: R) -> Option<usize> {
        let at = self
            .runs
            .partition_point(|run| run.before.is_some_and(|before| before <= record));
        let run = self.runs.get(at)?;
        run.after.is_none_or(|after| after < record).then_some(at)
    }

    /// Takes a record of the segment.
    pub(super) fn take(&mut self, record: R) {
        let Some(at) = self.run_of(record) else {
            return;
        };
        self.runs[at].seen += 1;
        if self.found.len() >= 2 * REPAIR_RECORDS_MAX {
            let [run] = &self.runs[..] else {
                // More than all the pages had, which `finish` tells.
                return;
            };
            self.found.sort_unstable();
            self.found.truncate(run.wanted);
        }
        self.found.push(record);
    }

    /// The records of each run, once all of the segment's have been taken. An error says why they cannot be found.
    pub(super) fn finish(mut self, known: Known) -> Result<Vec<Collected<R>>, String> {
        self.found.sort_unstable();
        let mut rest = &self.found[..];
        let mut collected = Vec::new();
        for run in &self.runs {
            let here = rest.partition_point(|record| run.before.is_none_or(|end| *record < end));
            let (found, others) = rest.split_at(here);
            rest = others;
            let lost = run.lost(known)?.min(run.wanted);
            let mut records = R::stand_ins(run.after, lost, known);
            records.extend(found.iter().take(run.wanted - lost));
            records.sort_unstable();
            if records.len() != run.wanted {
                return Err("what it was made of has changed".into());
            }
            collected.push(Collected {
                ids: run.ids.clone(),
                records,
                lost,
            });
        }
        Ok(collected)
    }
}

impl<R: Record> Run<R> {
    /// The damaged pages around this one.
    fn around(db: &Connection, pages: &Pages, id: i64) -> rusqlite::Result<Self> {
        let part = pages.layout.pages_of(R::PART);
        let record_at = |id: i64, is_first: bool| {
            let found = pages.with(db, id, |page| {
                let mut records = records::<R>(page);
                match is_first {
                    true => records.next(),
                    false => records.next_back(),
                }
            });
            unless_damaged_page(found).map(Option::flatten)
        };
        let mut ids = id..id + 1;
        let mut after = None;
        while after.is_none() && ids.start > part.start {
            after = record_at(ids.start - 1, false)?;
            ids.start -= i64::from(after.is_none());
        }
        let mut before = None;
        while before.is_none() && ids.end < part.end && ids.end - id < REPAIR_PAGES_LOOKED_AT {
            before = record_at(ids.end, true)?;
            ids.end += i64::from(before.is_none());
        }
        let has_end = before.is_some() || ids.end == part.end;
        Ok(Self {
            total: has_end.then(|| records_on::<R>(pages, &ids)),
            ids,
            after,
            before,
            wanted: 0,
            seen: 0,
        })
    }

    /// How many of its records are lost.
    fn lost(&self, known: Known) -> Result<usize, String> {
        let has_removed = known.first_seq <= known.removed;
        let Some(total) = self.total else {
            return match has_removed {
                true => Err("too many pages in a row are damaged, and events were removed".into()),
                false => Ok(0),
            };
        };
        match total.checked_sub(self.seen) {
            Some(lost) if lost == 0 || has_removed => Ok(lost),
            Some(missing) => Err(format!("{missing} of its events are missing")),
            None => Err(format!(
                "there are {} events for its {total} records",
                self.seen
            )),
        }
    }
}

fn records_on<R: Record>(pages: &Pages, ids: &Range<i64>) -> usize {
    let bytes = ids
        .clone()
        .map(|id| pages.about.content_bytes(&pages.layout, id));
    bytes.sum::<usize>() / R::BYTES
}
