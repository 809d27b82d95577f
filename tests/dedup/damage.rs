//! Files that contradict themselves: each is told as an error, none ends the program or is hidden.

use std::sync::{Mutex, OnceLock};

use rusqlite::Connection;

use logagg::store::{Bound, Dedup, Outcome, PageQuery, Store};

use crate::harness::{
    commit, copy, find, idle_until_done, is_clean, open, options, page, publication,
    template_event, Folder, SMALL_ENTRIES, SMALL_SLOTS,
};
use crate::repair::asked;

/// Keeps the errors that are logged.
struct Errors(Mutex<Vec<String>>);

impl log::Log for Errors {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        if record.level() == log::Level::Error {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// The errors logged since the first call that contain this.
pub fn errors_logged(part: &str) -> Vec<String> {
    static ERRORS: OnceLock<&'static Errors> = OnceLock::new();
    let errors = ERRORS.get_or_init(|| {
        let errors: &'static Errors = Box::leak(Box::new(Errors(Mutex::default())));
        log::set_logger(errors).unwrap();
        log::set_max_level(log::LevelFilter::Error);
        errors
    });
    let logged = errors.0.lock().unwrap();
    logged
        .iter()
        .filter(|line| line.contains(part))
        .cloned()
        .collect()
}

/// A database with one segment, and a few events after it.
fn one_segment(folder: &Folder) -> std::path::PathBuf {
    let path = folder.file("db");
    let mut store = open(&path, Dedup::Index);
    store.set_memtable_slots(SMALL_SLOTS);
    let events: Vec<_> = (1..=SMALL_ENTRIES as u64 + 100)
        .map(template_event)
        .collect();
    commit(&mut store, &events);
    idle_until_done(&mut store);
    store.close().unwrap();
    path
}

/// Under another key of the fingerprints, each event that a segment has would be new.
#[test]
fn a_flipped_bit_in_the_key_of_the_fingerprints_stores_nothing_again() {
    let folder = Folder::new();
    let path = one_segment(&folder);
    let db = Connection::open(&path).unwrap();
    let read = "SELECT value FROM meta WHERE name = 'fingerprint_key'";
    let mut key: Vec<u8> = db.query_row(read, [], |row| row.get(0)).unwrap();
    key[7] ^= 0x20;
    let write = "UPDATE meta SET value = ?1 WHERE name = 'fingerprint_key'";
    assert_eq!(db.execute(write, [key]).unwrap(), 1);
    drop(db);
    let mut store = open(&path, Dedup::Index);
    for n in [1, 77, SMALL_ENTRIES as u64, SMALL_ENTRIES as u64 + 100] {
        let outcomes = commit(&mut store, &[template_event(n)]);
        assert_eq!(outcomes, [Outcome::Duplicate(n)]);
    }
    store.close().unwrap();
    is_clean(&path);
}

#[test]
fn a_key_that_is_stored_twice_is_reported_when_its_copies_meet() {
    let marks = [
        "the events with seq 40000 and 49001 have one key",
        "seq 3 and 49002 have one key",
    ];
    assert!(errors_logged(marks[0]).is_empty());
    let folder = Folder::new();
    let path = folder.file("db");
    let mut store = open(&path, Dedup::Index);
    commit(
        &mut store,
        &(1..=49_000).map(template_event).collect::<Vec<_>>(),
    );
    store.close().unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO events SELECT 49001, topic_id, event_id, timestamp, source, payload, 1
               FROM events WHERE seq = 40000;
             INSERT INTO events SELECT 49002, topic_id, event_id, timestamp, source, payload, 1
               FROM events WHERE seq = 3;
             UPDATE counters SET checksum = NULL, last_seq = 49002",
        )
        .unwrap();
    let mut store = open(&path, Dedup::Index);
    assert!(find(&mut store, &template_event(40_000)).is_some());
    store.set_memtable_slots(SMALL_SLOTS);
    let more: Vec<_> = (49_003..50_000).map(template_event).collect();
    commit(&mut store, &more);
    idle_until_done(&mut store);
    assert_eq!(store.index_memory().unwrap().segments, 1);
    for mark in marks {
        assert_eq!(errors_logged(mark).len(), 1, "{mark}");
    }
    assert!(find(&mut store, &template_event(3)).is_some());
}

/// The insert used to be ignored where the row was there already, and the event was answered as stored.
#[test]
fn a_seq_that_another_program_has_taken_is_an_error() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let folder = Folder::new();
        let path = folder.file("db");
        let mut store = open(&path, dedup);
        commit(&mut store, &[template_event(1)]);
        let other = Connection::open(&path).unwrap();
        other
            .execute(
                "INSERT INTO events VALUES (2, 1, 'x', 't', 's', '{}', 1)",
                [],
            )
            .unwrap();
        let next = publication(&[template_event(2)]);
        let mut outcomes = Vec::new();
        let error = store
            .commit([&next].into_iter(), 1, &mut outcomes)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("seq 2 was stored by another program"),
            "{error}"
        );
        assert!(outcomes.is_empty() && find(&mut store, &template_event(2)).is_none());
        drop(store);
        let error = Store::open(&options(&path, dedup))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("it is damaged: last_seq is 1"), "{error}");
        other
            .execute("DELETE FROM events WHERE seq = 2", [])
            .unwrap();
        let mut store = open(&path, dedup);
        commit(&mut store, &[template_event(2)]);
        assert_eq!(find(&mut store, &template_event(2)).unwrap().0, 2);
    }
}

