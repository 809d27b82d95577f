//! Writing: one batch, one transaction, and with it a share of what has to be maintained.

use rusqlite::{CachedStatement, Connection};

use super::connection::{begin, Synchronous};
use super::counters::{Counters, Outcome};
use super::error::{expect_changed, StoreError};
use super::events::insert::{taken, Rows, Text};
use super::head::last_seq;
use super::index::fingerprint::EventParts;
use super::index::record::KeyRecord;
use super::index::{Check, KeyIndex, KeyLookup};
use super::maintenance::{write_topics, TopicRows};
use super::retention::keys::RemovedKeys;
use super::retention::{write_removal, Removal};
use super::schema::SCHEMA_VERSION;
use super::state::Store;
use super::subscriptions::{SubscriptionOp, SubscriptionResult, Undo};
use super::topics::topic::TopicId;
use crate::event::{EventSpans, Publication};
use crate::limits;

/// The prepared statements of one transaction.
struct Statements<'db, 'p> {
    rows: Rows<'db, 'p>,
    stored: CachedStatement<'db>,
    topic: CachedStatement<'db>,
    /// Keys that SQLite's constraint does not know.
    removed: Option<RemovedKeys>,
}

impl<'db, 'p> Statements<'db, 'p> {
    fn prepare(
        db: &'db Connection,
        processed_at: i64,
        removed: Option<RemovedKeys>,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            removed,
            rows: Rows::new(db, processed_at)?,
            stored: db.prepare_cached(
                "SELECT seq, timestamp, source, payload FROM events WHERE topic_id = ?1 AND event_id = ?2",
            )?,
            topic: db.prepare_cached("INSERT INTO topics(id, name) VALUES (?1, ?2)")?,
        })
    }

    /// Stores an event as `seq` if its key is new.
    fn store(
        &mut self,
        db: &Connection,
        keys: &mut Option<KeyIndex>,
        seq: u64,
        lookup: &KeyLookup<'p>,
    ) -> rusqlite::Result<Outcome> {
        let event = &lookup.event;
        if let Some(keys) = keys {
            // The check may read what it is compared with.
            let last_seq = self.rows.waiting_behind();
            if last_seq.is_some_and(|last_seq| keys.has_after(last_seq, lookup)) {
                self.rows.flush()?;
            }
            match keys.check(db, lookup)? {
                Check::New => {}
                Check::Same(seq) => return Ok(Outcome::Duplicate(seq)),
                Check::Differs(seq) => return Ok(Outcome::Conflict(seq)),
            }
            let entry = KeyRecord {
                seq,
                ..lookup.record
            };
            keys.add(entry, event.topic);
            self.rows.append(seq, event)?;
            return Ok(Outcome::Accepted(seq));
        }
        if let Some(removed) = &self.removed {
            if let Some(outcome) = removed.find(db, event)? {
                return Ok(outcome);
            }
        }
        if self.rows.insert(seq, event)? {
            return Ok(Outcome::Accepted(seq));
        }
        let stored = &mut self.stored;
        stored.raw_bind_parameter(1, event.topic)?;
        stored.raw_bind_parameter(2, Text(event.event_id))?;
        let mut rows = stored.raw_query();
        let row = rows.next()?.ok_or_else(|| taken(seq))?;
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
    topics: TopicRows,
    removal: Option<Removal>,
    changed: Vec<SubscriptionResult>,
}

