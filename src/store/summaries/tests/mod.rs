//! Summaries of a whole store: made, asked, damaged, dropped.

mod random;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::look_up::{Look, Verdict};
use super::question::Question;
use crate::event::{EventSpans, Publication, Span};
use crate::limits::{
    SUMMARY_BLOCK_EVENTS, SUMMARY_PAYLOAD_BYTES, SUMMARY_SLICE_NS, SUMMARY_WAIT_MS,
};
use crate::search::{Candidate, Filters, Instant};
use crate::store::{
    check, CheckOptions, Dedup, Durability, Limit, OpenOptions, Retention, SearchIndex, Store,
};

const BLOCK: u64 = SUMMARY_BLOCK_EVENTS;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("logagg-summaries-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(path: &Path) -> OpenOptions {
    OpenOptions {
        path: path.to_owned(),
        durability: Durability::Normal,
        dedup: Some(Dedup::Index),
        filter_memory_bytes: 1 << 20,
        fingerprint_bits: 128,
        triggers: false,
        retention: Retention::default(),
        search_index: SearchIndex::Words,
    }
}

fn open(path: &Path) -> Store {
    Store::open(&options(path)).unwrap()
}

/// An event to be stored.
#[derive(Clone, Debug)]
struct Event {
    topic: String,
    event_id: String,
    source: String,
    timestamp: String,
    payload: String,
}

impl Event {
    fn new(number: u64) -> Self {
        let era = number / BLOCK;
        Self {
            topic: format!("topic.{}", era % 3),
            event_id: format!("id-{number}"),
            source: format!("web-{era}"),
            timestamp: format!("2026-01-{:02}T00:{:02}:00Z", 1 + era % 20, number % 60),
            payload: format!(r#"{{"msg":"Era{era} number {number}","n":{number}}}"#),
        }
    }

    fn candidate(&self, processed_at: i64) -> Candidate<'_> {
        Candidate {
            topic: self.topic.as_bytes(),
            event_id: self.event_id.as_bytes(),
            source: self.source.as_bytes(),
            timestamp: self.timestamp.as_bytes(),
            payload: self.payload.as_bytes(),
            processed_at,
        }
    }
}

fn publish(store: &mut Store, events: &[Event], at: i64) {
    for events in events.chunks(1_000) {
        let mut body = Vec::new();
        let mut put = |text: &str| {
            let start = body.len() as u32;
            body.extend_from_slice(text.as_bytes());
            let len = text.len() as u32;
            Span { start, len }
        };
        let spans = |event: &Event| EventSpans {
            topic: put(&event.topic),
            event_id: put(&event.event_id),
            timestamp: put(&event.timestamp),
            source: put(&event.source),
            payload: put(&event.payload),
        };
        let events = events.iter().map(spans).collect();
        let batch = [Publication {
            body,
            events,
            ..Publication::default()
        }];
        store.commit(batch.iter(), at, &mut Vec::new()).unwrap();
    }
}

fn numbered(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(Event::new).collect()
}

/// Works until nothing is left to do. Returns how many slices that took.
fn work(store: &mut Store, now_ms: u64) -> u64 {
    let mut slices = 0;
    while store
        .summarize(now_ms, &mut { SUMMARY_SLICE_NS as i64 })
        .unwrap()
    {
        slices += 1;
        assert!(slices < 100_000, "it comes to an end");
    }
    slices
}

fn filters(pairs: &[(&str, &str)]) -> Filters {
    Filters::parse(pairs.iter().copied(), Instant::default()).unwrap()
}

fn ask(store: &Store, seq: u64, filters: &Filters) -> Look {
    let look = store.ask_summary(seq, filters, &Question::of(filters));
    let look = look.unwrap();
    assert!((look.first..=look.last).contains(&seq));
    look
}

fn is_out(store: &Store, seq: u64, pairs: &[(&str, &str)]) -> bool {
    ask(store, seq, &filters(pairs)).verdict == Verdict::NotInHere
}

