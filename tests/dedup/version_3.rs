//! Databases of version 3, whose segments have no checksums: they open at once, answer right, and get checksums in
//! quiet turns, also where a start or a merge comes between.

use std::path::Path;

use rusqlite::Connection;

use logagg::limits::SEGMENT_LEVELS;
use logagg::store::{Dedup, Outcome, Store, SubscriptionOp};

use crate::audit::audit;
use crate::harness::{
    commit, find, idle_until_done, is_clean, options, publication, seeds, Chance, Event, Folder,
};
use crate::repair::asked;

fn event(id: u64) -> Event {
    Event {
        topic: (id % 3) as u32,
        id,
        version: 0,
    }
}

fn events(ids: std::ops::Range<u64>) -> Vec<Event> {
    ids.map(event).collect()
}

/// Takes from a closed database what versions 5 to 8 have added.
fn make_version_4(path: &Path) {
    let db = Connection::open(path).unwrap();
    for (table, column) in [
        ("counters", "checksum"),
        ("counters", "mark_checksum"),
        ("retention", "checksum"),
        ("removed_times", "checksum"),
        ("removed_keys", "checksum"),
        ("subscriptions", "hold"),
        ("subscriptions", "checksum"),
        ("meta", "checksum"),
    ] {
        let sql = format!("ALTER TABLE {table} DROP COLUMN {column}");
        db.execute(&sql, []).unwrap();
    }
    db.execute_batch("DROP TABLE search_blocks; DROP TABLE search_pages")
        .unwrap();
    db.pragma_update(None, "user_version", 4).unwrap();
}

/// Takes from a closed database what versions 4 to 8 have added.
fn make_version_3(path: &Path) {
    make_version_4(path);
    let db = Connection::open(path).unwrap();
    for level in 0..SEGMENT_LEVELS {
        let sql = format!(
            "UPDATE segment_pages_{level} SET content = substr(content, 1, length(content) - 4)"
        );
        db.execute(&sql, []).unwrap();
    }
    db.execute_batch(
        "ALTER TABLE segments DROP COLUMN checksum; ALTER TABLE segments DROP COLUMN lost_records; \
         ALTER TABLE topics DROP COLUMN checksum; PRAGMA user_version = 3",
    )
    .unwrap();
}

