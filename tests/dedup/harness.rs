//! What the tests share: folders, events made of three numbers, stores, and a source of chance.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

use logagg::event::{EventSpans, Publication, Span};
use logagg::limits::{MEMTABLE_ENTRIES, MEMTABLE_SLOTS, MERGE_WIDTH};
use logagg::store::{
    check, CheckOptions, Dedup, Durability, OpenOptions, Outcome, Page, PageQuery, Report,
    Retention, SearchIndex, Store, StoreError, StoredEvent,
};

use crate::audit::audit;

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True in `n` of a hundred cases.
    pub fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

pub fn mix(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ n >> 31
}

/// The seeds to run: `default` of them, or what the environment says.
pub fn seeds(default: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SEEDS").unwrap_or(default)).collect(),
    }
}

/// A folder that goes when the test is over.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        // The tests write gigabytes, and none is about the loss of power: memory is as good as a disk.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(format!("logagg-dedup-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An event: `topic` and `id` are its key, `version` is its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    pub topic: u32,
    pub id: u64,
    pub version: u32,
}

impl Event {
    pub fn topic_name(&self) -> String {
        topic_name(self.topic)
    }

    pub fn event_id(&self) -> String {
        format!("{:x}", mix(self.id))
    }
}

pub fn topic_name(topic: u32) -> String {
    format!(
        "{}.{topic}",
        ["a", "b", "order", "ordering"][topic as usize % 4]
    )
}

pub fn publication(events: &[Event]) -> Publication {
    let mut body = Vec::new();
    let mut put = |text: &str| {
        let start = body.len() as u32;
        body.extend_from_slice(text.as_bytes());
        Span {
            start,
            len: text.len() as u32,
        }
    };
    let timestamp = put("2026-01-01T00:00:00Z");
    let source = put("s");
    let spans = |event: &Event| EventSpans {
        topic: put(&event.topic_name()),
        event_id: put(&event.event_id()),
        timestamp,
        source,
        payload: put(&format!("{{\"v\":{}}}", event.version)),
    };
    let events = events.iter().map(spans).collect();
    Publication {
        body,
        events,
        ..Publication::default()
    }
}

pub fn options(path: &Path, dedup: Dedup) -> OpenOptions {
    OpenOptions {
        path: path.to_owned(),
        durability: Durability::Normal,
        dedup: Some(dedup),
        filter_memory_bytes: usize::MAX,
        fingerprint_bits: 128,
        triggers: true,
        retention: Retention::default(),
        search_index: SearchIndex::default(),
    }
}

pub fn open(path: &Path, dedup: Dedup) -> Store {
    Store::open(&options(path, dedup)).unwrap()
}

/// Commits events as one publication.
pub fn commit(store: &mut Store, events: &[Event]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let publication = publication(events);
    store
        .commit([&publication].into_iter(), 1_000_000, &mut outcomes)
        .unwrap();
    outcomes
}

/// The content that the store finds under a key.
pub fn find(store: &mut Store, event: &Event) -> Option<(u64, String)> {
    let mut found = None;
    let (topic, event_id) = (event.topic_name(), event.event_id());
    let is_there = store
        .find(&topic, &event_id, |stored| {
            assert_eq!(stored.topic, topic.as_bytes());
            assert_eq!(stored.event_id, event_id.as_bytes());
            let payload = String::from_utf8(stored.payload.to_owned());
            found = Some((stored.seq, payload.expect("what is stored is UTF-8")));
        })
        .unwrap();
    assert_eq!(is_there, found.is_some());
    found
}

/// Does all work that waits for idle moments and says how many slices that took.
pub fn idle_until_done(store: &mut Store) -> usize {
    let mut slices = 0;
    while store.idle_work(true).unwrap() {
        slices += 1;
        assert!(slices < 100_000, "the idle work has an end");
    }
    slices
}

/// Asserts that a check finds nothing wrong.
pub fn is_clean(path: &Path) -> Report {
    let options = CheckOptions {
        path: path.to_owned(),
        quick: false,
    };
    let report = check(&options, &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{report:#?}");
    report
}

/// Copies a database as a crash would leave it.
pub fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = fs::remove_file(with(to));
        if with(from).exists() {
            fs::copy(with(from), with(to)).unwrap();
        }
    }
    let _ = fs::remove_file(format!("{}-shm", to.display()));
}

/// The event that a template holds as `seq`.
pub fn template_event(seq: u64) -> Event {
    Event {
        topic: (mix(seq) % 7) as u32,
        id: seq,
        version: 0,
    }
}

/// Half of a memtable. Segments of this size are what the server made before its memtables had theirs.
pub const SMALL_SLOTS: usize = MEMTABLE_SLOTS / 2;
/// Entries of such a memtable.
pub const SMALL_ENTRIES: usize = MEMTABLE_ENTRIES / 2;
/// Events of the template.
pub const TEMPLATE_EVENTS: u64 = 98 * 8_192;

/// Puts a copy of a database with these events there. In the one with the index as many segments of the
/// lowest level as a merge takes lie before a memtable that is a third full: a merge is due, but has not begun. They
/// are of small memtables.
pub fn copy_template(path: &Path, dedup: Dedup) {
    static MADE: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let content = MADE[usize::from(dedup == Dedup::Index)].get_or_init(|| {
        let folder = Folder::new();
        let path = folder.file("template");
        let mut store = open(&path, dedup);
        store.set_memtable_slots(SMALL_SLOTS);
        for first in (1..=TEMPLATE_EVENTS).step_by(8_192) {
            let events: Vec<_> = (first..first + 8_192).map(template_event).collect();
            let outcomes = commit(&mut store, &events);
            assert!((first..)
                .zip(outcomes)
                .all(|(seq, outcome)| outcome == Outcome::Accepted(seq)));
        }
        store.close().unwrap();
        if dedup == Dedup::Index {
            assert_eq!(audit(&path, 128).by_level[..2], [MERGE_WIDTH, 0]);
        }
        fs::read(&path).unwrap()
    });
    fs::write(path, content).unwrap();
}

/// A page, searched for in small slices.
pub fn page(
    store: &Store,
    query: &PageQuery,
    take: impl FnMut(StoredEvent),
) -> Result<Page, StoreError> {
    let mut search = store.begin_page(query);
    while !search.is_over() {
        store.search_page(&mut search, 50)?;
    }
    store.read_page(&search, take)
}
