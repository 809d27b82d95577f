//! The key index against a `HashMap`: every outcome, look-up and page of a store whose memtables are
//! so small that a few hundred events make segments and merge them, through failed commits, idle work
//! and restarts.
//!
//! The input is three bytes of settings, and operations of three bytes each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use logagg::event::{EventSpans, Publication, Span};
use logagg::store::{self, Bound, CheckOptions, Dedup, Durability, OpenOptions, Outcome};
use logagg::store::{PageQuery, Retention, SearchIndex, Store};
use rusqlite::Connection;

/// Operations of an input that are carried out.
const OPERATIONS: usize = 40;
const TOPICS: u16 = 3;
/// Slots of a memtable, of which three quarters are filled. The fourth has keys on several pages.
const SLOTS: [usize; 4] = [8, 16, 64, 256];
const FILTER_BYTES: [usize; 3] = [usize::MAX, 0, 300];
const FINGERPRINT_BITS: [u32; 3] = [128, 17, 8];

/// Where a transaction can be made to fail.
const FAILURES: [&str; 10] = [
    "BEFORE INSERT ON events WHEN new.seq % 7 = 0",
    "AFTER INSERT ON events WHEN new.seq % 16 = 3",
    "BEFORE INSERT ON topics",
    "AFTER UPDATE ON counters",
    "AFTER INSERT ON segments",
    "BEFORE DELETE ON segments",
    "BEFORE INSERT ON segment_pages_0 WHEN new.id % 5 = 0",
    "BEFORE INSERT ON segment_pages_1",
    "AFTER INSERT ON segment_pages_1 WHEN new.id % 7 = 0",
    "BEFORE DELETE ON segment_pages_0",
];

/// An event: the key is a number, of which the topic is a part, and the version is the content.
#[derive(Clone, Copy, Debug)]
struct Event {
    key: u16,
    version: u8,
}

impl Event {
    fn topic(self) -> String {
        topic_name(self.key % TOPICS)
    }

    fn event_id(self) -> String {
        format!("{}", self.key / TOPICS)
    }

    fn payload(self) -> String {
        format!("{{\"v\":{}}}", self.version)
    }
}

