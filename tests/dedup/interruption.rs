//! A crash after each transaction of a flush and of a merge, and failures that go on for long.

use std::path::Path;

use rusqlite::Connection;

use logagg::limits::{MEMTABLE_ENTRIES, MERGE_WIDTH};
use logagg::store::{Dedup, Outcome, Store};

use crate::audit::audit;
use crate::harness::{
    commit, copy, copy_template, find, idle_until_done, open, publication, seeds, template_event,
    Chance, Event, Folder, SMALL_ENTRIES, TEMPLATE_EVENTS,
};

/// Asserts that events of the template up to `last` are found and told as duplicates, others not.
fn check_look_ups(store: &mut Store, last: u64, chance: &mut Chance) {
    let memtable = SMALL_ENTRIES as u64;
    let edges = (0..=last / memtable).flat_map(|n| [n * memtable, n * memtable + 1]);
    let mut seqs: Vec<u64> = edges.filter(|seq| (1..=last).contains(seq)).collect();
    seqs.extend((0..100).map(|_| 1 + chance.below(last)));
    seqs.push(last);
    let events: Vec<Event> = seqs.iter().map(|seq| template_event(*seq)).collect();
    for (event, seq) in events.iter().zip(&seqs) {
        assert_eq!(find(store, event), Some((*seq, "{\"v\":0}".to_owned())));
        let absent = Event {
            id: chance.next() | 1 << 63,
            ..*event
        };
        assert_eq!(find(store, &absent), None);
    }
    let repeats = commit(store, &events);
    assert!(seqs
        .iter()
        .zip(repeats)
        .all(|(seq, outcome)| outcome == Outcome::Duplicate(*seq)));
    assert_eq!(store.last_seq(), last);
}

/// Opens a copy of the database as it is now, asks it, and lets it do the work that is left. Its segments are of
/// memtables with so many entries.
fn crash(path: &Path, last: u64, entries: usize, to_the_end: bool, chance: &mut Chance) {
    let folder = Folder::new();
    let copied = folder.file("copy");
    copy(path, &copied);
    let mut store = open(&copied, Dedup::Index);
    check_look_ups(&mut store, last, chance);
    if to_the_end {
        idle_until_done(&mut store);
        check_look_ups(&mut store, last, chance);
        let audit = audit(&copied, 128);
        assert_eq!(audit.orphans, 0, "{audit:?}");
        let flushed = last as usize / entries;
        let expected = [flushed % MERGE_WIDTH, flushed / MERGE_WIDTH];
        assert_eq!(audit.by_level[..2], expected);
    }
}

#[test]
fn a_flush_in_idle_moments_may_be_cut_off_anywhere() {
    let folder = Folder::new();
    let path = folder.file("db");
    let mut store = open(&path, Dedup::Index);
    let last = MEMTABLE_ENTRIES as u64 + 1;
    let events: Vec<_> = (1..last).map(template_event).collect();
    commit(&mut store, &events);
    commit(&mut store, &[template_event(last)]);
    let mut chance = Chance::new(1);
    let mut slices = 0;
    loop {
        // Each opens a full memtable, which takes its time, so every other transaction is followed by one.
        if slices % 2 == 0 {
            crash(&path, last, MEMTABLE_ENTRIES, true, &mut chance);
        }
        if !store.idle_work(true).unwrap() {
            break;
        }
        slices += 1;
    }
    assert!(slices > 10, "{slices}");
    check_look_ups(&mut store, last, &mut chance);
}

#[test]
fn a_flush_with_small_commits_may_be_cut_off_anywhere() {
    let folder = Folder::new();
    let path = folder.file("db");
    let mut store = open(&path, Dedup::Index);
    let mut last = MEMTABLE_ENTRIES as u64;
    let events: Vec<_> = (1..=last).map(template_event).collect();
    commit(&mut store, &events);
    let mut chance = Chance::new(2);
    let mut commits = 0;
    while store.index_memory().unwrap().segments == 0 {
        let events: Vec<_> = (last + 1..=last + 300).map(template_event).collect();
        commit(&mut store, &events);
        last += 300;
        commits += 1;
        crash(&path, last, MEMTABLE_ENTRIES, commits % 8 == 0, &mut chance);
    }
    assert!(commits > 40, "{commits}");
}

#[test]
fn a_merge_may_be_cut_off_anywhere() {
    let folder = Folder::new();
    let path = folder.file("db");
    copy_template(&path, Dedup::Index);
    let mut store = open(&path, Dedup::Index);
    let mut chance = Chance::new(3);
    // Each copy is 40 MB: a plain run makes one after every fifth transaction.
    let step = if seeds(3).len() > 3 { 1 } else { 5 };
    let mut slices = 0;
    while store.idle_work(true).unwrap() {
        slices += 1;
        if slices % step == 0 {
            let to_the_end = slices % 50 == 0;
            crash(
                &path,
                TEMPLATE_EVENTS,
                SMALL_ENTRIES,
                to_the_end,
                &mut chance,
            );
        }
    }
    assert!(slices > 100, "{slices}");
    crash(&path, TEMPLATE_EVENTS, SMALL_ENTRIES, true, &mut chance);
}

/// Each failed try used to leave a range of pages to be cleared away, and each of them took a
/// transaction of its own.
#[test]
fn failures_that_go_on_leave_no_growing_work() {
    let folder = Folder::new();
    let path = folder.file("db");
    let mut store = open(&path, Dedup::Index);
    let mut last = MEMTABLE_ENTRIES as u64;
    commit(
        &mut store,
        &(1..=last).map(template_event).collect::<Vec<_>>(),
    );
    // Some of the flush is on disk before the failures begin.
    last += 100;
    commit(
        &mut store,
        &(last - 99..=last).map(template_event).collect::<Vec<_>>(),
    );
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER failure BEFORE UPDATE ON counters BEGIN SELECT RAISE(ABORT, ''); END",
        )
        .unwrap();
    let next = publication(&[template_event(last + 1)]);
    for _ in 0..200 {
        let mut outcomes = Vec::new();
        store
            .commit([&next].into_iter(), 1, &mut outcomes)
            .unwrap_err();
        assert!(outcomes.is_empty());
    }
    other.execute_batch("DROP TRIGGER failure").unwrap();
    commit(&mut store, &[template_event(last + 1)]);
    let slices = idle_until_done(&mut store);
    assert!(slices < 30, "{slices} slices");
    check_look_ups(&mut store, last + 1, &mut Chance::new(4));
    let audit = audit(&path, 128);
    assert_eq!((audit.orphans, audit.by_level[0]), (0, 1));
}
