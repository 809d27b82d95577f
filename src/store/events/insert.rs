//! Rows on their way into the table `events`.
//!
//! A row that is inserted alone costs a search for its place and the start and end of a statement. Rows that are known
//! to be new wait for each other: one statement then inserts many, and SQLite, which chooses their seqs itself, appends
//! each after the one before without a search.

use std::sync::LazyLock;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use crate::limits::{ROWS_AT_ONCE, ROWS_AT_ONCE_PAYLOAD_BYTES};
use crate::store::error::damaged;
use crate::store::index::fingerprint::EventParts;

const ONE: &str =
    "INSERT OR IGNORE INTO events(seq, topic_id, event_id, timestamp, source, payload, processed_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The first parameter is `processed_at`, which all rows share; each row has five more.
static MANY: LazyLock<String> = LazyLock::new(|| {
    let row = |number: usize| {
        let [topic, id, timestamp, source, payload] = [2, 3, 4, 5, 6].map(|n| n + 5 * number);
        format!("(?{topic}, ?{id}, ?{timestamp}, ?{source}, ?{payload}, ?1)")
    };
    let rows: Vec<String> = (0..ROWS_AT_ONCE).map(row).collect();
    format!(
        "INSERT OR IGNORE INTO events(topic_id, event_id, timestamp, source, payload, processed_at) VALUES {}",
        rows.join(", ")
    )
});

/// Text that has been checked to be UTF-8 when its body came in.
pub(crate) struct Text<'a>(pub &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// The rows that one transaction inserts.
pub(crate) struct EventInserter<'db, 'p> {
    db: &'db Connection,
    processed_at: i64,
    one: CachedStatement<'db>,
    many: CachedStatement<'db>,
    /// Events with the seqs after `last_seq`.
    waiting: Vec<EventParts<'p>>,
    /// The greatest seq in the table, once this transaction has inserted a row.
    last_seq: Option<u64>,
}

impl<'db, 'p> EventInserter<'db, 'p> {
    pub(crate) fn new(db: &'db Connection, processed_at: i64) -> rusqlite::Result<Self> {
        Ok(Self {
            db,
            processed_at,
            one: db.prepare_cached(ONE)?,
            many: db.prepare_cached(&MANY)?,
            waiting: Vec::with_capacity(ROWS_AT_ONCE),
            last_seq: None,
        })
    }

    /// Inserts a row as `seq` unless a constraint says that its key is stored.
    pub(crate) fn insert(&mut self, seq: u64, event: &EventParts) -> rusqlite::Result<bool> {
        let one = &mut self.one;
        one.raw_bind_parameter(1, seq as i64)?;
        one.raw_bind_parameter(2, event.topic)?;
        one.raw_bind_parameter(3, Text(event.event_id))?;
        one.raw_bind_parameter(4, Text(event.timestamp))?;
        one.raw_bind_parameter(5, Text(event.source))?;
        one.raw_bind_parameter(6, Text(event.payload))?;
        one.raw_bind_parameter(7, self.processed_at)?;
        Ok(one.raw_execute()? == 1)
    }

    /// Adds a row that is new as `seq`, which is one more than the last. It may wait for others.
    pub(crate) fn append(&mut self, seq: u64, event: &EventParts<'p>) -> rusqlite::Result<()> {
        // The seq of the first is told, so that SQLite chooses those of the others as we do. A statement
        // keeps a copy of what it was given, so what is large goes alone.
        if self.last_seq.is_none() || event.payload.len() > ROWS_AT_ONCE_PAYLOAD_BYTES {
            self.flush()?;
            return self.append_one(seq, event);
        }
        self.waiting.push(*event);
        if self.waiting.len() == ROWS_AT_ONCE {
            self.flush()?;
        }
        Ok(())
    }

    fn append_one(&mut self, seq: u64, event: &EventParts) -> rusqlite::Result<()> {
        if !self.insert(seq, event)? {
            return Err(taken(seq));
        }
        self.last_seq = Some(seq);
        Ok(())
    }

    /// The last seq before the rows that wait; `None` if none waits.
    pub(crate) fn seq_before_waiting(&self) -> Option<u64> {
        self.last_seq.filter(|_| !self.waiting.is_empty())
    }