fn topic_name(topic: u16) -> String {
    format!("topic-{topic}")
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        // Nothing in here is about the loss of power: memory is as good as a disk.
        let memory = Path::new("/dev/shm");
        let parent = match memory.is_dir() {
            true => memory.to_owned(),
            false => env::temp_dir(),
        };
        let path = parent.join(format!("logagg-keys-{}-{n}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is stored.
#[derive(Clone, Default)]
struct Content {
    /// By key, the seq and the version.
    by_key: HashMap<u16, (u64, u8)>,
    /// The keys in the order of their seqs, which begin with 1.
    order: Vec<u16>,
}

impl Content {
    /// Stores an event, if its key is new.
    fn add(&mut self, event: &Event) -> Outcome {
        match self.by_key.get(&event.key) {
            Some((seq, version)) if *version == event.version => Outcome::Duplicate(*seq),
            Some((seq, _)) => Outcome::Conflict(*seq),
            None => {
                self.order.push(event.key);
                let seq = self.order.len() as u64;
                self.by_key.insert(event.key, (seq, event.version));
                Outcome::Accepted(seq)
            }
        }
    }
}

/// The store, and what it must hold.
struct Pair {
    options: OpenOptions,
    slots: usize,
    store: Option<Store>,
    content: Content,
    duplicates: u64,
    conflicts: u64,
    _folder: Folder,
}

pub fn check(input: &[u8]) {
    let Some((&[slots, filter, bits], operations)) = input.split_first_chunk() else {
        return;
    };
    let folder = Folder::new();
    let mut pair = Pair {
        options: OpenOptions {
            path: folder.0.join("db"),
            durability: Durability::Normal,
            dedup: Some(Dedup::Index),
            filter_memory_bytes: FILTER_BYTES[usize::from(filter) % FILTER_BYTES.len()],
            triggers: true,
            fingerprint_bits: FINGERPRINT_BITS[usize::from(bits) % FINGERPRINT_BITS.len()],
            retention: Retention::default(),
            search_index: SearchIndex::default(),
        },
        slots: SLOTS[usize::from(slots) % SLOTS.len()],
        store: None,
        content: Content::default(),
        duplicates: 0,
        conflicts: 0,
        _folder: folder,
    };
    pair.open();
    for operation in operations.chunks_exact(3).take(OPERATIONS) {
        pair.operate([operation[0], operation[1], operation[2]]);
    }
    pair.finish();
}

impl Pair {
    fn open(&mut self) {
        let mut store = Store::open(&self.options).unwrap();
        store.set_memtable_slots(self.slots);
        self.store = Some(store);
        self.compare_counts();
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("it is closed only to be opened")
    }

    fn operate(&mut self, [kind, a, b]: [u8; 3]) {
        let from = u16::from(a) * 8;
        match kind % 16 {
            // New keys, one after the other, or with the same distance between them.
            0..=4 => self.commit(&run_of(from, 1 + u16::from(b) / 2, 1, kind / 16)),
            5 => self.commit(&run_of(from, 1 + u16::from(b) / 4, 5, kind / 16)),
            6 => self.commit(&run_of(self.next_key(), 1 + u16::from(b) / 2, 1, 0)),
            7 => self.commit(&run_of(u16::from(a), 1 + u16::from(b) % 4, 0, kind / 16)),
            8 | 9 => {
                let from = [from, self.next_key()][usize::from(kind % 2)];
                let events = run_of(from, 1 + u16::from(b) / 2, 1, kind / 16);
                let place = usize::from(a ^ (kind / 16));
                self.fail(place, |pair| pair.commit_that_may_fail(&events));
            }
            10 => self.idle(1 + b % 4),
            11 => self.fail(usize::from(b), |pair| drop(pair.store().idle_work(true))),
            12 => self.restart(b),
            13 => (0..8).for_each(|n| self.find(from + u16::from(b) * n)),
            _ => self.read(u16::from(a) % (TOPICS + 1), u64::from(b) * 8, kind / 16),
        }
    }

    /// The key after all that are stored.
    fn next_key(&self) -> u16 {
        let keys = self.content.by_key.keys();
        keys.max().map_or(0, |key| key.wrapping_add(1))
    }

    fn commit(&mut self, events: &[Event]) {
        assert!(self.try_commit(events), "a commit failed for no reason");
    }

    fn commit_that_may_fail(&mut self, events: &[Event]) {
        self.try_commit(events);
    }

    /// Commits; false where that failed, and then nothing may have changed.
    fn try_commit(&mut self, events: &[Event]) -> bool {
        let mut content = self.content.clone();
        let expected: Vec<Outcome> = events.iter().map(|event| content.add(event)).collect();
        // In two publications, as if two clients had sent them.
        let (first, second) = events.split_at(events.len() / 2);
        let publications = [publication(first), publication(second)];
        let mut outcomes = Vec::new();
        let result = self
            .store()
            .commit(publications.iter(), 1_000_000, &mut outcomes);
        if result.is_err() {
            assert!(outcomes.is_empty());
        } else {
            assert_eq!(outcomes, expected);
            let count = |wanted: fn(&Outcome) -> bool| {
                expected.iter().filter(|outcome| wanted(outcome)).count() as u64
            };
            self.duplicates += count(|outcome| !matches!(outcome, Outcome::Accepted(_)));
            self.conflicts += count(|outcome| matches!(outcome, Outcome::Conflict(_)));
            self.content = content;
        }
        self.compare_counts();
        result.is_ok()
    }

    /// Does something while something in the database fails.
    fn fail(&mut self, place: usize, work: impl FnOnce(&mut Pair)) {
        let other = Connection::open(&self.options.path).unwrap();
        if place % 12 == 11 {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            return work(self);
        }
        let way = ["ABORT", "FAIL", "ROLLBACK"][place / 12 % 3];
        let place = FAILURES[place % 12 % FAILURES.len()];
        other
            .execute_batch(&format!(
                "CREATE TRIGGER failure {place} BEGIN SELECT RAISE({way}, 'on purpose'); END"
            ))
            .unwrap();
        work(self);
        other.execute_batch("DROP TRIGGER failure").unwrap();
        self.compare_counts();
    }

    fn idle(&mut self, slices: u8) {
        for _ in 0..slices {
            self.store().idle_work(true).unwrap();
        }
        self.compare_counts();
    }

    /// Closes the store, or lets it go as a crash of the process does, and opens it.
    fn restart(&mut self, how: u8) {
        let store = self.store.take().expect("it is open");
        match how % 2 {
            0 => store.close().unwrap(),
            _ => drop(store),
        }
        self.options.filter_memory_bytes = FILTER_BYTES[usize::from(how / 2) % FILTER_BYTES.len()];
        self.open();
    }

    fn find(&mut self, key: u16) {
        let expected = self.content.by_key.get(&key).copied();
        let mut found = None;
        let event = Event { key, version: 0 };
        self.store()
            .find(&event.topic(), &event.event_id(), |stored| {
                assert_eq!(stored.topic, event.topic().as_bytes());
                assert_eq!(stored.event_id, event.event_id().as_bytes());
                let payload = String::from_utf8(stored.payload.to_owned());
                found = Some((stored.seq, payload.expect("what is stored is UTF-8")));
            })
            .unwrap();
        let expected = expected.map(|(seq, version)| (seq, Event { key, version }.payload()));
        assert_eq!(found, expected, "key {key}");
    }

    /// Reads a page of a topic, or of two of them, after or in front of a seq.
    fn read(&mut self, topic: u16, seq: u64, choice: u8) {
        let topics = match topic {
            TOPICS => vec![topic_name(0), topic_name(2)],
            topic => vec![topic_name(topic)],
        };
        let limit = [1, 7, 200][usize::from(choice / 2) % 3];
        let ascending = choice.is_multiple_of(2);
        let bound = match ascending {
            true => Bound::After(seq),
            false => Bound::Before(seq),
        };
        let mut found = Vec::new();
        let query = PageQuery {
            topics: &topics,
            bound,
            limit,
        };
        let store = self.store();
        let mut search = store.begin_page(&query);
        while !search.is_over() {
            store.search_page(&mut search, 1).unwrap();
        }
        let page = store.read_page(&search, |event| found.push(event.seq));
        let page = page.unwrap();

        let has_topic = |key: &u16| topics.contains(&topic_name(key % TOPICS));
        let seqs = (1..).zip(&self.content.order);
        let mut expected: Vec<u64> = seqs
            .filter(|(at, key)| has_topic(key) && if ascending { *at > seq } else { *at < seq })
            .map(|(at, _)| at)
            .collect();
        if !ascending {
            expected.reverse();
        }
        let more = expected.len() > limit;
        expected.truncate(limit);
        assert_eq!(found, expected);
        assert_eq!(page.count, found.len());
        let last = expected.last().copied();
        assert_eq!(page.more_after, last.filter(|_| more));
    }

    fn compare_counts(&mut self) {
        let (unique, duplicates, conflicts) = (
            self.content.order.len() as u64,
            self.duplicates,
            self.conflicts,
        );
        let store = self.store();
        let counters = store.counters();
        assert_eq!(counters.unique_processed, unique);
        assert_eq!(counters.duplicate_dropped, duplicates);
        assert_eq!(counters.conflicts, conflicts);
        assert_eq!(store.last_seq(), unique);
    }

    /// Does all the work that is left, looks keys up, and lets the store's own check prove the file.
    fn finish(mut self) {
        let mut slices = 0;
        while self.store().idle_work(true).unwrap() {
            slices += 1;
            assert!(slices < 10_000, "the idle work has an end");
        }
        let step = self.content.order.len() / 200 + 1;
        let keys: Vec<u16> = self.content.order.iter().step_by(step).copied().collect();
        for key in keys {
            self.find(key);
            self.find(key.wrapping_add(TOPICS));
        }
        for topic in 0..=TOPICS {
            self.read(topic, 0, 4);
            self.read(topic, u64::MAX, 5);
        }
        self.store.take().expect("it is open").close().unwrap();
        // A check makes fingerprints of 128 bits.
        if self.options.fingerprint_bits == 128 {
            let options = CheckOptions {
                path: self.options.path.clone(),
                quick: false,
            };
            let report = store::check(&options, &mut |_| {}).unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
            assert_eq!(report.events, self.content.order.len() as u64);
        }
    }
}

/// `count` events whose keys have the same distance.
fn run_of(from: u16, count: u16, distance: u16, version: u8) -> Vec<Event> {
    let event = |n: u16| Event {
        key: from.wrapping_add(n * distance),
        version,
    };
    (0..count).map(event).collect()
}

fn publication(events: &[Event]) -> Publication {
    let mut body = Vec::new();
    let mut put = |text: &str| {
        let start = body.len() as u32;
        body.extend_from_slice(text.as_bytes());
        let len = text.len() as u32;
        Span { start, len }
    };
    let timestamp = put("2026-01-01T00:00:00Z");
    let source = put("s");
    let spans = |event: &Event| EventSpans {
        topic: put(&event.topic()),
        event_id: put(&event.event_id()),
        timestamp,
        source,
        payload: put(&event.payload()),
    };
    let events = events.iter().map(spans).collect();
    Publication {
        body,
        events,
        ..Publication::default()
    }
}
