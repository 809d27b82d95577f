//! The statements with which events come into a store.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::batch::{Batch, Event, Hash};
use crate::client::engine::{Answer, Engine, EngineError};
use crate::postgres::{Param, Row};

/// The state of a node in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub store_id: String,
    /// The node's id in the store, for its life.
    pub node: i32,
    pub life: i32,
    /// The node's last seq that is in the store.
    pub upto: u64,
    /// Tells that event from another one with its seq; `None` if there is none, or it had been removed.
    pub mark: Option<Hash>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Stored(Counts),
    /// The position is not where the batch begins. Nothing was stored.
    Moved,
    /// Another forwarder has stored this part of the chain. Nothing was stored.
    Raced,
}

/// What became of the events of a batch. Conflicts are duplicates too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
}

/// Asks for the position of the database with this id, which is a UUID.
fn position_sql(database_id: &str) -> String {
    format!(
        "SELECT m.store_id, n.id, n.life, p.upto, encode(p.mark, 'hex') FROM logagg.meta m \
         LEFT JOIN LATERAL (SELECT id, life FROM logagg.nodes WHERE database_id = '{database_id}' \
         ORDER BY life DESC LIMIT 1) n ON true \
         LEFT JOIN LATERAL (SELECT b.upto, b.mark FROM logagg.batches b WHERE b.node = n.id \
         ORDER BY b.after DESC LIMIT 1) p ON true"
    )
}

/// None where the node is not known.
fn position_of(answer: &Answer) -> Option<Position> {
    let row = answer.rows().first()?;
    Some(Position {
        store_id: row.text(0)?.to_owned(),
        node: row.value(1)?,
        life: row.value(2)?,
        upto: row.value(3).unwrap_or(0),
        mark: row.text(4).and_then(mark_of),
    })
}

fn mark_of(hex: &str) -> Option<Hash> {
    let mut mark = Hash::default();
    for (at, byte) in mark.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(mark)
}

/// The position of a node, in its newest life; `None` if the store does not know it.
pub(super) fn position(
    engine: &mut Engine,
    database_id: &str,
) -> Result<Option<Position>, EngineError> {
    Ok(position_of(&engine.query(&position_sql(database_id))?))
}

/// Begins a life of a node, unless another forwarder has just done so.
pub(super) fn register(
    engine: &mut Engine,
    database_id: &str,
    life: i32,
    name: &str,
) -> Result<(), EngineError> {
    let sql = "INSERT INTO logagg.nodes(database_id, life, name, first_seen) \
               VALUES ($1::text::uuid, $2, $3, now()) ON CONFLICT DO NOTHING";
    let params = [
        Param::text(database_id),
        Param::int(life),
        Param::text(name),
    ];
    engine.execute(sql, &params).map(drop)
}

/// Writes batches over one connection.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Topics that the store had when they were last looked for.
    topics: HashSet<String>,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL idle_in_transaction_session_timeout = '20s'; SET LOCAL statement_timeout = '25s'; \
    SELECT set_config('synchronous_commit', 'on', true) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local'); ";

impl Writer {
    /// Stores a batch after a position, whole or not at all.
    ///
    /// # Errors
    /// The connection must be closed: it may be within a transaction, and whether that is committed is not known.
    pub(super) fn write(
        &mut self,
        engine: &mut Engine,
        database_id: &str,
        expected: &Position,
        batch: &Batch,
    ) -> Result<Written, EngineError> {
        self.create_topics(engine, &batch.events)?;
        let found = engine.query(&format!("{BEGIN}{}", position_sql(database_id)))?;
        let ids = match position_of(&found).as_ref() == Some(expected) {
            true => self.topic_ids(engine, &batch.events)?,
            false => None,
        };
        let Some(ids) = ids else {
            engine.query("ROLLBACK")?;
            return Ok(Written::Moved);
        };
        let id = batch_id(engine)?;
        let new = insert_keys(engine, id, &batch.events, &ids)?;
        let first_seq = insert_events(engine, &batch.events, &ids, &new)?;
        let stored = new.len() as u64;
        let duplicates = batch.events.len() as u64 - stored;
        let conflicts = match duplicates {
            0 => 0,
            _ => count_conflicts(engine, &batch.events, &ids, &new)?,
        };
        let counts = Counts {
            stored,
            duplicates,
            conflicts,
        };
        insert_gaps(engine, expected.node, batch)?;
        match insert_batch(engine, id, expected, batch, first_seq, counts) {
            Err(EngineError::Refused(error)) if error.is_about_uniqueness() => {
                engine.query("ROLLBACK")?;
                return Ok(Written::Raced);
            }
            done => done?,
        }
        commit(engine)?;
        Ok(Written::Stored(counts))
    }

