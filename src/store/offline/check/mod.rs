//! `check`: verifies a database, or says what is wrong with it, as it is at one moment ([`super::snapshot`]), also
//! while a server writes to it.
//!
//! Memory is bounded whatever the size of the database. Each structure is read once from front to back; that two of
//! them hold the same records, each in its own order, is shown by sums of keyed hashes ([`sum`]). That no key is stored
//! twice follows in either kind of database from a list of all keys in ascending order: equal ones would be neighbours.
//! The list is SQLite's index, or the merged segments with the events that they lead to; its sum shows that it is the
//! list of what is stored.

mod checksums;
mod constraint;
mod differences;
mod filter;
mod problems;
mod rejected;
mod retention;
mod rows;
mod rules;
mod run;
mod segments;
mod sum;
mod summaries;
mod tables;

use std::path::PathBuf;

use rusqlite::Connection;

use self::problems::Problems;
use self::run::Run;
pub use self::run::{Progress, Report};
use self::sum::Adder;
use crate::limits;
use crate::store::error::explain;
use crate::store::error::OpenError;
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::layout::Description;
use crate::store::index::merge::{Merge, Source};
use crate::store::index::pages::Pages;
use crate::store::index::record::KeyRecord;
use crate::store::index::stored::{have_one_key, Collision};
use crate::store::index::Damage;
use crate::store::offline::snapshot;
use crate::store::options::Dedup;
use crate::store::retention::horizons::Horizons;
use crate::store::schema::fingerprint_key;
use crate::store::schema::{recorded_check, version};

/// What is to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    pub path: PathBuf,
    /// Leaves out SQLite's own `PRAGMA integrity_check`.
    pub quick: bool,
}

