//! What became of events: the outcome of each, the counts of all, and the greatest seq.

use rusqlite::Connection;

use super::error::{damaged, expect_changed};
use super::row_checksum::checksum;
use super::rows::unsigned;
use super::transaction::Part;

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored under this seq.
    Accepted(u64),
    /// Its key was stored before, under this seq, with the same content.
    Duplicate(u64),
    /// Its key was stored before, under this seq, with other content. Counts as a duplicate.
    Conflict(u64),
}

/// Counts over the life of the database. `received = unique_processed + duplicate_dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub unique_processed: u64,
    pub duplicate_dropped: u64,
    /// Those of `duplicate_dropped` whose content differed.
    pub conflicts: u64,
}

impl Counters {
    /// Events that were answered.
    pub fn received(&self) -> u64 {
        self.unique_processed + self.duplicate_dropped
    }
}

/// The counts and the greatest seq.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    counters: Counters,
    /// 0 in an empty database.
    last_seq: u64,
}

/// The table `counters`, but for its mark, which belongs to the topics.
#[derive(Debug, Default)]
pub(super) struct EventCounters {
    committed: Totals,
    /// With what the open transaction has stored.
    open: Totals,
}

impl EventCounters {
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT last_seq, unique_processed, duplicate_dropped, conflicts FROM counters";
        let totals = db.query_row(sql, [], |row| {
            Ok(Totals {
                last_seq: unsigned(row, 0)?,
                counters: Counters {
                    unique_processed: unsigned(row, 1)?,
                    duplicate_dropped: unsigned(row, 2)?,
                    conflicts: unsigned(row, 3)?,
                },
            })
        })?;
        // The next event gets the seq after `last_seq`, so no row may have it.
        let newest: i64 = db.query_row("SELECT ifnull(max(seq), 0) FROM events", [], |row| {
            row.get(0)
        })?;
        if newest > totals.last_seq as i64 {
            return Err(damaged(format!(
                "last_seq is {} in the table counters, but there are later events",
                totals.last_seq
            )));
        }
        Ok(Self {
            committed: totals,
            open: totals,
        })
    }

    /// The counts as of the last commit.
    pub(super) fn counters(&self) -> Counters {
        self.committed.counters
    }

    /// The greatest seq as of the last commit.
    pub(super) fn last_seq(&self) -> u64 {
        self.committed.last_seq
    }

    /// The greatest seq, those of the open transaction included.
    pub(super) fn open_last_seq(&self) -> u64 {
        self.open.last_seq
    }

    /// The seq of the next event that the open transaction stores.
    pub(super) fn next_seq(&self) -> u64 {
        self.open.last_seq + 1
    }

    /// Events that the open transaction has stored.
    pub(super) fn accepted(&self) -> u64 {
        self.open.counters.unique_processed - self.committed.counters.unique_processed
    }

    /// Counts an event of the open transaction.
    pub(super) fn count(&mut self, outcome: Outcome) {
        let Totals { counters, last_seq } = &mut self.open;
        match outcome {
            Outcome::Accepted(seq) => {
                *last_seq = seq;
                counters.unique_processed += 1;
            }
            Outcome::Duplicate(_) => counters.duplicate_dropped += 1,
            Outcome::Conflict(_) => {
                counters.duplicate_dropped += 1;
                counters.conflicts += 1;
            }
        }
    }

    /// Writes the row.
    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let Totals { counters, last_seq } = &self.open;
        db.prepare_cached(
            "UPDATE counters SET last_seq = ?1, unique_processed = ?2, duplicate_dropped = ?3, conflicts = ?4, \
             checksum = ?5",
        )?
        .execute((
            *last_seq as i64,
            counters.unique_processed as i64,
            counters.duplicate_dropped as i64,
            counters.conflicts as i64,
            checksum(&[
                *last_seq,
                counters.unique_processed,
                counters.duplicate_dropped,
                counters.conflicts,
            ]),
        ))
        .and_then(|changed| expect_changed(changed, 1, "counters"))
    }

    /// Seqs up to this one are not given again, whatever the table says.
    pub(super) fn never_give_again(&mut self, last_seq: u64) {
        self.committed.last_seq = self.committed.last_seq.max(last_seq);
        self.open = self.committed;
    }
}

impl Part for EventCounters {
    fn committed(&mut self) {
        self.committed = self.open;
    }

    fn rolled_back(&mut self) {
        self.open = self.committed;
    }
}