    /// Gives topics that are new their ids, in a transaction of its own: no other writer waits for it.
    fn create_topics(&mut self, engine: &mut Engine, events: &[Event]) -> Result<(), EngineError> {
        // In their order, or two writers could wait for each other.
        let names: BTreeSet<&str> = events.iter().map(|event| event.topic.as_str()).collect();
        let new: Vec<&str> = names
            .into_iter()
            .filter(|name| !self.topics.contains(*name))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        // An id is used up by each try, so only what is not there is tried.
        let sql = "INSERT INTO logagg.topics(name) SELECT x.name FROM unnest($1::text[]) AS x(name) \
                   WHERE NOT EXISTS (SELECT 1 FROM logagg.topics t WHERE t.name = x.name) ON CONFLICT DO NOTHING";
        engine.execute(sql, &[Param::texts(new.iter().copied())])?;
        self.topics.extend(new.into_iter().map(str::to_owned));
        Ok(())
    }

    /// The ids of all topics of a batch; none if one is gone because the store was restored.
    fn topic_ids(
        &mut self,
        engine: &mut Engine,
        events: &[Event],
    ) -> Result<Option<HashMap<String, i32>>, EngineError> {
        let names: HashSet<&str> = events.iter().map(|event| event.topic.as_str()).collect();
        let sql = "SELECT id, name FROM logagg.topics WHERE name = ANY($1::text[])";
        let answer = engine.execute(sql, &[Param::texts(names.iter().copied())])?;
        let pair = |row: &Row| Some((row.text(1)?.to_owned(), row.value(0)?));
        let ids: HashMap<String, i32> = answer.rows().iter().filter_map(pair).collect();
        if ids.len() < names.len() {
            self.topics.clear();
            return Ok(None);
        }
        Ok(Some(ids))
    }
}

/// An id for the row of a batch, which its keys have to name before there can be such a row.
fn batch_id(engine: &mut Engine) -> Result<i64, EngineError> {
    const SEQUENCE: &str = "pg_get_serial_sequence('logagg.batches', 'id')";
    let sql = format!(
        "SELECT CASE WHEN has_sequence_privilege({SEQUENCE}, 'USAGE') THEN nextval({SEQUENCE}) END"
    );
    let number = |answer: &Answer| answer.rows().first().and_then(|row| row.value(0));
    if let Some(id) = number(&engine.query(&sql)?) {
        return Ok(id);
    }
    // A role without rights on the sequence can still insert a row, which draws from it, and roll that back.
    let sql = "SAVEPOINT id; INSERT INTO logagg.batches(events, stored, duplicates, conflicts, committed_at) \
               VALUES (0, 0, 0, 0, now()) RETURNING id; ROLLBACK TO SAVEPOINT id";
    number(&engine.query(sql)?)
        .ok_or_else(|| EngineError::Lost("it gives no id for a batch".to_owned()))
}

/// Inserts the keys that are new; the places of their events in the batch, in order.
fn insert_keys(
    engine: &mut Engine,
    batch: i64,
    events: &[Event],
    ids: &HashMap<String, i32>,
) -> Result<Vec<usize>, EngineError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    // Sorted: two writers with the same keys in other orders would wait for each other.
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|at| (&events[*at].event_id, ids[&events[*at].topic], *at));
    let sorted = || order.iter().map(|at| &events[*at]);
    let sql = "INSERT INTO logagg.keys(event_id, topic_id, batch, idx, content) \
               SELECT x.event_id, x.topic_id, $1, x.idx, x.content \
               FROM unnest($2::text[], $3::int4[], $4::int4[], $5::bytea[]) AS x(event_id, topic_id, idx, content) \
               ON CONFLICT DO NOTHING RETURNING idx";
    let params = [
        Param::bigint(batch),
        Param::texts(sorted().map(|event| event.event_id.as_str())),
        Param::ints(sorted().map(|event| ids[&event.topic])),
        Param::ints(order.iter().map(|at| *at as i32)),
        Param::byte_strings(sorted().map(|event| &event.content[..])),
    ];
    let answer = engine.execute(sql, &params)?;
    let mut new: Vec<usize> = answer
        .rows()
        .iter()
        .filter_map(|row| row.value(0))
        .collect();
    new.sort_unstable();
    match new.last().is_none_or(|last| *last < events.len()) {
        true => Ok(new),
        false => Err(EngineError::Lost(
            "it answers what was not asked".to_owned(),
        )),
    }
}

