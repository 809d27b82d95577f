//! Writing: one batch, one transaction. Also the work that waits for an idle moment: checkpoints and
//! the lazy counts of topics.

use std::sync::atomic::Ordering;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::keys::fingerprint::EventParts;
use super::keys::{Check, KeyIndex};
use super::schema::SCHEMA_VERSION;
use super::topics::TopicId;
use super::{Counters, Outcome, Store, StoreError};
use crate::event::{EventSpans, Publication};
use crate::limits;

/// Text that has been checked to be UTF-8 when its body came in.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// The prepared statements of one transaction.
struct Statements<'db> {
    insert: CachedStatement<'db>,
    stored: CachedStatement<'db>,
    topic: CachedStatement<'db>,
}

impl<'db> Statements<'db> {
    fn prepare(db: &'db Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            insert: db.prepare_cached(
                "INSERT OR IGNORE INTO events(seq, topic_id, event_id, timestamp, source, payload, processed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            stored: db.prepare_cached(
                "SELECT seq, timestamp, source, payload FROM events WHERE topic_id = ?1 AND event_id = ?2",
            )?,
            topic: db.prepare_cached("INSERT INTO topics(id, name) VALUES (?1, ?2)")?,
        })
    }

    /// Inserts an event as `seq` unless a constraint says that its key is stored.
    fn insert(
        &mut self,
        seq: u64,
        event: &EventParts,
        processed_at: i64,
    ) -> rusqlite::Result<bool> {
        let insert = &mut self.insert;
        insert.raw_bind_parameter(1, seq as i64)?;
        insert.raw_bind_parameter(2, event.topic)?;
        insert.raw_bind_parameter(3, Text(event.event_id))?;
        insert.raw_bind_parameter(4, Text(event.timestamp))?;
        insert.raw_bind_parameter(5, Text(event.source))?;
        insert.raw_bind_parameter(6, Text(event.payload))?;
        insert.raw_bind_parameter(7, processed_at)?;
        Ok(insert.raw_execute()? == 1)
    }

    /// Stores an event as `seq` if its key is new.
    fn store(
        &mut self,
        db: &Connection,
        keys: &mut Option<KeyIndex>,
        seq: u64,
        event: &EventParts,
        processed_at: i64,
    ) -> rusqlite::Result<Outcome> {
        if let Some(keys) = keys {
            let mut entry = match keys.check(db, event)? {
                Check::New(entry) => entry,
                Check::Same(seq) => return Ok(Outcome::Duplicate(seq)),
                Check::Differs(seq) => return Ok(Outcome::Conflict(seq)),
            };
            entry.seq = seq;
            keys.add(entry, event.topic);
            self.insert(seq, event, processed_at)?;
            return Ok(Outcome::Accepted(seq));
        }
        if self.insert(seq, event, processed_at)? {
            return Ok(Outcome::Accepted(seq));
        }
        let stored = &mut self.stored;
        stored.raw_bind_parameter(1, event.topic)?;
        stored.raw_bind_parameter(2, Text(event.event_id))?;
        let mut rows = stored.raw_query();
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let seq = row.get::<_, i64>(0)? as u64;
        let same = row.get_ref(1)?.as_bytes()? == event.timestamp
            && row.get_ref(2)?.as_bytes()? == event.source
            && row.get_ref(3)?.as_bytes()? == event.payload;
        Ok(if same {
            Outcome::Duplicate(seq)
        } else {
            Outcome::Conflict(seq)
        })
    }
}

/// What a transaction will have changed once it is committed.
struct Written {
    counters: Counters,
    last_seq: u64,
}

