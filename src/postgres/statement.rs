//! A statement, and those with which events come into a store: the forwarder and a front use the same.
//!
//! One transaction of them: [`BEGIN`], [`topic_ids`], [`BATCH_ID`], [`insert_keys`], [`known`] where not all were new,
//! [`LOCK_HEAD`] and [`insert_events`] where some were, [`insert_batch`], [`COMMIT`].

use std::borrow::Cow;
use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::param::Param;
use super::row::Row;
use crate::event::Filled;

/// Bytes of a hash that are kept.
pub(crate) const HASH_BYTES: usize = 16;
/// A part of a SHA-256.
pub(crate) type Hash = [u8; HASH_BYTES];

/// A hash of texts and of where each ends.
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let whole = hash.finalize();
    let mut kept = [0; HASH_BYTES];
    kept.copy_from_slice(&whole[..HASH_BYTES]);
    kept
}

/// Tells a duplicate from a conflict.
pub(crate) fn content_of(timestamp: &[u8], source: &[u8], payload: &[u8]) -> Hash {
    hash(&[timestamp, source, payload])
}

/// One statement. Without parameters it may be several, with semicolons between.
#[derive(Debug)]
pub(crate) struct Statement {
    pub sql: Cow<'static, str>,
    pub params: Vec<Param>,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Param>) -> Statement {
        Statement {
            sql: sql.into(),
            params,
        }
    }
}

impl From<&'static str> for Statement {
    fn from(sql: &'static str) -> Statement {
        Statement::new(sql, Vec::new())
    }
}

/// An event that is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEvent<'a> {
    pub topic_id: i32,
    pub event_id: &'a str,
    pub timestamp: &'a str,
    pub source: &'a str,
    pub payload: &'a str,
    /// RFC 3339.
    pub processed_at: &'a str,
    pub content: Hash,
}

/// Begins a transaction that holds no lock for long if its client goes silent, and whose commit is confirmed.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL idle_in_transaction_session_timeout = '20s'; SET LOCAL statement_timeout = '25s'; \
    SELECT set_config('synchronous_commit', 'on', true) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local'); ";

pub(crate) const COMMIT: &str = "COMMIT";

/// Gives topics that are new their ids, in a transaction of its own. Names in their order, or two writers could wait
/// for each other.
pub(crate) fn create_topics<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Statement {
    // An id is used up by each try, so only what is not there is tried.
    let sql = "INSERT INTO logagg.topics(name) SELECT x.name FROM unnest($1::text[]) AS x(name) \
               WHERE NOT EXISTS (SELECT 1 FROM logagg.topics t WHERE t.name = x.name) ON CONFLICT DO NOTHING";
    Statement::new(sql, vec![Param::texts(names)])
}

/// Asks for the ids of topics.
pub(crate) fn topic_ids<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Statement {
    let sql = "SELECT id, name FROM logagg.topics WHERE name = ANY($1::text[])";
    Statement::new(sql, vec![Param::texts(names)])
}

/// The answer to [`topic_ids`]. None if it makes no sense.
pub(crate) fn read_topic_ids(rows: &[Row]) -> Option<HashMap<String, i32>> {
    let pair = |row: &Row| Some((row.text(1)?.to_owned(), row.value(0)?));
    rows.iter().map(pair).collect()
}

/// Asks for an id for the row of a batch, which its keys have to name before there can be such a row. NULL where the
/// user has no right to draw one.
pub(crate) const BATCH_ID: &str =
    "SELECT CASE WHEN has_sequence_privilege(pg_get_serial_sequence('logagg.batches', 'id'), 'USAGE') \
     THEN nextval(pg_get_serial_sequence('logagg.batches', 'id')) END";

/// The same for a user without that right, who can still have a row draw from it, and take the row back.
pub(crate) const BATCH_ID_BY_ROW: &str =
    "SAVEPOINT id; INSERT INTO logagg.batches(events, stored, duplicates, conflicts, committed_at) \
     VALUES (0, 0, 0, 0, now()) RETURNING id; ROLLBACK TO SAVEPOINT id";

