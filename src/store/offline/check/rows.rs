//! The events themselves, read once in the order of their seqs.

use rusqlite::types::ValueRef;

use super::rules::event_problem;
use super::run::Run;
use super::sum::Sum;
use super::tables::{Counters, Topics};
use crate::limits::CHECK_TAIL_MAX_EVENTS;
use crate::store::index::fingerprint::{EventParts, Fingerprinter};
use crate::store::index::layout::Description;
use crate::store::index::record::{KeyRecord, Posting};
use crate::store::options::Dedup;
use crate::store::retention::horizons::Horizons;
use crate::store::topics::topic::TopicId;

/// What the events in a range of seqs add up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub first_seq: u64,
    pub last_seq: u64,
    pub keys: Sum,
    pub postings: Sum,
}

/// The events by what has to know of them: one group for each segment, or one for SQLite's indexes.
pub(super) struct Groups {
    pub list: Vec<Group>,
    /// SQLite's indexes know nothing of an event but its key.
    has_hashes: bool,
    at: usize,
    /// The keys of the events after all groups, in the order of their seqs.
    pub tail: Vec<KeyRecord>,
}

impl Groups {
    pub(super) fn of(segments: &[Description], dedup: Dedup) -> Self {
        let group = |first_seq, last_seq| Group {
            first_seq,
            last_seq,
            keys: Sum::default(),
            postings: Sum::default(),
        };
        let list = match dedup {
            Dedup::Constraint => vec![group(0, u64::MAX)],
            Dedup::Index => segments
                .iter()
                .map(|about| group(about.first_seq, about.last_seq))
                .collect(),
        };
        Self {
            list,
            has_hashes: dedup == Dedup::Index,
            at: 0,
            tail: Vec::new(),
        }
    }

    /// Keys after all groups whose events have been removed, and which have not expired.
    pub(super) fn removed_after(&self, horizons: &Horizons) -> u64 {
        let is_removed = |key: &&KeyRecord| key.seq > horizons.keys && key.seq <= horizons.events;
        self.tail.iter().filter(is_removed).count() as u64
    }

    /// The last seq of the groups.
    pub(super) fn mark(&self) -> u64 {
        self.list.last().map_or(0, |group| group.last_seq)
    }

    /// Adds an event; seqs must ascend. An event in a gap between two groups belongs to none.
    fn add(&mut self, run: &mut Run, key: KeyRecord, topic: TopicId) {
        let KeyRecord { seq, .. } = key;
        while self
            .list
            .get(self.at)
            .is_some_and(|group| group.last_seq < seq)
        {
            self.at += 1;
        }
        match self.list.get_mut(self.at) {
            Some(group) if group.first_seq <= seq => {
                run.adder.add(&mut group.keys, key);
                run.adder.add(&mut group.postings, Posting { topic, seq });
            }
            Some(_) => {}
            None if self.tail.len() < CHECK_TAIL_MAX_EVENTS => self.tail.push(key),
            None => run.problems.add(
                "segments",
                format_args!("the event with seq {seq} is too far after the last segment"),
            ),
        }
    }
}

/// Reads all events: counts them for their topics, adds them to their groups, and returns how many there
/// are.
pub(super) fn scan(
    run: &mut Run,
    fingerprinter: &Fingerprinter,
    counters: &Counters,
    topics: &mut Topics,
    groups: &mut Groups,
) -> rusqlite::Result<u64> {
    let sql = "SELECT seq, topic_id, event_id, timestamp, source, payload, processed_at \
               FROM events NOT INDEXED ORDER BY seq";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        run.progress("reading events", count);
        let seq = row.get::<_, i64>(0)?;
        judge_seq(run, counters, seq);
        let (ValueRef::Integer(topic), ValueRef::Text(event_id), ValueRef::Text(timestamp)) =
            (row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?)
        else {
            has_wrong_type(run, seq);
            continue;
        };
        let (ValueRef::Text(source), ValueRef::Text(payload), ValueRef::Integer(processed_at)) =
            (row.get_ref(4)?, row.get_ref(5)?, row.get_ref(6)?)
        else {
            has_wrong_type(run, seq);
            continue;
        };
        if let Some((column, what)) = event_problem(event_id, timestamp, source, payload) {
            run.problems.add(
                "events",
                format_args!("the {column} of the event with seq {seq} {what}"),
            );
        }
        // A seq below 1 has been reported, and belongs to no topic's count.
        let Ok(seq) = u64::try_from(seq) else {
            continue;
        };
        if !topics.count(topic, seq, processed_at) {
            run.problems.add(
                "events",
                format_args!("the event with seq {seq} has the topic {topic}, which is missing"),
            );
        }
        if let Ok(topic) = TopicId::try_from(topic) {
            let event = EventParts {
                topic,
                event_id,
                timestamp,
                source,
                payload,
            };
            let mut key = fingerprinter.record(&event, seq);
            if !groups.has_hashes {
                key.event_hash = 0;
            }
            groups.add(run, key, topic);
        }
    }
    Ok(count)
}

/// Whether an event can have this seq.
fn judge_seq(run: &mut Run, counters: &Counters, seq: i64) {
    if seq < 1 || seq as u64 > counters.last_seq {
        let last = counters.last_seq;
        run.problems.add(
            "events",
            format_args!("there is the seq {seq}, and last_seq is {last}"),
        );
    }
    let horizon = run.horizons.events;
    if seq >= 1 && seq as u64 <= horizon {
        run.problems.add(
            "events",
            format_args!("there is the seq {seq}, and those up to {horizon} have been removed"),
        );
    }
}

fn has_wrong_type(run: &mut Run, seq: i64) {
    run.problems.add(
        "events",
        format_args!("the event with seq {seq} has a value of the wrong type"),
    );
}
