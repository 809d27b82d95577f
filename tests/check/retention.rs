//! Databases from which retention has removed events: right ones, damaged ones, converted ones.

use std::time::Instant;

use logagg::limits::MEMTABLE_ENTRIES;
use logagg::store::{Dedup, Limit, Outcome, Retention, Store};

use crate::conversions::kill_conversion;
use crate::databases::{options, publication, Database, SMALL, TINY};
use crate::pages::edit_page;

const SECOND: i64 = 1_000_000;
const FIRST_AT: i64 = 1_767_323_045 * SECOND;
/// Events that are removed of a tiny database.
const REMOVED: u64 = 1_500;

fn retained(dedup: Dedup, keys: Option<i64>) -> (logagg::store::OpenOptions, Database) {
    let database = Database::new();
    let mut options = options(&database.path, Some(dedup));
    options.retention = Retention {
        events: Some(Limit::Age(5 * SECOND)),
        keys: keys.map(|seconds| Limit::Age(seconds * SECOND)),
        ..Retention::default()
    };
    (options, database)
}

fn commit(store: &mut Store, numbers: std::ops::Range<u64>, at: i64) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    store
        .commit([&publication(numbers)].into_iter(), at, &mut outcomes)
        .expect("the events can be stored");
    outcomes
}

/// A database with `events`, of which the first `removed` have been removed. A copy of event 77 is in a
/// table of its own.
fn database(dedup: Dedup, events: u64, removed: u64) -> Database {
    let (options, database) = retained(dedup, None);
    let mut store = Store::open(&options).expect("it is new");
    for first in (0..removed).step_by(10_000) {
        commit(&mut store, first..removed.min(first + 10_000), FIRST_AT);
        while store.idle_work(true).expect("it can work") {}
    }
    for first in (removed..events).step_by(10_000) {
        let to = events.min(first + 10_000);
        commit(&mut store, first..to, FIRST_AT + 4 * SECOND);
        while store.idle_work(true).expect("it can work") {}
    }
    database.damage("CREATE TABLE kept AS SELECT * FROM events WHERE seq = 77");
    while store.retain(FIRST_AT + 7 * SECOND).expect("it can work") {}
    assert_eq!(store.first_seq(), removed + 1);
    store.close().expect("it can be closed");
    database
}

/// A database with the key index, of whose `events` the first `removed` have been removed.
pub fn of_removed_events(events: u64, removed: u64) -> Database {
    database(Dedup::Index, events, removed)
}

/// Opens the database as a server would: it knows the removed keys.
fn knows_the_removed(database: &Database, removed: u64) {
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    for n in (0..removed).step_by(removed as usize / 97) {
        let outcomes = commit(&mut store, n..n + 1, FIRST_AT);
        assert_eq!(outcomes, [Outcome::Duplicate(n + 1)]);
    }
    store.close().unwrap();
    database.is_clean();
}

#[test]
fn removed_events_are_told() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let database = database(dedup, TINY, REMOVED);
        let said = database.is_clean().output;
        assert!(
            said.contains("events: 504\nremoved events: 1500\n"),
            "{said}"
        );
        assert!(
            said.contains("proven: the keys of removed events"),
            "{said}"
        );
        knows_the_removed(&database, REMOVED);
    }
}

#[test]
fn one_thing_is_changed_and_the_check_names_it() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        for (sql, problems) in [
            (
                "UPDATE retention SET events_removed = events_removed - 1",
                &["counters: unique_processed is 2004, but there are 504 events and 1499 were removed"]
                    [..],
            ),
            (
                "UPDATE retention SET events_horizon = events_horizon - 1",
                &["removed_times: it ends with last_seq 1500, but the events up to 1499"],
            ),
            (
                "UPDATE retention SET keys_horizon = events_horizon + 1",
                &["retention: events_horizon 1500, events_removed 1500 and keys_horizon 1501 cannot be"],
            ),
            (
                "UPDATE removed_times SET last_seq = last_seq - 1",
                &["removed_times: it ends with last_seq 1499"],
            ),
            (
                "INSERT INTO removed_times VALUES (3, 9000000000000000, NULL)",
                &["removed_times: the row with last_seq 1500 does not fit"],
            ),
            (
                "DELETE FROM removed_keys WHERE seq = 77",
                &["retention: there are 1499 keys of removed events, not 1500"],
            ),
            (
                "UPDATE removed_keys SET checksum = NULL, seq = 1600 WHERE seq = 77",
                &["removed_keys: there is the seq 1600, which no removed event has"],
            ),
            (
                "UPDATE removed_keys SET checksum = NULL, \
                 fingerprint = (SELECT fingerprint FROM removed_keys WHERE seq = 5) \
                 WHERE seq = 77",
                &["events: the events with seq 5 and 77 have one key"],
            ),
            (
                "INSERT INTO events SELECT * FROM kept",
                &["events: there is the seq 77, and those up to 1500 have been removed"],
            ),
            (
                "INSERT INTO events SELECT 2005, topic_id, event_id, timestamp, source, payload, processed_at \
                   FROM kept; \
                 UPDATE counters SET last_seq = last_seq + 1, unique_processed = unique_processed + 1",
                &["events: the events with seq 77 and 2005 have one key"],
            ),
            (
                "UPDATE topics SET events = events + 1 WHERE id = 3",
                &["topics: topic 3 has events"],
            ),
            ("DROP TABLE removed_times", &["schema: removed_times is missing"]),
        ] {
            let database = database(dedup, TINY, REMOVED);
            database.damage(sql);
            database.has_problems(problems);
        }
    }
    let database = database(Dedup::Constraint, TINY, REMOVED);
    database.damage("DROP INDEX removed_keys_by_fingerprint");
    database.has_problems(&["schema: removed_keys_by_fingerprint is missing"]);
}