/// Inserts the keys that are new.
pub(crate) fn insert_keys(batch: i64, events: &[NewEvent]) -> Statement {
    // Sorted: two writers with the same keys in other orders would wait for each other.
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|at| (events[*at].event_id, events[*at].topic_id, *at));
    let sorted = || order.iter().map(|at| &events[*at]);
    let sql = "INSERT INTO logagg.keys(event_id, topic_id, batch, idx, content) \
               SELECT x.event_id, x.topic_id, $1, x.idx, x.content \
               FROM unnest($2::text[], $3::int4[], $4::int4[], $5::bytea[]) AS x(event_id, topic_id, idx, content) \
               ON CONFLICT DO NOTHING RETURNING idx";
    let params = vec![
        Param::bigint(batch),
        Param::texts(sorted().map(|event| event.event_id)),
        Param::ints(sorted().map(|event| event.topic_id)),
        Param::ints(order.iter().map(|at| *at as i32)),
        Param::byte_strings(sorted().map(|event| &event.content[..])),
    ];
    Statement::new(sql, params)
}

/// The answer to [`insert_keys`]: the places of the new events among `events`, in order. None if it makes no sense.
pub(crate) fn read_new(rows: &[Row], events: usize) -> Option<Vec<usize>> {
    let places = rows.iter().map(|row| row.value(0));
    let mut new: Vec<usize> = places.collect::<Option<_>>()?;
    new.sort_unstable();
    new.last().is_none_or(|last| *last < events).then_some(new)
}

/// From here to the commit this is the only writer that gives seqs, so they become visible in their order. A statement
/// of its own asks for the seq after the last batch: it must see what was committed while it waited.
pub(crate) const LOCK_HEAD: &str = "SELECT one FROM logagg.head FOR UPDATE";

pub(crate) const NEXT_SEQ: &str =
    "SELECT first_seq + events FROM logagg.batches WHERE first_seq IS NOT NULL \
     ORDER BY first_seq DESC LIMIT 1";

/// The answer to [`NEXT_SEQ`]. None if it makes no sense.
pub(crate) fn read_next_seq(rows: &[Row]) -> Option<i64> {
    rows.first().map_or(Some(1), |row| row.value(0))
}

/// Appends the new events, the first event of the batch being `first_seq`.
pub(crate) fn insert_events(first_seq: i64, events: &[NewEvent], new: &[usize]) -> Statement {
    let stored = || new.iter().map(|at| &events[*at]);
    let sql = "INSERT INTO logagg.events(seq, topic_id, event_id, timestamp, source, payload, processed_at) \
               SELECT x.seq, x.topic_id, x.event_id, x.at, x.source, x.payload, x.processed_at::timestamptz \
               FROM unnest($1::int8[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
               AS x(seq, topic_id, event_id, at, source, payload, processed_at)";
    let params = vec![
        Param::bigints(new.iter().map(|at| first_seq + *at as i64)),
        Param::ints(stored().map(|event| event.topic_id)),
        Param::texts(stored().map(|event| event.event_id)),
        Param::texts(stored().map(|event| event.timestamp)),
        Param::texts(stored().map(|event| event.source)),
        Param::texts(stored().map(|event| event.payload)),
        Param::texts(stored().map(|event| event.processed_at)),
    ];
    Statement::new(sql, params)
}

/// The places that are not among the `new` ones.
fn others(count: usize, new: &[usize]) -> Vec<usize> {
    let mut next = new.iter().copied().peekable();
    let is_other = |at: &usize| next.next_if_eq(at).is_none();
    (0..count).filter(is_other).collect()
}

/// The parameters that name the keys of these events.
fn keys_of(events: &[NewEvent], places: &[usize]) -> Vec<Param> {
    let known = || places.iter().map(|at| &events[*at]);
    vec![
        Param::ints(places.iter().map(|at| *at as i32)),
        Param::texts(known().map(|event| event.event_id)),
        Param::ints(known().map(|event| event.topic_id)),
        Param::byte_strings(known().map(|event| &event.content[..])),
    ]
}

/// Asks what is stored of the events that were not new. A statement of its own: what made an insert wait is not in the
/// snapshot of that.
pub(crate) fn known(events: &[NewEvent], new: &[usize]) -> Statement {
    let places = others(events.len(), new);
    let sql = "SELECT x.place, k.batch, k.idx, b.first_seq, (k.content <> x.content)::int \
               FROM unnest($1::int4[], $2::text[], $3::int4[], $4::bytea[]) AS x(place, event_id, topic_id, content) \
               JOIN logagg.keys k ON k.event_id = x.event_id AND k.topic_id = x.topic_id \
               LEFT JOIN logagg.batches b ON b.id = k.batch";
    Statement::new(sql, keys_of(events, &places))
}

