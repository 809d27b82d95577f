//! Two stores, one for each check, in the same random traffic: every answer and every read is equal.

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::PathBuf;

use rusqlite::Connection;

use logagg::limits::MEMTABLE_SLOTS;
use logagg::store::{Bound, Dedup, Outcome, PageQuery, Retention, Store, StoreError};

use crate::audit::{audit, Audit};
use crate::harness::{
    copy, copy_template, idle_until_done, is_clean, mix, options, page, publication, seeds,
    template_event, topic_name, Chance, Event, Folder, SMALL_ENTRIES, TEMPLATE_EVENTS,
};

/// Where a commit of the store with the index can be made to fail. `{}` is a seq near its end.
const FAILURES: [&str; 20] = [
    "BEFORE INSERT ON events WHEN new.seq = {}",
    "AFTER INSERT ON events WHEN new.seq = {}",
    "BEFORE INSERT ON topics",
    "BEFORE UPDATE ON counters",
    "AFTER UPDATE ON counters",
    "AFTER INSERT ON segments",
    "BEFORE DELETE ON segments",
    "BEFORE INSERT ON segment_pages_0 WHEN new.id % 71 = 0",
    "BEFORE INSERT ON segment_pages_0",
    "BEFORE INSERT ON segment_pages_1 WHEN new.id % 471 = 0",
    "BEFORE INSERT ON segment_pages_1",
    "BEFORE DELETE ON segment_pages_0",
    "BEFORE DELETE ON events",
    "AFTER DELETE ON events WHEN old.seq % 100 = 99",
    "BEFORE UPDATE ON retention",
    "AFTER UPDATE ON retention",
    "BEFORE INSERT ON removed_keys",
    "BEFORE DELETE ON removed_keys",
    "BEFORE INSERT ON removed_times",
    "BEFORE UPDATE ON topics",
];

pub struct Pair {
    pub chance: Chance,
    folder: Folder,
    /// Counts the copies, to name them.
    copies: u32,
    paths: [PathBuf; 2],
    constraint: Option<Store>,
    index: Option<Store>,
    /// The keys that are stored: those of the template, by seq, and these after it.
    template: u64,
    sent: Vec<Event>,
    next_id: u64,
    clock: i64,
    pub failures: u32,
    retention: Retention,
    /// Of the memtables of the key index; none for the server's own number.
    slots: Option<usize>,
}

impl Pair {
    pub fn new(seed: u64, with_template: bool, retention: Retention) -> Self {
        let folder = Folder::new();
        let paths = ["constraint", "index"].map(|name| folder.file(name));
        if with_template {
            copy_template(&paths[0], Dedup::Constraint);
            copy_template(&paths[1], Dedup::Index);
        }
        let mut pair = Self {
            chance: Chance::new(seed),
            folder,
            copies: 0,
            paths,
            constraint: None,
            index: None,
            template: if with_template { TEMPLATE_EVENTS } else { 0 },
            sent: Vec::new(),
            next_id: 1 << 40,
            clock: 1_000_000,
            failures: 0,
            retention,
            slots: None,
        };
        pair.open();
        pair
    }

    /// Gives the key index smaller memtables from now on.
    fn use_slots(&mut self, slots: usize) {
        self.slots = Some(slots);
        self.index().set_memtable_slots(slots);
    }

    fn open(&mut self) {
        let filters = self.chance.pick(&[0, 100_000, usize::MAX]);
        let open = |path, dedup| {
            let mut options = options(path, dedup);
            options.filter_memory_bytes = filters;
            options.retention = self.retention;
            let mut store = Store::open(&options).unwrap();
            store.remove_at_one_pace();
            if let Some(slots) = self.slots {
                store.set_memtable_slots(slots);
            }
            Some(store)
        };
        self.constraint = open(&self.paths[0], Dedup::Constraint);
        self.index = open(&self.paths[1], Dedup::Index);
    }

    fn both(&mut self) -> [&mut Store; 2] {
        [&mut self.constraint, &mut self.index].map(|store| store.as_mut().unwrap())
    }

    pub fn index(&mut self) -> &mut Store {
        self.index.as_mut().unwrap()
    }

    /// Asks both stores and compares what they say.
    fn same<T: PartialEq + Debug>(&mut self, mut ask: impl FnMut(&mut Store) -> T) -> T {
        let [constraint, index] = self.both().map(&mut ask);
        assert_eq!(constraint, index);
        index
    }

