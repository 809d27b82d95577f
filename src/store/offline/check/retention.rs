//! What retention has left: its horizons, and the keys of removed events.

use super::problems::Problems;
use super::rows::Groups;
use super::run::Run;
use super::sum::Sum;
use super::tables::Counters;
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::record::KeyRecord;
use crate::store::retention::horizons::Horizons;
use crate::store::rows::removed_keys_after;
use crate::store::rows::{event_parts, EVENTS_AFTER};

/// Reads the horizons, and the times that were kept for the expiry of keys.
pub(super) fn horizons(run: &mut Run, counters: &Counters) -> rusqlite::Result<Horizons> {
    let horizons = Horizons::load(run.db)?;
    let Horizons {
        events,
        removed,
        keys,
    } = horizons;
    if events > counters.last_seq || keys > events || removed > events {
        run.problems.add(
            "retention",
            format_args!(
                "events_horizon {events}, events_removed {removed} and keys_horizon {keys} cannot be, with last_seq {}",
                counters.last_seq
            ),
        );
    }
    let sql = "SELECT last_seq, processed_at FROM removed_times ORDER BY last_seq";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let (mut last, mut last_at) = (keys, i64::MIN);
    while let Some(row) = rows.next()? {
        let (seq, at) = (row.get::<_, i64>(0)?.max(0) as u64, row.get(1)?);
        if seq <= last || seq > events || at < last_at {
            run.problems.add(
                "removed_times",
                format_args!("the row with last_seq {seq} does not fit the others"),
            );
        }
        (last, last_at) = (seq, at);
    }
    if last != events {
        run.problems.add(
            "removed_times",
            format_args!(
                "it ends with last_seq {last}, but the events up to {events} have been removed"
            ),
        );
    }
    Ok(horizons)
}

/// Adds the keys of removed events that no segment has yet to those after the segments.
pub(super) fn add_keys_after_segments(run: &mut Run, groups: &mut Groups) -> rusqlite::Result<()> {
    let known = groups.mark().max(run.horizons.keys);
    let horizon = run.horizons.events;
    let problems = &mut run.problems;
    removed_keys_after(run.db, known, usize::MAX, |key| {
        if key.seq > horizon {
            is_of_no_removed_event(problems, key.seq);
        }
        groups.tail.push(key);
        Ok(())
    })
}

fn is_of_no_removed_event(problems: &mut Problems, seq: u64) {
    problems.add(
        "removed_keys",
        format_args!("there is the seq {seq}, which no removed event has"),
    );
}

/// Compares the number of keys that are kept of removed events with how many it must be, where each seq
/// has had its event. Of those that are lost, some may have expired.
pub(super) fn compare_count(run: &mut Run, counters: &Counters, found: u64, lost: u64) {
    let Horizons { events, keys, .. } = run.horizons;
    let expected = events.saturating_sub(keys);
    let is_right = (found..=found + lost).contains(&expected);
    if counters.unique_processed == counters.last_seq && !is_right {
        run.problems.add(
            "retention",
            format_args!("there are {found} keys of removed events, not {expected}"),
        );
    }
}

/// Compares the table of these keys, where it has all of them, with its index and with the events.
pub(super) fn compare_table(
    run: &mut Run,
    counters: &Counters,
    fingerprinter: &Fingerprinter,
) -> rusqlite::Result<()> {
    let horizons = run.horizons;
    let (mut in_table, mut in_index) = (Sum::default(), Sum::default());
    let (adder, problems) = (&mut run.adder, &mut run.problems);
    removed_keys_after(run.db, horizons.keys, usize::MAX, |key| {
        if key.seq > horizons.events {
            is_of_no_removed_event(problems, key.seq);
        }
        adder.add(&mut in_table, key_alone(key));
        Ok(())
    })?;
    let sql = "SELECT fingerprint, seq FROM removed_keys INDEXED BY removed_keys_by_fingerprint \
               ORDER BY fingerprint, seq";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut last: Option<KeyRecord> = None;
    while let Some(row) = rows.next()? {
        let key = KeyRecord {
            fingerprint: u128::from_be_bytes(row.get(0)?),
            seq: row.get::<_, i64>(1)?.max(0) as u64,
            event_hash: 0,
        };
        if key.seq <= horizons.keys {
            continue;
        }
        if let Some(last) = last.filter(|last| last.fingerprint == key.fingerprint) {
            have_one_key(run, last.seq, key.seq);
        }
        run.adder.add(&mut in_index, key);
        last = Some(key);
    }
    if in_table != in_index {
        run.problems.add(
            "removed_keys_by_fingerprint",
            "the index does not hold the keys",
        );
    }
    compare_count(run, counters, in_table.records, 0);
    find_in_events(run, fingerprinter)
}

/// Looks up each stored event's key among those of removed ones.
fn find_in_events(run: &mut Run, fingerprinter: &Fingerprinter) -> rusqlite::Result<()> {
    let mut find = run.db.prepare(
        "SELECT seq FROM removed_keys INDEXED BY removed_keys_by_fingerprint \
         WHERE fingerprint = ?1 AND seq > ?2",
    )?;
    let mut statement = run.db.prepare(EVENTS_AFTER)?;
    let mut rows = statement.query([run.horizons.events as i64])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let event = event_parts(row)?;
        let fingerprint = fingerprinter.of_key(event.topic, event.event_id);
        let mut found = find.query((fingerprint.to_be_bytes(), run.horizons.keys as i64))?;
        while let Some(same) = found.next()? {
            have_one_key(
                run,
                same.get::<_, i64>(0)?.max(0) as u64,
                row.get::<_, i64>(0)? as u64,
            );
        }
        done += 1;
        run.progress("looking for repeated keys", done);
    }
    Ok(())
}

fn have_one_key(run: &mut Run, first: u64, second: u64) {
    run.problems.add(
        "events",
        format_args!("the events with seq {first} and {second} have one key"),
    );
}

fn key_alone(key: KeyRecord) -> KeyRecord {
    KeyRecord {
        event_hash: 0,
        ..key
    }
}
