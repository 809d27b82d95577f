//! Reading on: the events behind a seq in slices of bounded work, for subscribers that are behind.

use super::read::{clamp, stored_event, Selection, StoredEvent, TopicMerge, COLUMNS};
use super::topics::TopicId;
use super::{no_event, Bound, Store, StoreError};
use crate::limits::{FEED_ROWS_MAX, FEED_TOPICS_MERGED};

/// Which events a slice is to bring.
#[derive(Clone, Copy, Debug)]
pub struct FeedQuery<'a> {
    /// Names or, with a trailing `*`, prefixes; none means all topics.
    pub topics: &'a [String],
    /// The slice begins with the event behind this seq.
    pub after: u64,
    /// And ends with this one at the latest.
    pub until: u64,
    /// About how many bytes of JSON the slice is to have.
    pub max_bytes: usize,
}

impl Store {
    /// Hands the events of a slice to `take`, in order, until that says that it has enough. Says up to
    /// which seq the subscriber has been served: the last event handed over; or, where none of the wanted
    /// ones follow it, a later one up to `until`. Reads at most about [`FEED_ROWS_MAX`] rows.
    pub fn feed(
        &mut self,
        query: &FeedQuery,
        mut take: impl FnMut(StoredEvent) -> bool,
    ) -> Result<u64, StoreError> {
        match self.select(query.topics) {
            Selection::All => self.scan(query, None, take),
            Selection::Topics(ids) if ids.is_empty() => Ok(query.until),
            Selection::Topics(ids) if ids.len() > FEED_TOPICS_MERGED => {
                self.scan(query, Some(&ids), take)
            }
            Selection::Topics(ids) => {
                let mut seqs = TopicMerge::new(self, &ids, Bound::After(query.after))?;
                let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
                let mut statement = self.db.prepare_cached(&sql)?;
                let mut rows_read = 0;
                while let Some(seq) = seqs.next()?.filter(|seq| *seq <= query.until) {
                    let mut rows = statement.query([clamp(seq)])?;
                    let row = rows.next()?.ok_or_else(|| no_event(seq))?;
                    rows_read += 1;
                    if !take(stored_event(&self.topics, row)?) || rows_read == FEED_ROWS_MAX {
                        return Ok(seq);
                    }
                }
                Ok(query.until)
            }
        }
    }

    /// Goes through the events in the order of their seqs, and hands over those of the topics `wanted`,
    /// which are sorted.
    fn scan(
        &self,
        query: &FeedQuery,
        wanted: Option<&[TopicId]>,
        mut take: impl FnMut(StoredEvent) -> bool,
    ) -> Result<u64, StoreError> {
        let range = (query.after, query.until);
        let (slice, is_end) = self
            .db
            .slices()
            .read(&self.db, range, wanted, query.max_bytes)?;
        for row in slice.rows() {
            let [event_id, timestamp, source, payload] = row.texts;
            let event = StoredEvent {
                seq: row.seq as u64,
                topic: self.topics.stored(row.topic)?.name.as_bytes(),
                event_id,
                timestamp,
                source,
                payload,
                processed_at: row.processed_at,
            };
            if !take(event) {
                return Ok(row.seq as u64);
            }
        }
        Ok(if is_end {
            query.until
        } else {
            slice.last_seq()
        })
    }
}
