//! Each kind of write fails at its COMMIT; then memory must be what a fresh start reads from the disk.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use super::options::{Dedup, Durability, Limit, OpenOptions, Retention, SearchIndex};
use super::paths::beside;
use super::retention::Pruner;
use super::subscriptions::SubscriptionOp;
use super::wal::position::position;
use super::{Bound, Counters, Outcome, Position, RejectedRow, Store, StoreError};
use crate::event::{EventSpans, Protocol, Publication, RejectedRecord, Span};

const KEPT_US: i64 = 1_000_000_000;

/// A folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("logagg-rollback-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path, dedup: Dedup) -> Store {
    open_as(path, dedup, Durability::Normal)
}

fn open_as(path: &Path, dedup: Dedup, durability: Durability) -> Store {
    let age = Some(Limit::Age(KEPT_US));
    let mut store = Store::open(&OpenOptions {
        path: path.to_owned(),
        durability,
        dedup: Some(dedup),
        filter_memory_bytes: 1 << 20,
        fingerprint_bits: 128,
        triggers: false,
        retention: Retention {
            events: age,
            keys: age,
            ..Retention::default()
        },
        search_index: SearchIndex::default(),
    })
    .unwrap();
    // A few events make a segment.
    store.set_memtable_slots(16);
    store
}

/// The event with this number: one of seven topics, all of its own otherwise.
fn names(number: u32) -> (String, String) {
    (format!("topic-{}", number % 7), format!("id-{number}"))
}

fn publication(numbers: impl Iterator<Item = u32>) -> Publication {
    let mut body = Vec::new();
    let mut put = |text: &str| {
        let start = body.len() as u32;
        body.extend_from_slice(text.as_bytes());
        Span {
            start,
            len: text.len() as u32,
        }
    };
    let events = numbers
        .map(|number| {
            let (topic, id) = names(number);
            EventSpans {
                topic: put(&topic),
                event_id: put(&id),
                timestamp: put("2026-01-01T00:00:00Z"),
                source: put("s"),
                payload: put("{}"),
            }
        })
        .collect();
    Publication {
        body,
        events,
        ..Publication::default()
    }
}

fn publish(
    store: &mut Store,
    numbers: impl Iterator<Item = u32>,
    changes: &[SubscriptionOp],
    at: i64,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::new();
    let batch = [publication(numbers)];
    let done = store.commit_all(batch.iter(), changes, at, at, &mut outcomes);
    assert_eq!(done.is_err(), outcomes.is_empty());
    done.map(|_| outcomes)
}

/// What memory says of the tables.
#[derive(Debug, PartialEq)]
struct Memory {
    counters: Counters,
    seqs: [u64; 3],
    topics: Vec<(String, u64, u64, i64)>,
    subscriptions: Vec<(String, Position)>,
    held_after: Option<u64>,
    segments: Option<usize>,
    /// Which of the keys are found, and where.
    stored: Vec<Option<u64>>,
    damaged_pages: usize,
    /// The greatest seq of a rejected record, and how many are kept.
    rejected: (u64, usize),
}

fn memory(store: &Store) -> Memory {
    let topics = store.topics();
    let find = |number| {
        let ((topic, id), mut seq) = (names(number), None);
        store
            .find(&topic, &id, |event| seq = Some(event.seq))
            .unwrap();
        seq
    };
    Memory {
        counters: store.counters(),
        seqs: [store.last_seq(), store.first_seq(), store.events_removed()],
        topics: topics
            .in_order(None)
            .map(|id| {
                let topic = topics.get(id);
                let counts = (topic.events, topic.last_seq, topic.last_processed_at);
                (topic.name.to_string(), counts.0, counts.1, counts.2)
            })
            .collect(),
        subscriptions: store
            .subscriptions()
            .map(|(name, position)| (name.to_owned(), position))
            .collect(),
        held_after: store.parts.subscriptions.held_after(),
        segments: store.index_memory().map(|memory| memory.segments),
        stored: (0..400).map(find).collect(),
        damaged_pages: store.damaged_pages(),
        rejected: (store.last_rejected_seq(), count_rejected(store)),
    }
}

fn count_rejected(store: &Store) -> usize {
    let mut count = 0;
    let take = |_: RejectedRow| {
        count += 1;
        0
    };
    store.rejected(Bound::After(0), 1_000, take).unwrap();
    count
}