    /// The key of a stored event, near or far.
    fn stored_key(&mut self) -> Option<Event> {
        let near = self.chance.percent(40) || self.template == 0;
        let n = self.sent.len() as u64;
        if near && n > 0 {
            let reach = self.chance.pick(&[20, 3_000, u64::MAX]).min(n);
            return Some(self.sent[(n - 1 - self.chance.below(reach)) as usize]);
        }
        (self.template > 0).then(|| template_event(1 + self.chance.below(self.template)))
    }

    fn event(&mut self) -> Event {
        if self.chance.percent(35) {
            if let Some(mut stored) = self.stored_key() {
                if self.chance.percent(20) {
                    stored.version += 1 + self.chance.below(2) as u32;
                }
                self.sent.push(stored);
                return stored;
            }
        }
        let topics = 3 + self.next_id % 4_096 / 100;
        self.next_id += 1;
        let event = Event {
            topic: (self.chance.below(topics) * self.chance.below(topics) / topics) as u32,
            id: self.next_id,
            version: self.chance.below(3) as u32,
        };
        self.sent.push(event);
        event
    }

    fn commit(&mut self, size: u64) {
        let publications = 1 + self.chance.below(3);
        let events: Vec<Vec<Event>> = (0..publications)
            .map(|_| {
                let share = self.chance.below(2 * size / publications + 2);
                (0..share).map(|_| self.event()).collect()
            })
            .collect();
        let publications: Vec<_> = events.iter().map(|events| publication(events)).collect();
        self.clock += self.chance.pick(&[0, 7, 7, 7, 7, 100]);
        let clock = self.clock;
        let commit = |store: &mut Store| {
            let mut outcomes = vec![Outcome::Accepted(99)];
            let result = store.commit(publications.iter(), clock, &mut outcomes);
            (result.map_err(|e: StoreError| e.to_string()), outcomes)
        };
        if self.chance.percent(25) {
            let before = state(self.index());
            let (result, outcomes) = self.with_failure(size, commit);
            if result.is_err() {
                self.failures += 1;
                assert_eq!(outcomes, [Outcome::Accepted(99)]);
                assert_eq!(state(self.index()), before);
            } else {
                let constraint = commit(self.constraint.as_mut().unwrap());
                assert_eq!(constraint, (result, outcomes));
            }
            if self.failures.is_multiple_of(2) {
                return;
            }
        }
        let (result, outcomes) = self.same(commit);
        assert_eq!(result, Ok(()));
        assert_eq!(
            outcomes.len() - 1,
            events.iter().map(Vec::len).sum::<usize>()
        );
        self.same(state);
    }

    /// Does something while something in the database is made to fail.
    fn with_failure<T>(&mut self, size: u64, work: impl FnOnce(&mut Store) -> T) -> T {
        let other = Connection::open(&self.paths[1]).unwrap();
        if self.chance.percent(10) {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            return work(self.index());
        }
        let seq = self.index().last_seq() + 1 + self.chance.below(size);
        let place = self.chance.pick(&FAILURES).replace("{}", &seq.to_string());
        let way = self.chance.pick(&["ABORT", "FAIL", "ROLLBACK"]);
        other
            .execute_batch(&format!(
                "CREATE TRIGGER failure {place} BEGIN SELECT RAISE({way}, 'on purpose'); END"
            ))
            .unwrap();
        let result = work(self.index());
        other.execute_batch("DROP TRIGGER failure").unwrap();
        result
    }

    fn idle(&mut self) {
        for _ in 0..1 + self.chance.below(4) {
            if self.chance.percent(20) {
                let before = state(self.index());
                let _ = self.with_failure(1, |store| store.idle_work(true));
                assert_eq!(state(self.index()), before);
            }
            for store in self.both() {
                store.idle_work(true).unwrap();
            }
        }
        self.clock += self.chance.pick(&[0, 50, 1_000]);
        self.retain();
    }

    /// Removes what is due. Both do the same in as many slices as each needs.
    fn retain(&mut self) {
        let clock = self.clock;
        while self.chance.percent(30) {
            let more = self.with_failure(1, |store| store.retain(clock));
            if matches!(more, Ok(false)) {
                break;
            }
        }
        for store in self.both() {
            while store.retain(clock).unwrap() {}
        }
        self.same(state);
    }