impl Store {
    /// Stores the events of all `publications` in one transaction and appends the outcome of each, in
    /// order, to `outcomes`. After an error nothing is stored, nothing is counted and `outcomes` is
    /// as it was.
    pub fn commit<'p>(
        &mut self,
        publications: impl Iterator<Item = &'p Publication>,
        processed_at: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), StoreError> {
        self.settle_log()?;
        let first = outcomes.len();
        let topics_before = self.topics.len();
        self.batch_topics.clear();
        match self.write(publications, processed_at, outcomes) {
            Ok(written) => {
                if let Some(keys) = &mut self.keys {
                    keys.committed();
                }
                self.counters = written.counters;
                self.last_seq = written.last_seq;
                for (outcome, topic) in outcomes[first..].iter().zip(&self.batch_topics) {
                    if let Outcome::Accepted(seq) = outcome {
                        self.topics.count(*topic, *seq, processed_at);
                    }
                }
                Ok(())
            }
            Err(error) => {
                outcomes.truncate(first);
                self.topics.truncate(topics_before);
                self.rollback();
                if let Some(keys) = &mut self.keys {
                    keys.rolled_back();
                }
                self.doubt(&error, false);
                Err(error.into())
            }
        }
    }

    fn write<'p>(
        &mut self,
        publications: impl Iterator<Item = &'p Publication>,
        processed_at: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> rusqlite::Result<Written> {
        begin(&self.db)?;
        let mut statements = Statements::prepare(&self.db)?;
        let mut written = Written {
            counters: self.counters,
            last_seq: self.last_seq,
        };
        for publication in publications {
            let body = &publication.body;
            for event in &publication.events {
                let name = std::str::from_utf8(event.topic.of(body))
                    .map_err(|error| rusqlite::Error::Utf8Error(0, error))?;
                let topic = match self.topics.id(name) {
                    Some(id) => id,
                    None => {
                        let id = self.topics.push(name, 0, 0, 0);
                        statements.topic.execute((id, name))?;
                        id
                    }
                };
                let parts = parts(topic, event, body);
                let seq = written.last_seq + 1;
                let outcome =
                    statements.store(&self.db, &mut self.keys, seq, &parts, processed_at)?;
                match outcome {
                    Outcome::Accepted(seq) => {
                        written.last_seq = seq;
                        written.counters.unique_processed += 1;
                    }
                    Outcome::Duplicate(_) => written.counters.duplicate_dropped += 1,
                    Outcome::Conflict(_) => {
                        written.counters.duplicate_dropped += 1;
                        written.counters.conflicts += 1;
                    }
                }
                outcomes.push(outcome);
                self.batch_topics.push(topic);
            }
        }
        drop(statements);
        let accepted = written.counters.unique_processed - self.counters.unique_processed;
        if accepted == 0 {
            self.commit_counters_alone(&written)?;
            return Ok(written);
        }
        if let Some(keys) = &mut self.keys {
            let budget = accepted as usize * limits::SEGMENT_RECORDS_PER_EVENT;
            keys.work(&self.db, budget)?;
        }
        write_counters(&self.db, &written)?;
        commit(&self.db)?;
        Ok(written)
    }

    /// Commits a batch that brought nothing new. What its answers promise has been on disk for long,
    /// so the counts need not wait for the disk: a crash of the process keeps them, and a loss of
    /// power can only take the newest of them.
    fn commit_counters_alone(&mut self, written: &Written) -> rusqlite::Result<()> {
        self.db.prepare_cached("ROLLBACK")?.execute([])?;
        if !self.full {
            begin(&self.db)?;
            write_counters(&self.db, written)?;
            return commit(&self.db);
        }
        self.db
            .prepare_cached("PRAGMA synchronous = NORMAL")?
            .execute([])?;
        let result = begin(&self.db)
            .and_then(|()| write_counters(&self.db, written))
            .and_then(|()| commit(&self.db));
        if result.is_err() {
            self.rollback();
        }
        self.db
            .prepare_cached("PRAGMA synchronous = FULL")?
            .execute([])?;
        result
    }

    /// Commits a change of nothing, to find out whether the store can commit. A row that is set to what
    /// it is would not be written at all; the header's page is.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.settle_log()?;
        self.in_transaction(|store| store.db.pragma_update(None, "user_version", SCHEMA_VERSION))
    }

    /// One slice, of a few milliseconds, of what waits for an idle moment. Says whether there is more.
    pub fn idle_work(&mut self) -> Result<bool, StoreError> {
        if self.wal_frames.load(Ordering::Relaxed) >= self.checkpoint_at {
            return self.checkpoint().map(|()| true);
        }
        if self.keys.as_ref().is_some_and(KeyIndex::has_work) {
            return self.work_on_keys().map(|()| true);
        }
        if self.sweep.is_none() && self.last_seq - self.topics_mark >= limits::TOPICS_MARK_EVENTS {
            self.sweep = Some(TopicSweep {
                mark: self.last_seq,
                remaining: self.topics.stale().len(),
            });
        }
        if self.sweep.is_some() {
            self.settle_log()?;
        }
        let Some(sweep) = self.sweep.take() else {
            return Ok(false);
        };
        let n = sweep.remaining.min(limits::TOPICS_WRITTEN_AT_ONCE);
        let rest = TopicSweep {
            mark: sweep.mark,
            remaining: sweep.remaining - n,
        };
        if let Err(error) = self.write_topics(n, (rest.remaining == 0).then_some(rest.mark)) {
            self.sweep = Some(sweep);
            return Err(error);
        }
        self.sweep = (rest.remaining > 0).then_some(rest);
        Ok(self.sweep.is_some())
    }

    fn work_on_keys(&mut self) -> Result<(), StoreError> {
        self.settle_log()?;
        let result = self.in_transaction(|store| match &mut store.keys {
            Some(keys) => keys.work(&store.db, limits::SEGMENT_RECORDS_PER_SLICE),
            None => Ok(()),
        });
        if let Some(keys) = &mut self.keys {
            match &result {
                Ok(()) => keys.committed(),
                Err(_) => keys.rolled_back(),
            }
        }
        result
    }

    /// Writes the first `n` rows of `topics` that are behind, and the mark when it is reached.
    fn write_topics(&mut self, n: usize, mark: Option<u64>) -> Result<(), StoreError> {
        self.in_transaction(|store| {
            let mut update = store
                .db
                .prepare_cached("UPDATE topics SET events = ?2, last_seq = ?3, last_processed_at = ?4 WHERE id = ?1")?;
            for id in &store.topics.stale()[..n] {
                let topic = store.topics.get(*id);
                update.execute((id, topic.events as i64, topic.last_seq as i64, topic.last_processed_at))?;
            }
            if let Some(mark) = mark {
                store.db.prepare_cached("UPDATE counters SET topics_mark = ?1")?.execute([mark as i64])?;
            }
            Ok(())
        })?;
        self.topics.written(n);
        self.topics_mark = mark.unwrap_or(self.topics_mark);
        Ok(())
    }

    /// Copies what it may of the write-ahead log into the database. A reader in another process can
    /// hold some of it back; then the next try waits until the log has grown on.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.settle_database()?;
        let done = self
            .db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            });
        let (frames, copied) = done.inspect_err(|error| {
            self.checkpoint_at += limits::CHECKPOINT_FRAMES;
            self.doubt(error, true);
        })?;
        if frames == copied {
            self.wal_frames.store(0, Ordering::Relaxed);
            self.checkpoint_at = limits::CHECKPOINT_FRAMES;
        } else {
            self.checkpoint_at = frames.max(0) as u32 + limits::CHECKPOINT_FRAMES;
        }
        Ok(())
    }

    /// Brings the table of topics up to date and closes the file; SQLite then empties its log.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.settle_database()?;
        self.write_topics(self.topics.stale().len(), Some(self.last_seq))?;
        let Store { db, .. } = self;
        db.close().map_err(|(_, error)| error.into())
    }

    fn in_transaction(
        &mut self,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let result = begin(&self.db)
            .and_then(|()| work(self))
            .and_then(|()| commit(&self.db));
        result.map_err(|error| {
            self.rollback();
            self.doubt(&error, false);
            error.into()
        })
    }

    /// Ends a failed transaction. SQLite may have ended it already, and then has nothing to say.
    fn rollback(&mut self) {
        if !self.db.is_autocommit() {
            if let Err(error) = self.db.execute_batch("ROLLBACK") {
                log::error!("rolling back failed: {error}");
            }
        }
    }
}

/// A round of bringing the rows of `topics` up to date, done in slices.
pub(super) struct TopicSweep {
    /// What the mark becomes when the round is done: the last seq when it began.
    mark: u64,
    /// Rows still to be written.
    remaining: usize,
}

/// The parts of an event that came in as spans.
fn parts<'b>(topic: TopicId, event: &EventSpans, body: &'b [u8]) -> EventParts<'b> {
    EventParts {
        topic,
        event_id: event.event_id.of(body),
        timestamp: event.timestamp.of(body),
        source: event.source.of(body),
        payload: event.payload.of(body),
    }
}

fn write_counters(db: &Connection, written: &Written) -> rusqlite::Result<()> {
    let counters = &written.counters;
    db.prepare_cached(
        "UPDATE counters SET last_seq = ?1, unique_processed = ?2, duplicate_dropped = ?3, conflicts = ?4",
    )?
    .execute((
        written.last_seq as i64,
        counters.unique_processed as i64,
        counters.duplicate_dropped as i64,
        counters.conflicts as i64,
    ))
    .map(|_| ())
}

fn begin(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("BEGIN IMMEDIATE")?
        .execute([])
        .map(|_| ())
}

fn commit(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("COMMIT")?.execute([]).map(|_| ())
}
