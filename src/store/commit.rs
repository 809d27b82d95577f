//! Storing a batch: one transaction, and in it a share of the maintenance.
//!
//! The events go through in chunks, each in four steps: intern the topics, probe the index for all keys at
//! once, insert, and, after the last chunk, finish: what follows from the batch is written, and COMMIT.

use rusqlite::{CachedStatement, Connection};

use super::counters::Outcome;
use super::error::{while_reading, StoreError};
use super::events::insert::{taken, EventInserter, Text};
use super::index::fingerprint::EventParts;
use super::index::record::KeyRecord;
use super::index::{Check, KeyIndex, KeyLookup};
use super::parts::Parts;
use super::retention::removed_keys::RemovedKeys;
use super::state::Store;
use super::subscriptions::{SubscriptionOp, SubscriptionResult};
use super::topics::topic::TopicId;
use super::transaction::Transaction;
use crate::event::{EventSpans, Filled, Publication};
use crate::limits;

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

    /// Stores the events and the rejected records of all `publications` and then makes the `changes` in one
    /// transaction. Appends the outcome of each event, in order, to `outcomes`, and returns the result of each change.
    /// `processed_at` is what the events are stored with, `retain_at` the time that retention goes by, both in
    /// microseconds since the epoch.
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
        self.require_synced_wal()?;
        let before = outcomes.len();
        let changed = self.transaction(|db, parts| {
            parts.prune_with_commit(db, publications.clone(), retain_at)?;
            parts.insert_events(db, publications.clone(), processed_at, outcomes)?;
            parts
                .rejected
                .store(db, publications, processed_at, retain_at)?;
            parts.finish(db, changes, processed_at)
        });
        // Not before the commit: the file may be replaced while the disk is waited for.
        let changed = changed.and_then(|changed| {
            self.verify_files(processed_at)?;
            Ok(changed)
        });
        changed.inspect_err(|_| outcomes.truncate(before))
    }
}

impl Parts {
    fn prune_with_commit<'p>(
        &mut self,
        db: &Connection,
        publications: impl Iterator<Item = &'p Publication>,
        retain_at: i64,
    ) -> rusqlite::Result<()> {
        let standing = self.standing(retain_at);
        let incoming = publications.map(|p| (p.events.len(), p.body.len()));
        let (topics, index) = (&mut self.topics, &mut self.index);
        self.retention
            .prune_with_commit(db, topics, index, standing, incoming)
    }

    pub(super) fn insert_events<'p>(
        &mut self,
        db: &Connection,
        publications: impl Iterator<Item = &'p Publication>,
        processed_at: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> rusqlite::Result<()> {
        let mut writer = KeyedInserter::prepare(db, self, processed_at)?;
        let first_seq = self.counters.next_seq();
        self.topics.begin_events(first_seq, processed_at);
        let mut chunk = Chunk::new();
        let mut waiting = Waiting {
            publications,
            current: None,
        };
        while chunk.take(&mut waiting) {
            chunk
                .intern_topics(db, self)
                .map_err(|error| while_reading(error, "the table topics or of its index"))?;
            chunk
                .probe_index(db, self)
                .map_err(|error| while_reading(error, "the key index"))?;
            chunk
                .insert(&mut writer, self, outcomes)
                .map_err(|error| while_reading(error, EVENTS))?;
        }
        let flushed = writer.rows.flush();
        flushed.map_err(|error| while_reading(error, EVENTS))
    }

    /// Writes what follows from the batch.
    fn finish(
        &mut self,
        db: &mut Transaction,
        changes: &[SubscriptionOp],
        processed_at: i64,
    ) -> rusqlite::Result<Vec<SubscriptionResult>> {
        let accepted = self.counters.accepted() as usize;
        let has_written = self.retention.has_removed() || self.rejected.has_changed();
        if accepted == 0 && !has_written && changes.is_empty() {
            // What the answers promise has long been on the disk, so the counts need not wait for it: a crash
            // of the process keeps them, and a loss of power can only take the newest of them.
            db.wait_for_nothing()?;
            self.counters.write(db)?;
            return Ok(Vec::new());
        }
        let last_seq = self.counters.open_last_seq();
        let changed = self
            .subscriptions
            .change(db, changes, last_seq, processed_at)?;
        if let Some(index) = &mut self.index {
            index.compact(db, accepted * limits::SEGMENT_RECORDS_PER_EVENT)?;
        }
        self.topics.begin_sweep_if_due(self.counters.last_seq());
        self.topics.write_due(db, accepted)?;
        self.topics.write_removed(db)?;
        self.retention.write(db)?;
        self.rejected.write(db)?;
        self.counters.write(db)?;
        Ok(changed)
    }
}

/// What is read and written for the events themselves, as an error names it.
const EVENTS: &str = "the table events or of an index on it";

/// An event that is to be stored.
#[derive(Clone, Copy)]
struct Incoming<'p> {
    spans: &'p EventSpans,
    /// What the spans point into.
    body: &'p [u8],
    filled: Filled,
}

/// The events that have not been stored yet: publications, and the one that has been begun, with the events before
/// the next.
struct Waiting<'p, P> {
    publications: P,
    current: Option<(&'p Publication, usize)>,
}

/// Events that go through the steps together.
struct Chunk<'p> {
    events: Vec<Incoming<'p>>,
    names: Vec<&'p str>,
    topics: Vec<TopicId>,
    lookups: Vec<KeyLookup<'p>>,
}

