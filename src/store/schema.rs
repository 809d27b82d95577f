//! The tables, as docs/internals/store.md documents them for anyone who opens the file with `sqlite3`.

use rusqlite::types::Value;
use rusqlite::Connection;

use super::error::explain;
use super::identity;
use super::meta;
use super::options::Dedup;
use super::subscription_row;
use crate::limits;

/// `PRAGMA application_id` of our files: "LogA".
pub(super) const APPLICATION_ID: i32 = 0x4c6f_6741;
/// `PRAGMA user_version`: the version of the tables. A greater one was written by a newer program.
pub(super) const SCHEMA_VERSION: i32 = 8;
/// The oldest version that this program reads. No release has written an older one.
pub(super) const SCHEMA_VERSION_MIN: i32 = 3;

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

/// The checksum of a topic's counts, NULL until they are written; since version 4.
const TOPIC_CHECKSUM: &str = "ALTER TABLE topics ADD COLUMN checksum INTEGER;";

/// What retention keeps of the events that it has removed.
const RETENTION: &str = "
CREATE TABLE retention(
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  events_horizon INTEGER NOT NULL,
  events_removed INTEGER NOT NULL,
  keys_horizon   INTEGER NOT NULL
) STRICT;
INSERT INTO retention VALUES (1, 0, 0, 0);

