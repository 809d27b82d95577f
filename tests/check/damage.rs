//! One thing is changed in a database that was right, and the check names it.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use logagg::limits::{FILTER_BITS_PER_KEY, MEMTABLE_ENTRIES};
use logagg::store::Dedup;

use crate::databases::{Database, SMALL};
use crate::pages::{edit_page, edit_stored_page};

const KEY_BYTES: usize = 32;
const POSTING_BYTES: usize = 12;

/// The ids of the first segment's pages begin at 1; these are the first ones of its parts.
struct Pages {
    filter: i64,
    key_fences: i64,
    postings: i64,
    posting_fences: i64,
}

fn pages() -> Pages {
    let entries = MEMTABLE_ENTRIES;
    let keys = entries.div_ceil(126);
    let filter = 1 + keys as i64;
    let key_fences = filter
        + (entries * FILTER_BITS_PER_KEY[0] as usize)
            .div_ceil(512)
            .div_ceil(63) as i64;
    let postings = key_fences + keys.div_ceil(504) as i64;
    Pages {
        filter,
        key_fences,
        postings,
        posting_fences: postings + entries.div_ceil(336) as i64,
    }
}

/// Changes a database by SQL; the check then has each of `problems`.
fn broken_by(database: Database, sql: &str, problems: &[&str]) {
    database.damage(sql);
    database.has_problems(problems);
}

/// Changes a page of the first segment; the check then has `problem`.
fn broken_page(id: i64, edit: impl FnOnce(&mut Vec<u8>), problem: &str) {
    let database = Database::small(Dedup::Index);
    edit_page(&database.sql(), id, edit);
    database.has_problems(&[problem]);
}

#[test]
fn events_and_counters() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let broken = |sql: &str, problems: &[&str]| broken_by(Database::tiny(dedup), sql, problems);
        broken(
            "DELETE FROM events WHERE seq = 77",
            &[
                "counters: unique_processed is 2004, but there are 2003 events",
                "topics: topic 7 has events",
            ],
        );
        broken(
            "UPDATE counters SET unique_processed = unique_processed + 1",
            &["counters: unique_processed is 2005"],
        );
        broken(
            "UPDATE counters SET conflicts = duplicate_dropped + 1",
            &["counters: conflicts is 101"],
        );
        broken(
            "UPDATE counters SET duplicate_dropped = -1",
            &["counters: duplicate_dropped is -1"],
        );
        broken(
            "UPDATE counters SET last_seq = last_seq - 1, topics_mark = topics_mark - 1",
            &["events: there is the seq 2004, and last_seq is 2003"],
        );
        broken(
            "UPDATE counters SET topics_mark = last_seq + 1",
            &["counters: topics_mark is 2005"],
        );
        broken(
            "UPDATE events SET seq = -5 WHERE seq = 5",
            &["events: there is the seq -5"],
        );
        broken(
            "UPDATE events SET topic_id = 99 WHERE seq = 2004",
            &["events: the event with seq 2004 has the topic 99, which is missing"],
        );
        broken(
            "UPDATE events SET payload = x'00' WHERE seq = 9",
            &["events: the event with seq 9 has a value of the wrong type"],
        );
        broken(
            "UPDATE topics SET events = events - 1 WHERE id = 3",
            &["topics: topic 3 has events"],
        );
        broken(
            "UPDATE topics SET last_seq = 3, events = 1 WHERE id = 3",
            &["topics: topic 3 counts up to seq 3 and misses"],
        );
        broken(
            "UPDATE topics SET last_processed_at = 1 WHERE id = 3",
            &["topics: topic 3 has last_seq"],
        );
        broken(
            "INSERT INTO topics(id, name) VALUES (8, 'none')",
            &["topics: topic 8 has no event"],
        );
        broken(
            "INSERT INTO topics(id, name) VALUES (9, 'none')",
            &["topics: the topic with id 8 is missing"],
        );
        broken("DROP VIEW event_log", &["schema: event_log is missing"]);
        broken(
            "DROP TABLE counters",
            &[
                "schema: counters is missing",
                "sqlite: the check ends early",
            ],
        );
    }
}

