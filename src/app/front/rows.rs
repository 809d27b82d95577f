//! Events as an engine gives them out: the statements that read them, and their rows.

use super::wanted::{Conditions, Wanted};
use crate::postgres::statement::Statement;
use crate::postgres::{Param, Row};
use crate::search::Candidate;
use crate::store::{Bound, StoredEvent};

/// Asks how far the events go: the seq of the last, that of the first, and the greatest seq that has been given.
pub(super) const HEAD: &str = "SELECT (SELECT seq FROM logagg.events ORDER BY seq DESC LIMIT 1), \
    (SELECT seq FROM logagg.events ORDER BY seq LIMIT 1), \
    (SELECT first_seq + events - 1 FROM logagg.batches WHERE first_seq IS NOT NULL ORDER BY first_seq DESC LIMIT 1)";

/// The answer to [`HEAD`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The greatest seq of an event; where all events have been removed, the greatest that was given.
    pub last: u64,
    /// The smallest seq of an event that is left; the one after the last where none is.
    pub first: u64,
}

impl Head {
    /// None if it is something else.
    pub(super) fn read(rows: &[Row]) -> Option<Head> {
        let number = |column| rows.first()?.maybe::<u64>(column);
        let (last, first, given) = (number(0)?, number(1)?, number(2)?);
        let last = last.or(given).unwrap_or(0);
        // The servers give seqs from 1 on; SQL can put others into the table.
        let first = first.unwrap_or(last + 1).max(1);
        Some(Head { last, first })
    }
}

/// A part of the events.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub bound: Bound,
    /// The last seq that may be in it, in its direction.
    pub end: u64,
    pub events: usize,
    /// It ends with the event with which the payloads reach this length.
    pub bytes: usize,
}

/// What a statement of [`Part`] gives of each event.
const COLUMNS: &str = "s.seq, t.name, s.event_id, s.timestamp, s.source, s.payload, \
    (extract(epoch FROM s.processed_at) * 1000000)::int8, s.found";

impl Part {
    /// Asks for it. One event more is looked for than it may have, to know whether there are more.
    pub(super) fn statement(&self, wanted: &Wanted) -> Statement {
        let (from, order, comparisons) = match self.bound {
            Bound::After(seq) => (seq, "ASC", (">", "<=")),
            Bound::Before(seq) => (seq, "DESC", ("<", ">=")),
        };
        let mut params = vec![
            seq_param(from),
            seq_param(self.end),
            Param::bigint(self.events as i64 + 1),
            Param::bigint(self.bytes as i64),
        ];
        let mut conditions = Conditions::new(&mut params);
        wanted.write(&mut conditions);
        let (of_range, of_end) = comparisons;
        let range = format!(
            "e.seq {of_range} $1 AND e.seq {of_end} $2{}",
            conditions.text
        );
        let window = format!("{range} ORDER BY e.seq {order} LIMIT $3");
        let payload = match wanted.payloads {
            true => "e.payload",
            false => "''::text AS payload",
        };
        let columns = format!(
            "e.seq, e.topic_id, e.event_id, e.timestamp, e.source, {payload}, e.processed_at"
        );
        let found = if let Some(ids) = wanted.keys() {
            let ids = conditions.param(ids);
            // Each by the place that its key names.
            format!(
                "SELECT {columns} FROM logagg.keys k CROSS JOIN LATERAL (SELECT e.* FROM logagg.events e \
                 WHERE e.seq = (SELECT b.first_seq + k.idx FROM logagg.batches b WHERE b.id = k.batch) \
                 AND e.event_id = k.event_id AND e.topic_id = k.topic_id LIMIT 1) e \
                 WHERE k.event_id = ANY(${ids}::text[]) AND {window}"
            )
        } else if wanted.topics().is_all() {
            format!("SELECT {columns} FROM logagg.events e WHERE {window}")
        } else {
            let topics = conditions.matching("n.name", wanted.topics());
            let seqs = self.seqs_of(&topics, &range);
            format!("SELECT {columns} FROM ({seqs}) x JOIN logagg.events e ON e.seq = x.seq")
        };
        let sql = format!(
            "WITH found AS ({found}), sized AS (SELECT f.*, count(*) OVER () AS found, \
             sum(octet_length(f.payload)::int8) OVER (ORDER BY f.seq {order}) - octet_length(f.payload) AS before \
             FROM found f) \
             SELECT {COLUMNS} FROM sized s JOIN logagg.topics t ON t.id = s.topic_id \
             WHERE s.before < $4 ORDER BY s.seq {order}"
        );
        Statement::new(sql, params)
    }

