//! Whether the records of a segment are those of its events. This proves the records of segments that were written
//! before there were checksums. Takes slices: each record costs a look-up of its event.

use rusqlite::{Connection, OptionalExtension};

use crate::limits::{COMPARED_RECORDS_PER_SLICE, REPAIR_BYTES_PER_SLICE};
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::layout::Description;
use crate::store::index::pages::Pages;
use crate::store::index::record::{records, KeyRecord, Posting, Record, LOST_SEQ};
use crate::store::rows::event_parts;
use crate::store::topics::topic::TopicId;

/// One slice of comparing.
pub(super) struct Comparison {
    fingerprinter: Fingerprinter,
    about: Description,
    /// The events up to this seq were removed: their records cannot be compared.
    removed: u64,
    records_left: usize,
    bytes_left: usize,
}

impl Comparison {
    pub(super) fn new(fingerprinter: Fingerprinter, about: Description, removed: u64) -> Self {
        Self {
            fingerprinter,
            about,
            removed,
            records_left: COMPARED_RECORDS_PER_SLICE,
            bytes_left: REPAIR_BYTES_PER_SLICE,
        }
    }

    /// Compares the records of a page, after the first `compared`, with their events. Returns whether that were
    /// all. A record that is not its event's is an error, and the page is noted as damaged.
    pub(super) fn compare<R: Record>(
        &mut self,
        db: &Connection,
        pages: &Pages,
        id: i64,
        page: &[u8],
        compared: &mut usize,
        is_right: impl Fn(&mut Self, &Connection, R) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<bool> {
        for record in records::<R>(page).skip(*compared) {
            if self.records_left == 0 || self.bytes_left == 0 {
                return Ok(false);
            }
            self.records_left -= 1;
            let is_right = match self.without_event(record.seq()) {
                Some(known) => known,
                None => is_right(self, db, record)?,
            };
            if !is_right {
                return Err(pages.damaged(id));
            }
            *compared += 1;
        }
        Ok(true)
    }

    /// What can be said of a record without its event, where that is all that can be.
    fn without_event(&self, seq: u64) -> Option<bool> {
        let (first_seq, last_seq) = (self.about.first_seq, self.about.last_seq);
        if seq == LOST_SEQ {
            return Some(self.removed >= first_seq);
        }
        let is_inside = (first_seq..=last_seq).contains(&seq);
        (!is_inside || seq <= self.removed).then_some(is_inside)
    }
}

/// Whether a key is its event's.
pub(super) fn key_is_right(
    slice: &mut Comparison,
    db: &Connection,
    record: KeyRecord,
) -> rusqlite::Result<bool> {
    let sql =
        "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events WHERE seq = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_row([record.seq as i64], |row| {
        let event = event_parts(row)?;
        let is_its = slice.fingerprinter.record(&event, record.seq) == record;
        Ok((is_its, event.payload.len()))
    });
    let (is_its, bytes) = found.optional()?.unwrap_or((false, 0));
    slice.bytes_left = slice.bytes_left.saturating_sub(bytes);
    Ok(is_its)
}

/// Whether a posting is its event's.
pub(super) fn posting_is_right(
    _: &mut Comparison,
    db: &Connection,
    record: Posting,
) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached("SELECT topic_id FROM events WHERE seq = ?1")?;
    let topic = statement.query_row([record.seq as i64], |row| row.get::<_, TopicId>(0));
    Ok(topic.optional()? == Some(record.topic))
}