impl Store {
    /// Stores the events of all `publications` in one transaction, as [`Store::commit_all`] does.
    pub fn commit<'p>(
        &mut self,
        publications: impl Iterator<Item = &'p Publication> + Clone,
        processed_at: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), StoreError> {
        self.commit_all(publications, &[], processed_at, processed_at, outcomes)
            .map(|_| ())
    }

    /// Stores the events of all `publications` and makes the `changes` behind them in one transaction.
    /// Appends the outcome of each event, in order, to `outcomes`, and says what became of each change.
    /// `processed_at` is what the events are stored with, `retain_at` the time that retention goes by, both
    /// in microseconds since the epoch.
    ///
    /// After an error nothing is stored, nothing is counted and `outcomes` is as it was; but after
    /// [`StoreError::Replaced`] the batch may have been stored in a file that no restart will find.
    pub fn commit_all<'p>(
        &mut self,
        publications: impl Iterator<Item = &'p Publication> + Clone,
        changes: &[SubscriptionOp],
        processed_at: i64,
        retain_at: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Vec<SubscriptionResult>, StoreError> {
        self.require_files(processed_at)?;
        self.settle_log()?;
        let first = outcomes.len();
        let topics_before = self.topics.len();
        self.batch_topics.clear();
        let mut undo = Undo::default();
        let at = (processed_at, retain_at);
        match self.write(publications, changes, at, outcomes, &mut undo) {
            Ok(written) => {
                if let Some(keys) = &mut self.keys {
                    keys.committed();
                }
                self.topics_written(written.topics);
                if let Some(removal) = written.removal {
                    self.removal_committed(removal);
                }
                self.counters = written.counters;
                self.last_seq = written.last_seq;
                for (outcome, topic) in outcomes[first..].iter().zip(&self.batch_topics) {
                    if let Outcome::Accepted(seq) = outcome {
                        self.topics.count(*topic, *seq, processed_at);
                    }
                }
                // Not before the commit: the file may be replaced while the disk is waited for.
                self.verify_files(processed_at)
                    .inspect_err(|_| outcomes.truncate(first))?;
                Ok(written.changed)
            }
            Err(error) => {
                outcomes.truncate(first);
                self.topics.truncate(topics_before);
                self.undo_changes(undo);
                self.rollback();
                if let Some(keys) = &mut self.keys {
                    keys.rolled_back();
                }
                self.removal_rolled_back();
                self.doubt(&error, false);
                Err(error.into())
            }
        }
    }

    fn write<'p>(
        &mut self,
        publications: impl Iterator<Item = &'p Publication> + Clone,
        changes: &[SubscriptionOp],
        (processed_at, retain_at): (i64, i64),
        outcomes: &mut Vec<Outcome>,
        undo: &mut Undo,
    ) -> rusqlite::Result<Written> {
        self.begin_durable()?;
        let sizes = publications.clone().map(|p| (p.events.len(), p.body.len()));
        let removal = self.let_go_along(sizes, retain_at)?;
        let removed = self.removed_keys(&removal);
        let mut statements = Statements::prepare(&self.db, processed_at, removed)?;
        let mut written = Written {
            counters: self.counters,
            last_seq: self.last_seq,
            topics: TopicRows::default(),
            removal,
            changed: Vec::new(),
        };
        let mut events = publications.flat_map(|publication| {
            publication
                .events
                .iter()
                .map(|event| (event, &publication.body))
        });
        let mut lookups = Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE);
        let mut taken = Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE);
        let mut names = Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE);
        let mut topics = Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE);
        loop {
            taken.clear();
            taken.extend(events.by_ref().take(limits::KEYS_LOOKED_UP_AT_ONCE));
            if taken.is_empty() {
                break;
            }
            names.clear();
            for (event, body) in &taken {
                let name = std::str::from_utf8(event.topic.of(body));
                names.push(name.map_err(|error| rusqlite::Error::Utf8Error(0, error))?);
            }
            topics.clear();
            self.topics.ids(&names, &mut topics);
            lookups.clear();
            for (((event, body), name), topic) in taken.iter().zip(&names).zip(&topics) {
                // An event in front of it may have brought its topic.
                let topic = match topic.or_else(|| self.topics.id(name)) {
                    Some(id) => id,
                    None => {
                        let id = self.topics.push(name);
                        let inserted = statements.topic.execute((id, name))?;
                        expect_changed(inserted, 1, "topics")?;
                        id
                    }
                };
                self.batch_topics.push(topic);
                lookups.push(KeyLookup::new(
                    self.keys.as_ref().map(KeyIndex::fingerprinter),
                    parts(topic, event, body),
                ));
            }
            if let Some(keys) = &self.keys {
                keys.probe_filters(&mut lookups);
                keys.probe_pages(&self.db, &mut lookups)?;
            }
            for lookup in &lookups {
                let seq = written.last_seq + 1;
                let outcome = statements.store(&self.db, &mut self.keys, seq, lookup)?;
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
            }
        }
        statements.rows.flush()?;
        drop(statements);
        let accepted = written.counters.unique_processed - self.counters.unique_processed;
        let has_removed = written.removal.as_ref().is_some_and(|r| r.has_changed);
        if accepted == 0 && !has_removed && changes.is_empty() {
            self.commit_counters_alone(&written)?;
            return Ok(written);
        }
        written.changed =
            self.change_subscriptions(changes, written.last_seq, processed_at, undo)?;
        if let Some(keys) = &mut self.keys {
            let budget = accepted as usize * limits::SEGMENT_RECORDS_PER_EVENT;
            keys.compact(&self.db, budget)?;
        }
        written.topics = self.topics_due(accepted as usize);
        write_topics(&self.db, &self.topics, written.topics)?;
        if let Some(removal) = &written.removal {
            write_removal(&self.db, &self.topics, removal)?;
        }
        write_counters(&self.db, &written)?;
        self.db.commit()?;
        Ok(written)
    }

    /// The keys that SQLite's constraint does not know, as the open transaction has them.
    fn removed_keys(&self, removal: &Option<Removal>) -> Option<RemovedKeys> {
        if self.keys.is_some() {
            return None;
        }
        let horizons = removal.as_ref().map_or(self.horizons, Removal::horizons);
        RemovedKeys::new(self.fingerprinter, horizons)
    }

    /// Commits a batch that brought nothing new. What its answers promise has been on disk for long,
    /// so the counts need not wait for the disk: a crash of the process keeps them, and a loss of
    /// power can only take the newest of them.
    fn commit_counters_alone(&mut self, written: &Written) -> rusqlite::Result<()> {
        self.db.prepare_cached("ROLLBACK")?.execute([])?;
        self.db.set_synchronous(Synchronous::Normal)?;
        begin(&self.db)?;
        write_counters(&self.db, written)?;
        self.db.commit()
    }

    /// Begins a transaction whose commit is as durable as the configuration says.
    fn begin_durable(&mut self) -> rusqlite::Result<()> {
        self.db.set_synchronous(self.options.durability.into())?;
        begin(&self.db)
    }

    /// Commits a change of nothing, to find out whether the store can commit. A row that is set to what
    /// it is would not be written at all; the header's page is. Opens the database again where a fault has
    /// closed it; nothing else does, so that this is not tried with each publication.
    pub fn probe(&mut self, now_us: i64) -> Result<(), StoreError> {
        self.require_files(now_us)?;
        self.reopen_if_closed()?;
        self.settle_log()?;
        self.in_transaction(|store| store.db.pragma_update(None, "user_version", SCHEMA_VERSION))?;
        self.look_at_files(now_us)
    }

    /// Brings the table of topics up to date and closes the file; SQLite then empties its log.
    pub fn close(mut self) -> Result<(), StoreError> {
        if let Err(error) = self.require_files_to_close() {
            self.close_replaced()?;
            return Err(error);
        }
        self.reopen_if_closed()?;
        self.settle_database()?;
        self.write_all_topics()?;
        let last_seq = last_seq(&self.db)?;
        let Store { db, head, lock, .. } = self;
        db.close()?;
        if let Some(mut head) = head {
            head.record(last_seq, &lock);
        }
        Ok(())
    }

    pub(super) fn in_transaction(
        &mut self,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let begun = self.begin_durable();
        self.transact(begun, work)
    }

    /// The same where nothing has been promised of it, so that it need not wait for the disk.
    pub(super) fn in_lazy_transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let begun = self
            .db
            .set_synchronous(Synchronous::Normal)
            .and_then(|()| begin(&self.db));
        self.transact(begun, work)
    }

    fn transact<T>(
        &mut self,
        begun: rusqlite::Result<()>,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let result = begun
            .and_then(|()| work(self))
            .and_then(|done| self.db.commit().map(|()| done));
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
    .and_then(|changed| expect_changed(changed, 1, "counters"))
}
