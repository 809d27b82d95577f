//! A row of the table of events, with the name of its topic.

use rusqlite::Row;

use crate::search::Candidate;
use crate::store::topics::Topics;

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

impl<'a> StoredEvent<'a> {
    /// The event that a search has found.
    pub(crate) fn new(seq: u64, found: &Candidate<'a>) -> Self {
        Self {
            seq,
            topic: found.topic,
            event_id: found.event_id,
            timestamp: found.timestamp,
            source: found.source,
            payload: found.payload,
            processed_at: found.processed_at,
        }
    }
}

/// The event of a row with [`COLUMNS`].
pub(crate) fn stored_event<'r>(
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
