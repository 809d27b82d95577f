//! `convert`: gives a database the other duplicate check, in place. At every moment the file is complete with the check
//! that it had or with the one that it gets, because one transaction replaces the old one by the new one.
//!
//! To SQLite's constraint all of it is that one transaction. To the key index the segments are made first, a few pages
//! in each transaction, beside the constraint that still decides. What an interrupted conversion has made stays valid,
//! since events do not change: a rerun goes on with it, and a rerun for the constraint drops it.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::check::{find_same_keys, Progress};
use super::rebuild::take_away;
use super::remake::remake_indexes;
use crate::limits::{CONVERT_RECORDS_PER_COMMIT, MEMTABLE_ENTRIES};
use crate::store::error::explain;
use crate::store::error::OpenError;
use crate::store::file_kind::require_ordinary;
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::merge::{Merge, Source};
use crate::store::index::record::KeyRecord;
use crate::store::index::stored::Collision;
use crate::store::index::KeyIndex;
use crate::store::open::connect_alone;
use crate::store::options::{Dedup, Durability};
use crate::store::retention::horizons::Horizons;
use crate::store::row_checksum::checksum;
use crate::store::row_repair::repair_rows;
use crate::store::rows::{event_parts, key_numbers, removed_keys_after, unsigned, EVENTS_AFTER};
use crate::store::schema::fingerprint_key;
use crate::store::schema::{
    create_parts, drop_parts, has_index_parts, record_check, recorded_check, upgrade, version,
    SCHEMA_VERSION,
};
use crate::store::soundness::is_index_unreadable;
use crate::store::temporary;
use crate::store::wal::recovery::recover_wal;

/// The result of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Converted {
    /// The database has the check now.
    Done,
    /// It had it before.
    Already,
    /// It had it before, but SQLite could not read the key index, which has been rebuilt.
    Rebuilt,
    /// It had it before, but there were indexes of SQLite's that were not right, and have been made again.
    Remade,
}

/// Why a conversion cannot be done.
enum Failure {
    Sqlite(rusqlite::Error),
    /// Two events have one key.
    Repeated(Option<Collision>),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => Failure::Repeated(None),
            _ => Failure::Sqlite(error),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Sqlite(error) => {
                f.write_str(&temporary::explain(error).unwrap_or_else(|| explain(error)))
            }
            Failure::Repeated(None) => f.write_str("it is damaged: a key is stored twice"),
            Failure::Repeated(Some(Collision { first, second })) => write!(
                f,
                "it is damaged: the events with seq {first} and {second} have one key"
            ),
        }
    }
}

/// Gives the database the duplicate check `to`. No server may have it open. An error leaves it as it was, except for
/// parts of an index that is not in use yet.
pub fn convert(
    path: &Path,
    to: Dedup,
    progress: &mut dyn FnMut(Progress),
) -> Result<Converted, OpenError> {
    let fail = |what: &dyn std::fmt::Display| {
        OpenError(format!(
            "cannot convert the database {}: {what}",
            path.display()
        ))
    };
    let path = fs::canonicalize(path).map_err(|e| fail(&e))?;
    require_ordinary(&path).map_err(|e| fail(&e))?;
    if fs::metadata(&path).is_ok_and(|about| about.len() == 0) {
        return Err(fail(&"it is empty"));
    }
    let (_lock, mut db) = connect_alone(&path, Durability::Full, false).map_err(|e| fail(&e))?;
    recover_wal(&db, &path).map_err(|e| fail(&e))?;
    let mut work = || {
        // The sorting of a large index must not be held in memory.
        db.pragma_update(None, "temp_store", "FILE")?;
        if version(&db)? < SCHEMA_VERSION {
            in_transaction(&mut db, |db| upgrade(db))?;
        }
        let from = recorded_check(&db)?;
        let is_remade = from == to && remake_indexes(&mut db, to, progress)?;
        in_transaction(&mut db, |db| repair_rows(db, from == Dedup::Index))?;
        if from == to {
            let converted = again(&mut db, to, progress)?;
            let is_all = is_remade && converted == Converted::Already;
            return Ok(if is_all { Converted::Remade } else { converted });
        }
        match to {
            Dedup::Constraint => to_constraint(&mut db, progress)?,
            Dedup::Index => to_index(&mut db, progress)?,
        }
        Ok(Converted::Done)
    };
    let converted = work().map_err(|e: Failure| fail(&e))?;
    db.close().map_err(|e| fail(&explain(&e)))?;
    Ok(converted)
}

