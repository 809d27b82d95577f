//! Removing events: a range of seqs from the oldest on, a chunk at a time.

use super::keys::Keep;
use super::vacuum::used_pages;
use super::{pause, Budget, Removal};
use crate::limits;
use crate::store::error::damaged;
use crate::store::index::KeyIndex;
use crate::store::options::Limit;
use crate::store::rows::event_parts;
use crate::store::state::Store;
use crate::store::topics::topic::TopicId;

/// Where a chunk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is full.
    Full,
    /// In front of an event that is too young.
    Young(i64),
    /// Behind the last event, or the last that may be removed now.
    Empty,
}

impl Store {
    /// Removes events inside the open transaction, as far as they are due and the budget goes.
    pub(super) fn remove_events(
        &self,
        removal: &mut Removal,
        unix_us: i64,
        mut budget: Budget,
    ) -> rusqlite::Result<()> {
        match removal.retainer.retention.events {
            None => return Ok(()),
            Some(Limit::Age(age)) => {
                if unix_us < removal.retainer.events_due {
                    return Ok(());
                }
                while budget.has_room() {
                    let until = unix_us.saturating_sub(age);
                    let oldest = match self.remove_chunk(removal, &mut budget, unix_us, until)? {
                        End::Full => continue,
                        End::Young(at) => at,
                        End::Empty => unix_us,
                    };
                    removal.retainer.events_due = oldest.saturating_add(age + pause(age));
                    break;
                }
            }
            Some(Limit::Size(size)) => {
                let allowed = self.pages_allowed(size, removal.horizons);
                // Room is made for what comes before it is known what of it is new.
                let incoming = budget.incoming / removal.retainer.page_bytes;
                let incoming = incoming.min(allowed / limits::INCOMING_SHARE);
                while budget.has_room() && used_pages(&self.db)? + incoming > allowed {
                    let end = self.remove_chunk(removal, &mut budget, unix_us, i64::MAX)?;
                    if end == End::Empty {
                        break;
                    }
                }
            }
        }
        let Some(oldest) = removal.oldest_at else {
            return Ok(());
        };
        if let Some(Limit::Age(age)) = removal.retainer.retention.keys {
            let due = &mut removal.retainer.keys_due;
            *due = oldest.saturating_add(age + pause(age)).min(*due);
        }
        removal.retainer.times.write(&self.db)
    }

    /// Removes the oldest events, some at the most, of them those that were processed by `until`. It is
    /// `unix_us` now.
    fn remove_chunk(
        &self,
        removal: &mut Removal,
        budget: &mut Budget,
        unix_us: i64,
        until: i64,
    ) -> rusqlite::Result<End> {
        let before = removal.horizons.events;
        // A payload of which little fits on its row's page is not read for this.
        let mut statement = self.db.prepare_cached(
            "SELECT seq, topic_id, processed_at, octet_length(payload) FROM events \
             WHERE seq > ?1 ORDER BY seq",
        )?;
        let mut rows = statement.query([before as i64])?;
        let removable = self
            .keys
            .as_ref()
            .map_or(u64::MAX, KeyIndex::removable_up_to);
        let (mut count, mut bytes, mut last_seq) = (0, 0, before);
        let end = loop {
            if count == limits::RETAIN_ROWS_AT_ONCE || bytes >= limits::RETAIN_BYTES_AT_ONCE {
                break End::Full;
            }
            let Some(row) = rows.next()? else {
                break End::Empty;
            };
            let (seq, topic) = (row.get::<_, i64>(0)? as u64, row.get::<_, TopicId>(1)?);
            if seq > removable {
                break End::Empty;
            }
            let processed_at = self.counted_at(removal, seq, row.get(2)?, unix_us)?;
            if processed_at > until {
                break End::Young(processed_at);
            }
            if seq > self.last_seq || topic == 0 || topic as usize > self.topics.len() {
                return Err(damaged(format!(
                    "the event with seq {seq} is not one of ours"
                )));
            }
            removal.oldest_at.get_or_insert(processed_at);
            removal.retainer.times.see(&self.db, seq, processed_at)?;
            let removed = removal.topics.entry(topic).or_insert(0);
            budget.topics -= usize::from(*removed == 0 && budget.topics > 0);
            *removed += 1;
            last_seq = seq;
            bytes += row.get::<_, i64>(3)?.max(0) as u64;
            count += 1;
        };
        drop(rows);
        if count == 0 {
            return Ok(end);
        }
        self.keep_keys(before, last_seq)?;
        let deleted = self
            .db
            .prepare_cached("DELETE FROM events WHERE seq > ?1 AND seq <= ?2")?
            .execute((before as i64, last_seq as i64))?;
        if deleted != count {
            return Err(damaged("events could not be removed as they were read"));
        }
        removal.horizons.events = last_seq;
        removal.horizons.removed += count as u64;
        removal.has_changed = true;
        budget.rows = budget.rows.saturating_sub(count);
        budget.bytes = budget.bytes.saturating_sub(bytes);
        Ok(end)
    }

    /// Keeps the keys of events that are about to be removed, where nothing else keeps them.
    fn keep_keys(&self, before: u64, last_seq: u64) -> rusqlite::Result<()> {
        let (fingerprinter, from) = match &self.keys {
            Some(keys) => (keys.fingerprinter(), keys.mark().max(before)),
            None => (self.fingerprinter, before),
        };
        if from >= last_seq {
            return Ok(());
        }
        let mut statement = self.db.prepare_cached(
            "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events \
             WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        )?;
        let mut keep = Keep::prepare(&self.db)?;
        let mut rows = statement.query((from as i64, last_seq as i64))?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            keep.add(fingerprinter.record(&event_parts(row)?, seq))?;
        }
        Ok(())
    }
}
