//! Opens what a cut has left, as the server does and as any program does, and compares it with what was
//! promised.

use std::collections::HashSet;
use std::path::Path;

use logagg::event::{EventSpans, Publication, Span};
use logagg::store::{
    CheckOptions, Durability, OpenOptions, Outcome, Retention, SearchIndex, Store,
};
use rusqlite::Connection;

use super::promise::{rows, Promise, Rest};

/// Looks at the database in `folder`, of which `promised` events must be there; says how many are.
pub fn check(folder: &Path, promise: &Promise, promised: u64) -> Result<u64, String> {
    let path = folder.join("events.db");
    let stored = check_rows(&path, promise, promised)?;
    let options = OpenOptions {
        path,
        durability: Durability::Normal,
        dedup: None,
        filter_memory_bytes: 64 * 1024 * 1024,
        fingerprint_bits: 128,
        triggers: false,
        retention: Retention::default(),
        search_index: SearchIndex::default(),
    };
    let mut store = Store::open(&options).map_err(|error| error.to_string())?;
    let counters = store.counters();
    if counters.unique_processed != stored || store.last_seq() != stored {
        let last_seq = store.last_seq();
        return Err(format!(
            "{stored} events, but {counters:?} and last seq {last_seq}"
        ));
    }
    let sum: u64 = {
        let topics = store.topics();
        let events = |id| topics.get(id).events;
        topics.in_order(None).map(events).sum()
    };
    let left = store.last_seq() + 1 - store.first_seq();
    if sum != left {
        return Err(format!("{left} events, but the topics have {sum}"));
    }
    publish_all_again(&mut store, promise, stored)?;
    let counters = store.counters();
    store.close().map_err(|error| error.to_string())?;
    let whole = CheckOptions {
        path: options.path.clone(),
        quick: true,
    };
    let report = logagg::store::check(&whole, &mut |_| {}).map_err(|error| error.to_string())?;
    if let Some(problem) = report.problems.first() {
        return Err(format!("check finds: {problem}"));
    }
    let database = Connection::open(&options.path).map_err(|error| error.to_string())?;
    let whole = rows(&database)?;
    let distinct: HashSet<&[String]> = whole.rows.iter().map(|row| &row[..2]).collect();
    let count = whole.last_seq();
    if distinct.len() != whole.rows.len() || counters.unique_processed != count {
        return Err(format!(
            "{} keys, {count} events, {counters:?}",
            distinct.len()
        ));
    }
    let removed = whole.removed as usize;
    if promise.rest == Rest::Known && whole.rows != promise.rows[removed..] {
        return Err("in the end the events are others".into());
    }
    Ok(stored)
}

/// As any program sees the file, before the server has had a chance to repair anything.
fn check_rows(path: &Path, promise: &Promise, promised: u64) -> Result<u64, String> {
    if !path.exists() {
        return match promised {
            0 => Ok(0),
            _ => Err(format!("lost: the file itself, with {promised} events")),
        };
    }
    let explain = |error: rusqlite::Error| format!("damaged: {error}");
    let database = Connection::open(path).map_err(explain)?;
    let number = |sql: &str| -> Result<i64, String> {
        database
            .query_row(sql, [], |row| row.get(0))
            .map_err(explain)
    };
    let text = |sql: &str| -> Result<String, String> {
        database
            .query_row(sql, [], |row| row.get(0))
            .map_err(explain)
    };
    let checked = text("PRAGMA integrity_check(3)")?;
    if checked != "ok" {
        return Err(format!("damaged: {checked}"));
    }
    // The tables come with the first commit, before there is any event.
    if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return match promised {
            0 => Ok(0),
            _ => Err(format!("lost: all {promised} events")),
        };
    }
    let found = rows(&database)?;
    let stored = found.last_seq();
    if stored < promised {
        return Err(format!("lost: {promised} events promised, {stored} stored"));
    }
    let known = match promise.rest {
        Rest::Known => stored as usize,
        Rest::MayBeRefused => promised as usize,
    };
    let removed = found.removed as usize;
    let is_other = |at: &usize| found.rows.get(at - removed) != promise.rows.get(*at);
    if let Some(at) = (removed..known).find(is_other) {
        return Err(format!(
            "event {} is {:?}",
            at + 1,
            found.rows[at - removed]
        ));
    }
    if number("SELECT count(*) FROM (SELECT DISTINCT topic_id, event_id FROM events)")?
        != found.rows.len() as i64
    {
        return Err("a key is stored twice".into());
    }
    let unique = number("SELECT unique_processed FROM counters")? as u64;
    let duplicates = number("SELECT duplicate_dropped FROM counters")? as u64;
    let conflicts = number("SELECT conflicts FROM counters")? as u64;
    let were = promise.rest == Rest::MayBeRefused || promise.counts.contains(&(unique, duplicates));
    if unique != stored || !were || conflicts > duplicates {
        return Err(format!(
            "{stored} events, and counts that never were: {unique}, {duplicates}, {conflicts}"
        ));
    }
    Ok(stored)
}

/// What is stored must be known, and what is not must be new: the duplicate check lost nothing either.
fn publish_all_again(store: &mut Store, promise: &Promise, stored: u64) -> Result<(), String> {
    let mut publication = Publication::default();
    for row in &promise.rows {
        let body = &mut publication.body;
        let mut span = |at: usize| {
            let start = body.len() as u32;
            body.extend_from_slice(row[at].as_bytes());
            let len = row[at].len() as u32;
            Span { start, len }
        };
        publication.events.push(EventSpans {
            topic: span(0),
            event_id: span(1),
            timestamp: span(2),
            source: span(3),
            payload: span(4),
        });
    }
    let mut outcomes = Vec::new();
    store
        .commit(std::iter::once(&publication), 1, &mut outcomes)
        .map_err(|error| error.to_string())?;
    if promise.rest == Rest::MayBeRefused {
        return Ok(());
    }
    for (seq, outcome) in (1..).zip(&outcomes) {
        let expected = if seq <= stored {
            Outcome::Duplicate(seq)
        } else {
            Outcome::Accepted(seq)
        };
        if *outcome != expected {
            return Err(format!("{outcome:?} where {expected:?} was expected"));
        }
    }
    Ok(())
}
