//! Which tables SQLite can read. A flipped bit in what it keeps itself on a page makes it refuse the page, whatever
//! the page holds.

use rusqlite::{Connection, ErrorCode};

use super::options::Dedup;
use super::schema::{has_index_parts, recorded_check, SEARCH_TABLES};
use crate::limits::SEGMENT_LEVELS;

/// How a key index that cannot be read is rebuilt.
pub(super) const REBUILD: &str =
    "the key index is damaged; rebuild it from the events with: logagg convert --dedup index DATABASE";

/// The tables that can be dropped and rebuilt from the events: those of the key index and of summaries.
pub(super) fn index_tables() -> impl Iterator<Item = String> {
    let pages = (0..SEGMENT_LEVELS).map(|level| format!("segment_pages_{level}"));
    let named = ["segments"].into_iter().chain(SEARCH_TABLES);
    named.map(str::to_owned).chain(pages)
}

/// Whether SQLite, or a checksum, says that a page is damaged.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// Whether SQLite can read a table.
fn is_sound(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    finds_nothing(db, &check_of("quick_check", table))
}

/// Whether SQLite can read a table and its indexes, and these hold what it holds.
pub(super) fn agrees_with_its_indexes(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    finds_nothing(db, &check_of("integrity_check", table))
}

/// Whether SQLite can read all of the file, and each page of it is in use or free.
pub(super) fn is_file_sound(db: &Connection) -> rusqlite::Result<bool> {
    finds_nothing(db, "PRAGMA quick_check(1)")
}

/// The statement that has SQLite check one table.
fn check_of(check: &str, table: &str) -> String {
    format!("PRAGMA {check}(\"{}\")", table.replace('"', "\"\""))
}

/// Whether one of SQLite's checks finds nothing wrong.
fn finds_nothing(db: &Connection, check: &str) -> rusqlite::Result<bool> {
    match db.query_row(check, [], |row| row.get::<_, String>(0)) {
        Ok(answer) => Ok(answer == "ok"),
        Err(error) if is_corrupt(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is a key index that SQLite cannot read.
pub(super) fn is_index_unreadable(db: &Connection) -> rusqlite::Result<bool> {
    if !has_index_parts(db)? {
        return Ok(false);
    }
    for table in index_tables() {
        if !is_sound(db, &table)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `convert` has dropped the key index, and was ended before it had rebuilt it.
pub(super) fn is_index_taken_away(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'segments' OR name GLOB 'segment_pages_*'";
    Ok(!db.prepare(sql)?.exists([])? && recorded_check(db)? == Dedup::Index)
}

/// A table that is not of the key index and that SQLite cannot read, if there is one.
pub(super) fn unsound_table(db: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut statement = db.prepare(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        let name = name?;
        if !index_tables().any(|table| table == name) && !is_sound(db, &name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