    fn restart(&mut self) {
        let way = self.chance.below(3);
        if way == 2 {
            self.copies += 1;
            let copies = ["constraint", "index"]
                .map(|name| self.folder.file(&format!("{name}-{}", self.copies)));
            for (from, to) in self.paths.iter().zip(&copies) {
                copy(from, to);
            }
            (self.constraint, self.index) = (None, None);
            for path in std::mem::replace(&mut self.paths, copies) {
                std::fs::remove_file(path).unwrap();
            }
        }
        for store in [self.constraint.take(), self.index.take()]
            .into_iter()
            .flatten()
        {
            if way == 0 {
                store.close().unwrap();
            }
        }
        self.open();
        self.same(state);
    }

    fn read_pages(&mut self) {
        let last_seq = self.index().last_seq();
        let mut patterns = Vec::new();
        for _ in 0..self.chance.below(4) {
            let topic = topic_name(self.chance.below(60) as u32);
            let prefix = self
                .chance
                .pick(&["a*", "order*", "order.1*", "ordering.*", "none*"]);
            let patterns_of = [topic, prefix.to_owned()];
            patterns.push(patterns_of[self.chance.below(2) as usize].clone());
        }
        let memtable = SMALL_ENTRIES as u64;
        let at = match self.chance.below(5) {
            0 => 0,
            1 => u64::MAX,
            2 => last_seq.saturating_sub(self.chance.below(300)),
            3 => self.chance.below(9) * memtable + self.chance.below(4),
            _ => self.chance.below(last_seq + 2),
        };
        let limit = self.chance.pick(&[1, 2, 63, 64, 65, 200, 1_000]);
        let ascending = self.chance.percent(50);
        let mut bound = if ascending {
            Bound::After(at)
        } else {
            Bound::Before(at)
        };
        // A few pages, each after the one before.
        for _ in 0..3 {
            let query = PageQuery {
                topics: &patterns,
                bound,
                limit,
            };
            let (page, _) = self.same(|store| {
                let mut events = Vec::new();
                let page = page(store, &query, |e| {
                    let content = (
                        e.topic.to_owned(),
                        e.event_id.to_owned(),
                        e.payload.to_owned(),
                    );
                    events.push((e.seq, content, e.processed_at));
                });
                (page.unwrap(), events)
            });
            let Some(behind) = page.more_after else {
                break;
            };
            bound = if ascending {
                Bound::After(behind)
            } else {
                Bound::Before(behind)
            };
        }
    }

    fn find_some(&mut self) {
        for _ in 0..20 {
            let mut key = match self.stored_key() {
                Some(key) if self.chance.percent(80) => key,
                _ => Event {
                    topic: 1,
                    id: self.chance.next(),
                    version: 0,
                },
            };
            if self.chance.percent(10) {
                key.topic += 1;
            }
            self.same(|store| crate::harness::find(store, &key));
        }
    }

    pub fn run(&mut self, events: u64, sizes: &[u64]) {
        let goal = self.index().last_seq() + events;
        while self.index().last_seq() < goal {
            match self.chance.below(20) {
                0 => self.restart(),
                1..=2 => self.idle(),
                3..=5 => self.read_pages(),
                6 => self.find_some(),
                _ => {
                    let size = self.chance.pick(sizes);
                    self.commit(size);
                }
            }
        }
    }

    /// How many keys have been sent.
    pub fn keys(&self) -> u64 {
        let keys = self.sent.iter().map(|event| (event.topic, event.id));
        keys.collect::<HashSet<_>>().len() as u64
    }

    /// Compares all that is stored, and audits the segments.
    fn finish(mut self) -> Audit {
        self.compare_content();
        let audit = audit(&self.paths[1], 128);
        assert_eq!(audit.orphans, 0);
        audit
    }

    /// The same where retention has removed events.
    pub fn finish_retained(mut self) {
        self.compare_content();
        for store in [self.constraint.take(), self.index.take()] {
            store.unwrap().close().unwrap();
        }
        for path in &self.paths {
            is_clean(path);
        }
    }