/// What cannot be is refused at the start. Some of these used to end the program with a panic, some
/// would have deleted pages of a living segment.
#[test]
fn tables_that_contradict_each_other_are_refused_at_the_start() {
    let folder = Folder::new();
    let path = one_segment(&folder);
    let copied = folder.file("copy");
    for damage in [
        "UPDATE segments SET entries = -1",
        "UPDATE segments SET entries = 0",
        "UPDATE segments SET entries = entries - 5000",
        "UPDATE segments SET entries = 9223372036854775807, last_seq = 9223372036854775807;
         UPDATE counters SET checksum = NULL, last_seq = 9223372036854775807",
        "UPDATE segments SET last_seq = 9223372036854775807",
        "UPDATE segments SET last_seq = last_seq + 1000",
        "UPDATE segments SET first_seq = 5",
        "UPDATE segments SET level = -1",
        "UPDATE segments SET level = 7",
        "UPDATE segments SET level = 4294967296",
        "UPDATE segments SET level = 3",
        "UPDATE segments SET first_page = -1",
        "UPDATE segments SET first_page = 9223372036854775807",
        "UPDATE segments SET first_page = 100",
        "INSERT INTO segments VALUES (49153, 49200, 0, 48, 1, 15, NULL, 0)",
        "INSERT INTO segments VALUES (49153, 49200, 1, 48, 1, 15, NULL, 0)",
        "INSERT INTO segments VALUES (49152, 49200, 0, 48, 1, 15, NULL, 0)",
        "DELETE FROM segment_pages_0",
        "DELETE FROM segment_pages_0 WHERE id = (SELECT max(id) FROM segment_pages_0)",
        "UPDATE counters SET checksum = NULL, last_seq = -5",
        "UPDATE counters SET checksum = NULL, last_seq = 10",
        "UPDATE counters SET checksum = NULL, unique_processed = -1",
        "UPDATE counters SET mark_checksum = NULL, topics_mark = 1000000",
        "UPDATE topics SET events = -1, last_seq = -1",
        "UPDATE meta SET value = x'00' WHERE name = 'fingerprint_key'",
        "DELETE FROM meta WHERE name = 'fingerprint_key'",
        "DELETE FROM counters",
        "DELETE FROM topics WHERE id = 2",
    ] {
        copy(&path, &copied);
        Connection::open(&copied)
            .unwrap()
            .execute_batch(damage)
            .unwrap();
        let error = Store::open(&options(&copied, Dedup::Index)).err();
        let error = error.unwrap_or_else(|| panic!("{damage}")).to_string();
        assert!(error.contains("it is damaged"), "{damage}: {error}");
    }
}