/// Checks a database. An error means that it is not ours or cannot be read at all.
pub fn check(
    options: &CheckOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, OpenError> {
    let path = &options.path;
    snapshot::read(path, |db| check_once(db, options.quick, progress)).map_err(|what| {
        OpenError(format!(
            "cannot check the database {}: {what}",
            path.display()
        ))
    })
}

fn check_once(
    db: &Connection,
    quick: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, String> {
    let mut report = Report {
        dedup: recorded_check(db).map_err(|e| explain(&e))?,
        events: 0,
        removed: 0,
        topics: 0,
        segments: 0,
        garbage_pages: 0,
        lost_keys: 0,
        has_unused_parts: false,
        proven: Vec::new(),
        problems: Vec::new(),
    };
    let mut run = Run {
        db,
        problems: Problems::default(),
        progress,
        adder: Adder::new(),
        expected: 0,
        horizons: Horizons::default(),
        version: version(db).map_err(|e| explain(&e))?,
    };
    if let Err(error) = check_all(&mut run, quick, &mut report) {
        let why = explain(&error);
        run.problems
            .add("sqlite", format_args!("the check ends early: {why}"));
    }
    report.problems = run.problems.into_lines();
    Ok(report)
}

fn check_all(run: &mut Run, quick: bool, report: &mut Report) -> rusqlite::Result<()> {
    let dedup = report.dedup;
    if !quick {
        run.step(report, "SQLite finds its file whole", tables::integrity)?;
    }
    let schema = run.step(
        report,
        "all tables and indexes are defined as they must be",
        |run| tables::definitions(run, dedup),
    )?;
    report.has_unused_parts = schema.has_unused_parts;
    run.step(
        report,
        "the rows of the small tables have their checksums",
        |run| checksums::compare(run, &schema),
    )?;
    let counters = tables::counters(run)?;
    tables::history(run, &counters)?;
    run.horizons = retention::horizons(run, &counters)?;
    report.removed = run.horizons.removed;
    run.expected = counters.unique_processed.saturating_sub(report.removed);
    let mut topics = tables::Topics::read(run, &counters)?;
    if !schema.is_damaged {
        tables::order_of_topics(run, &topics)?;
    }
    if schema.is_right("subscriptions") {
        tables::subscriptions(run, &counters)?;
    }
    check_added(run, report, &schema, &counters)?;
    let segments = match dedup {
        Dedup::Index => segments::read(run, &counters)?,
        Dedup::Constraint => Vec::new(),
    };
    let fingerprinter = Fingerprinter::new(fingerprint_key(run.db)?, 128);
    report.segments = segments.len() as u64;
    let rows = run.step(
        report,
        "each event keeps the rules and has a legal seq and a topic, and the counters equal the events",
        |run| {
            let mut groups = rows::Groups::of(&segments, dedup);
            if dedup == Dedup::Index {
                retention::add_keys_after_segments(run, &mut groups)?;
            }
            let rows = rows::scan(run, &fingerprinter, &counters, &mut topics, &mut groups)?;
            tables::compare_counters(run, &counters, rows);
            Ok((rows, groups))
        },
    )?;
    let (count, groups) = rows;
    report.events = count;
    report.topics = topics.len() as u64;
    run.step(report, "the counts of topics equal the events", |run| {
        topics.judge(run);
        Ok(())
    })?;
    match dedup {
        Dedup::Constraint => check_constraint(run, report, &schema, &counters, &groups),
        Dedup::Index => {
            let is_damaged = schema.is_damaged;
            check_index(run, report, &counters, &segments, groups, is_damaged)
        }
    }
}

/// Whether the tables that not every database has are right.
fn check_added(
    run: &mut Run,
    report: &mut Report,
    schema: &tables::Schema,
    counters: &tables::Counters,
) -> rusqlite::Result<()> {
    if schema.has_rejected {
        run.step(
            report,
            "the rejected records and their counts agree",
            rejected::compare,
        )?;
    }
    if schema.has_summaries {
        run.step(
            report,
            "the summaries hold what a sample of their events has",
            |run| summaries::compare(run, counters.last_seq),
        )?;
    }
    Ok(())
}

const KEYS_ARE_KEPT: &str = "the keys of removed events are there, as far as they have not expired";

/// Whether SQLite's indexes are those of the events, and the table of removed keys is complete.
fn check_constraint(
    run: &mut Run,
    report: &mut Report,
    schema: &tables::Schema,
    counters: &tables::Counters,
    groups: &rows::Groups,
) -> rusqlite::Result<()> {
    let fingerprinter = Fingerprinter::new(fingerprint_key(run.db)?, 128);
    run.step(
        report,
        "both indexes hold each event once, and no key is stored twice",
        |run| constraint::compare(run, &fingerprinter, schema, groups),
    )?;
    if run.horizons.events == 0 || !schema.is_right("removed_keys_by_fingerprint") {
        return Ok(());
    }
    run.step(report, KEYS_ARE_KEPT, |run| {
        retention::compare_table(run, counters, &fingerprinter)
    })
}

/// Whether the segments are those of the events, and no key is stored twice.
fn check_index(
    run: &mut Run,
    report: &mut Report,
    counters: &tables::Counters,
    segments: &[Description],
    groups: rows::Groups,
    is_damaged: bool,
) -> rusqlite::Result<()> {
    let fingerprinter = Fingerprinter::new(fingerprint_key(run.db)?, 128);
    let before = run.problems.count();
    let compared = run.step(
        report,
        "the segments hold the key and the topic of each event up to the last of them, and nothing else",
        |run| segments::compare_all(run, &fingerprinter, segments, &groups),
    )?;
    report.garbage_pages = compared.garbage_pages;
    report.lost_keys = compared.lost;
    if run.horizons.events > 0 {
        let in_table = groups.removed_after(&run.horizons);
        run.step(report, KEYS_ARE_KEPT, |run| {
            retention::compare_count(run, counters, compared.kept + in_table, compared.lost);
            Ok(())
        })?;
    }
    if run.problems.count() > before || is_damaged {
        return Ok(());
    }
    run.step(report, "no key is stored twice", |run| {
        let mut same = Vec::new();
        let result = find_same_keys(
            run.db,
            segments,
            groups.tail,
            run.horizons,
            &mut |collision| same.push(collision),
            run.progress,
        );
        for Collision { first, second } in same {
            run.problems.add(
                "events",
                format_args!("the events with seq {first} and {second} have one key"),
            );
        }
        result
    })
}

/// Hands each two events of one key to `found`, by merging the segments, whose keys must be sorted,
/// with the keys after them, in any order.
pub(super) fn find_same_keys(
    db: &Connection,
    segments: &[Description],
    mut tail: Vec<KeyRecord>,
    horizons: Horizons,
    found: &mut dyn FnMut(Collision),
    progress: &mut dyn FnMut(Progress),
) -> rusqlite::Result<()> {
    tail.sort_unstable();
    let total = segments.iter().map(|about| about.entries).sum::<u64>() + tail.len() as u64;
    let damage = Damage::silent();
    let mut sources = Vec::with_capacity(segments.len() + 1);
    for about in segments {
        sources.push(Source::of(&Pages::of(*about, &damage)));
    }
    sources.push(Source::memory(tail));
    let mut keys = Merge::new(sources);
    let mut last: Option<KeyRecord> = None;
    let mut done = 0_u64;
    while let Some(record) = keys.next(db)? {
        if let Some(last) = last.filter(|last| last.fingerprint == record.fingerprint) {
            let collision = Collision {
                first: last.seq,
                second: record.seq,
            };
            if have_one_key(db, collision, horizons)? {
                found(collision);
            }
        }
        last = Some(record);
        done += 1;
        if done.is_multiple_of(limits::PROGRESS_RECORDS) {
            let step = "looking for repeated keys";
            progress(Progress { step, done, total });
        }
    }
    Ok(())
}
