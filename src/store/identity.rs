//! Which history a database is: a random UUID in its table `meta`. Seqs are compared only within one
//! history, so a client that meets another UUID knows that the positions it remembers mean nothing.
//!
//! It is made with the database and goes with every copy of it, so a backup has that of its source. A
//! restored database gets its own, because from then on its seqs stand for other events than those that
//! the source gives out.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::damaged;
use crate::uuid;

/// Gives a database its identity where it has none: a new one, or one that is older than this program.
/// Must run inside a transaction.
pub(super) fn ensure(db: &Connection) -> rusqlite::Result<()> {
    match recorded(db)? {
        Some(_) => Ok(()),
        None => record(db),
    }
}

/// Gives a database that nobody has open another identity. What it writes is complete in the file itself
/// when it returns, and not synced.
pub(super) fn renew(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    // The index of the write-ahead log then needs no file of its own; closing copies the log and removes it.
    db.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    record(&db)?;
    db.close().map_err(|(_, error)| error)
}

/// The identity of a database that has been opened for writing before.
pub(super) fn read(db: &Connection) -> rusqlite::Result<String> {
    match recorded(db)? {
        Some(id) if uuid::is_random(&id) => Ok(id),
        Some(id) => Err(damaged(format!(
            "database_id is {id:?} in the table meta, which is no random UUID in lower case"
        ))),
        None => Err(damaged("database_id is missing in the table meta")),
    }
}

/// The identity as it is written; none in a database that no program has opened yet that knows of it.
pub(super) fn recorded(db: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE name = 'database_id'";
    db.query_row(sql, [], |row| row.get(0)).optional()
}

fn record(db: &Connection) -> rusqlite::Result<()> {
    let id = uuid::random().map_err(|error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        rusqlite::Error::SqliteFailure(code, Some(format!("no random bytes: {error}")))
    })?;
    let sql = "INSERT OR REPLACE INTO meta VALUES ('database_id', ?1)";
    db.execute(sql, [id]).map(|_| ())
}