fn in_transaction<T>(
    db: &mut Connection,
    work: impl FnOnce(&Transaction) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = db.transaction()?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// For a database that has the check already.
fn again(
    db: &mut Connection,
    to: Dedup,
    progress: &mut dyn FnMut(Progress),
) -> Result<Converted, Failure> {
    let has_index_parts = has_index_parts(db)?;
    if to == Dedup::Constraint {
        if has_index_parts {
            in_transaction(db, |db| drop_parts(db, Dedup::Index))?;
        }
        return Ok(Converted::Already);
    }
    if has_index_parts && !is_index_unreadable(db)? {
        if !is_unfinished(db)? {
            return Ok(Converted::Already);
        }
    } else {
        if has_index_parts {
            take_away(db, progress)?;
        } else {
            // They were dropped by a conversion that was ended; their pages may still be in the file.
            db.execute_batch("VACUUM")?;
        }
        in_transaction(db, |db| upgrade(db))?;
    }
    to_index(db, progress)?;
    Ok(Converted::Rebuilt)
}

/// Whether far more events have no segment than a server leaves: a conversion was ended while it rebuilt them.
fn is_unfinished(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT last_seq - (SELECT ifnull(max(last_seq), 0) FROM segments) FROM counters";
    let left = db.query_row(sql, [], |row| unsigned(row, 0))?;
    Ok(left > 2 * MEMTABLE_ENTRIES as u64)
}

fn to_constraint(db: &mut Connection, progress: &mut dyn FnMut(Progress)) -> Result<(), Failure> {
    progress(Progress {
        step: "making SQLite's indexes",
        done: 0,
        total: 0,
    });
    let horizons = Horizons::load(db)?;
    let keys = KeyIndex::load(db, fingerprinter(db)?, 0, horizons)?;
    Ok(in_transaction(db, |db| {
        keep_removed_keys(db, &keys, horizons)?;
        create_parts(db, Dedup::Constraint)?;
        drop_parts(db, Dedup::Index)?;
        record_check(db, Dedup::Constraint)
    })?)
}

fn to_index(db: &mut Connection, progress: &mut dyn FnMut(Progress)) -> Result<(), Failure> {
    if !has_index_parts(db)? {
        in_transaction(db, |db| create_parts(db, Dedup::Index))?;
    }
    let horizons = Horizons::load(db)?;
    // Nothing is looked up, so no filter is needed in memory.
    let mut keys = KeyIndex::load(db, fingerprinter(db)?, 0, horizons)?;
    build_segments(db, &mut keys, progress)?;
    let tail = keys_after(db, &keys, horizons)?;
    let segments: Vec<_> = keys
        .segments()
        .iter()
        .map(|segment| segment.about)
        .collect();
    let mut repeated = None;
    find_same_keys(
        db,
        &segments,
        tail,
        horizons,
        &mut |found| repeated = Some(found),
        progress,
    )?;
    if repeated.is_some() {
        return Err(Failure::Repeated(repeated));
    }
    Ok(in_transaction(db, |db| {
        drop_parts(db, Dedup::Constraint)?;
        clear_removed_keys(db, &keys)?;
        record_check(db, Dedup::Index)
    })?)
}

fn fingerprinter(db: &Connection) -> rusqlite::Result<Fingerprinter> {
    Ok(Fingerprinter::new(fingerprint_key(db)?, 128))
}

/// Copies the keys of removed events from the segments into the table that has them where SQLite's constraint decides.
/// The segments have them in the order of their fingerprints.
fn keep_removed_keys(db: &Connection, keys: &KeyIndex, horizons: Horizons) -> rusqlite::Result<()> {
    clear_removed_keys(db, keys)?;
    db.execute_batch(
        "CREATE TEMP TABLE unsorted(seq INTEGER, fingerprint BLOB, event_hash INTEGER, checksum INTEGER)",
    )?;
    let mut insert = db.prepare("INSERT INTO unsorted VALUES (?1, ?2, ?3, ?4)")?;
    for segment in keys.segments() {
        let mut records = Merge::new(vec![Source::<KeyRecord>::of(&segment.pages)]);
        while let Some(key) = records.next(db)? {
            let KeyRecord {
                fingerprint,
                seq,
                event_hash,
            } = key;
            if seq > horizons.keys && seq <= horizons.events {
                let checksum = checksum(&key_numbers(seq, fingerprint, event_hash));
                let fingerprint = fingerprint.to_be_bytes();
                insert.execute((seq as i64, fingerprint, event_hash as i64, checksum))?;
            }
        }
    }
    db.execute_batch(
        "INSERT INTO removed_keys SELECT * FROM unsorted ORDER BY seq; DROP TABLE unsorted",
    )
}

/// Deletes the keys of removed events that the segments have.
fn clear_removed_keys(db: &Connection, keys: &KeyIndex) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM removed_keys WHERE seq <= ?1",
        [keys.mark() as i64],
    )
    .map(|_| ())
}

/// Makes segments of all events but the newest, which the server takes into its memory.
fn build_segments(
    db: &mut Connection,
    keys: &mut KeyIndex,
    progress: &mut dyn FnMut(Progress),
) -> rusqlite::Result<()> {
    let total = db.query_row("SELECT last_seq FROM counters", [], |row| {
        row.get::<_, i64>(0)
    })? as u64;
    let mut last_seq = keys.mark().max(keys.horizons().keys);
    loop {
        while keys.has_work() {
            in_transaction(db, |db| keys.compact(db, CONVERT_RECORDS_PER_COMMIT))?;
            keys.committed();
        }
        progress(Progress {
            step: "making segments",
            done: keys.mark(),
            total,
        });
        let before = last_seq;
        removed_keys_after(db, last_seq, MEMTABLE_ENTRIES, |key| {
            last_seq = key.seq;
            keys.restore_removed(key)
        })?;
        if last_seq > before {
            continue;
        }
        let mut statement = db.prepare_cached(&format!("{EVENTS_AFTER} LIMIT ?2"))?;
        let mut rows = statement.query((last_seq as i64, MEMTABLE_ENTRIES as i64))?;
        while let Some(row) = rows.next()? {
            last_seq = row.get::<_, i64>(0)? as u64;
            keys.restore(&event_parts(row)?, last_seq)?;
        }
        if last_seq == before {
            return Ok(());
        }
    }
}

/// The keys after the last segment, at most a memtable of them.
fn keys_after(
    db: &Connection,
    keys: &KeyIndex,
    horizons: Horizons,
) -> rusqlite::Result<Vec<KeyRecord>> {
    let mut tail = Vec::new();
    removed_keys_after(db, keys.mark().max(horizons.keys), usize::MAX, |key| {
        tail.push(key);
        Ok(())
    })?;
    let mut statement = db.prepare(EVENTS_AFTER)?;
    let mut rows = statement.query([keys.mark() as i64])?;
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)? as u64;
        tail.push(keys.fingerprinter().record(&event_parts(row)?, seq));
    }
    Ok(tail)
}
