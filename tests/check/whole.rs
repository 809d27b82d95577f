//! Databases with nothing wrong: as a server closed them, left behind, or in use.

use std::fs;

use logagg::limits::{MEMTABLES_MAX, MEMTABLE_ENTRIES};
use logagg::store::{Dedup, Store};

use crate::databases::{fill, options, program, publication, Database, LARGE, SMALL};

#[test]
fn what_the_store_wrote_is_right_and_is_not_changed() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let database = Database::filled(dedup, LARGE);
        let before = fs::read(&database.path).unwrap();
        let said = database.is_clean();
        assert!(said.output.contains(&format!("events: {LARGE}\n")));
        assert!(said.output.contains("topics: 7\n"));
        assert!(said.output.contains("no key is stored twice"));
        assert!(said.output.contains("SQLite finds its file whole"));
        if dedup == Dedup::Index {
            assert!(said.output.contains("segments: 2\n"), "{}", said.output);
            assert_eq!(database.number("SELECT max(level) FROM segments"), 1);
        }
        let quick = database.check(&["--quick"]);
        assert_eq!(quick.code, 0, "{}", quick.output);
        assert!(!quick.output.contains("SQLite finds its file whole"));
        assert!(fs::read(&database.path).unwrap() == before);
        let mut files = database.files();
        files.sort();
        assert_eq!(files, ["events.db", "events.db.lock"]);
    }
}

#[test]
fn an_empty_database_is_right() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let database = Database::new();
        let store = Store::open(&options(&database.path, Some(dedup))).unwrap();
        store.close().unwrap();
        assert!(database.is_clean().output.contains("events: 0\n"));
    }
}

#[test]
fn a_database_in_use_is_right_between_any_two_commits() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let database = Database::new();
        let mut store = Store::open(&options(&database.path, Some(dedup))).unwrap();
        let mut from = 0;
        // No idle work: segments are half made and topics are behind.
        for to in [1, 10, 98_000, 110_000, SMALL] {
            let mut outcomes = Vec::new();
            for start in (from..to).step_by(5_000) {
                let batch = publication(start..to.min(start + 5_000));
                store
                    .commit([&batch].into_iter(), start as i64, &mut outcomes)
                    .unwrap();
            }
            from = to;
            let said = database.is_clean();
            assert!(said.output.contains(&format!("events: {to}\n")));
        }
        fill(&mut store, from..from + 10);
        database.is_clean();
    }
}

#[test]
fn a_log_that_was_left_behind_is_read() {
    let database = Database::new();
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    fill(&mut store, 0..1_000);
    let copy = Database::new();
    let log = |path: &std::path::Path| path.with_file_name("events.db-wal");
    fs::copy(&database.path, &copy.path).unwrap();
    fs::copy(log(&database.path), log(&copy.path)).unwrap();
    drop(store);
    assert!(copy.is_clean().output.contains("events: 1000\n"));
    assert!(fs::metadata(log(&copy.path)).unwrap().len() > 0);
    assert!(copy.is_clean().output.contains("events: 1000\n"));
}

#[test]
fn any_name_will_do() {
    let database = Database::new();
    let path = database.path.with_file_name("a b?#%41ä.db");
    let mut store = Store::open(&options(&path, None)).unwrap();
    fill(&mut store, 0..10);
    store.close().unwrap();
    let said = program(&["check", path.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}", said.error);
    assert!(said.output.contains("events: 10\n"));
}

/// What the server holds in memory, and reads at its start, is bounded whatever one commit brings.
#[test]
fn a_large_commit_leaves_few_events_behind_the_segments() {
    const EVENTS: u64 = 6 * MEMTABLE_ENTRIES as u64;
    let database = Database::new();
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    let batch = publication(0..EVENTS);
    store
        .commit([&batch].into_iter(), 1, &mut Vec::new())
        .unwrap();
    let behind = EVENTS as i64 - database.number("SELECT max(last_seq) FROM segments");
    assert!(
        behind as usize <= MEMTABLES_MAX * MEMTABLE_ENTRIES,
        "{behind}"
    );
    database.is_clean();
}