    /// Inserts the rows that wait.
    pub(crate) fn flush(&mut self) -> rusqlite::Result<()> {
        let Some(last_seq) = self.seq_before_waiting() else {
            return Ok(());
        };
        let rows = std::mem::take(&mut self.waiting);
        if rows.len() == ROWS_AT_ONCE {
            self.insert_many(last_seq + rows.len() as u64, &rows)?;
        } else {
            for (seq, event) in (last_seq + 1..).zip(&rows) {
                self.append_one(seq, event)?;
            }
        }
        self.waiting = rows;
        self.waiting.clear();
        Ok(())
    }

    /// Inserts as many rows as one statement does, the last of them as `seq`.
    fn insert_many(&mut self, seq: u64, rows: &[EventParts]) -> rusqlite::Result<()> {
        let many = &mut self.many;
        many.raw_bind_parameter(1, self.processed_at)?;
        for (first, event) in (2..).step_by(5).zip(rows) {
            many.raw_bind_parameter(first, event.topic)?;
            many.raw_bind_parameter(first + 1, Text(event.event_id))?;
            many.raw_bind_parameter(first + 2, Text(event.timestamp))?;
            many.raw_bind_parameter(first + 3, Text(event.source))?;
            many.raw_bind_parameter(first + 4, Text(event.payload))?;
        }
        let inserted = many.raw_execute()?;
        // There were rows after what memory takes for the last one.
        if inserted != rows.len() || self.db.last_insert_rowid() != seq as i64 {
            return Err(taken(seq));
        }
        self.last_seq = Some(seq);
        Ok(())
    }
}

/// The row that an event would get exists already.
pub(crate) fn taken(seq: u64) -> rusqlite::Error {
    damaged(format!(
        "an event with seq {seq} was stored by another program"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::options::Dedup;
    use crate::store::schema::create_tables;

    const LARGE: usize = ROWS_AT_ONCE_PAYLOAD_BYTES + 1;

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        create_tables(&db, Dedup::Index).unwrap();
        db
    }

    /// Appends events with the seqs after `last_seq` and payloads of these lengths.
    fn append(db: &Connection, last_seq: u64, lengths: &[usize]) -> rusqlite::Result<()> {
        let payload = vec![b'x'; LARGE];
        let ids: Vec<String> = (last_seq + 1..)
            .take(lengths.len())
            .map(|seq| seq.to_string())
            .collect();
        let mut rows = EventInserter::new(db, 77)?;
        for (seq, (id, length)) in (last_seq + 1..).zip(ids.iter().zip(lengths)) {
            let event = EventParts {
                topic: 3,
                event_id: id.as_bytes(),
                timestamp: b"t",
                source: b"s",
                payload: &payload[..*length],
            };
            rows.append(seq, &event)?;
        }
        rows.flush()
    }

    #[test]
    fn each_row_gets_its_seq_whether_it_waits_or_not() {
        let db = database();
        let mut lengths = [10; 3 * ROWS_AT_ONCE];
        lengths[ROWS_AT_ONCE / 2] = LARGE;
        let mut last_seq = 0;
        for count in [1, 2, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, lengths.len()] {
            append(&db, last_seq, &lengths[..count]).unwrap();
            let rows = "SELECT count(*), max(seq), sum(event_id = CAST(seq AS TEXT) AND topic_id = 3 \
                        AND timestamp = 't' AND source = 's' AND processed_at = 77), sum(length(payload)) \
                        FROM events WHERE seq > ?1";
            let found: [i64; 4] = db
                .query_row(rows, [last_seq as i64], |row| {
                    Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
                })
                .unwrap();
            last_seq += count as u64;
            let expected = [
                count,
                last_seq as usize,
                count,
                lengths[..count].iter().sum(),
            ];
            assert_eq!(found, expected.map(|number| number as i64));
            // Seqs are not used again although retention has removed all.
            db.execute("DELETE FROM events", []).unwrap();
        }
    }

    #[test]
    fn a_row_of_another_program_is_noticed() {
        for seq in [1, 5, 1_000] {
            let db = database();
            db.execute(
                "INSERT INTO events VALUES (?1, 1, 'other', '', '', '', 0)",
                [seq],
            )
            .unwrap();
            assert!(append(&db, 0, &[10; 2 * ROWS_AT_ONCE]).is_err(), "{seq}");
        }
    }
}