fn number(path: &Path, sql: &str) -> i64 {
    let db = Connection::open(path).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn segments_without_checksums_get_them_in_quiet_turns() {
    const UNSEALED: &str = "SELECT count(*) FROM segments WHERE checksum IS NULL";
    for seed in seeds(4) {
        eprintln!("seed {seed}");
        let mut chance = Chance::new(seed);
        let folder = Folder::new();
        let mut options = options(&folder.file("db"), Dedup::Index);
        options.filter_memory_bytes = chance.pick(&[0, usize::MAX]);
        let open = || {
            let mut store = Store::open(&options).unwrap();
            store.set_memtable_slots(1_024);
            store
        };
        let mut store = open();
        // Sixteen segments are merged, two are not.
        let mut stored = 18 * 768 + 300;
        for first in (0..stored).step_by(1_000) {
            commit(&mut store, &events(first..stored.min(first + 1_000)));
        }
        idle_until_done(&mut store);
        store.close().unwrap();
        make_version_3(&options.path);
        is_clean(&options.path);
        store = open();
        assert_eq!(number(&options.path, UNSEALED), 3);
        for _ in 0..40 {
            match chance.below(4) {
                0 => drop(store.idle_work(true).unwrap()),
                1 => {
                    store.close().unwrap();
                    store = open();
                }
                2 => {
                    commit(&mut store, &events(stored..stored + 500));
                    stored += 500;
                }
                _ => {
                    let id = chance.below(stored);
                    let same = commit(&mut store, &[event(id)]);
                    assert_eq!(same, [Outcome::Duplicate(id + 1)]);
                    assert_eq!(find(&mut store, &event(id)).unwrap().0, id + 1);
                }
            }
        }
        idle_until_done(&mut store);
        assert_eq!(number(&options.path, UNSEALED), 0);
        store.close().unwrap();
        is_clean(&options.path);
        audit(&options.path, 128);
        assert_eq!(number(&options.path, "PRAGMA user_version"), 8);
    }
}

/// A filter and fences that have been damaged before there were checksums are not trusted by the new ones.
#[test]
fn damage_from_before_the_checksums_is_mended_with_them() {
    let folder = Folder::new();
    let options = options(&folder.file("db"), Dedup::Index);
    let mut store = Store::open(&options).unwrap();
    store.set_memtable_slots(1_024);
    commit(&mut store, &events(0..800));
    idle_until_done(&mut store);
    store.close().unwrap();
    make_version_3(&options.path);
    let db = Connection::open(&options.path).unwrap();
    // Seven pages of keys, one of the filter, one of fences, three of postings.
    for id in [3, 8, 9, 11] {
        let sql = "SELECT content FROM segment_pages_0 WHERE id = ?1";
        let mut content: Vec<u8> = db.query_row(sql, [id], |row| row.get(0)).unwrap();
        content[16] ^= 0x80;
        content[0] ^= 0x80;
        let sql = "UPDATE segment_pages_0 SET content = ?2 WHERE id = ?1";
        db.execute(sql, (id, content)).unwrap();
    }
    drop(db);
    let mut store = Store::open(&options).unwrap();
    idle_until_done(&mut store);
    assert_eq!(store.damaged_pages(), 0);
    for id in 0..800 {
        let batch = publication(&[event(id)]);
        let mut outcomes = Vec::new();
        asked(&mut store, |store| {
            store.commit([&batch].into_iter(), 1_000_000, &mut outcomes)
        });
        assert_eq!(outcomes, [Outcome::Duplicate(id + 1)]);
    }
    store.close().unwrap();
    is_clean(&options.path);
    audit(&options.path, 128);
}

/// A bit of a key or of a posting that was flipped before there were checksums gets no checksum: the events tell.
#[test]
fn keys_and_postings_are_compared_with_the_events_before_they_get_checksums() {
    for (page, byte) in [(2, 20), (5, 3), (6, 31), (11, 5), (10, 3)] {
        let folder = Folder::new();
        let options = options(&folder.file("db"), Dedup::Index);
        let mut store = Store::open(&options).unwrap();
        store.set_memtable_slots(1_024);
        commit(&mut store, &events(0..800));
        idle_until_done(&mut store);
        store.close().unwrap();
        make_version_3(&options.path);
        let db = Connection::open(&options.path).unwrap();
        let sql = "SELECT content FROM segment_pages_0 WHERE id = ?1";
        let mut content: Vec<u8> = db.query_row(sql, [page], |row| row.get(0)).unwrap();
        // The second record: the order of the pages stays.
        let record = if page < 8 { 32 } else { 12 };
        content[record + byte] ^= 1;
        let sql = "UPDATE segment_pages_0 SET content = ?2 WHERE id = ?1";
        db.execute(sql, (page, content)).unwrap();
        drop(db);
        let mut store = Store::open(&options).unwrap();
        idle_until_done(&mut store);
        assert_eq!(store.damaged_pages(), 0);
        assert_eq!(store.damaged_pages_found(), 1, "page {page}");
        for id in 0..800 {
            let outcome = commit(&mut store, &[event(id)]);
            assert_eq!(outcome, [Outcome::Duplicate(id + 1)]);
        }
        store.close().unwrap();
        is_clean(&options.path);
        audit(&options.path, 128);
    }
}

/// Merges ride along with commits, also where no turn is quiet enough to compare records with their events: they wait
/// for that, and carry no record over unproved.
#[test]
fn a_merge_waits_until_its_records_have_been_compared() {
    const OLD: u64 = 15 * 768;
    for quiet_turns in [false, true] {
        let folder = Folder::new();
        let options = options(&folder.file("db"), Dedup::Index);
        let open = || {
            let mut store = Store::open(&options).unwrap();
            store.set_memtable_slots(1_024);
            store
        };
        let mut store = open();
        for first in (0..OLD).step_by(768) {
            commit(&mut store, &events(first..first + 768));
        }
        idle_until_done(&mut store);
        store.close().unwrap();
        make_version_3(&options.path);
        // The second record on a page of keys: the order of the page stays.
        let db = Connection::open(&options.path).unwrap();
        let sql = "SELECT content FROM segment_pages_0 WHERE id = 2";
        let mut content: Vec<u8> = db.query_row(sql, [], |row| row.get(0)).unwrap();
        content[32 + 20] ^= 1;
        let sql = "UPDATE segment_pages_0 SET content = ?1 WHERE id = 2";
        db.execute(sql, [content]).unwrap();
        drop(db);
        let mut store = open();
        let merged = "SELECT count(*) FROM segments WHERE level > 0";
        for first in (OLD..4 * OLD).step_by(384) {
            commit(&mut store, &events(first..first + 384));
            if quiet_turns {
                // As after a turn that has committed something.
                store.idle_work(false).unwrap();
            }
        }
        assert_eq!(number(&options.path, merged) > 0, quiet_turns);
        idle_until_done(&mut store);
        assert!(number(&options.path, merged) > 0);
        assert_eq!(store.damaged_pages_found(), 1);
        for first in (0..4 * OLD).step_by(1_024) {
            let ids = first..(4 * OLD).min(first + 1_024);
            let same: Vec<Outcome> = ids.clone().map(|id| Outcome::Duplicate(id + 1)).collect();
            assert_eq!(commit(&mut store, &events(ids)), same);
        }
        store.close().unwrap();
        is_clean(&options.path);
        audit(&options.path, 128);
    }
}

#[test]
fn tables_of_older_versions_are_refused_with_a_sentence() {
    let folder = Folder::new();
    let options = options(&folder.file("db"), Dedup::Index);
    Store::open(&options).unwrap().close().unwrap();
    let db = Connection::open(&options.path).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let error = Store::open(&options).err().expect("it is refused");
    assert!(
        error
            .to_string()
            .contains("its tables have version 2, this program knows them from 3 on"),
        "{error}"
    );
}

/// The rows of the small tables get their checksums when they are written next.
#[test]
fn a_database_of_version_4_opens_as_before() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let folder = Folder::new();
        let options = options(&folder.file("db"), dedup);
        let mut store = Store::open(&options).unwrap();
        commit(&mut store, &events(0..500));
        let (name, mut answered) = ("mailer".to_owned(), Vec::new());
        let put = SubscriptionOp::Put {
            name,
            after: Some(77),
            hold: None,
        };
        store
            .commit_all([].iter(), &[put], 1, 1, &mut answered)
            .unwrap();
        let identity = store.identity().clone();
        store.close().unwrap();
        make_version_4(&options.path);
        is_clean(&options.path);
        let mut store = Store::open(&options).unwrap();
        assert_eq!(
            commit(&mut store, &events(499..501)),
            [Outcome::Duplicate(500), Outcome::Accepted(501)]
        );
        assert_eq!(store.subscription("mailer").unwrap().after, 77);
        assert_eq!(store.identity(), &identity);
        store.close().unwrap();
        is_clean(&options.path);
        let named = "SELECT (SELECT count(*) FROM subscriptions WHERE checksum IS NULL) + \
                     (SELECT count(*) FROM meta WHERE checksum IS NULL)";
        assert_eq!(number(&options.path, named), 0);
        let unsealed =
            "SELECT count(*) FROM counters WHERE checksum IS NULL OR mark_checksum IS NULL";
        assert_eq!(number(&options.path, unsealed), 0);
    }
}
