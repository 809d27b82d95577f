//! The parts of memory that follow the tables, together. Each keeps its fields to itself.

use rusqlite::ffi::SQLITE_CORRUPT;

use super::counters::EventCounters;
use super::error::damaged;
use super::index::KeyIndex;
use super::options::{Dedup, OpenOptions};
use super::rejected::table::Rejected;
use super::retention::{Pruner, Standing};
use super::rows::{event_parts, removed_keys_after, unsigned, EVENTS_AFTER};
use super::schema::recorded_check;
use super::soundness::REBUILD;
use super::subscriptions::Subscriptions;
use super::summaries::table::Summaries;
use super::topics::Topics;
use super::transaction::Part;

/// What memory holds of the tables.
pub(super) struct Parts {
    pub(super) counters: EventCounters,
    pub(super) topics: Topics,
    pub(super) subscriptions: Subscriptions,
    pub(super) retention: Pruner,
    pub(super) rejected: Rejected,
    pub(super) summaries: Summaries,
    /// None if SQLite's constraint finds duplicates.
    pub(super) index: Option<KeyIndex>,
}

impl Parts {
    /// Reads them all. Costs what was stored after the marks, not what the database holds.
    pub(super) fn load(db: &rusqlite::Connection, options: &OpenOptions) -> rusqlite::Result<Self> {
        let counters = EventCounters::load(db)?;
        let last_seq = counters.last_seq();
        let retention = Pruner::load(db, options, last_seq)?;
        Ok(Self {
            topics: Topics::load(db, last_seq)?,
            subscriptions: Subscriptions::load(db, last_seq)?,
            index: match recorded_check(db)? {
                Dedup::Index => Some(load_index(db, options, last_seq, &retention)?),
                Dedup::Constraint => None,
            },
            rejected: Rejected::load(db, options.retention)?,
            summaries: Summaries::load(db, options.search_index)?,
            retention,
            counters,
        })
    }

    /// What retention goes by at a time, in microseconds since the epoch.
    pub(super) fn standing(&self, now_us: i64) -> Standing {
        Standing {
            last_seq: self.counters.last_seq(),
            held_after: self.subscriptions.held_after(),
            now_us,
        }
    }

    /// Every part. There is no `..` here, so a new one does not compile before it is on the list.
    fn list(&mut self) -> impl Iterator<Item = &mut dyn Part> {
        let Parts {
            counters,
            topics,
            subscriptions,
            retention,
            rejected,
            summaries,
            index,
        } = self;
        let parts: [&mut dyn Part; 6] = [
            counters,
            topics,
            subscriptions,
            retention,
            rejected,
            summaries,
        ];
        let index = index.as_mut().map(|index| index as &mut dyn Part);
        parts.into_iter().chain(index)
    }
}

/// Reads the segments, and fills the memtables from the events after them.
fn load_index(
    db: &rusqlite::Connection,
    options: &OpenOptions,
    last_seq: u64,
    retention: &Pruner,
) -> rusqlite::Result<KeyIndex> {
    let (memory, horizons) = (options.filter_memory_bytes, retention.horizons());
    let index = KeyIndex::load(db, retention.fingerprinter(), memory, horizons);
    let mut index = index.map_err(|error| match error.sqlite_error() {
        // SQLite's own words; ours say more.
        Some(code) if code.extended_code == SQLITE_CORRUPT && !has_sentence(&error) => {
            damaged(REBUILD)
        }
        _ => error,
    })?;
    index.set_merge_bound(retention.merge_bound());
    if index.mark() > last_seq {
        return Err(damaged("a segment is ahead of the events"));
    }
    let known = index.mark().max(horizons.keys);
    removed_keys_after(db, known, usize::MAX, |key| index.restore_removed(key))?;
    let mut statement = db.prepare(EVENTS_AFTER)?;
    let mut rows = statement.query([index.mark() as i64])?;
    while let Some(row) = rows.next()? {
        index.restore(&event_parts(row)?, unsigned(row, 0)?)?;
    }
    Ok(index)
}

/// Whether an error of damage has a sentence of ours.
fn has_sentence(error: &rusqlite::Error) -> bool {
    !error.to_string().contains("disk image is malformed")
}

impl Part for KeyIndex {
    fn committed(&mut self) {
        KeyIndex::committed(self);
    }

    fn rolled_back(&mut self) {
        KeyIndex::rolled_back(self);
    }
}

impl Part for Parts {
    fn committed(&mut self) {
        self.list().for_each(|part| part.committed());
    }

    fn rolled_back(&mut self) {
        self.list().for_each(|part| part.rolled_back());
    }
}
