//! Rows of the tables as values of ours, and back.

use rusqlite::{Connection, Row};

use super::index::fingerprint::EventParts;
use super::index::record::KeyRecord;

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

/// Hands the keys in the table `removed_keys` after a seq to `take`, in the order of their seqs, at most `limit`.
pub(super) fn removed_keys_after(
    db: &Connection,
    seq: u64,
    limit: usize,
    mut take: impl FnMut(KeyRecord) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT seq, fingerprint, event_hash FROM removed_keys WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((seq as i64, limit))?;
    while let Some(row) = rows.next()? {
        take(KeyRecord {
            seq: row.get::<_, i64>(0)? as u64,
            fingerprint: u128::from_be_bytes(row.get(1)?),
            event_hash: row.get::<_, i64>(2)? as u64,
        })?;
    }
    Ok(())
}
