//! The tables, as ARCHITECTURE.md documents them for anyone who opens the file with `sqlite3`.

use rusqlite::Connection;

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
CREATE INDEX events_by_topic ON events(topic_id, seq);

CREATE VIEW event_log AS
  SELECT seq, topics.name AS topic, event_id, timestamp, source, payload,
         strftime('%Y-%m-%dT%H:%M:%S', processed_at / 1000000, 'unixepoch')
           || printf('.%06dZ', processed_at % 1000000) AS processed_at
  FROM events JOIN topics ON topics.id = events.topic_id;
";

/// What makes a second event of one key impossible under the duplicate check `constraint`.
const KEY_CONSTRAINT: &str = "CREATE UNIQUE INDEX events_key ON events(topic_id, event_id);";

/// Creates all tables in an empty database. Must run inside a transaction, so that a file is ours
/// wholly or not at all.
pub fn create_tables(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    db.execute_batch(KEY_CONSTRAINT)?;
    db.execute("INSERT INTO meta VALUES ('dedup', 'constraint')", [])?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)
}
