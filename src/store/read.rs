//! Reading: single events, and the orders of topics. Nothing is cached here; what is read is what has been
//! committed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rusqlite::{OptionalExtension, Row};

use super::topics::{TopicId, Topics};
use super::{no_event, Store, StoreError};
use crate::limits::{self, EVENT_UNITS, LOOK_UP_UNITS};

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

/// Where a page begins, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Oldest first, from the event behind this seq.
    After(u64),
    /// Newest first, from the event in front of this seq.
    Before(u64),
}

impl Bound {
    /// The seq.
    pub(super) fn seq(self) -> u64 {
        match self {
            Bound::After(seq) | Bound::Before(seq) => seq,
        }
    }

    /// Where a page goes on behind this seq.
    pub(super) fn behind(self, seq: u64) -> Bound {
        match self {
            Bound::After(_) => Bound::After(seq),
            Bound::Before(_) => Bound::Before(seq),
        }
    }

    /// A key that grows in the order of the page. The key of the key is the seq again.
    pub(super) fn key(self, seq: u64) -> u64 {
        match self {
            Bound::After(_) => seq,
            Bound::Before(_) => u64::MAX - seq,
        }
    }
}

/// Which seqs of a topic are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicRange {
    pub topic: TopicId,
    pub bound: Bound,
    /// The events up to this seq have been removed.
    pub removed: u64,
    /// No event of the topic has a greater seq.
    pub newest: u64,
    /// How long the list of seqs may become.
    pub limit: usize,
}

impl TopicRange {
    /// Whether a seq is one of those that are asked for.
    pub(super) fn has(&self, seq: u64) -> bool {
        self.meets(seq, seq)
    }

    /// Whether one between these two can be, both included.
    pub(super) fn meets(&self, first: u64, last: u64) -> bool {
        let (low, high) = match self.bound {
            Bound::After(seq) => (seq.max(self.removed), u64::MAX),
            Bound::Before(seq) => (self.removed, seq),
        };
        last > low && first < high && first <= self.newest
    }

    /// How many seqs `list` may still take.
    pub(super) fn room(&self, list: &[u64]) -> usize {
        self.limit.saturating_sub(list.len())
    }
}

pub(super) const COLUMNS: &str =
    "seq, topic_id, event_id, timestamp, source, payload, processed_at";

impl Store {
    /// Hands the event of a key to `take`; says whether there is one.
    pub fn find(
        &self,
        topic: &str,
        event_id: &str,
        take: impl FnOnce(StoredEvent),
    ) -> Result<bool, StoreError> {
        self.work.add(LOOK_UP_UNITS);
        let Some(topic) = self.topics.id(topic) else {
            return Ok(false);
        };
        let seq = match &self.keys {
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
        let event = stored_event(&self.topics, row)?;
        self.work.add(EVENT_UNITS);
        self.work.add_bytes(event.payload.len());
        take(event);
        Ok(true)
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub(super) fn topic_seqs(
        &self,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        self.work.add(LOOK_UP_UNITS);
        if let Some(keys) = &self.keys {
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

/// The seqs of several topics in one order. Each topic has a short buffer that is refilled when it
/// runs empty, so a page costs what it shows and one look-up for each topic at the most.
pub(super) struct TopicMerge<'s> {
    store: &'s Store,
    buffers: Vec<TopicBuffer>,
    /// The next seq of each topic that has one; as a key that grows in the page's order.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Topics whose newest event is known without a read, newest last; they join when their turn comes.
    waiting: Vec<(u64, TopicId)>,
    bound: Bound,
}

struct TopicBuffer {
    topic: TopicId,
    /// In reverse of the page's order, so that the next one is taken from the end.
    seqs: Vec<u64>,
    exhausted: bool,
}

impl<'s> TopicMerge<'s> {
    pub(super) fn new(store: &'s Store, ids: &[TopicId], bound: Bound) -> rusqlite::Result<Self> {
        let mut merge = Self {
            store,
            buffers: Vec::new(),
            heads: BinaryHeap::new(),
            waiting: Vec::new(),
            bound,
        };
        match bound {
            Bound::After(from) => {
                let from = from.max(store.horizons.events);
                for id in ids
                    .iter()
                    .filter(|id| store.topics.get(**id).last_seq > from)
                {
                    merge.join(*id)?;
                }
            }
            Bound::Before(_) => {
                merge.waiting = ids
                    .iter()
                    .map(|id| (store.topics.get(*id).last_seq, *id))
                    .filter(|(last_seq, _)| *last_seq > store.horizons.events)
                    .collect();
                merge.waiting.sort_unstable();
            }
        }
        Ok(merge)
    }

    fn join(&mut self, topic: TopicId) -> rusqlite::Result<()> {
        self.buffers.push(TopicBuffer {
            topic,
            seqs: Vec::new(),
            exhausted: false,
        });
        self.refill(self.buffers.len() - 1, self.bound)
    }

    fn refill(&mut self, at: usize, bound: Bound) -> rusqlite::Result<()> {
        let buffer = &mut self.buffers[at];
        if buffer.seqs.is_empty() && !buffer.exhausted {
            let range = TopicRange {
                topic: buffer.topic,
                bound,
                removed: self.store.horizons.events,
                newest: self.store.topics.get(buffer.topic).last_seq,
                limit: limits::TOPIC_SEQS_BUFFERED,
            };
            self.store.topic_seqs(&range, &mut buffer.seqs)?;
            buffer.exhausted = range.room(&buffer.seqs) > 0;
            buffer.seqs.reverse();
        }
        if let Some(seq) = buffer.seqs.pop() {
            self.heads.push(Reverse((bound.key(seq), at)));
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> rusqlite::Result<Option<u64>> {
        while let Some((newest, topic)) = self.waiting.last().copied() {
            let best = self
                .heads
                .peek()
                .map_or(0, |Reverse((key, _))| self.bound.key(*key));
            if newest <= best {
                break;
            }
            self.waiting.pop();
            self.join(topic)?;
        }
        let Some(Reverse((key, at))) = self.heads.pop() else {
            return Ok(None);
        };
        let seq = self.bound.key(key);
        self.refill(at, self.bound.behind(seq))?;
        Ok(Some(seq))
    }
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
