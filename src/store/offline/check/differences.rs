//! Where a segment and its events differ: found by looking everything up, once their sums have shown that they do.

use rusqlite::{Connection, OptionalExtension};

use super::rows::Group;
use super::run::{unless_damaged, Run};
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::layout::Description;
use crate::store::index::pages::Pages as StoredPages;
use crate::store::index::record::{records, KeyRecord, Posting, Record};
use crate::store::index::segment::Segment;
use crate::store::index::Damage;
use crate::store::range::{Bound, TopicRange};
use crate::store::rows::event_parts;

/// The name of a segment in a line about it.
pub(super) struct SegmentName<'a>(pub &'a Description);

impl std::fmt::Display for SegmentName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Description {
            level,
            first_seq,
            last_seq,
            ..
        } = self.0;
        write!(
            f,
            "the segment of seq {first_seq} to {last_seq} (level {level})"
        )
    }
}

/// Returns where a segment and its events differ, by looking everything up.
pub(super) fn name_differences(
    run: &mut Run,
    fingerprinter: &Fingerprinter,
    about: &Description,
    group: &Group,
) -> rusqlite::Result<()> {
    let name = SegmentName(about);
    run.problems.add(
        "segments",
        format_args!("{name} does not hold what its events say"),
    );
    let layout = about.layout();
    let pages = StoredPages::of(*about, &Damage::silent());
    for id in layout.first_page..layout.filter_at() {
        for key in page_records::<KeyRecord>(run.db, &pages, id)? {
            if run.problems.is_full("keys") {
                break;
            }
            let seq = key.seq;
            if seq <= run.horizons.events {
                continue;
            }
            match record_of(run.db, fingerprinter, seq)? {
                Some(stored) if stored == key => {}
                Some(_) => run.problems.add(
                    "keys",
                    format_args!("the event with seq {seq} is not the one that {name} knows"),
                ),
                None => run.problems.add(
                    "keys",
                    format_args!("{name} has the seq {seq}, which no event has"),
                ),
            }
        }
    }
    for id in layout.postings_at()..layout.posting_fences_at() {
        for posting in page_records::<Posting>(run.db, &pages, id)? {
            if run.problems.is_full("postings") {
                break;
            }
            let Posting { topic, seq } = posting;
            if seq <= run.horizons.events {
                continue;
            }
            let sql = "SELECT 1 FROM events WHERE seq = ?1 AND topic_id = ?2";
            let mut statement = run.db.prepare_cached(sql)?;
            if !statement.exists((seq as i64, topic))? {
                run.problems.add(
                    "postings",
                    format_args!("{name} has the seq {seq} for topic {topic}, which no event is"),
                );
            }
        }
    }
    name_missing(run, fingerprinter, about, group)
}

/// Names the events that a segment does not find, if it can be used at all.
fn name_missing(
    run: &mut Run,
    fingerprinter: &Fingerprinter,
    about: &Description,
    group: &Group,
) -> rusqlite::Result<()> {
    let Some(segment) = unless_damaged(Segment::load(run.db, *about, false, &Damage::silent()))?
    else {
        return Ok(());
    };
    let name = SegmentName(about);
    let sql = "SELECT seq, topic_id, event_id FROM events WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query((group.first_seq as i64, group.last_seq as i64))?;
    while let Some(row) = rows.next()? {
        if run.problems.is_full("keys") && run.problems.is_full("postings") {
            break;
        }
        let (seq, topic) = (row.get::<_, i64>(0)? as u64, row.get(1)?);
        let fingerprint = fingerprinter.of_key(topic, row.get_ref(2)?.as_bytes()?);
        let find = segment.find(run.db, fingerprint, &mut |found| Ok(found.seq == seq));
        if !unless_damaged(find)?.unwrap_or(false) {
            run.problems.add(
                "keys",
                format_args!("{name} does not find the event with seq {seq}"),
            );
        }
        let mut found = Vec::new();
        let range = TopicRange {
            topic,
            bound: Bound::After(seq - 1),
            removed: 0,
            newest: u64::MAX,
            limit: 1,
        };
        let list = segment.seqs_of(run.db, &range, &mut found);
        if unless_damaged(list)?.is_none() || found != [seq] {
            run.problems.add(
                "postings",
                format_args!("{name} does not list the event with seq {seq} for topic {topic}"),
            );
        }
    }
    Ok(())
}

/// The records of a page; none if it is damaged, which has been reported.
fn page_records<R: Record>(
    db: &Connection,
    pages: &StoredPages,
    id: i64,
) -> rusqlite::Result<Vec<R>> {
    let found = pages.with(db, id, |page| records::<R>(page).collect());
    Ok(unless_damaged(found)?.unwrap_or_default())
}

/// The record of a stored event, if there is one.
fn record_of(
    db: &Connection,
    fingerprinter: &Fingerprinter,
    seq: u64,
) -> rusqlite::Result<Option<KeyRecord>> {
    let sql =
        "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events WHERE seq = ?1";
    db.prepare_cached(sql)?
        .query_row([seq as i64], |row| {
            Ok(fingerprinter.record(&event_parts(row)?, seq))
        })
        .optional()
}
