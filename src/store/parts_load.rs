//! Reading the parts of memory out of the tables: at the start, and again where the disk has lost what memory knew. In
//! slices, so that a server which does this while it runs stays responsive. Its cost follows what was stored after the
//! marks, and the topics, not the size of the database.

use rusqlite::ffi::SQLITE_CORRUPT;
use rusqlite::Connection;

use super::counters::EventCounters;
use super::error::damaged;
use super::index::load::IndexLoad;
use super::index::KeyIndex;
use super::options::{Dedup, OpenOptions};
use super::parts::Parts;
use super::rejected::table::Rejected;
use super::retention::Pruner;
use super::rows::{event_parts, removed_keys_after, unsigned, EVENTS_AFTER};
use super::schema::recorded_check;
use super::soundness::REBUILD;
use super::subscriptions::Subscriptions;
use super::summaries::table::Summaries;
use super::topics::load::TopicsLoad;
use super::topics::Topics;
use super::work::LoadBudget;
use crate::limits::{EVENT_UNITS, LOAD_ROW_UNITS, READ_BYTES_PER_UNIT};

/// Parts that are being read.
pub(super) struct PartsLoad {
    counters: EventCounters,
    retention: Pruner,
    stage: Stage,
    topics: Option<Topics>,
    index: Option<KeyIndex>,
}

/// What is read next.
enum Stage {
    Topics(Box<TopicsLoad>),
    Segments(Box<IndexLoad>),
    /// The keys of removed events that no segment has.
    RemovedKeys,
    /// The events that no segment has, after this seq.
    Events(u64),
    Done,
}

impl PartsLoad {
    pub(super) fn begin(db: &Connection, options: &OpenOptions) -> rusqlite::Result<Self> {
        let counters = EventCounters::load(db)?;
        let last_seq = counters.last_seq();
        Ok(Self {
            retention: Pruner::load(db, options, last_seq)?,
            stage: Stage::Topics(Box::new(TopicsLoad::begin(db, last_seq)?)),
            counters,
            topics: None,
            index: None,
        })
    }

    /// Reads on. Returns whether all has been read.
    pub(super) fn step(
        &mut self,
        db: &Connection,
        options: &OpenOptions,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<bool> {
        loop {
            let is_over = match &mut self.stage {
                Stage::Topics(topics) => topics.step(db, budget)?,
                Stage::Segments(index) => index.step(db, budget).map_err(unreadable)?,
                Stage::RemovedKeys => self.restore_removed(db, budget)?,
                Stage::Events(after) => {
                    let after = *after;
                    self.restore_events(db, after, budget)?
                }
                Stage::Done => return Ok(true),
            };
            if !is_over {
                return Ok(false);
            }
            self.begin_next(db, options)?;
        }
    }

    fn begin_next(&mut self, db: &Connection, options: &OpenOptions) -> rusqlite::Result<()> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Topics(topics) => {
                self.topics = Some(topics.finish());
                match recorded_check(db)? {
                    Dedup::Constraint => Stage::Done,
                    Dedup::Index => {
                        let (memory, horizons) =
                            (options.filter_memory_bytes, self.retention.horizons());
                        let fingerprinter = self.retention.fingerprinter();
                        let index = IndexLoad::begin(db, fingerprinter, memory, horizons);
                        Stage::Segments(Box::new(index.map_err(unreadable)?))
                    }
                }
            }
            Stage::Segments(index) => {
                let mut index = index.finish(db).map_err(unreadable)?;
                index.set_merge_bound(self.retention.merge_bound());
                if index.mark() > self.counters.last_seq() {
                    return Err(damaged("a segment is ahead of the events"));
                }
                self.index = Some(index);
                Stage::RemovedKeys
            }
            Stage::RemovedKeys => Stage::Events(self.index.as_ref().map_or(0, KeyIndex::mark)),
            Stage::Events(_) | Stage::Done => Stage::Done,
        };
        Ok(())
    }

    /// Puts keys of removed events into the memtables.
    fn restore_removed(
        &mut self,
        db: &Connection,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<bool> {
        let horizons = self.retention.horizons();
        let Some(index) = &mut self.index else {
            return Ok(true);
        };
        while !budget.is_spent() {
            let known = index.mark().max(horizons.keys).max(index.last_restored());
            let before = budget.spent();
            removed_keys_after(db, known, KEYS_AT_ONCE, |key| {
                budget.take(LOAD_ROW_UNITS);
                index.restore_removed(key)
            })?;
            if budget.spent() == before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts events that no segment has into the memtables.
    fn restore_events(
        &mut self,
        db: &Connection,
        after: u64,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<bool> {
        let Some(index) = &mut self.index else {
            return Ok(true);
        };
        let mut statement = db.prepare_cached(EVENTS_AFTER)?;
        let mut rows = statement.query([after.cast_signed()])?;
        while !budget.is_spent() {
            let Some(row) = rows.next()? else {
                return Ok(true);
            };
            let (event, seq) = (event_parts(row)?, unsigned(row, 0)?);
            budget.take(EVENT_UNITS + event.payload.len() as u64 / READ_BYTES_PER_UNIT);
            index.restore(&event, seq)?;
            self.stage = Stage::Events(seq);
        }
        Ok(false)
    }

    /// The parts, once all has been read. What is read here has a bound.
    pub(super) fn finish(self, db: &Connection, options: &OpenOptions) -> rusqlite::Result<Parts> {
        let last_seq = self.counters.last_seq();
        Ok(Parts {
            topics: self.topics.unwrap_or_default(),
            subscriptions: Subscriptions::load(db, last_seq)?,
            index: self.index,
            rejected: Rejected::load(db, options.retention)?,
            summaries: Summaries::load(db, options.search_index)?,
            retention: self.retention,
            counters: self.counters,
        })
    }
}

/// Keys of removed events that are read at once.
const KEYS_AT_ONCE: usize = 256;

/// The error of a key index that cannot be read: SQLite's own message would say less.
fn unreadable(error: rusqlite::Error) -> rusqlite::Error {
    let has_sentence = !error.to_string().contains("disk image is malformed");
    match error.sqlite_error() {
        Some(code) if code.extended_code == SQLITE_CORRUPT && !has_sentence => damaged(REBUILD),
        _ => error,
    }
}
