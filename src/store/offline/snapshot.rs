//! One moment of a database, read by a connection that changes nothing, also while a server writes to it.
//!
//! As long as it is read the server cannot copy its write-ahead log into the database, and the log grows by all that is
//! committed. The server copies it afterwards.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::limits;
use crate::store::connection::checkpoint_on_close;
use crate::store::error::explain;
use crate::store::head::Head;
use crate::store::lengths::require_not_emptied;
use crate::store::lock::file_at;
use crate::store::paths::{beside, immutable};
use crate::store::schema::identify;

/// Hands `work` a connection to a database of ours that is not empty, with a read transaction open. Work
/// that turns out to have been disturbed is done again. An error is a clause of a sentence.
pub(crate) fn read<T>(
    path: &Path,
    mut work: impl FnMut(&Connection) -> Result<T, String>,
) -> Result<T, String> {
    let path = file_at(path)?;
    // Without a write-ahead log no program has it open, and it can be read without leaving files beside it or on a disk
    // that cannot be written, unless a server starts meanwhile.
    let has_log = || beside(&path, "-wal").exists();
    if !has_log() {
        let state = || fs::metadata(&path).and_then(|about| Ok((about.len(), about.modified()?)));
        let before = state().map_err(|error| error.to_string())?;
        let result = connect(&path, true).and_then(|db| work(&db));
        if !has_log() && state().is_ok_and(|after| after == before) {
            return result;
        }
    }
    connect(&path, false).and_then(|db| work(&db))
}

/// Opens a database of ours and begins the transaction. One that is closed is taken as it is on the disk.
fn connect(path: &Path, is_closed: bool) -> Result<Connection, String> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = if is_closed {
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(path), flags)?
        } else {
            // Where the file cannot be written SQLite opens it for reading.
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?
        };
        // The last connection to close would otherwise copy the WAL, which may be that of a server that was killed.
        checkpoint_on_close(&db, false)?;
        db.pragma_update(None, "query_only", true)?;
        db.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED);
        db.busy_timeout(Duration::from_millis(limits::OPEN_BUSY_MS))?;
        db.pragma_update(None, "cache_size", -(limits::PAGE_CACHE_KIB as i64))?;
        db.execute_batch("BEGIN")?;
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((db, tables))
    };
    require_not_emptied(path)?;
    // Before the transaction: a server may go on meanwhile.
    let head = Head::read(path);
    head.map_or(Ok(()), |head| head.require_own_log(path))?;
    let (db, tables) = open().map_err(|e| explain(&e))?;
    identify(&db)?;
    if tables == 0 {
        return Err("it is empty".into());
    }
    head.map_or(Ok(()), |head| head.require_newest(path, &db))?;
    Ok(db)
}