/// The same where members of some of the events were `filled` in, and are not compared: these are compared with what is
/// stored, and are no conflicts where that has been removed.
pub(crate) fn known_filled(events: &[NewEvent], new: &[usize], filled: &[Filled]) -> Statement {
    let places = others(events.len(), new);
    let sql = "SELECT x.place, k.batch, k.idx, b.first_seq, \
               (k.content <> x.content AND (x.filled = 0 OR e.payload <> x.payload \
               OR (x.filled <> 1 AND x.filled <> 3 AND e.timestamp <> x.at) \
               OR (x.filled < 2 AND e.source <> x.source)) IS TRUE)::int \
               FROM unnest($1::int4[], $2::text[], $3::int4[], $4::bytea[], $5::int4[], $6::text[], $7::text[], \
               $8::text[]) AS x(place, event_id, topic_id, content, filled, at, source, payload) \
               JOIN logagg.keys k ON k.event_id = x.event_id AND k.topic_id = x.topic_id \
               LEFT JOIN logagg.batches b ON b.id = k.batch \
               LEFT JOIN LATERAL (SELECT payload, timestamp, source FROM logagg.events \
               WHERE seq = b.first_seq + k.idx LIMIT 1) e ON x.filled > 0";
    let mut params = keys_of(events, &places);
    let flags = |at: usize| {
        let Filled { timestamp, source } = filled[at];
        i32::from(timestamp) + 2 * i32::from(source)
    };
    params.push(Param::ints(places.iter().map(|at| flags(*at))));
    // What is not compared is not sent.
    let text = |at: usize, text| if filled[at].any() { text } else { "" };
    params.push(Param::texts(
        places.iter().map(|at| text(*at, events[*at].timestamp)),
    ));
    params.push(Param::texts(
        places.iter().map(|at| text(*at, events[*at].source)),
    ));
    params.push(Param::texts(
        places.iter().map(|at| text(*at, events[*at].payload)),
    ));
    Statement::new(sql, params)
}

/// What is stored of an event that was not new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its place in the batch.
    pub place: usize,
    /// Where it was stored first: the batch, the place in it, and the seq where the batch begins, which the own batch
    /// has not got yet.
    pub batch: i64,
    pub idx: i64,
    pub first_seq: Option<i64>,
    /// It has another content than this event.
    pub is_conflict: bool,
}

/// The answer to [`known`]. None if it makes no sense.
pub(crate) fn read_known(rows: &[Row]) -> Option<Vec<Known>> {
    let known = |row: &Row| {
        Some(Known {
            place: row.value(0)?,
            batch: row.value(1)?,
            idx: row.value(2)?,
            first_seq: row.maybe(3)?,
            is_conflict: row.value::<i32>(4)? == 1,
        })
    };
    rows.iter().map(known).collect()
}

/// The record of a commit: of a forwarder the next link of its node's chain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchRow<'a> {
    pub id: i64,
    pub node: Option<i32>,
    pub after: Option<i64>,
    pub upto: Option<i64>,
    pub mark: Option<&'a [u8]>,
    /// None where nothing was new.
    pub first_seq: Option<i64>,
    pub events: usize,
    pub stored: usize,
    pub duplicates: usize,
    pub conflicts: usize,
}

pub(crate) fn insert_batch(row: &BatchRow) -> Statement {
    let sql = "INSERT INTO logagg.batches(id, node, after, upto, mark, first_seq, events, stored, duplicates, \
               conflicts, committed_at) OVERRIDING SYSTEM VALUE \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())";
    let params = vec![
        Param::bigint(row.id),
        Param::maybe_int(row.node),
        Param::maybe_bigint(row.after),
        Param::maybe_bigint(row.upto),
        Param::maybe_bytes(row.mark),
        Param::maybe_bigint(row.first_seq),
        Param::int(row.events as i32),
        Param::int(row.stored as i32),
        Param::int(row.duplicates as i32),
        Param::int(row.conflicts as i32),
    ];
    Statement::new(sql, params)
}