/// Of removed events a segment says only what it says twice.
#[test]
fn segments_of_removed_events() {
    let removed = MEMTABLE_ENTRIES as u64 + 100;
    let original = database(Dedup::Index, SMALL, removed);
    original.is_clean();
    let copy = || {
        let copy = Database::new();
        std::fs::copy(&original.path, &copy.path).expect("there is room for a copy");
        copy
    };
    for (byte, problem) in [
        (31, None),
        (
            23,
            Some("has other removed events as keys than as postings"),
        ),
        (16, Some("which no event has")),
    ] {
        let copy = copy();
        // The last byte of the hash cannot be compared with anything any more; those of the seq can.
        edit_page(&copy.sql(), 2, |page| page[byte] ^= 1);
        match problem {
            Some(problem) => copy.has_problems(&[problem]),
            None => drop(copy.is_clean()),
        }
    }
    let second = original.number("SELECT first_page FROM segments WHERE first_seq > 1");
    let other = copy();
    edit_page(&other.sql(), second, |page| {
        page[16..24].copy_from_slice(&5_u64.to_be_bytes())
    });
    other.has_problems(&["has the seq 5, which is not one of its own"]);
    let copy = copy();
    copy.damage("DELETE FROM segments WHERE first_seq = 1");
    copy.has_problems(&["segments: they leave a gap between seq 0 and seq 98305"]);
}

#[test]
fn there_and_back_keeps_the_keys_of_removed_events() {
    for removed in [REMOVED, MEMTABLE_ENTRIES as u64 + 100] {
        let database = database(Dedup::Index, SMALL, removed);
        let content = database.content();
        for to in ["constraint", "index", "constraint"] {
            let said = database.convert(to);
            assert_eq!((said.code, said.error.as_str()), (0, ""));
            assert_eq!(database.content(), content);
            database.is_clean();
            let copy = Database::new();
            std::fs::copy(&database.path, &copy.path).expect("there is room for a copy");
            knows_the_removed(&copy, removed);
        }
    }
}

#[test]
fn forgotten_keys_stay_forgotten() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let (options, database) = retained(dedup, Some(6));
        let mut store = Store::open(&options).unwrap();
        let first = MEMTABLE_ENTRIES as u64 + 100;
        commit(&mut store, 0..first, FIRST_AT);
        commit(&mut store, first..first + 10, FIRST_AT + 4 * SECOND);
        while store.idle_work(true).unwrap() {}
        while store.retain(FIRST_AT + 8 * SECOND).unwrap() {}
        while store.idle_work(true).unwrap() {}
        assert_eq!(store.index_memory().map_or(0, |memory| memory.segments), 0);
        let again = commit(&mut store, 5..7, FIRST_AT + 8 * SECOND);
        let expected = [Outcome::Accepted(first + 11), Outcome::Accepted(first + 12)];
        assert_eq!(again, expected);
        store.close().unwrap();
        database.is_clean();
        for to in [Dedup::Constraint, Dedup::Index, Dedup::Constraint] {
            assert_eq!(database.convert(to.name()).code, 0);
            database.is_clean();
        }
        let mut store = Store::open(&crate::databases::options(&database.path, None)).unwrap();
        let again = commit(&mut store, 5..8, FIRST_AT + 9 * SECOND);
        let [Outcome::Duplicate(_), Outcome::Duplicate(_), Outcome::Accepted(_)] = again[..] else {
            panic!("{again:?}");
        };
        store.close().unwrap();
        database.is_clean();
    }
}

/// A conversion to the index is cut off, the server goes on with the constraint and removes what the
/// conversion has made segments of, and the conversion is run again.
#[test]
fn a_conversion_that_was_cut_off_goes_on_behind_what_was_removed() {
    let original = Database::filled(Dedup::Constraint, SMALL);
    let timed = Database::new();
    std::fs::copy(&original.path, &timed.path).expect("there is room for a copy");
    let begun = Instant::now();
    assert_eq!(timed.convert("index").code, 0);
    let whole = begun.elapsed();
    for (part, keys) in [(4, None), (6, None), (8, Some(Limit::Age(2 * SECOND)))] {
        let database = Database::new();
        std::fs::copy(&original.path, &database.path).expect("there is room for a copy");
        kill_conversion(&database, "index", whole * part / 10);
        let mut options = options(&database.path, None);
        options.retention.events = Some(Limit::Age(SECOND));
        options.retention.keys = keys;
        let mut store = Store::open(&options).unwrap();
        while store.retain(i64::MAX / 4).unwrap() {}
        let removed = store.first_seq() - 1;
        commit(&mut store, SMALL..SMALL + 500, FIRST_AT);
        store.close().unwrap();
        database.is_clean();
        assert_eq!(database.convert("index").code, 0);
        database.is_clean();
        if keys.is_none() {
            knows_the_removed(&database, removed);
        }
    }
}

