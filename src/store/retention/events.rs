//! Removing events: a range of seqs from the oldest on, a chunk at a time.

use super::progress::pause;
use super::removal::{Budget, Context, Removal};
use super::removed_keys::Keep;
use super::vacuum::used_pages;
use crate::limits;
use crate::store::error::damaged;
use crate::store::index::KeyIndex;
use crate::store::options::Limit;
use crate::store::rows::event_parts;
use crate::store::topics::topic::TopicId;

/// Where a chunk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is full.
    Full,
    /// Before an event that is too young.
    Young(i64),
    /// Before an event that a subscription holds.
    Held,
    /// After the last event, or the last that may be removed now.
    Empty,
}

/// The events of one chunk.
struct Chunk {
    count: usize,
    bytes: u64,
    last_seq: u64,
    end: End,
}

impl Removal {
    /// Removes the events that are due, within the budget.
    pub(super) fn remove_events(
        &mut self,
        context: &mut Context,
        mut budget: Budget,
    ) -> rusqlite::Result<()> {
        match self.progress.settings.events {
            None => return Ok(()),
            Some(Limit::Age(age)) => {
                if context.now_us < self.progress.events_due {
                    return Ok(());
                }
                while budget.has_room() {
                    let until = context.now_us.saturating_sub(age);
                    let end = self.remove_chunk(context, &mut budget, until)?;
                    let oldest = match end {
                        End::Full => continue,
                        End::Young(at) => at,
                        End::Held => until,
                        End::Empty => context.now_us,
                    };
                    self.progress.is_held = end == End::Held;
                    self.progress.events_due = oldest.saturating_add(age + pause(age));
                    break;
                }
            }
            Some(Limit::Size(size)) => {
                let allowed = self.progress.pages_allowed(size, context.index);
                // Room is made for incoming events before it is known which of them are new.
                let incoming = budget.incoming / self.progress.page_bytes;
                let incoming = incoming.min(allowed / limits::INCOMING_SHARE);
                self.progress.is_held = false;
                while budget.has_room() {
                    let used = used_pages(context.db)?;
                    if used + incoming <= allowed {
                        break;
                    }
                    let end = self.remove_chunk(context, &mut budget, i64::MAX)?;
                    self.progress.is_held = end == End::Held && used > allowed;
                    if matches!(end, End::Held | End::Empty) {
                        break;
                    }
                }
            }
        }
        let Some(oldest) = self.oldest_at else {
            return Ok(());
        };
        if let Some(Limit::Age(age)) = self.progress.settings.keys {
            let due = &mut self.progress.keys_due;
            *due = oldest.saturating_add(age + pause(age)).min(*due);
        }
        self.progress.times.write(context.db)
    }

    /// Removes the oldest events, a chunk at most, of them those that were processed by `until`.
    fn remove_chunk(
        &mut self,
        context: &mut Context,
        budget: &mut Budget,
        until: i64,
    ) -> rusqlite::Result<End> {
        let before = self.progress.horizons.events;
        let chunk = self.read_chunk(context, budget, until)?;
        if chunk.count == 0 {
            return Ok(chunk.end);
        }
        keep_keys(context, before, chunk.last_seq)?;
        let deleted = context
            .db
            .prepare_cached("DELETE FROM events WHERE seq > ?1 AND seq <= ?2")?
            .execute((before as i64, chunk.last_seq as i64))?;
        if deleted != chunk.count {
            return Err(damaged("events could not be removed as they were read"));
        }
        self.progress.horizons.events = chunk.last_seq;
        self.progress.horizons.removed += chunk.count as u64;
        self.has_changed = true;
        budget.rows = budget.rows.saturating_sub(chunk.count);
        budget.bytes = budget.bytes.saturating_sub(chunk.bytes);
        Ok(chunk.end)
    }

    /// Finds where the next chunk ends, and counts its events.
    fn read_chunk(
        &mut self,
        context: &mut Context,
        budget: &mut Budget,
        until: i64,
    ) -> rusqlite::Result<Chunk> {
        let before = self.progress.horizons.events;
        // A payload most of which is not on its row's page is not read for this.
        let mut statement = context.db.prepare_cached(
            "SELECT seq, topic_id, processed_at, octet_length(payload) FROM events \
             WHERE seq > ?1 ORDER BY seq",
        )?;
        let mut rows = statement.query([before as i64])?;
        let removable = context.index.map_or(u64::MAX, KeyIndex::removable_up_to);
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
            let processed_at = self.counted_at(context, seq, row.get(2)?)?;
            if processed_at > until {
                break End::Young(processed_at);
            }
            if seq > context.held_after {
                break End::Held;
            }
            if seq > context.last_seq || topic == 0 || topic as usize > context.topics.len() {
                return Err(damaged(format!(
                    "the event with seq {seq} is not one of ours"
                )));
            }
            self.oldest_at.get_or_insert(processed_at);
            self.progress.times.see(context.db, seq, processed_at)?;
            let is_first = context.topics.remove_event(topic);
            budget.topics -= usize::from(is_first && budget.topics > 0);
            last_seq = seq;
            bytes += row.get::<_, i64>(3)?.max(0) as u64;
            count += 1;
        };
        Ok(Chunk {
            count,
            bytes,
            last_seq,
            end,
        })
    }
}

/// Keeps the keys of events that are about to be removed, where nothing else keeps them.
fn keep_keys(context: &Context, before: u64, last_seq: u64) -> rusqlite::Result<()> {
    let from = match context.index {
        Some(index) => index.mark().max(before),
        None => before,
    };
    if from >= last_seq {
        return Ok(());
    }
    let mut statement = context.db.prepare_cached(
        "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events \
         WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
    )?;
    let mut keep = Keep::prepare(context.db)?;
    let mut rows = statement.query((from as i64, last_seq as i64))?;
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)? as u64;
        keep.add(context.fingerprinter.record(&event_parts(row)?, seq))?;
    }
    Ok(())
}