CREATE TABLE removed_times(
  last_seq     INTEGER PRIMARY KEY,
  processed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE removed_keys(
  seq         INTEGER PRIMARY KEY,
  fingerprint BLOB NOT NULL,
  event_hash  INTEGER NOT NULL
) STRICT;
";

/// The records that could not become events. Made when a program that knows of it first opens the database.
const REJECTED: &str = "
CREATE TABLE IF NOT EXISTS rejected(
  seq         INTEGER PRIMARY KEY,
  received_at INTEGER NOT NULL,
  protocol    TEXT NOT NULL,
  peer        TEXT NOT NULL,
  reason      TEXT NOT NULL,
  bytes       INTEGER NOT NULL,
  record      BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS rejected_counters(
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  last_seq INTEGER NOT NULL,
  records  INTEGER NOT NULL,
  bytes    INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO rejected_counters VALUES (1, 0, 0, 0);
";
/// The tables that it makes.
pub(super) const ADDED_TABLES: [&str; 2] = ["rejected", "rejected_counters"];

/// The duplicate check `constraint`: SQLite's own indexes.
const CONSTRAINT: &str = "
CREATE UNIQUE INDEX events_key ON events(topic_id, event_id);
CREATE INDEX events_by_topic ON events(topic_id, seq);
";
const REMOVED_KEYS_INDEX: &str =
    "CREATE INDEX removed_keys_by_fingerprint ON removed_keys(fingerprint);";

/// The duplicate check `index`: what the key index keeps.
const INDEX: &str = "
CREATE TABLE segments(
  first_seq  INTEGER PRIMARY KEY,
  last_seq   INTEGER NOT NULL,
  level      INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  first_page INTEGER NOT NULL
) STRICT;
ALTER TABLE segments ADD COLUMN filter_bits INTEGER NOT NULL DEFAULT 13;
";

/// The checksum of a row, with which those of its segment's pages begin: NULL as long as there are pages without one.
/// And how many records replace lost ones. Since version 4.
const SEGMENT_CHECKSUM: &str = "
ALTER TABLE segments ADD COLUMN checksum INTEGER;
ALTER TABLE segments ADD COLUMN lost_records INTEGER NOT NULL DEFAULT 0;
";

/// The checksums of the rows of the small tables, NULL until they are written; since version 5.
const ROW_CHECKSUMS: &str = "
ALTER TABLE counters ADD COLUMN checksum INTEGER;
ALTER TABLE counters ADD COLUMN mark_checksum INTEGER;
ALTER TABLE retention ADD COLUMN checksum INTEGER;
ALTER TABLE removed_times ADD COLUMN checksum INTEGER;
ALTER TABLE removed_keys ADD COLUMN checksum INTEGER;
";

/// Whether a subscription holds events; since version 7.
const HOLD: &str = "ALTER TABLE subscriptions ADD COLUMN hold INTEGER NOT NULL DEFAULT 0;";

/// The checksums of the rows of the other small tables, which all have one; since version 8.
const NAME_CHECKSUMS: &str = "
ALTER TABLE subscriptions ADD COLUMN checksum INTEGER;
ALTER TABLE meta ADD COLUMN checksum INTEGER;
";

/// What tells a search which blocks of events need not be looked at; since version 6. Rebuilt where they had to be
/// dropped.
const SEARCH: &str = "
CREATE TABLE IF NOT EXISTS search_blocks(
  first_seq          INTEGER PRIMARY KEY,
  last_seq           INTEGER NOT NULL,
  events             INTEGER NOT NULL,
  filter_lines       INTEGER NOT NULL,
  first_processed_at INTEGER NOT NULL,
  last_processed_at  INTEGER NOT NULL,
  times              BLOB NOT NULL,
  topics             BLOB,
  sources            BLOB,
  checksum           INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS search_pages(
  id      INTEGER PRIMARY KEY,
  content BLOB NOT NULL
) STRICT;
";
/// The tables that it makes.
pub(super) const SEARCH_TABLES: [&str; 2] = ["search_blocks", "search_pages"];

/// Creates all tables in an empty database. Must run inside a transaction, so that a file is ours
/// wholly or not at all.
pub fn create_tables(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    db.execute_batch(TOPIC_CHECKSUM)?;
    create_subscriptions(db)?;
    db.execute_batch(HOLD)?;
    db.execute_batch(NAME_CHECKSUMS)?;
    create_retention(db)?;
    db.execute_batch(ROW_CHECKSUMS)?;
    db.execute_batch(REJECTED)?;
    db.execute_batch(SEARCH)?;
    create_check(db, dedup)?;
    identity::ensure(db)?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)
}

fn create_retention(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(RETENTION)?;
    let key = db.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    meta::set(db, "fingerprint_key", Value::Blob(key))
}

/// Gives tables of an older version what they lack. Must run inside a transaction. The version is written in any case,
/// which proves that the file can be written: unlike a row that is set to its own value, the header's page is written.
pub(super) fn upgrade(db: &Connection) -> rusqlite::Result<()> {
    if version(db)? < 4 {
        db.execute_batch(TOPIC_CHECKSUM)?;
        if has_index_parts(db)? {
            db.execute_batch(SEGMENT_CHECKSUM)?;
        }
    }
    if version(db)? < 5 {
        db.execute_batch(ROW_CHECKSUMS)?;
    }
    if version(db)? < 7 {
        db.execute_batch(HOLD)?;
    }
    if version(db)? < 8 {
        db.execute_batch(NAME_CHECKSUMS)?;
        meta::seal(db)?;
        subscription_row::seal(db)?;
    } else {
        // First, because it says what the other tables are.
        meta::repair(db)?;
    }
    db.execute_batch(REJECTED)?;
    db.execute_batch(SEARCH)?;
    identity::ensure(db)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)
}

/// The version of the tables.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i32> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Creates the table of named subscriptions.
fn create_subscriptions(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE subscriptions(
           name       TEXT PRIMARY KEY,
           after      INTEGER NOT NULL,
           updated_at INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;",
    )
}

/// Creates what a duplicate check needs, and records it as the database's.
pub(super) fn create_check(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    create_parts(db, dedup)?;
    record_check(db, dedup)
}

/// Creates what a duplicate check needs.
pub(super) fn create_parts(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    if dedup == Dedup::Constraint {
        db.execute_batch(CONSTRAINT)?;
        return db.execute_batch(REMOVED_KEYS_INDEX);
    }
    db.execute_batch(INDEX)?;
    db.execute_batch(SEGMENT_CHECKSUM)?;
    for level in 0..limits::SEGMENT_LEVELS {
        db.execute_batch(&format!(
            "CREATE TABLE segment_pages_{level}(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;"
        ))?;
    }
    Ok(())
}

/// Drops what a duplicate check needs, as far as it exists.
pub(super) fn drop_parts(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    if dedup == Dedup::Constraint {
        return db.execute_batch(
            "DROP INDEX IF EXISTS events_key; DROP INDEX IF EXISTS events_by_topic; \
             DROP INDEX IF EXISTS removed_keys_by_fingerprint;",
        );
    }
    db.execute_batch("DROP TABLE IF EXISTS segments;")?;
    for level in 0..limits::SEGMENT_LEVELS {
        db.execute_batch(&format!("DROP TABLE IF EXISTS segment_pages_{level};"))?;
    }
    Ok(())
}

/// Whether the parts of the key index are there. Beside the check `constraint` they are those of a
/// conversion that was cut off.
pub(super) fn has_index_parts(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'segments'")?
        .exists([])
}

/// Records a duplicate check as the database's.
pub(super) fn record_check(db: &Connection, dedup: Dedup) -> rusqlite::Result<()> {
    meta::set(db, "dedup", Value::Text(dedup.name().to_owned()))
}

/// The duplicate check that the database has.
pub(super) fn recorded_check(db: &Connection) -> rusqlite::Result<Dedup> {
    let name: String = db.query_row("SELECT value FROM meta WHERE name = 'dedup'", [], |row| {
        row.get(0)
    })?;
    match [Dedup::Constraint, Dedup::Index]
        .into_iter()
        .find(|dedup| dedup.name() == name)
    {
        Some(dedup) => Ok(dedup),
        None => Err(rusqlite::Error::InvalidParameterName(format!(
            "dedup {name}"
        ))),
    }
}

/// The key of the hashes of this database.
pub(super) fn fingerprint_key(db: &rusqlite::Connection) -> rusqlite::Result<[u8; 16]> {
    let sql = "SELECT value FROM meta WHERE name = 'fingerprint_key'";
    db.query_row(sql, [], |row| row.get(0))
}

/// Whether the file is ours, and of a version that this program knows.
pub(super) fn identify(db: &Connection) -> Result<(), String> {
    let int = |sql: &str| {
        db.query_row(sql, [], |row| row.get::<_, i32>(0))
            .map_err(|e| explain(&e))
    };
    let application_id = int("PRAGMA application_id")?;
    let version = int("PRAGMA user_version")?;
    let tables = int("SELECT count(*) FROM sqlite_schema")?;
    if application_id == 0 && version == 0 && tables == 0 {
        return Ok(());
    }
    if application_id != APPLICATION_ID {
        return Err("it is the database of another program".into());
    }
    if version > SCHEMA_VERSION {
        return Err(format!(
            "it was written by a newer version of this program (its tables have version {version}, \
             this program knows up to {SCHEMA_VERSION})"
        ));
    }
    if version < SCHEMA_VERSION_MIN {
        return Err(format!(
            "it was written by a version of this program before its first release (its tables have \
             version {version}, this program knows them from {SCHEMA_VERSION_MIN} on)"
        ));
    }
    Ok(())
}
