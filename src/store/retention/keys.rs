//! The keys of removed events: the table `removed_keys`, and how far they are forgotten.
//!
//! With the check `constraint` the table has them all, and an index finds them by their fingerprints.
//! With `index` the segments have them, and the table only those of events that were removed before
//! their segment was made: memory would lose these with the process.

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::horizons::Horizons;
use super::times::processed_by;
use super::{pause, Removal};
use crate::limits;
use crate::store::counters::Outcome;
use crate::store::index::fingerprint::{EventParts, Fingerprinter};
use crate::store::index::record::KeyRecord;
use crate::store::index::KeyIndex;
use crate::store::options::Limit;
use crate::store::state::Store;

/// Adds keys to the table.
pub(super) struct Keep<'db>(CachedStatement<'db>);

impl<'db> Keep<'db> {
    pub(super) fn prepare(db: &'db Connection) -> rusqlite::Result<Self> {
        let sql = "INSERT INTO removed_keys(seq, fingerprint, event_hash) VALUES (?1, ?2, ?3)";
        db.prepare_cached(sql).map(Self)
    }

    pub(super) fn add(&mut self, key: KeyRecord) -> rusqlite::Result<()> {
        let fingerprint = key.fingerprint.to_be_bytes();
        self.0
            .execute((key.seq as i64, fingerprint, key.event_hash as i64))
            .map(|_| ())
    }
}

/// The duplicate check of the keys that SQLite's constraint no longer knows.
#[derive(Clone, Copy)]
pub(crate) struct RemovedKeys {
    fingerprinter: Fingerprinter,
    horizons: Horizons,
}

impl RemovedKeys {
    /// None where there are none.
    pub(crate) fn new(fingerprinter: Fingerprinter, horizons: Horizons) -> Option<Self> {
        (horizons.events > horizons.keys).then_some(Self {
            fingerprinter,
            horizons,
        })
    }

    /// What becomes of an event whose key is one of them; none where it is not.
    pub(crate) fn find(
        &self,
        db: &Connection,
        event: &EventParts,
    ) -> rusqlite::Result<Option<Outcome>> {
        let fingerprint = self.fingerprinter.of_key(event.topic, event.event_id);
        let mut statement = db.prepare_cached(
            "SELECT seq, event_hash FROM removed_keys INDEXED BY removed_keys_by_fingerprint \
             WHERE fingerprint = ?1 AND seq > ?2",
        )?;
        let found = statement.query_row(
            (fingerprint.to_be_bytes(), self.horizons.keys as i64),
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
        );
        let Some((seq, event_hash)) = found.optional()? else {
            return Ok(None);
        };
        Ok(Some(if event_hash == self.fingerprinter.of_event(event) {
            Outcome::Duplicate(seq)
        } else {
            Outcome::Conflict(seq)
        }))
    }
}

impl Store {
    /// Moves the horizon of the keys, inside the open transaction, as far as that is due.
    pub(super) fn forget_keys(&self, removal: &mut Removal, unix_us: i64) -> rusqlite::Result<()> {
        let before = removal.horizons.keys;
        let horizon = match removal.retainer.retention.keys {
            None => return Ok(()),
            Some(Limit::Age(age)) => {
                if unix_us < removal.retainer.keys_due || removal.horizons.events == before {
                    return Ok(());
                }
                let found = processed_by(&self.db, unix_us - age)?;
                if !found.has_more {
                    let next = found.next_at.map(|at| at.saturating_add(age + pause(age)));
                    removal.retainer.keys_due = next.unwrap_or(i64::MAX);
                }
                found.last_seq.unwrap_or(before)
            }
            Some(Limit::Size(size)) => self.keys_beyond(size, removal.horizons),
        };
        if horizon > before {
            removal.horizons.keys = horizon;
            removal.has_changed = true;
            removal.retainer.times.forget(&self.db, horizon)?;
        }
        Ok(())
    }

    /// Where the horizon of the keys has to be so that they take about `size` bytes.
    pub(super) fn keys_beyond(&self, size: u64, horizons: Horizons) -> u64 {
        let beyond = match &self.keys {
            Some(keys) => keys
                .surplus(size / self.retainer.page_bytes, horizons.events)
                .unwrap_or(0),
            None => {
                let kept = size / limits::REMOVED_KEY_BYTES;
                self.last_seq.saturating_sub(kept).min(horizons.events)
            }
        };
        beyond.max(horizons.keys)
    }

    /// Up to where the table's rows are of no use: forgotten, or in a segment.
    pub(super) fn cleared_up_to(&self, horizons: Horizons) -> u64 {
        let in_segments = |keys: &KeyIndex| keys.mark().min(keys.removable_up_to());
        let mark = self.keys.as_ref().map_or(0, in_segments);
        mark.max(horizons.keys)
    }

    /// Deletes such rows inside the open transaction.
    pub(super) fn clear_removed_keys(
        &self,
        removal: &mut Removal,
        rows: usize,
    ) -> rusqlite::Result<()> {
        let until = self.cleared_up_to(removal.horizons);
        if removal.retainer.removed_keys_from > until {
            return Ok(());
        }
        let first = self
            .db
            .prepare_cached("SELECT seq FROM removed_keys ORDER BY seq LIMIT 1")?
            .query_row([], |row| Ok(row.get::<_, i64>(0)? as u64))
            .optional()?;
        let Some(first) = first.filter(|first| *first <= until) else {
            removal.retainer.removed_keys_from = until + 1;
            return Ok(());
        };
        let last = until.min(first + rows as u64);
        self.db
            .prepare_cached("DELETE FROM removed_keys WHERE seq <= ?1")?
            .execute([last as i64])?;
        removal.retainer.removed_keys_from = last + 1;
        removal.has_changed = true;
        Ok(())
    }
}
