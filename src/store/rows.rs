//! Rows of the tables as values of ours, and back.

use rusqlite::{Connection, Row};

use super::index::fingerprint::EventParts;
use super::index::record::KeyRecord;
use super::topics::Topics;

/// The events behind a seq, in order.
pub(super) const EVENTS_BEHIND: &str =
    "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events WHERE seq > ?1 ORDER BY seq";

pub(super) const COLUMNS: &str =
    "seq, topic_id, event_id, timestamp, source, payload, processed_at";

/// One stored event, as borrowed from the row that holds it. The texts are UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct StoredEvent<'a> {
    pub seq: u64,
    pub topic: &'a [u8],
    pub event_id: &'a [u8],
    pub timestamp: &'a [u8],
    pub source: &'a [u8],
    /// JSON without white space between tokens.
    pub payload: &'a [u8],
    /// Microseconds since the epoch.
    pub processed_at: i64,
}

/// A seq as SQLite's signed integer.
pub(super) fn clamp(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The event of a row with [`COLUMNS`].
pub(super) fn stored_event<'r>(
    topics: &'r Topics,
    row: &'r Row,
) -> rusqlite::Result<StoredEvent<'r>> {
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?.as_bytes());
    Ok(StoredEvent {
        seq: row.get::<_, i64>(0)? as u64,
        topic: topics.stored(row.get(1)?)?.name.as_bytes(),
        event_id: text(2)?,
        timestamp: text(3)?,
        source: text(4)?,
        payload: text(5)?,
        processed_at: row.get(6)?,
    })
}

/// The event of a row of [`EVENTS_BEHIND`].
pub(super) fn event_parts<'r>(row: &'r Row) -> rusqlite::Result<EventParts<'r>> {
    Ok(EventParts {
        topic: row.get(1)?,
        event_id: row.get_ref(2)?.as_bytes()?,
        timestamp: row.get_ref(3)?.as_bytes()?,
        source: row.get_ref(4)?.as_bytes()?,
        payload: row.get_ref(5)?.as_bytes()?,
    })
}

/// Hands the keys in the table `removed_keys` after a seq to `take`, in the order of their seqs, at most `limit`.
pub(super) fn removed_behind(
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

/// A count or a seq from a column of SQLite's signed integers.
pub(super) fn unsigned(row: &rusqlite::Row, column: usize) -> rusqlite::Result<u64> {
    let value = row.get::<_, i64>(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}
