//! Rows of the tables as values of ours, and back.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::error::damaged;
use super::index::fingerprint::EventParts;
use super::index::record::KeyRecord;
use super::row_checksum::{judge, RowState};

/// The events after a seq, in order.
pub(super) const EVENTS_AFTER: &str =
    "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events WHERE seq > ?1 ORDER BY seq";

pub(super) const COLUMNS: &str =
    "seq, topic_id, event_id, timestamp, source, payload, processed_at";

/// A seq as SQLite's signed integer.
pub(super) fn clamp(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The event of a row of [`EVENTS_AFTER`].
pub(super) fn event_parts<'r>(row: &'r Row) -> rusqlite::Result<EventParts<'r>> {
    Ok(EventParts {
        topic: row.get(1)?,
        event_id: row.get_ref(2)?.as_bytes()?,
        timestamp: row.get_ref(3)?.as_bytes()?,
        source: row.get_ref(4)?.as_bytes()?,
        payload: row.get_ref(5)?.as_bytes()?,
    })
}

/// A count or a seq from a column of SQLite's signed integers.
pub(super) fn unsigned(row: &rusqlite::Row, column: usize) -> rusqlite::Result<u64> {
    let value = row.get::<_, i64>(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The numbers of a row that its checksum is over.
pub(super) fn key_numbers(seq: u64, fingerprint: u128, event_hash: u64) -> [u64; 4] {
    [
        seq,
        (fingerprint >> 64) as u64,
        fingerprint as u64,
        event_hash,
    ]
}

/// The key that these numbers are.
pub(super) fn numbers_key([seq, upper, lower, event_hash]: [u64; 4]) -> KeyRecord {
    KeyRecord {
        seq,
        fingerprint: u128::from(upper) << 64 | u128::from(lower),
        event_hash,
    }
}

/// The key of a row, of which one bit may have been flipped.
pub(super) fn right_key(found: [u64; 4], checksum: ValueRef<'_>) -> rusqlite::Result<KeyRecord> {
    match judge(found, checksum) {
        RowState::Right => Ok(numbers_key(found)),
        RowState::Corrected(right) => Ok(numbers_key(right)),
        RowState::Damaged => Err(damaged(format!(
            "the key of the removed event with seq {} has a wrong checksum",
            found[0]
        ))),
    }
}

/// Hands the keys in the table `removed_keys` after a seq to `take`, in the order of their seqs, at most `limit`.
pub(super) fn removed_keys_after(
    db: &Connection,
    seq: u64,
    limit: usize,
    mut take: impl FnMut(KeyRecord) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement =
        db.prepare_cached("SELECT * FROM removed_keys WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((seq as i64, limit))?;
    while let Some(row) = rows.next()? {
        let (seq, event_hash) = (row.get::<_, i64>(0)?, row.get::<_, i64>(2)?);
        let fingerprint = u128::from_be_bytes(row.get(1)?);
        let found = key_numbers(seq as u64, fingerprint, event_hash as u64);
        // Older tables have no checksums.
        let checksum = match row.as_ref().column_count() {
            3 => ValueRef::Null,
            _ => row.get_ref(3)?,
        };
        take(right_key(found, checksum)?)?;
    }
    Ok(())
}