/// Appends the new events. Returns where the seqs of the batch begin, if there is a new one.
fn insert_events(
    engine: &mut Engine,
    events: &[Event],
    ids: &HashMap<String, i32>,
    new: &[usize],
) -> Result<Option<i64>, EngineError> {
    if new.is_empty() {
        return Ok(None);
    }
    // Until the commit this is the only writer that gives seqs, so they become visible in order.
    let locked = engine.query("SELECT one FROM logagg.head FOR UPDATE")?;
    if locked.rows().is_empty() {
        return Err(EngineError::Lost(
            "the table logagg.head has no row".to_owned(),
        ));
    }
    let sql = "SELECT first_seq + events FROM logagg.batches WHERE first_seq IS NOT NULL \
               ORDER BY first_seq DESC LIMIT 1";
    let answer = engine.query(sql)?;
    let first_seq: i64 = answer
        .rows()
        .first()
        .and_then(|row| row.value(0))
        .unwrap_or(1);
    let stored = || new.iter().map(|at| &events[*at]);
    let sql = "INSERT INTO logagg.events(seq, topic_id, event_id, timestamp, source, payload, processed_at) \
               SELECT x.seq, x.topic_id, x.event_id, x.at, x.source, x.payload, x.processed_at::timestamptz \
               FROM unnest($1::int8[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
               AS x(seq, topic_id, event_id, at, source, payload, processed_at)";
    let params = [
        Param::bigints(new.iter().map(|at| first_seq + *at as i64)),
        Param::ints(stored().map(|event| ids[&event.topic])),
        Param::texts(stored().map(|event| event.event_id.as_str())),
        Param::texts(stored().map(|event| event.timestamp.as_str())),
        Param::texts(stored().map(|event| event.source.as_str())),
        Param::texts(stored().map(|event| event.payload.as_str())),
        Param::texts(stored().map(|event| event.processed_at.as_str())),
    ];
    engine.execute(sql, &params)?;
    Ok(Some(first_seq))
}

/// How many of the events that were not new differ from what is stored. In a statement of its own: the snapshot of the
/// insert does not have the rows that it waited for.
fn count_conflicts(
    engine: &mut Engine,
    events: &[Event],
    ids: &HashMap<String, i32>,
    new: &[usize],
) -> Result<u64, EngineError> {
    let mut known = Vec::with_capacity(events.len() - new.len());
    let mut next = new.iter().copied().peekable();
    for (at, event) in events.iter().enumerate() {
        match next.next_if_eq(&at) {
            Some(_) => {}
            None => known.push(event),
        }
    }
    let sql = "SELECT count(*) FROM unnest($1::text[], $2::int4[], $3::bytea[]) AS x(event_id, topic_id, content) \
               JOIN logagg.keys k ON k.event_id = x.event_id AND k.topic_id = x.topic_id \
               WHERE k.content <> x.content";
    let params = [
        Param::texts(known.iter().map(|event| event.event_id.as_str())),
        Param::ints(known.iter().map(|event| ids[&event.topic])),
        Param::byte_strings(known.iter().map(|event| &event.content[..])),
    ];
    let answer = engine.execute(sql, &params)?;
    Ok(answer
        .rows()
        .first()
        .and_then(|row| row.value(0))
        .unwrap_or(0))
}

fn insert_gaps(engine: &mut Engine, node: i32, batch: &Batch) -> Result<(), EngineError> {
    for gap in &batch.gaps {
        let sql = "INSERT INTO logagg.gaps(node, from_seq, to_seq, at) VALUES ($1, $2, $3, now()) \
                   ON CONFLICT DO NOTHING";
        let [from, to] = [gap.from, gap.to].map(|seq| Param::bigint(seq as i64));
        engine.execute(sql, &[Param::int(node), from, to])?;
    }
    Ok(())
}

/// The record of the commit, and the next link of the node's chain.
fn insert_batch(
    engine: &mut Engine,
    id: i64,
    expected: &Position,
    batch: &Batch,
    first_seq: Option<i64>,
    counts: Counts,
) -> Result<(), EngineError> {
    let sql = "INSERT INTO logagg.batches(id, node, after, upto, mark, first_seq, events, stored, duplicates, \
               conflicts, committed_at) OVERRIDING SYSTEM VALUE \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())";
    let mark = batch.mark();
    let params = [
        Param::bigint(id),
        Param::int(expected.node),
        Param::bigint(expected.upto as i64),
        Param::bigint(batch.upto as i64),
        Param::maybe_bytes(mark.as_ref().map(|mark| &mark[..])),
        Param::maybe_bigint(first_seq),
        Param::int(batch.events.len() as i32),
        Param::int(counts.stored as i32),
        Param::int(counts.duplicates as i32),
        Param::int(counts.conflicts as i32),
    ];
    engine.execute(sql, &params).map(drop)
}

/// Commits. Without the confirmation that was asked for it does not count as one.
fn commit(engine: &mut Engine) -> Result<(), EngineError> {
    let answer = engine.query("COMMIT")?;
    if answer.tag != "COMMIT" {
        return Err(EngineError::Lost(
            "it has rolled the transaction back".to_owned(),
        ));
    }
    match answer.notices.iter().find(|notice| notice.code == "01000") {
        Some(notice) => Err(EngineError::Lost(format!(
            "the commit is not confirmed: {}",
            notice.message
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written() {
        let mark = mark_of("000102030405060708090a0b0c0d0eff").unwrap();
        assert_eq!((mark[1], mark[15]), (1, 255));
        assert_eq!(mark_of("00"), None);
        assert_eq!(mark_of("zz0102030405060708090a0b0c0d0eff"), None);
    }
}
