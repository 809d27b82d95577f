//! Reading: single events, and the orders of topics. Nothing is cached here; what is read is what has been
//! committed.

use rusqlite::OptionalExtension;

use crate::limits::{EVENT_UNITS, LOOK_UP_UNITS};
use crate::store::error::{no_event, StoreError};
use crate::store::events::row::{stored_event, StoredEvent};
use crate::store::range::{Bound, TopicRange};
use crate::store::rows::{clamp, COLUMNS};
use crate::store::state::Store;

impl Store {
    /// Hands the event of a key to `take`; returns whether there is one.
    pub fn find(
        &self,
        topic: &str,
        event_id: &str,
        take: impl FnOnce(StoredEvent),
    ) -> Result<bool, StoreError> {
        self.work.add(LOOK_UP_UNITS);
        let Some(topic) = self.parts.topics.id(topic) else {
            return Ok(false);
        };
        let seq = match &self.parts.index {
            Some(keys) => keys.find(&self.db, topic, event_id.as_bytes())?,
            None => self
                .db
                .prepare_cached("SELECT seq FROM events WHERE topic_id = ?1 AND event_id = ?2")?
                .query_row((topic, event_id), |row| Ok(row.get::<_, i64>(0)? as u64))
                .optional()?,
        };
        let Some(seq) = seq else { return Ok(false) };
        let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([clamp(seq)])?;
        let row = rows.next()?.ok_or_else(|| no_event(seq))?;
        let event = stored_event(&self.parts.topics, row)?;
        self.work.add(EVENT_UNITS);
        self.work.add_bytes(event.payload.len());
        take(event);
        Ok(true)
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub(crate) fn topic_seqs(
        &self,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        self.work.add(LOOK_UP_UNITS);
        if let Some(keys) = &self.parts.index {
            self.work.add(keys.look_up_units(range));
            return keys.seqs_of(&self.db, range, out);
        }
        let (sql, from) = match range.bound {
            Bound::After(from) => (
                "SELECT seq FROM events WHERE topic_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                from,
            ),
            Bound::Before(from) => (
                "SELECT seq FROM events WHERE topic_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
                from,
            ),
        };
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query((range.topic, clamp(from), range.room(out) as i64))?;
        while let Some(row) = rows.next()? {
            out.push(row.get::<_, i64>(0)? as u64);
        }
        Ok(())
    }
}