fn number(path: &Path, sql: &str) -> i64 {
    let db = Connection::open(path).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn problems(path: &Path) -> Vec<String> {
    let options = CheckOptions {
        path: path.to_owned(),
        quick: false,
    };
    check(&options, &mut |_| {}).unwrap().problems
}

#[test]
fn full_slots_get_summaries_and_the_rest_after_a_minute() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    assert!(!store.summarize(0, &mut 1_000_000).unwrap());
    publish(&mut store, &numbered(0..3 * BLOCK + 100), 7);
    work(&mut store, 1_000);
    assert_eq!(store.search_index_through(), 3 * BLOCK);
    assert!(store.search_index_bytes() > 0);
    assert_eq!(store.summaries_due_ms(), Some(1_000 + SUMMARY_WAIT_MS));
    work(&mut store, 1_000 + SUMMARY_WAIT_MS);
    assert_eq!(store.search_index_through(), 3 * BLOCK + 100);
    assert_eq!(store.summaries_due_ms(), None);
    // More events come to the same slot, and then it is full.
    for events in [100..101, 101..BLOCK + 1] {
        let events = numbered(3 * BLOCK + events.start..3 * BLOCK + events.end);
        publish(&mut store, &events, 8);
        work(&mut store, 100_000);
        work(&mut store, 100_000 + SUMMARY_WAIT_MS);
        assert_eq!(store.search_index_through(), store.last_seq());
    }
    let bytes = store.search_index_bytes();
    store.close().unwrap();
    assert_eq!(problems(&folder.file()), [""; 0]);
    assert_eq!(
        number(&folder.file(), "SELECT count(*) FROM search_blocks"),
        5
    );
    // A start finds them, and makes none again.
    let mut store = open(&folder.file());
    assert_eq!(store.search_index_through(), 0);
    assert!(work(&mut store, 0) < 3);
    assert_eq!(store.search_index_through(), 4 * BLOCK);
    work(&mut store, 2 * SUMMARY_WAIT_MS);
    assert_eq!(store.search_index_through(), 4 * BLOCK + 1);
    assert_eq!(store.search_index_bytes(), bytes);
}

#[test]
fn the_newest_slot_is_first() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    publish(&mut store, &numbered(0..4 * BLOCK), 7);
    let sql = "SELECT min(first_seq) FROM search_blocks";
    let mut oldest = vec![];
    let mut has_more = true;
    while has_more {
        has_more = store.summarize(0, &mut 100_000).unwrap();
        let first: Option<i64> = store.db.query_row(sql, [], |row| row.get(0)).unwrap();
        if first.is_some() && oldest.last() != first.as_ref() {
            oldest.extend(first);
        }
    }
    let blocks = (0..4).rev().map(|slot| slot * BLOCK as i64 + 1);
    assert_eq!(oldest, blocks.collect::<Vec<_>>());
}

#[test]
fn a_block_is_not_looked_into_for_what_it_has_not() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    publish(&mut store, &numbered(0..2 * BLOCK), 5_000_000);
    publish(&mut store, &numbered(2 * BLOCK..2 * BLOCK + 9), 9_000_000);
    work(&mut store, 0);
    let (first, second, tail) = (5, BLOCK + 5, 2 * BLOCK + 5);
    for (pairs, outs) in [
        (&[("source", "web-0")][..], [false, true]),
        (&[("source", "web-0"), ("source", "web-1")], [false, false]),
        (&[("source", "web-*")], [false, false]),
        (&[("source", "web-9*"), ("topic", "topic.0")], [false, true]),
        (&[("topic", "topic.1")], [true, false]),
        (&[("topic", "other")], [true, true]),
        (&[("event_id", "id-7")], [false, true]),
        (
            &[("event_id", "id-7"), ("event_id", "id-5000")],
            [false, false],
        ),
        (&[("event_id", "id-5000*")], [false, false]),
        (&[("since", "2026-01-02")], [true, false]),
        (&[("until", "2026-01-02")], [false, true]),
        (
            &[("since", "2026-01-01T01"), ("until", "2026-01-02")],
            [true, true],
        ),
        (
            &[("time", "received"), ("since", "1970-01-01T00:00:05Z")],
            [false, false],
        ),
        (
            &[("time", "received"), ("until", "1970-01-01T00:00:05Z")],
            [true, true],
        ),
    ] {
        // `2026-01-01T01` is no time, which minutes make one.
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| match *value {
                "2026-01-01T01" => (*name, "2026-01-01T01:00"),
                value => (*name, value),
            })
            .collect();
        let found = [
            is_out(&store, first, &pairs),
            is_out(&store, second, &pairs),
        ];
        assert_eq!(found, outs, "{pairs:?}");
        assert!(!is_out(&store, tail, &pairs), "it has no summary");
    }
}

