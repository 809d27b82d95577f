//! The tables that the in-process loops write to.

use rusqlite::Connection;

/// Creates `topics` and `events` with the server's columns, and sets the server's pragmas.
///
/// # Errors
/// SQLite's.
pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA page_size = 4096;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
         CREATE TABLE events (
             seq INTEGER PRIMARY KEY,
             topic_id INTEGER NOT NULL,
             event_id TEXT NOT NULL,
             timestamp TEXT NOT NULL,
             source TEXT NOT NULL,
             payload TEXT NOT NULL,
             processed_at INTEGER NOT NULL
         );",
    )
}