    fn compare_content(&mut self) {
        idle_until_done(self.index());
        self.retain();
        idle_until_done(self.index());
        self.same(state);
        for key in self
            .sent
            .clone()
            .into_iter()
            .step_by(self.sent.len() / 2_000 + 1)
        {
            self.same(|store| crate::harness::find(store, &key).is_some());
        }
        let content = |path| {
            let db = Connection::open(path).unwrap();
            let sql = "SELECT * FROM events ORDER BY seq";
            let mut statement = db.prepare(sql).unwrap();
            let mut hash = 0_u64;
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let numbers = [0, 1, 6].map(|column| row.get::<_, i64>(column).unwrap() as u64);
                let texts = [2, 3, 4, 5].map(|column| row.get_ref(column).unwrap());
                hash = numbers.into_iter().fold(hash, |hash, n| mix(hash ^ n));
                for text in texts {
                    let bytes = text.as_bytes().unwrap().iter();
                    hash = bytes.fold(mix(hash), |hash, byte| {
                        hash.wrapping_mul(0x0100_0000_01B3) ^ u64::from(*byte)
                    });
                }
            }
            hash
        };
        assert_eq!(content(&self.paths[0]), content(&self.paths[1]));
    }
}

/// All that a store says of itself.
fn state(store: &mut Store) -> impl PartialEq + Debug {
    let topics: Vec<_> = store
        .topics()
        .in_order(None)
        .map(|id| {
            let topic = store.topics().get(id);
            let counts = (topic.events, topic.last_seq, topic.last_processed_at);
            (id, topic.name.to_string(), counts)
        })
        .collect();
    let seqs = (store.first_seq(), store.last_seq());
    (store.counters(), seqs, topics)
}

/// Runs pairs of stores, each with these numbers of events in commits of these sizes, and tells what they
/// have shown. `expected` looks at the audit and at the number of commits that were made to fail.
fn agree(
    key: &str,
    seeds: Vec<u64>,
    with_template: bool,
    slots: Option<usize>,
    runs: &[(u64, &[u64])],
    expected: impl Fn(&Audit, u32) -> bool,
) {
    let (mut events, mut failures) = (0, 0);
    for seed in &seeds {
        eprintln!("SEED={seed}");
        let mut pair = Pair::new(*seed, with_template, Retention::default());
        if let Some(slots) = slots {
            pair.use_slots(slots);
        }
        for (events, sizes) in runs {
            pair.run(*events, sizes);
        }
        events += pair.index().last_seq() - pair.template;
        failures += pair.failures;
        let failed = pair.failures;
        let audit = pair.finish();
        assert!(expected(&audit, failed), "{failed} {audit:?}");
    }
    println!(
        "FIGURE {key}: {events} new events in random traffic (seeds: {}), {failures} commits made to fail, \
         restarts and crashes: key index and SQLite's own constraint gave the same answers and hold the same rows",
        seeds.len()
    );
}

#[test]
fn both_checks_agree_from_the_first_event_on() {
    let runs: [(u64, &[u64]); 2] = [(2_000, &[1, 3, 50]), (105_000, &[1, 50, 2_000, 6_000])];
    agree(
        "dedup-start",
        seeds(2),
        false,
        None,
        &runs,
        |audit, failures| failures > 0 && audit.by_level[0] > 0,
    );
}

/// The segments of the template are of small memtables, the one after them is not.
#[test]
fn both_checks_agree_while_segments_merge() {
    let runs: [(u64, &[u64]); 1] = [(90_000, &[1, 10, 300, 1_000, 2_000])];
    agree(
        "dedup-merges",
        seeds(1),
        true,
        None,
        &runs,
        |audit, failures| failures > 0 && audit.by_level[..2] == [1, 1],
    );
}

/// With memtables of an eighth of their size, and commits that fill eight of them. `FULL_SIZE=1` takes the server's own
/// size, and eight times as long.
#[test]
fn both_checks_agree_on_commits_of_several_memtables() {
    let is_full_size = std::env::var_os("FULL_SIZE").is_some();
    let (slots, scale, default_seeds) = match is_full_size {
        true => (None, 8, 1),
        false => (Some(MEMTABLE_SLOTS / 8), 1, 2),
    };
    let runs: [(u64, &[u64]); 1] = [(scale * 212_500, &[1, scale * 100_000])];
    agree(
        "dedup-large",
        seeds(default_seeds),
        false,
        slots,
        &runs,
        |audit, _| audit.by_level[1] > 0,
    );
}