/// A row that lags is right as long as it tells the truth of its seq.
#[test]
fn a_topic_may_be_behind() {
    let database = Database::tiny(Dedup::Index);
    database.damage(
        "UPDATE counters SET topics_mark = 10, mark_checksum = NULL; \
         UPDATE topics SET (events, last_seq, last_processed_at) = \
           (SELECT count(*), max(seq), max(processed_at) FROM events WHERE topic_id = 3 AND seq <= 500) \
         WHERE id = 3",
    );
    database.is_clean();
}

#[test]
fn a_key_that_is_stored_twice() {
    let again = format!(
        "INSERT INTO events SELECT {SMALL} + 1, topic_id, event_id, timestamp, source, payload, processed_at \
           FROM events WHERE seq = 40; \
         UPDATE counters SET last_seq = last_seq + 1, unique_processed = unique_processed + 1, checksum = NULL"
    );
    let problem = format!(
        "events: the events with seq 40 and {} have one key",
        SMALL + 1
    );
    broken_by(Database::small(Dedup::Index), &again, &[&problem]);
    // SQLite refuses to make the index over it, so the index is made first and the key is put in behind
    // its back: as an event that the index does not hold.
    let behind = format!(
        "PRAGMA writable_schema = ON; \
         CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'events_key'; \
         DELETE FROM sqlite_schema WHERE name = 'events_key'; \
         PRAGMA writable_schema = RESET; \
         {again}; \
         PRAGMA writable_schema = ON; \
         INSERT INTO sqlite_schema SELECT * FROM kept; \
         PRAGMA writable_schema = RESET;"
    );
    broken_by(
        Database::small(Dedup::Constraint),
        &behind,
        &["events_key: the index does not hold the keys of the events"],
    );
}

#[test]
fn indexes_of_the_constraint() {
    let broken =
        |sql: &str, problems: &[&str]| broken_by(Database::tiny(Dedup::Constraint), sql, problems);
    broken("DROP INDEX events_key", &["schema: events_key is missing"]);
    broken(
        "DROP INDEX events_by_topic",
        &["schema: events_by_topic is missing"],
    );
    broken(
        "DROP INDEX events_key; CREATE INDEX events_key ON events(topic_id, event_id)",
        &["schema: events_key is defined differently"],
    );
}

#[test]
fn the_table_of_segments() {
    let broken =
        |sql: &str, problems: &[&str]| broken_by(Database::small(Dedup::Index), sql, problems);
    broken(
        "DELETE FROM segments WHERE first_seq = 1",
        &["segments: they leave a gap between seq 0 and seq 98305"],
    );
    broken(
        "UPDATE segments SET last_seq = last_seq + 1 WHERE first_seq = 1",
        &["segments: they overlap between seq 98305 and seq 98305"],
    );
    broken(
        "UPDATE segments SET entries = entries - 1 WHERE first_seq = 1",
        &["says entries 98303, but there are 98304 events"],
    );
    broken(
        "UPDATE segments SET level = 7 WHERE first_seq = 1",
        &["segments: there cannot be one of level 7"],
    );
    broken(
        "UPDATE segments SET entries = 1 << 62 WHERE first_seq = 1",
        &["segments: there cannot be one of level 0"],
    );
    broken(
        "UPDATE segments SET first_page = 1",
        &[
            "segments: page 1 of level 0 is in two segments",
            "segments: the row of the segment of seq 98305",
        ],
    );
    broken(
        "DROP TABLE segment_pages_3",
        &["schema: segment_pages_3 is missing"],
    );
    broken(
        "UPDATE meta SET value = randomblob(16) WHERE name = 'fingerprint_key'",
        &["keys: the event with seq", "keys: 196"],
    );
    broken(
        "DELETE FROM events WHERE seq = 77",
        &[
            "keys: the segment of seq 1 to 98304 (level 0) has the seq 77, which no event has",
            "postings: the segment of seq 1 to 98304 (level 0) has the seq 77 for topic 7",
        ],
    );
    broken(
        "UPDATE events SET event_id = 'other' WHERE seq = 77",
        &["keys: the event with seq 77 is not the one"],
    );
    broken(
        "UPDATE events SET payload = '{\"n\":1}' WHERE seq = 78",
        &["keys: the event with seq 78 is not the one"],
    );
}

