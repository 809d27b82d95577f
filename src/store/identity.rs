//! Which history a database is: a random UUID in its table `meta`. Seqs are compared only within one history, so a
//! client that meets another UUID knows that the positions it remembers are not valid.
//!
//! It is made with the database and goes with every copy of it, so a backup has that of its source. A restored database
//! gets its own, because from then on its seqs name other events than those of the source. Up to the seq at which it
//! was restored they are the same events, so it keeps the UUID that it had and that seq.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::error::damaged;
use super::meta;
use super::rows::unsigned;
use crate::uuid;

/// Which history a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub database_id: String,
    /// None if it has never been restored.
    pub restored_from: Option<Origin>,
}

/// The history that a database was part of before it was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub database_id: String,
    /// The events up to this seq are those of the other history.
    pub last_seq: u64,
}

/// Gives a database its identity where it has none: a new one, or one that is older than this program.
/// Must run inside a transaction.
pub(super) fn ensure(db: &Connection) -> rusqlite::Result<()> {
    match recorded(db)? {
        Some(_) => Ok(()),
        None => record(db),
    }
}

/// Gives another identity to a database that no program has open. What it writes is complete in the file itself when it
/// returns, and not synced.
pub(super) fn renew(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    // The index of the write-ahead log then needs no file of its own; closing copies the log and removes it.
    db.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    let transaction = db.transaction()?;
    if let Some(former) = recorded(&transaction)? {
        let sql = "SELECT last_seq FROM counters";
        let last_seq: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
        let id = Value::Text(former.database_id);
        meta::set(&transaction, "restored_from", id)?;
        meta::set(&transaction, "restored_seq", Value::Integer(last_seq))?;
    }
    record(&transaction)?;
    transaction.commit()?;
    db.close().map_err(|(_, error)| error)
}

/// The identity of a database that has been opened for writing before.
pub(super) fn read(db: &Connection) -> rusqlite::Result<Identity> {
    let sql = "SELECT last_seq FROM counters";
    let last_seq = db.query_row(sql, [], |row| unsigned(row, 0))?;
    match recorded(db)? {
        Some(identity) => match identity.fault(last_seq) {
            None => Ok(identity),
            Some(what) => Err(damaged(format!("in the table meta, {what}"))),
        },
        None => Err(damaged("database_id is missing in the table meta")),
    }
}

impl Identity {
    /// What contradicts itself, in a database with this greatest seq.
    pub(super) fn fault(&self, last_seq: u64) -> Option<String> {
        let wrong = |name: &str, id: &str| {
            let what = format!("{name} is {id:?}, which is not a random UUID in lower case");
            (!uuid::is_random(id)).then_some(what)
        };
        let origin = self.restored_from.as_ref();
        wrong("database_id", &self.database_id)
            .or_else(|| wrong("restored_from", &origin?.database_id))
            .or_else(|| {
                let seq = origin?.last_seq;
                let what = format!("restored_seq is {seq}, more than last_seq, {last_seq}");
                (seq > last_seq).then_some(what)
            })
    }
}

/// The identity as it is written; none in a database that no program has opened yet that knows of it.
pub(super) fn recorded(db: &Connection) -> rusqlite::Result<Option<Identity>> {
    let text = |name: &str| -> rusqlite::Result<Option<String>> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        db.query_row(sql, [name], |row| row.get(0)).optional()
    };
    let Some(database_id) = text("database_id")? else {
        return Ok(None);
    };
    let restored_from = match text("restored_from")? {
        None => None,
        Some(database_id) => {
            let sql = "SELECT value FROM meta WHERE name = 'restored_seq'";
            let last_seq = db.query_row(sql, [], |row| unsigned(row, 0))?;
            Some(Origin {
                database_id,
                last_seq,
            })
        }
    };
    Ok(Some(Identity {
        database_id,
        restored_from,
    }))
}

fn record(db: &Connection) -> rusqlite::Result<()> {
    let id = uuid::random().map_err(|error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        rusqlite::Error::SqliteFailure(code, Some(format!("no random bytes: {error}")))
    })?;
    meta::set(db, "database_id", Value::Text(id))
}