/// What a start would read from the disk now.
fn disk(path: &Path, dedup: Dedup) -> (Memory, Vec<Outcome>) {
    let folder = Folder::new();
    let copy = folder.file("copy.db");
    for suffix in ["", "-wal"] {
        std::fs::copy(beside(path, suffix), beside(&copy, suffix)).unwrap();
    }
    let mut store = open(&copy, dedup);
    let memory = memory(&store);
    let again = publish(&mut store, 0..400, &[], KEPT_US / 2).unwrap();
    (memory, again)
}

/// One kind of write. Returns whether it has done anything.
type Write = fn(&mut Store) -> Result<(), StoreError>;

fn new_events(store: &mut Store) -> Result<(), StoreError> {
    let changes = [
        SubscriptionOp::Put {
            name: "reader".into(),
            after: Some(3),
            hold: Some(true),
        },
        SubscriptionOp::Remove { name: "old".into() },
    ];
    publish(store, 150..250, &changes, 5).map(|_| ())
}

fn new_topics_and_repeats(store: &mut Store) -> Result<(), StoreError> {
    publish(store, (90..110).rev(), &[], 6).map(|_| ())
}

fn repeats(store: &mut Store) -> Result<(), StoreError> {
    publish(store, 20..40, &[], 7).map(|_| ())
}

/// The events come so late that those before them are too old.
fn retention_with_events(store: &mut Store) -> Result<(), StoreError> {
    publish(store, 300..310, &[], 3 * KEPT_US).map(|_| ())
}

fn retention(store: &mut Store) -> Result<(), StoreError> {
    store.retain(3 * KEPT_US).map(|_| ())
}

fn shrinking(store: &mut Store) -> Result<(), StoreError> {
    store.lazy_transaction(|db, _| Pruner::shrink(db))
}

/// One slice, of compaction where there is a key index.
fn idle_work(store: &mut Store) -> Result<(), StoreError> {
    store
        .idle_work(true)
        .map(|_| ())
        .map_err(|failed| failed.error)
}

fn topic_rows(store: &mut Store) -> Result<(), StoreError> {
    let last_seq = store.last_seq();
    store.transaction(|db, parts| parts.topics.write_all(db, last_seq))
}

fn probe(store: &mut Store) -> Result<(), StoreError> {
    store.probe(8)
}

/// Alone, and more of them than are kept.
fn rejected_records(store: &mut Store) -> Result<(), StoreError> {
    let record = || {
        let reason = "no event".to_owned();
        RejectedRecord::new(Protocol::Syslog, "::1", reason, &[b'x'; 60_000])
    };
    let batch = [Publication {
        rejected: (0..300).map(|_| record()).collect(),
        ..Publication::default()
    }];
    store.commit(batch.iter(), 10, &mut Vec::new())
}

const WRITES: [(&str, Write); 10] = [
    ("new events", new_events),
    ("new topics and repeats", new_topics_and_repeats),
    ("repeats", repeats),
    ("rejected records", rejected_records),
    ("idle work", idle_work),
    ("topic rows", topic_rows),
    ("retention with events", retention_with_events),
    ("retention", retention),
    ("shrinking", shrinking),
    ("probe", probe),
];

/// Lets a write fail at its commit. Says at how many commits it did.
fn fail(store: &mut Store, write: Write) -> u32 {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let hook = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    };
    store.db.commit_hook(Some(hook)).unwrap();
    let result = write(store);
    store.db.commit_hook(None::<fn() -> bool>).unwrap();
    let count = count.load(Ordering::Relaxed);
    assert_eq!(result.is_err(), count > 0, "{result:?}");
    count
}

fn assert_memory_is_the_disk(store: &mut Store, path: &Path, dedup: Dedup, what: &str) {
    let (on_disk, outcomes_on_disk) = disk(path, dedup);
    assert_eq!(memory(store), on_disk, "{what}");
    // The duplicate check as well, in a transaction that leaves nothing.
    let outcomes = Rc::new(Cell::new(Vec::new()));
    let seen = Rc::clone(&outcomes);
    let batch = [publication(0..400)];
    let asked = store.transaction(|db, parts| {
        let mut outcomes = Vec::new();
        parts.insert_events(db, batch.iter(), KEPT_US / 2, &mut outcomes)?;
        seen.set(outcomes);
        Err::<(), _>(rusqlite::Error::InvalidQuery)
    });
    assert!(asked.is_err());
    assert_eq!(outcomes.take(), outcomes_on_disk, "{what}");
    assert_eq!(memory(store), on_disk, "{what}, after the question");
}