#[test]
fn pages_of_a_segment() {
    let at = pages();
    let swap = |bytes: usize| {
        move |page: &mut Vec<u8>| {
            let (one, rest) = page.split_at_mut(bytes);
            one.swap_with_slice(&mut rest[..bytes]);
        }
    };
    broken_page(
        2,
        swap(KEY_BYTES),
        "keys: page 2 of the segment of seq 1 to 98304",
    );
    broken_page(
        at.postings,
        swap(POSTING_BYTES),
        "is not sorted at record 1",
    );
    // A key's record has a fingerprint of 16 bytes, a seq of 8 and a hash of 8.
    broken_page(2, |page| page[23] ^= 1, "does not find the event with seq");
    broken_page(2, |page| page[31] ^= 1, "keys: the event with seq");
    broken_page(
        2,
        |page| page.truncate(100),
        "pages: page 2 of the segment of seq 1",
    );
    broken_page(
        at.filter + 3,
        |page| page.iter_mut().for_each(|byte| *byte = 0),
        "filter: page",
    );
    broken_page(at.filter, |page| page.truncate(64), "filter: page");
    broken_page(at.key_fences, |page| page[8] ^= 1, "fences: page");
    broken_page(at.posting_fences, |page| page[23] ^= 1, "fences: page");
    broken_page(
        at.postings,
        |page| page[3] = 0,
        "does not list the event with seq 1 for topic 1",
    );
}

/// A bit that flips on the disk, in the records or in the checksum itself.
#[test]
fn a_flipped_bit_in_any_part_of_a_segment() {
    let at = pages();
    let database = Database::small(Dedup::Index);
    for (id, part) in [
        (3, "keys"),
        (at.key_fences, "fences of the keys"),
        (at.postings + 1, "postings"),
        (at.posting_fences, "fences of the postings"),
    ] {
        let problem = format!(
            "pages: page {id} of the segment of seq 1 to 98304 (level 0) ({part}) has a wrong checksum or length"
        );
        for byte in [0, 11, usize::MAX] {
            let flip = |page: &mut Vec<u8>| {
                let byte = byte.min(page.len() - 1);
                page[byte] ^= 0x40;
            };
            edit_stored_page(&database.sql(), id, flip);
            database.has_problems(&[&problem]);
            edit_stored_page(&database.sql(), id, flip);
        }
    }
    edit_stored_page(&database.sql(), at.filter, |page| page[70] ^= 1);
    database.has_problems(&[&format!(
        "filter: page {} of the segment of seq 1 to 98304 (level 0) is missing or its checksum is wrong",
        at.filter
    )]);
}

#[test]
fn pages_that_are_missing() {
    let at = pages();
    for id in [5, at.key_fences, at.postings, at.posting_fences] {
        broken_by(
            Database::small(Dedup::Index),
            &format!("DELETE FROM segment_pages_0 WHERE id = {id}"),
            &[&format!("lacks its page {id}")],
        );
    }
    broken_by(
        Database::small(Dedup::Index),
        &format!("DELETE FROM segment_pages_0 WHERE id = {}", at.filter + 1),
        &["filter: page"],
    );
}

#[test]
fn pages_of_no_segment_are_counted_where_the_server_will_delete_them() {
    let database = Database::small(Dedup::Index);
    database.damage("INSERT INTO segment_pages_0 VALUES (100000, x'00'), (100001, x'00')");
    let said = database.is_clean();
    assert!(
        said.output.contains("pages to be deleted: 2\n"),
        "{}",
        said.output
    );
    database.damage("INSERT INTO segment_pages_0 VALUES (0, x'00')");
    database.has_problems(&["pages: level 0 has pages before the first"]);
}

/// What SQLite's own check finds is among the problems, and is left out with `--quick`.
#[test]
fn the_file_itself() {
    let database = Database::small(Dedup::Constraint);
    let root = database.number("SELECT rootpage FROM sqlite_schema WHERE name = 'events_by_topic'");
    let mut file = fs::File::options()
        .write(true)
        .open(&database.path)
        .unwrap();
    file.seek(SeekFrom::Start((root as u64 - 1) * 4096))
        .unwrap();
    file.write_all(&[0; 4096]).unwrap();
    drop(file);
    let said = database.check(&[]);
    assert_eq!(said.code, 1, "{}", said.output);
    assert!(said.output.contains("problem: sqlite:"), "{}", said.output);
}
