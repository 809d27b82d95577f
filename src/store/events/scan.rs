//! Batch scan: reads rows of the table `events` in order, many with one step of a statement.
//!
//! Asking a statement for its columns one by one costs several calls each, and more than SQLite needs to
//! find them. An SQL function gets them all at once: `take_row` copies a row into memory of its own and
//! says whether it has enough, so that a batch is one step of one statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::Connection;

use crate::limits::STREAM_BUFFER_BYTES;
use crate::store::range::Bound;
use crate::store::rows::{clamp, COLUMNS};

/// Bytes that the names of an event's members, and its numbers, are counted as.
const FRAME_BYTES: usize = 128;
const TEXTS: usize = 4;

/// One row as it is kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    seq: i64,
    topic: i64,
    processed_at: i64,
    /// Where its texts begin in the memory of all.
    start: usize,
    /// Where each of them ends.
    ends: [usize; TEXTS],
}

/// One row as it is lent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenRow<'a> {
    pub seq: i64,
    pub topic: i64,
    pub processed_at: i64,
    /// `event_id`, `timestamp`, `source` and `payload`; UTF-8.
    pub texts: [&'a [u8]; TEXTS],
}

/// The rows that have been taken.
#[derive(Debug, Default)]
pub(crate) struct ScanBatch {
    rows: Vec<Kept>,
    bytes: Vec<u8>,
    /// What the rows count for.
    size: usize,
    max: BatchSize,
    last_seq: i64,
}

/// How large a batch may become.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchSize {
    pub rows: usize,
    /// Bytes of JSON, about. A row may be larger.
    pub bytes: usize,
}

impl ScanBatch {
    /// The rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = TakenRow<'_>> {
        self.rows.iter().map(|kept| {
            let mut from = kept.start;
            TakenRow {
                seq: kept.seq,
                topic: kept.topic,
                processed_at: kept.processed_at,
                texts: kept
                    .ends
                    .map(|end| &self.bytes[std::mem::replace(&mut from, end)..end]),
            }
        })
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// About how many bytes of JSON they would be.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The seq of the last row that was looked at.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq as u64
    }

    fn begin(&mut self, max: BatchSize) {
        self.rows.clear();
        self.bytes.clear();
        // One event may have been large; its memory is not kept.
        self.bytes.shrink_to(STREAM_BUFFER_BYTES);
        self.size = 0;
        self.max = max;
    }

    /// Takes the row that the function was called with. Returns whether that is enough.
    fn take(&mut self, row: &Context) -> rusqlite::Result<bool> {
        let (seq, topic) = (integer(row, 0)?, integer(row, 1)?);
        self.last_seq = seq;
        let start = self.bytes.len();
        let mut ends = [0; TEXTS];
        for (end, column) in ends.iter_mut().zip(2..) {
            self.bytes.extend_from_slice(text(row, column)?);
            *end = self.bytes.len();
        }
        // One check of all of them is cheaper than one of each, and nearly all events are ASCII.
        if !self.bytes[start..].is_ascii() {
            self.check_texts(start, ends)?;
        }
        self.rows.push(Kept {
            seq,
            topic,
            processed_at: integer(row, 6)?,
            start,
            ends,
        });
        self.size += self.bytes.len() - start + FRAME_BYTES;
        Ok(self.size >= self.max.bytes || self.rows.len() >= self.max.rows)
    }

    /// Whether the texts of a row are UTF-8, each by itself.
    fn check_texts(&self, start: usize, ends: [usize; TEXTS]) -> rusqlite::Result<()> {
        let mut from = start;
        for (end, column) in ends.into_iter().zip(2..) {
            std::str::from_utf8(&self.bytes[from..end])
                .map_err(|error| rusqlite::Error::Utf8Error(column, error))?;
            from = end;
        }
        Ok(())
    }
}

/// The function `take_row` of a connection.
pub(crate) struct BatchScan {
    batch: Arc<Mutex<ScanBatch>>,
    upwards: String,
    downwards: String,
}

impl BatchScan {
    /// Gives the connection its function.
    pub(crate) fn attach(db: &Connection) -> rusqlite::Result<Self> {
        let batch = Arc::new(Mutex::new(ScanBatch::default()));
        let taken = Arc::clone(&batch);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let columns = COLUMNS.split(", ").count() as i32;
        db.create_scalar_function("take_row", columns, flags, move |row| {
            lock(&taken).take(row)
        })?;
        let select = |range, order| {
            format!("SELECT 1 FROM events WHERE {range} AND take_row({COLUMNS}) ORDER BY seq {order} LIMIT 1")
        };
        Ok(Self {
            batch,
            upwards: select("seq > ?1 AND seq <= ?2", ""),
            downwards: select("seq < ?1 AND seq >= ?2", "DESC"),
        })
    }

    /// Takes the rows from a place on up to the seq `last`, that one included, in the order of the place, until
    /// the batch is as large as it may become. Returns whether it has gone through all of them.
    pub(crate) fn read(
        &self,
        db: &Connection,
        (from, last): (Bound, u64),
        max: BatchSize,
    ) -> rusqlite::Result<(MutexGuard<'_, ScanBatch>, bool)> {
        lock(&self.batch).begin(max);
        let sql = match from {
            Bound::After(_) => &self.upwards,
            Bound::Before(_) => &self.downwards,
        };
        let mut statement = db.prepare_cached(sql)?;
        let has_enough = statement.exists([clamp(from.seq()), clamp(last)])?;
        Ok((lock(&self.batch), !has_enough))
    }
}

/// Nothing panics while it holds the lock, and if it did, the next batch would be cleared first.
fn lock(batch: &Mutex<ScanBatch>) -> MutexGuard<'_, ScanBatch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn integer(row: &Context, column: usize) -> rusqlite::Result<i64> {
    match row.get_raw(column) {
        ValueRef::Integer(number) => Ok(number),
        other => Err(mistyped(column, other)),
    }
}

fn text<'r>(row: &'r Context, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_raw(column) {
        ValueRef::Text(text) => Ok(text),
        other => Err(mistyped(column, other)),
    }
}

fn mistyped(column: usize, value: ValueRef) -> rusqlite::Error {
    rusqlite::Error::InvalidParameterType(column, value.data_type())
}