#[test]
fn memory_is_what_the_disk_says_after_each_write_that_fails_at_its_commit() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        for (name, write) in WRITES {
            let folder = Folder::new();
            let path = folder.file("events.db");
            let mut store = open(&path, dedup);
            let old = SubscriptionOp::Put {
                name: "old".into(),
                after: Some(0),
                hold: None,
            };
            publish(&mut store, 0..60, &[old], 1).unwrap();
            publish(&mut store, 60..100, &[], 2).unwrap();
            let what = format!("{name} with {dedup:?}");
            assert_memory_is_the_disk(&mut store, &path, dedup, &what);
            let before = memory(&store);
            let failed = fail(&mut store, write);
            assert!(failed > 0, "{what}");
            assert_eq!(memory(&store), before, "{what}");
            assert_memory_is_the_disk(&mut store, &path, dedup, &what);
            write(&mut store).unwrap();
            assert_memory_is_the_disk(&mut store, &path, dedup, &format!("{what}, done"));
            // And what comes after it is right as well.
            publish(&mut store, 240..260, &[], 9).unwrap();
            assert_memory_is_the_disk(&mut store, &path, dedup, &format!("{what}, and after"));
            store.close().unwrap();
        }
    }
}

#[test]
fn a_commit_of_rejected_records_alone_waits_for_the_disk() {
    let folder = Folder::new();
    let path = folder.file("events.db");
    let mut store = open_as(&path, Dedup::Index, Durability::Full);
    let is_synced = |store: &Store| {
        let frames = position(&store.db).unwrap().frames;
        store.db.synced_frames().frames == frames
    };
    publish(&mut store, 0..10, &[], 1).unwrap();
    assert!(is_synced(&store));
    publish(&mut store, 0..10, &[], 2).unwrap();
    assert!(!is_synced(&store), "all of it was on the disk before");
    rejected_records(&mut store).unwrap();
    assert!(is_synced(&store));
    store.close().unwrap();
}

#[test]
fn a_damaged_page_that_cannot_be_written_again_is_still_known_to_be_damaged() {
    let folder = Folder::new();
    let path = folder.file("events.db");
    let mut store = open(&path, Dedup::Index);
    publish(&mut store, 0..100, &[], 1).unwrap();
    while store.idle_work(true).unwrap() {}
    store.close().unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    let flip = "UPDATE segment_pages_0 SET content = zeroblob(length(content)) WHERE id = \
                (SELECT first_page FROM segments WHERE level = 0 ORDER BY first_seq LIMIT 1)";
    other.execute(flip, []).unwrap();
    drop(other);
    let mut store = open(&path, Dedup::Index);
    let (topic, id) = names(3);
    let _ = store.find(&topic, &id, |_| {});
    assert_eq!(store.damaged_pages(), 1);
    while fail(&mut store, idle_work) == 0 {}
    assert_eq!(store.damaged_pages(), 1);
    while store.damaged_pages() > 0 {
        store.idle_work(true).unwrap();
    }
    assert!(store.find(&topic, &id, |_| {}).unwrap());
    store.close().unwrap();
}

/// Retention removes what nothing holds, and warns once a minute while it is held back.
#[test]
fn events_that_a_subscription_holds_stay() {
    let put = |name: &str, after, hold| SubscriptionOp::Put {
        name: name.into(),
        after,
        hold,
    };
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let folder = Folder::new();
        let mut store = open(&folder.file("events.db"), dedup);
        let changes = [
            put("far back", Some(3), None),
            put("a", Some(20), Some(true)),
            put("b", Some(40), Some(true)),
        ];
        publish(&mut store, 0..60, &changes, 1).unwrap();
        let mut now = 2 * KEPT_US;
        let mut retain = |change: Option<SubscriptionOp>| {
            now += KEPT_US;
            let changes = Vec::from_iter(change);
            let none = std::iter::empty::<&Publication>();
            let changed = store.commit_all(none, &changes, 2, now, &mut Vec::new());
            changed.unwrap();
            // The next look is a second later.
            now += KEPT_US;
            while store.retain(now).unwrap() {}
            let due = store.hold_warning_due_ms();
            store.warn_of_hold(70_000);
            let next = store.hold_warning_due_ms();
            store.hold_warning_at = 0;
            (store.first_seq(), due.zip(next))
        };
        let warned = Some((0, 130_000));
        assert_eq!(retain(None), (21, warned));
        let moved = SubscriptionOp::Acknowledge {
            name: "a".into(),
            seq: 30,
        };
        assert_eq!(retain(Some(moved)), (31, warned));
        assert_eq!(retain(Some(put("a", None, Some(false)))), (41, warned));
        let deleted = SubscriptionOp::Remove { name: "b".into() };
        assert_eq!(retain(Some(deleted)), (61, None));
    }
}