/// How a database is after one bit of it was flipped: it is named, and put right by the next start, or where SQLite
/// finds duplicates in the quiet turns after it; what was known is known.
fn is_put_right(database: &Database, table: &str) {
    database.has_problems(&[&format!("{table}: ")]);
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    while store.idle_work(true).expect("it can work") {}
    let counters = store.counters();
    assert_eq!((counters.unique_processed, counters.conflicts), (TINY, 0));
    assert_eq!((store.first_seq(), store.last_seq()), (REMOVED + 1, TINY));
    let keys = [0, 76, 77, REMOVED - 1, REMOVED, TINY - 1];
    for n in keys {
        let outcomes = commit(&mut store, n..n + 1, FIRST_AT);
        assert_eq!(outcomes, [Outcome::Duplicate(n + 1)]);
    }
    let new = commit(&mut store, TINY..TINY + 1, FIRST_AT);
    assert_eq!(new, [Outcome::Accepted(TINY + 1)]);
    assert_eq!(store.counters().duplicate_dropped, keys.len() as u64);
    store.close().unwrap();
    database.is_clean();
}

#[test]
fn a_flipped_bit_in_a_small_table_is_put_right() {
    const NUMBERS: [(&str, &[&str]); 4] = [
        (
            "counters",
            &[
                "last_seq",
                "unique_processed",
                "duplicate_dropped",
                "conflicts",
                "topics_mark",
            ],
        ),
        (
            "retention",
            &["events_horizon", "events_removed", "keys_horizon"],
        ),
        ("removed_times", &["processed_at", "checksum"]),
        ("removed_keys", &["event_hash", "checksum"]),
    ];
    for dedup in [Dedup::Index, Dedup::Constraint] {
        for (table, columns) in NUMBERS {
            for column in columns {
                for bit in [0, 7, 40_u32] {
                    let database = database(dedup, TINY, REMOVED);
                    // The bit of a checksum is one of four bytes.
                    let value = 1_i64 << if *column == "checksum" { bit % 31 } else { bit };
                    let flipped = format!("(({column} | {value}) - ({column} & {value}))");
                    database.damage(&format!(
                        "UPDATE {table} SET {column} = {flipped} WHERE rowid = (SELECT min(rowid) FROM {table})"
                    ));
                    is_put_right(&database, table);
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_fingerprint_is_put_right() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        for byte in [0, 7, 8, 15] {
            let database = database(dedup, TINY, REMOVED);
            let db = rusqlite::Connection::open(&database.path).unwrap();
            let sql = "SELECT fingerprint FROM removed_keys WHERE seq = 77";
            let mut fingerprint: Vec<u8> = db.query_row(sql, [], |row| row.get(0)).unwrap();
            fingerprint[byte] ^= 16;
            let sql = "UPDATE removed_keys SET fingerprint = ?1 WHERE seq = 77";
            db.execute(sql, [fingerprint]).unwrap();
            drop(db);
            is_put_right(&database, "removed_keys");
        }
    }
}

/// More than one bit: what the other tables tell is taken from them, a lost key is said to be lost, and nothing else
/// says what has expired.
#[test]
fn rows_that_are_damaged_beyond_a_bit() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        for (sql, problem) in [
            (
                "UPDATE counters SET last_seq = 3, unique_processed = 5",
                "counters: the row has a wrong checksum",
            ),
            (
                "UPDATE counters SET topics_mark = 9",
                "counters: topics_mark has a wrong checksum",
            ),
            (
                "UPDATE removed_times SET processed_at = 7",
                "removed_times: the row with last_seq 1500 has a wrong checksum",
            ),
        ] {
            let database = database(dedup, TINY, REMOVED);
            database.damage(sql);
            database.has_problems(&[problem]);
            is_put_right(&database, problem.split_once(':').unwrap().0);
        }
        let database = database(dedup, TINY, REMOVED);
        database.damage("UPDATE removed_keys SET event_hash = 5 WHERE seq = 900");
        database.has_problems(&["removed_keys: the row with seq 900 has a wrong checksum"]);
        is_put_right(&database, "removed_keys");

        database.damage("UPDATE retention SET keys_horizon = 25");
        database.has_problems(&["retention: the row has a wrong checksum"]);
        let error = Store::open(&options(&database.path, None)).err().unwrap();
        let error = error.to_string();
        assert!(
            error.contains("the table retention") && error.contains("restore a backup"),
            "{error}"
        );
    }
}