/// Pages that are short, long, empty or lost: look-ups and pages of events fail until these have been made again, and
/// are then what they were. Only where the last page of a table is lost does the start refuse.
#[test]
fn damaged_pages_are_made_again() {
    let folder = Folder::new();
    let path = one_segment(&folder);
    let copied = folder.file("copy");
    let db = Connection::open(&path).unwrap();
    let last: i64 = db
        .query_row("SELECT max(id) FROM segment_pages_0", [], |row| row.get(0))
        .unwrap();
    let change = [
        "DELETE FROM segment_pages_0 WHERE id ",
        "UPDATE segment_pages_0 SET content = x'' WHERE id ",
        "UPDATE segment_pages_0 SET content = x'ffffff' WHERE id ",
        "UPDATE segment_pages_0 SET content = zeroblob(4032) WHERE id ",
        "UPDATE segment_pages_0 SET content = CAST(content || x'ff' AS BLOB) WHERE id ",
        "UPDATE segment_pages_0 SET content = randomblob(4032) WHERE id ",
        "UPDATE segment_pages_0 SET content = randomblob(8064) WHERE id ",
    ];
    let behind = last - 2;
    let places = [
        "= 1".into(),
        "< 293".into(),
        "BETWEEN 293 AND 314".into(),
        format!(">= {behind}"),
        "> 310".into(),
    ];
    let mut refused = 0;
    for (change, place) in change
        .iter()
        .flat_map(|c| places.iter().map(move |p| (c, p)))
    {
        for filter_memory_bytes in [0, usize::MAX] {
            copy(&path, &copied);
            let damage = format!("{change}{place}");
            Connection::open(&copied)
                .unwrap()
                .execute_batch(&damage)
                .unwrap();
            let mut options = options(&copied, Dedup::Index);
            options.filter_memory_bytes = filter_memory_bytes;
            let Ok(mut store) = Store::open(&options) else {
                refused += 1;
                continue;
            };
            for seq in (1..49_000).step_by(997) {
                let event = template_event(seq);
                asked(&mut store, |store| {
                    store.find(&event.topic_name(), &event.event_id(), |found| {
                        assert_eq!(found.seq, seq);
                    })
                });
                let mut outcomes = Vec::new();
                let repeat = publication(&[event]);
                asked(&mut store, |store| {
                    store.commit([&repeat].into_iter(), 1, &mut outcomes)
                });
                assert_eq!(outcomes, [Outcome::Duplicate(seq)], "{damage}");
                let topics = [event.topic_name()];
                for bound in [Bound::After(seq - 1), Bound::Before(seq + 1)] {
                    let query = PageQuery {
                        topics: &topics,
                        bound,
                        limit: 1,
                    };
                    let mut found = Vec::new();
                    asked(&mut store, |store| {
                        found.clear();
                        page(store, &query, |event| found.push(event.seq))
                    });
                    assert_eq!(found, [seq], "{damage}");
                }
            }
            idle_until_done(&mut store);
            assert_eq!(store.damaged_pages(), 0, "{damage}");
        }
    }
    assert_eq!(refused, 4);
}

/// A page cut short used to pass unnoticed into the merged segment, which then lacked its keys.
#[test]
fn a_merge_waits_until_a_short_page_has_been_made_again() {
    let folder = Folder::new();
    let path = folder.file("db");
    crate::harness::copy_template(&path, Dedup::Index);
    Connection::open(&path)
        .unwrap()
        .execute_batch("UPDATE segment_pages_0 SET content = x'' WHERE id = 1000")
        .unwrap();
    let mut store = open(&path, Dedup::Index);
    idle_until_done(&mut store);
    assert_eq!(store.damaged_pages(), 0);
    assert_eq!(store.index_memory().unwrap().segments, 1);
    store.close().unwrap();
    is_clean(&path);
}
