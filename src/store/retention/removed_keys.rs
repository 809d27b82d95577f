//! The keys of removed events: the table `removed_keys`.
//!
//! With the check `constraint` the table has them all, and an index finds them by their fingerprints.
//! With `index` the segments have them, and the table only those of events that were removed before
//! their segment was made: memory would lose these with the process.

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::horizons::Horizons;
use crate::event::Filled;
use crate::store::counters::Outcome;
use crate::store::index::fingerprint::{EventParts, Fingerprinter};
use crate::store::index::record::KeyRecord;
use crate::store::row_checksum::checksum;
use crate::store::rows::{key_numbers, right_key};

/// Adds keys to the table.
pub(crate) struct Keep<'db>(CachedStatement<'db>);

impl<'db> Keep<'db> {
    pub(crate) fn prepare(db: &'db Connection) -> rusqlite::Result<Self> {
        let sql = "INSERT INTO removed_keys(seq, fingerprint, event_hash, checksum) \
                   VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql).map(Self)
    }

    pub(crate) fn add(&mut self, key: KeyRecord) -> rusqlite::Result<()> {
        let KeyRecord {
            fingerprint,
            seq,
            event_hash,
        } = key;
        let checksum = checksum(&key_numbers(seq, fingerprint, event_hash));
        let fingerprint = fingerprint.to_be_bytes();
        self.0
            .execute((seq as i64, fingerprint, event_hash as i64, checksum))
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
    /// None if there are none.
    pub(crate) fn new(fingerprinter: Fingerprinter, horizons: Horizons) -> Option<Self> {
        (horizons.events > horizons.keys).then_some(Self {
            fingerprinter,
            horizons,
        })
    }

    /// What becomes of an event whose key is one of them; none if it is not. The hash is over what was `filled` in
    /// as well, so a repeat is not told from a conflict where anything was.
    pub(crate) fn find(
        &self,
        db: &Connection,
        event: &EventParts,
        filled: Filled,
    ) -> rusqlite::Result<Option<Outcome>> {
        let fingerprint = self.fingerprinter.of_key(event.topic, event.event_id);
        let mut statement = db.prepare_cached(
            "SELECT seq, event_hash, checksum FROM removed_keys INDEXED BY removed_keys_by_fingerprint \
             WHERE fingerprint = ?1 AND seq > ?2",
        )?;
        let found = statement.query_row(
            (fingerprint.to_be_bytes(), self.horizons.keys as i64),
            |row| {
                let (seq, event_hash) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
                let found = key_numbers(seq as u64, fingerprint, event_hash as u64);
                right_key(found, row.get_ref(2)?)
            },
        );
        let Some(KeyRecord {
            seq, event_hash, ..
        }) = found.optional()?
        else {
            return Ok(None);
        };
        let is_repeat = filled.any() || event_hash == self.fingerprinter.of_event(event);
        Ok(Some(if is_repeat {
            Outcome::Duplicate(seq)
        } else {
            Outcome::Conflict(seq)
        }))
    }
}
