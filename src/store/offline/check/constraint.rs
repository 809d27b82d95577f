//! The duplicate check `constraint`: SQLite's two indexes over the events. Each must ascend and hold
//! what the events hold, so a key that is stored twice cannot hide, with SQLite's own check or without.

use rusqlite::types::ValueRef;

use super::rows::Groups;
use super::run::Run;
use super::sum::Sum;
use super::tables::Schema;
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::record::{KeyRecord, Posting};
use crate::store::topics::topic::TopicId;

/// Compares the indexes that are there with the sums of the events.
pub(super) fn compare(
    run: &mut Run,
    fingerprinter: &Fingerprinter,
    schema: &Schema,
    groups: &Groups,
) -> rusqlite::Result<()> {
    let rows = groups.list.first().expect("there is one group for all");
    if schema.is_right("events_key") && sum_keys(run, fingerprinter)? != rows.keys {
        run.problems.add(
            "events_key",
            "the index does not hold the keys of the events",
        );
    }
    if schema.is_right("events_by_topic") && sum_postings(run)? != rows.postings {
        run.problems
            .add("events_by_topic", "the index does not hold the events");
    }
    Ok(())
}

/// Reads `events_key` from front to back.
fn sum_keys(run: &mut Run, fingerprinter: &Fingerprinter) -> rusqlite::Result<Sum> {
    let sql = "SELECT topic_id, event_id, seq FROM events INDEXED BY events_key \
               ORDER BY topic_id, event_id";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut sum = Sum::default();
    let mut last: (TopicId, Vec<u8>, i64) = (0, Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (ValueRef::Integer(topic), ValueRef::Text(event_id)) =
            (row.get_ref(0)?, row.get_ref(1)?)
        else {
            continue;
        };
        let Ok(topic) = TopicId::try_from(topic) else {
            continue;
        };
        let seq = row.get::<_, i64>(2)?;
        match (topic, event_id).cmp(&(last.0, &last.1)) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Equal => run.problems.add(
                "events",
                format_args!("the events with seq {} and {seq} have one key", last.2),
            ),
            std::cmp::Ordering::Less => run.problems.add(
                "events_key",
                format_args!("the event with seq {seq} is not in order"),
            ),
        }
        last.0 = topic;
        last.1.clear();
        last.1.extend_from_slice(event_id);
        last.2 = seq;
        let key = KeyRecord {
            fingerprint: fingerprinter.of_key(topic, event_id),
            seq: seq as u64,
            event_hash: 0,
        };
        run.adder.add(&mut sum, key);
        run.progress("reading the index of keys", sum.records);
    }
    Ok(sum)
}

/// Reads `events_by_topic` from front to back.
fn sum_postings(run: &mut Run) -> rusqlite::Result<Sum> {
    let sql = "SELECT topic_id, seq FROM events INDEXED BY events_by_topic ORDER BY topic_id, seq";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut sum = Sum::default();
    let mut last = Posting { topic: 0, seq: 0 };
    while let Some(row) = rows.next()? {
        let ValueRef::Integer(topic) = row.get_ref(0)? else {
            continue;
        };
        let Ok(topic) = TopicId::try_from(topic) else {
            continue;
        };
        let seq = row.get::<_, i64>(1)? as u64;
        let posting = Posting { topic, seq };
        if posting <= last {
            run.problems.add(
                "events_by_topic",
                format_args!("the event with seq {seq} is not in order"),
            );
        }
        last = posting;
        run.adder.add(&mut sum, posting);
        run.progress("reading the index of topics", sum.records);
    }
    Ok(sum)
}
