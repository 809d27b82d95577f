//! Reading for subscribers: the events after a seq, in batches of bounded work.

use crate::event::NameFilter;
use crate::limits::{EVENT_UNITS, FEED_BYTES_MAX, FEED_ROWS_MAX, FEED_TOPICS_MERGED};
use crate::store::error::{no_event, StoreError};
use crate::store::events::merge::TopicMerge;
use crate::store::events::row::{stored_event, StoredEvent};
use crate::store::events::scan::BatchSize;
use crate::store::range::{Bound, SubscriberQuery};
use crate::store::rows::{clamp, COLUMNS};
use crate::store::state::Store;
use crate::store::topics::topic::TopicId;

impl Store {
    /// Hands the events of a batch to `take`, in order, until that says that it has enough. Says up to
    /// which seq the subscriber has been served: the last event handed over; or, where none of the wanted
    /// ones follow it, a later one up to `until`. Reads at most about [`FEED_ROWS_MAX`] rows and
    /// [`FEED_BYTES_MAX`] bytes.
    pub fn read_for_subscriber(
        &mut self,
        query: &SubscriberQuery,
        mut take: impl FnMut(StoredEvent) -> bool,
    ) -> Result<u64, StoreError> {
        let Some(ids) = self.few_topics(query.topics) else {
            return self.scan(query, take);
        };
        if ids.is_empty() {
            return Ok(query.until);
        }
        let mut seqs = TopicMerge::new(self, &ids, Bound::After(query.after))?;
        let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows_read = 0;
        while let Some(seq) = seqs.next()?.filter(|seq| *seq <= query.until) {
            let mut rows = statement.query([clamp(seq)])?;
            let row = rows.next()?.ok_or_else(|| no_event(seq))?;
            rows_read += 1;
            self.work.add(EVENT_UNITS);
            if !take(stored_event(&self.parts.topics, row)?) || rows_read == FEED_ROWS_MAX {
                return Ok(seq);
            }
        }
        Ok(query.until)
    }

    /// The topics that a filter wants, where they are so few that their own orders are merged. None if
    /// they are more, or all that there are: then going through the events costs less.
    pub(crate) fn few_topics(&self, filter: &NameFilter) -> Option<Vec<TopicId>> {
        if filter.is_all() {
            return None;
        }
        let matching = |pattern| self.parts.topics.matching(pattern, None);
        let ids = filter.patterns().flat_map(matching);
        let ids: Vec<TopicId> = ids.take(FEED_TOPICS_MERGED + 1).collect();
        let is_all = ids.len() > 1 && ids.len() == self.parts.topics.len();
        (ids.len() <= FEED_TOPICS_MERGED && !is_all).then_some(ids)
    }

    /// Goes through the events in the order of their seqs, and hands over those that are wanted. Whether one
    /// is wanted is known by the name of its topic, so a batch costs the same for a prefix of a million
    /// topics as for one of twenty.
    fn scan(
        &self,
        query: &SubscriberQuery,
        mut take: impl FnMut(StoredEvent) -> bool,
    ) -> Result<u64, StoreError> {
        let mut after = query.after;
        let (mut rows_read, mut bytes_read) = (0, 0);
        while rows_read < FEED_ROWS_MAX && bytes_read < FEED_BYTES_MAX {
            let range = (Bound::After(after), query.until);
            let max = BatchSize {
                rows: FEED_ROWS_MAX,
                bytes: query.max_bytes,
            };
            let (batch, is_end) = self.db.batch_scan().read(&self.db, range, max)?;
            for row in batch.rows() {
                let [event_id, timestamp, source, payload] = row.texts;
                let topic = self.parts.topics.stored(row.topic)?.name.as_bytes();
                if !query.topics.matches(topic) {
                    continue;
                }
                let event = StoredEvent {
                    seq: row.seq as u64,
                    topic,
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
            if is_end {
                return Ok(query.until);
            }
            after = batch.last_seq();
            rows_read += batch.len();
            bytes_read += batch.size();
            self.work.add(batch.len() as u64);
            self.work.add_bytes(batch.size());
        }
        Ok(after)
    }
}