#[test]
fn times_are_told_where_all_else_matches() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    publish(&mut store, &numbered(0..2 * BLOCK), 5_000_000);
    work(&mut store, 0);
    let times = |pairs: &[(&str, &str)]| match ask(&store, 5, &filters(pairs)).verdict {
        Verdict::AllButTimes(about) => about.0.events,
        Verdict::Perhaps => 0,
        Verdict::NotInHere => u32::MAX,
    };
    let all = BLOCK as u32;
    assert_eq!(times(&[]), all);
    assert_eq!(times(&[("topic", "topic.*")]), all);
    assert_eq!(times(&[("since", "2026-01-01T00:30:00Z")]), all);
    assert_eq!(times(&[("time", "received")]), all);
    assert_eq!(times(&[("source", "web-0")]), 0);
    assert_eq!(times(&[("topic", "topic.2")]), u32::MAX);
}

#[test]
fn large_events_and_much_text_make_smaller_blocks() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    let mut events = numbered(0..BLOCK);
    let text = |bytes: u64| format!(r#"{{"t":"{}"}}"#, "x".repeat(bytes as usize));
    events[10].payload = text(SUMMARY_PAYLOAD_BYTES + 1);
    events[20].payload = text(SUMMARY_PAYLOAD_BYTES - 50);
    // More distinct words than a block takes.
    let words: Vec<String> = (0..180_000).map(|n| format!("{n:x}")).collect();
    events[30].payload = format!(r#"{{"t":"{}"}}"#, words.join(" "));
    let depth = 127;
    events[40].payload = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    publish(&mut store, &events, 7);
    work(&mut store, 0);
    assert_eq!(store.search_index_through(), BLOCK);
    let look = |seq| {
        let look = ask(&store, seq, &filters(&[("event_id", "none")]));
        (look.first, look.last, look.verdict)
    };
    assert_eq!(look(1), (1, 10, Verdict::NotInHere));
    assert_eq!(look(11), (11, 11, Verdict::Perhaps));
    assert_eq!(look(12).0, 12);
    assert_eq!(look(31).2, Verdict::Perhaps);
    assert_eq!(look(BLOCK), (32, BLOCK, Verdict::NotInHere));
    store.close().unwrap();
    assert_eq!(problems(&folder.file()), [""; 0]);
}

#[test]
fn what_is_removed_goes_with_its_last_event() {
    let folder = Folder::new();
    let mut options = options(&folder.file());
    options.retention.events = Some(Limit::Age(1_000_000));
    let mut store = Store::open(&options).unwrap();
    publish(&mut store, &numbered(0..BLOCK + 50), 1_000_000);
    publish(&mut store, &numbered(BLOCK + 50..3 * BLOCK), 1_500_000);
    work(&mut store, 0);
    while store.retain(2_300_000).unwrap() {}
    assert_eq!(store.first_seq(), BLOCK + 51);
    work(&mut store, 0);
    assert_eq!(
        number(&folder.file(), "SELECT count(*) FROM search_blocks"),
        2
    );
    assert_eq!(store.search_index_through(), 3 * BLOCK);
    // What is left of a block is right, but not to be counted.
    let verdict = |seq, pairs: &[_]| ask(&store, seq, &filters(pairs)).verdict;
    assert_eq!(verdict(2 * BLOCK, &[]), Verdict::Perhaps);
    assert!(matches!(
        verdict(2 * BLOCK + 1, &[]),
        Verdict::AllButTimes(_)
    ));
    assert_eq!(
        verdict(2 * BLOCK, &[("source", "web-0")]),
        Verdict::NotInHere
    );
    store.close().unwrap();
    assert_eq!(problems(&folder.file()), [""; 0]);
}

#[test]
fn off_removes_them_and_words_makes_them_again() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    publish(&mut store, &numbered(0..20 * BLOCK), 7);
    work(&mut store, 0);
    store.close().unwrap();
    let rows = "SELECT (SELECT count(*) FROM search_blocks) + (SELECT count(*) FROM search_pages)";
    let made = number(&folder.file(), rows);
    for setting in [SearchIndex::Off, SearchIndex::Words] {
        let mut store = Store::open(&OpenOptions {
            search_index: setting,
            ..options(&folder.file())
        })
        .unwrap();
        let is_out = |store: &Store| is_out(store, 5, &[("event_id", "none")]);
        assert!(!is_out(&store));
        work(&mut store, 0);
        let is_on = setting == SearchIndex::Words;
        assert_eq!(is_out(&store), is_on);
        assert_eq!(store.search_index_through() > 0, is_on);
        assert_eq!(store.search_index_bytes() > 0, is_on);
        store.close().unwrap();
        let expected = if is_on { made } else { 0 };
        assert_eq!(number(&folder.file(), rows), expected);
        assert_eq!(problems(&folder.file()), [""; 0]);
    }
}