impl<'p> Chunk<'p> {
    fn new() -> Self {
        Self {
            events: Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE),
            names: Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE),
            topics: Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE),
            lookups: Vec::with_capacity(limits::KEYS_LOOKED_UP_AT_ONCE),
        }
    }

    /// Takes the next events. Returns whether there are any.
    fn take<P: Iterator<Item = &'p Publication>>(&mut self, waiting: &mut Waiting<'p, P>) -> bool {
        self.events.clear();
        while let Some((publication, done)) = waiting
            .current
            .take()
            .or_else(|| waiting.publications.next().map(|next| (next, 0)))
        {
            let room = limits::KEYS_LOOKED_UP_AT_ONCE - self.events.len();
            let next = publication.events.len().min(done + room);
            let events = publication.events[done..next].iter().enumerate();
            self.events.extend(events.map(|(at, spans)| Incoming {
                spans,
                body: &publication.body,
                filled: publication.filled(done + at),
            }));
            if next < publication.events.len() {
                waiting.current = Some((publication, next));
                break;
            }
        }
        !self.events.is_empty()
    }

    fn intern_topics(&mut self, db: &Connection, parts: &mut Parts) -> rusqlite::Result<()> {
        self.names.clear();
        for Incoming { spans, body, .. } in &self.events {
            let name = std::str::from_utf8(spans.topic.of(body));
            let name = name.map_err(|error| rusqlite::Error::Utf8Error(0, error))?;
            self.names.push(name);
        }
        self.topics.clear();
        parts.topics.intern(db, &self.names, &mut self.topics)
    }

    /// Finds out which segments may have the keys.
    fn probe_index(&mut self, db: &Connection, parts: &Parts) -> rusqlite::Result<()> {
        self.lookups.clear();
        let index = parts.index.as_ref();
        let events = self.events.iter().zip(&self.topics);
        self.lookups.extend(events.map(|(incoming, topic)| {
            let Incoming { spans, body, .. } = incoming;
            let event = EventParts {
                topic: *topic,
                event_id: spans.event_id.of(body),
                timestamp: spans.timestamp.of(body),
                source: spans.source.of(body),
                payload: spans.payload.of(body),
            };
            KeyLookup::new(index.map(KeyIndex::fingerprinter), event, incoming.filled)
        }));
        if let Some(index) = index {
            index.probe_filters(&mut self.lookups);
            index.probe_pages(db, &mut self.lookups)?;
        }
        Ok(())
    }

    fn insert(
        &self,
        writer: &mut KeyedInserter<'_, 'p>,
        parts: &mut Parts,
        outcomes: &mut Vec<Outcome>,
    ) -> rusqlite::Result<()> {
        for lookup in &self.lookups {
            let seq = parts.counters.next_seq();
            let outcome = writer.store(&mut parts.index, seq, lookup)?;
            parts.counters.count(outcome);
            if let Outcome::Accepted(_) = outcome {
                parts.topics.add_event(lookup.event.topic);
            }
            outcomes.push(outcome);
        }
        Ok(())
    }
}

/// Inserts events whose keys are new. Has the prepared statements of one transaction.
struct KeyedInserter<'db, 'p> {
    db: &'db Connection,
    rows: EventInserter<'db, 'p>,
    stored: CachedStatement<'db>,
    /// Keys that SQLite's constraint does not know.
    removed: Option<RemovedKeys>,
}

impl<'db, 'p> KeyedInserter<'db, 'p> {
    fn prepare(db: &'db Connection, parts: &Parts, processed_at: i64) -> rusqlite::Result<Self> {
        Ok(Self {
            db,
            rows: EventInserter::new(db, processed_at)?,
            stored: db.prepare_cached(
                "SELECT seq, timestamp, source, payload FROM events WHERE topic_id = ?1 AND event_id = ?2",
            )?,
            removed: match parts.index {
                Some(_) => None,
                None => parts.retention.removed_keys(),
            },
        })
    }

    /// Stores an event as `seq` if its key is new.
    fn store(
        &mut self,
        index: &mut Option<KeyIndex>,
        seq: u64,
        lookup: &KeyLookup<'p>,
    ) -> rusqlite::Result<Outcome> {
        match index {
            Some(index) => self.store_by_index(index, seq, lookup),
            None => self.store_by_constraint(seq, lookup),
        }
    }

    fn store_by_index(
        &mut self,
        index: &mut KeyIndex,
        seq: u64,
        lookup: &KeyLookup<'p>,
    ) -> rusqlite::Result<Outcome> {
        // The check may read what it is compared with.
        let last_seq = self.rows.seq_before_waiting();
        if last_seq.is_some_and(|last_seq| index.has_after(last_seq, lookup)) {
            self.rows.flush()?;
        }
        match index.check(self.db, lookup)? {
            Check::New => {}
            Check::Same(seq) => return Ok(Outcome::Duplicate(seq)),
            Check::Differs(seq) => return Ok(Outcome::Conflict(seq)),
        }
        let entry = KeyRecord {
            seq,
            ..lookup.record
        };
        index.add(entry, lookup.event.topic);
        self.rows.append(seq, &lookup.event)?;
        Ok(Outcome::Accepted(seq))
    }

    fn store_by_constraint(
        &mut self,
        seq: u64,
        lookup: &KeyLookup<'p>,
    ) -> rusqlite::Result<Outcome> {
        let KeyLookup { event, filled, .. } = lookup;
        if let Some(removed) = &self.removed {
            if let Some(outcome) = removed.find(self.db, event, *filled)? {
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
        let column = |place| row.get_ref(place).and_then(|value| Ok(value.as_bytes()?));
        let same = event.has_content(*filled, column(1)?, column(2)?, column(3)?);
        Ok(if same {
            Outcome::Duplicate(seq)
        } else {
            Outcome::Conflict(seq)
        })
    }
}
