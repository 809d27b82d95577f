-- The tables of version 3, as a server before summaries and checksums has made them, without events.
PRAGMA page_size = 4096; PRAGMA auto_vacuum = 2; PRAGMA journal_mode = wal;
BEGIN;
CREATE TABLE counters(
  id                INTEGER PRIMARY KEY CHECK (id = 1),
  last_seq          INTEGER NOT NULL,
  unique_processed  INTEGER NOT NULL,
  duplicate_dropped INTEGER NOT NULL,
  conflicts         INTEGER NOT NULL,
  topics_mark       INTEGER NOT NULL
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
CREATE TABLE meta(
  name  TEXT PRIMARY KEY,
  value ANY
) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('dedup','index');
INSERT INTO "meta" VALUES('fingerprint_key',X'9455E1F00F081F14D67A54785E03EB68');
CREATE TABLE removed_keys(
  seq         INTEGER PRIMARY KEY,
  fingerprint BLOB NOT NULL,
  event_hash  INTEGER NOT NULL
) STRICT;
CREATE TABLE removed_times(
  last_seq     INTEGER PRIMARY KEY,
  processed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE retention(
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  events_horizon INTEGER NOT NULL,
  events_removed INTEGER NOT NULL,
  keys_horizon   INTEGER NOT NULL
) STRICT;
INSERT INTO "retention" VALUES(1,0,0,0);
CREATE TABLE segment_pages_0(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segment_pages_1(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segment_pages_2(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segment_pages_3(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segment_pages_4(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segment_pages_5(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segment_pages_6(id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE segments(
  first_seq  INTEGER PRIMARY KEY,
  last_seq   INTEGER NOT NULL,
  level      INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  first_page INTEGER NOT NULL
, filter_bits INTEGER NOT NULL DEFAULT 13) STRICT;
CREATE TABLE subscriptions(
           name       TEXT PRIMARY KEY,
           after      INTEGER NOT NULL,
           updated_at INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;
CREATE TABLE topics(
  id                INTEGER PRIMARY KEY,
  name              TEXT NOT NULL UNIQUE,
  events            INTEGER NOT NULL DEFAULT 0,
  last_seq          INTEGER NOT NULL DEFAULT 0,
  last_processed_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE VIEW event_log AS
  SELECT seq, topics.name AS topic, event_id, timestamp, source, payload,
         strftime('%Y-%m-%dT%H:%M:%S', processed_at / 1000000, 'unixepoch')
           || printf('.%06dZ', processed_at % 1000000) AS processed_at
  FROM events JOIN topics ON topics.id = events.topic_id;
PRAGMA application_id = 1282369345; PRAGMA user_version = 3;
COMMIT;