/// Each kind of damage: nothing is answered from it, `check` names it, and it is rebuilt.
#[test]
fn a_damaged_summary_is_not_believed_and_is_made_again() {
    for damage in [
        "UPDATE search_pages SET content = zeroblob(4036) WHERE id = 64",
        "UPDATE search_pages SET content = zeroblob(0)",
        "DELETE FROM search_pages",
        "UPDATE search_pages SET content = (SELECT content FROM search_pages WHERE id = 65) WHERE id = 64",
        "UPDATE search_blocks SET times = x'' WHERE first_seq = 1",
        "UPDATE search_blocks SET topics = NULL WHERE first_seq = 1",
        "UPDATE search_blocks SET last_seq = last_seq + 1 WHERE first_seq = 1",
        "UPDATE search_blocks SET events = 5 WHERE first_seq = 1",
        "UPDATE search_blocks SET checksum = 0",
    ] {
        let folder = Folder::new();
        let mut store = open(&folder.file());
        publish(&mut store, &numbered(0..2 * BLOCK), 7);
        work(&mut store, 0);
        store.close().unwrap();
        let db = Connection::open(folder.file()).unwrap();
        assert!(db.execute(damage, []).unwrap() > 0, "{damage}");
        db.close().unwrap();
        let found = problems(&folder.file());
        assert!(found.iter().any(|line| line.starts_with("search_")), "{damage}: {found:?}");
        let mut store = open(&folder.file());
        for number in 0..BLOCK {
            let id = Event::new(number).event_id;
            assert!(!is_out(&store, 5, &[("event_id", &id)]), "{damage}: {id}");
        }
        // Also what nobody has asked for is found by a start where it is in a row.
        work(&mut store, 0);
        assert_eq!(store.search_index_through(), 2 * BLOCK);
        assert!(is_out(&store, 5, &[("event_id", "none-0")]), "{damage}");
        store.close().unwrap();
        let left = problems(&folder.file());
        assert!(left.is_empty() || damage.contains("search_pages SET content = zeroblob(0)")
            || damage == "DELETE FROM search_pages", "{damage}: {left:?}");
    }
}

#[test]
fn a_failed_transaction_changes_nothing() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    publish(&mut store, &numbered(0..2 * BLOCK), 7);
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut failures = 0;
    while failures < 3 {
        failures += u32::from(store.summarize(0, &mut 2_000_000).is_err());
        assert_eq!(store.search_index_through(), 0);
    }
    other.execute_batch("ROLLBACK").unwrap();
    work(&mut store, 0);
    assert_eq!(store.search_index_through(), 2 * BLOCK);
}
