//! The tables, as ARCHITECTURE.md documents them for anyone who opens the file with `sqlite3`.

use rusqlite::Connection;

use super::open::Dedup;
use crate::limits;

/// `PRAGMA application_id` of our files: "LogA".
pub const APPLICATION_ID: i32 = 0x4c6f_6741;
/// `PRAGMA user_version`: the version of the tables. A greater one was written by a newer program.
pub const SCHEMA_VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE meta(
  name  TEXT PRIMARY KEY,
  value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE counters(
  id                INTEGER PRIMARY KEY CHECK (id = 1),
  last_seq          INTEGER NOT NULL,
  unique_processed  INTEGER NOT NULL,
  duplicate_dropped INTEGER NOT NULL,
  conflicts         INTEGER NOT NULL,
  topics_mark       INTEGER NOT NULL
) STRICT;
INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0);

CREATE TABLE topics(
  id                INTEGER PRIMARY KEY,
  name              TEXT NOT NULL UNIQUE,
  events            INTEGER NOT NULL DEFAULT 0,
  last_seq          INTEGER NOT NULL DEFAULT 0,
  last_processed_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE events(
  seq          INTEGER PRIMARY KEY,
  topic_id     INTEGER NOT NULL,
  event_id     TEXT NOT NULL,
  timestamp    TEXT NOT NULL,
  source       TEXT NOT NULL,
  payload      TEXT NOT NULL,
  processed_at INTEGER NOT NULL
);
CREATE VIEW event_log AS
  SELECT seq, topics.name AS topic, event_id, timestamp, source, payload,
         strftime('%Y-%m-%dT%H:%M:%S', processed_at / 1000000, 'unixepoch')
           || printf('.%06dZ', processed_at % 1000000) AS processed_at
  FROM events JOIN topics ON topics.id = events.topic_id;
";

/// The duplicate check `constraint`: SQLite's own indexes.
const CONSTRAINT: &str = "
CREATE UNIQUE INDEX events_key ON events(topic_id, event_id);
CREATE INDEX events_by_topic ON events(topic_id, seq);
";

/// The duplicate check `index`: what the key index keeps.
const INDEX: &str = "
CREATE TABLE segments(
  first_seq  INTEGER PRIMARY KEY,
  last_seq   INTEGER NOT NULL,
  level      INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  first_page INTEGER NOT NULL
) STRICT;
";

/// Creates all tables in an empty database. Must run inside a transaction, so that a file is ours
/// wholly or not at all.
pub fn create_tables(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    create_check(db, dedup)?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)
}

/// Creates the table of named subscriptions where it is missing: a database may be older than it.
pub(super) fn create_subscriptions(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS subscriptions(
           name       TEXT PRIMARY KEY,
           after      INTEGER NOT NULL,
           updated_at INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;",
    )
}

/// Creates what a duplicate check needs, and records it as the database's.
pub fn create_check(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    create_parts(db, dedup)?;
    record_check(db, dedup)
}

/// Creates what a duplicate check needs.
pub(super) fn create_parts(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    if dedup == Dedup::Constraint {
        return db.execute_batch(CONSTRAINT);
    }
    db.execute_batch(INDEX)?;
    for level in 0..limits::SEGMENT_LEVELS {
        db.execute_batch(&format!(
            "CREATE TABLE segment_pages_{level}(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;"
        ))?;
    }
    db.execute(
        "INSERT INTO meta VALUES ('fingerprint_key', randomblob(16))",
        [],
    )
    .map(|_| ())
}

/// Drops what a duplicate check needs, as far as it is there.
pub(super) fn drop_parts(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    if dedup == Dedup::Constraint {
        return db.execute_batch(
            "DROP INDEX IF EXISTS events_key; DROP INDEX IF EXISTS events_by_topic;",
        );
    }
    db.execute_batch("DROP TABLE IF EXISTS segments;")?;
    for level in 0..limits::SEGMENT_LEVELS {
        db.execute_batch(&format!("DROP TABLE IF EXISTS segment_pages_{level};"))?;
    }
    db.execute("DELETE FROM meta WHERE name = 'fingerprint_key'", [])
        .map(|_| ())
}

/// Whether the parts of the key index are there. Beside the check `constraint` they are those of a
/// conversion that was cut off.
pub(super) fn has_index_parts(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'segments'")?
        .exists([])
}

/// Records a duplicate check as the database's.
pub(super) fn record_check(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO meta VALUES ('dedup', ?1)",
        [dedup.name()],
    )
    .map(|_| ())
}