    /// Finds the seqs of events of topics, by the index of each topic. Only topics whose first event is among the first
    /// of all can have one that is wanted, and none that is wanted is after the last of those: so the work does not
    /// grow with all that the topics of a prefix have.
    fn seqs_of(&self, topics: &str, range: &str) -> String {
        let (order, from, until, last) = match self.bound {
            Bound::After(_) => ("ASC", ">=", "<=", "max"),
            Bound::Before(_) => ("DESC", "<=", ">=", "min"),
        };
        format!(
            "WITH firsts AS (SELECT n.id, f.seq FROM logagg.topics n CROSS JOIN LATERAL \
             (SELECT e.seq FROM logagg.events e WHERE e.topic_id = n.id AND {range} ORDER BY e.seq {order} LIMIT 1) f \
             WHERE {topics} ORDER BY f.seq {order} LIMIT $3) \
             SELECT s.seq FROM firsts CROSS JOIN LATERAL \
             (SELECT e.seq FROM logagg.events e WHERE e.topic_id = firsts.id AND {range} AND e.seq {from} firsts.seq \
             AND e.seq {until} (SELECT CASE WHEN count(*) < $3 THEN $2 ELSE {last}(seq) END FROM firsts) \
             ORDER BY e.seq {order} LIMIT $3) s ORDER BY s.seq {order} LIMIT $3"
        )
    }

    /// The events of the answer, and whether there are more after them; none if it holds something else.
    pub(super) fn read(&self, rows: Vec<Row>) -> Option<(Vec<StoredRow>, bool)> {
        let found = match rows.first() {
            Some(row) => row.value(7)?,
            None => 0,
        };
        let mut rows: Vec<StoredRow> = rows
            .into_iter()
            .map(StoredRow::new)
            .collect::<Option<_>>()?;
        rows.truncate(self.events);
        let has_more = rows.len() < found;
        Some((rows, has_more))
    }
}

/// Asks for one event by its key.
pub(super) fn one(topic: &str, event_id: &str) -> Statement {
    let sql = "SELECT e.seq, t.name, e.event_id, e.timestamp, e.source, e.payload, \
         (extract(epoch FROM e.processed_at) * 1000000)::int8, 1 \
         FROM logagg.topics t JOIN logagg.keys k ON k.topic_id = t.id JOIN logagg.batches b ON b.id = k.batch \
         JOIN logagg.events e ON e.seq = b.first_seq + k.idx WHERE t.name = $1 AND k.event_id = $2";
    Statement::new(sql, vec![Param::text(topic), Param::text(event_id)])
}

/// A parameter for a seq, which the engine's numbers may be too small for.
pub(super) fn seq_param(seq: u64) -> Param {
    Param::bigint(i64::try_from(seq).unwrap_or(i64::MAX))
}

/// An event as a row.
#[derive(Debug)]
pub(super) struct StoredRow {
    pub seq: u64,
    processed_at: i64,
    row: Row,
}

impl StoredRow {
    /// None if a column is missing or makes no sense.
    pub(super) fn new(row: Row) -> Option<StoredRow> {
        let has_texts = (1..=5).all(|column| row.text(column).is_some());
        has_texts.then_some(())?;
        Some(StoredRow {
            seq: row.value(0)?,
            processed_at: row.value(6)?,
            row,
        })
    }

    fn bytes(&self, column: usize) -> &[u8] {
        self.row.text(column).unwrap_or_default().as_bytes()
    }

    pub(super) fn payload_bytes(&self) -> usize {
        self.bytes(5).len()
    }

    pub(super) fn event(&self) -> StoredEvent<'_> {
        StoredEvent {
            seq: self.seq,
            topic: self.bytes(1),
            event_id: self.bytes(2),
            timestamp: self.bytes(3),
            source: self.bytes(4),
            payload: self.bytes(5),
            processed_at: self.processed_at,
        }
    }

    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate {
            topic: self.bytes(1),
            event_id: self.bytes(2),
            timestamp: self.bytes(3),
            source: self.bytes(4),
            payload: self.bytes(5),
            processed_at: self.processed_at,
        }
    }
}
