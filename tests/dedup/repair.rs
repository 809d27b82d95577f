//! Flipped bits and lost pages in the tables of the key index, against a `HashMap`: no answer is wrong, what is
//! damaged is made again, and a check then finds nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use logagg::store::{Bound, Dedup, Limit, OpenOptions, Outcome, PageQuery, Store, StoreError};

use crate::audit::audit;
use crate::harness::{
    commit, idle_until_done, is_clean, options, page, publication, seeds, topic_name, Chance,
    Event, Folder,
};

const TOPICS: u64 = 5;

/// A page of a segment, and the part that it is of.
#[derive(Clone, Copy, Debug)]
struct Page {
    level: i64,
    id: i64,
    part: &'static str,
    /// Of its segment.
    last_seq: i64,
}

/// All pages of all segments, by what docs/internals/store.md says of where they are.
fn pages(db: &Connection) -> Vec<Page> {
    let sql = "SELECT level, entries, first_page, filter_bits, last_seq FROM segments";
    let mut statement = db.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut pages = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let [level, entries, first, bits] = [0, 1, 2, 3].map(|at| row.get::<_, i64>(at).unwrap());
        let last_seq = row.get(4).unwrap();
        let on = |records: i64, per_page: i64| (records + per_page - 1) / per_page;
        let (keys, postings) = (on(entries, 126), on(entries, 336));
        let mut id = first;
        for (part, count) in [
            ("keys", keys),
            ("filter", on((entries * bits + 511) / 512, 63)),
            ("fences of the keys", on(keys, 504)),
            ("postings", postings),
            ("fences of the postings", on(postings, 336)),
        ] {
            pages.extend((id..id + count).map(|id| Page {
                level,
                id,
                part,
                last_seq,
            }));
            id += count;
        }
    }
    pages
}

/// Damages a page, as another program would.
fn damage(path: &Path, page: Page, chance: &mut Chance) {
    let db = Connection::open(path).unwrap();
    let Page { level, id, .. } = page;
    let table = format!("segment_pages_{level}");
    if chance.percent(5) {
        let sql = format!("DELETE FROM {table} WHERE id = ?1");
        db.execute(&sql, [id]).unwrap();
        return;
    }
    let sql = format!("SELECT content FROM {table} WHERE id = ?1");
    let content = db.query_row(&sql, [id], |row| row.get(0)).optional();
    // It may have been deleted before.
    let mut content: Vec<u8> = content.unwrap().unwrap_or_default();
    match chance.below(8) {
        0 => content.truncate(content.len() / 2),
        1 if !content.is_empty() => {
            // A whole page in the wrong place.
            let sql = format!("SELECT content FROM {table} ORDER BY random() LIMIT 1");
            content = db.query_row(&sql, [], |row| row.get(0)).unwrap();
        }
        2 => content.iter_mut().for_each(|byte| *byte = 0),
        _ if content.is_empty() => {}
        _ => {
            let bit = chance.below(8 * content.len() as u64) as usize;
            content[bit / 8] ^= 1 << (bit % 8);
        }
    }
    let sql = format!("UPDATE {table} SET content = ?2 WHERE id = ?1");
    db.execute(&sql, (id, content)).unwrap();
}

/// Calls `ask` until no damaged page stands in the way, with a slice of idle work before each new try.
pub fn asked<T>(store: &mut Store, mut ask: impl FnMut(&mut Store) -> Result<T, StoreError>) -> T {
    for _ in 0..1_000 {
        match ask(store) {
            Ok(answer) => return answer,
            Err(StoreError::Repairing) => drop(store.idle_work(true).unwrap()),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no damaged page was made again");
}

struct Run {
    options: OpenOptions,
    slots: usize,
    store: Option<Store>,
    stored: HashMap<(u32, u64), (u64, u32)>,
    by_topic: HashMap<u32, Vec<u64>>,
    next_id: u64,
    _folder: Folder,
}

impl Run {
    fn new(chance: &mut Chance) -> Run {
        let folder = Folder::new();
        let mut options = options(&folder.file("db"), Dedup::Index);
        options.filter_memory_bytes = chance.pick(&[0, 3_000, usize::MAX]);
        options.fingerprint_bits = chance.pick(&[128, 128, 17, 11]);
        let mut run = Run {
            options,
            slots: chance.pick(&[64, 256, 1_024]),
            store: None,
            stored: HashMap::new(),
            by_topic: HashMap::new(),
            next_id: 0,
            _folder: folder,
        };
        run.open();
        run
    }

    fn path(&self) -> PathBuf {
        self.options.path.clone()
    }

    fn open(&mut self) {
        let mut store = Store::open(&self.options).unwrap();
        store.set_memtable_slots(self.slots);
        self.store = Some(store);
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("it is open")
    }

    fn publish(&mut self, chance: &mut Chance) {
        let count = 1 + chance.below(self.slots as u64);
        let events: Vec<Event> = (0..count)
            .map(|_| {
                let is_old = self.next_id > 0 && chance.percent(30);
                let id = match is_old {
                    true => chance.below(self.next_id),
                    false => self.next_id,
                };
                self.next_id += u64::from(!is_old);
                Event {
                    topic: (id % TOPICS) as u32,
                    id,
                    version: u32::from(chance.percent(10)),
                }
            })
            .collect();
        let publication = publication(&events);
        let mut outcomes = Vec::new();
        asked(self.store(), |store| {
            store.commit([&publication].into_iter(), 1_000_000, &mut outcomes)
        });
        for (event, outcome) in events.iter().zip(outcomes) {
            let key = (event.topic, event.id);
            let seq = self.stored.len() as u64 + 1;
            let expected = match self.stored.get(&key) {
                Some((seq, version)) if *version == event.version => Outcome::Duplicate(*seq),
                Some((seq, _)) => Outcome::Conflict(*seq),
                None => {
                    self.stored.insert(key, (seq, event.version));
                    self.by_topic.entry(event.topic).or_default().push(seq);
                    Outcome::Accepted(seq)
                }
            };
            assert_eq!(outcome, expected, "{event:?}");
        }
    }

    fn look_up(&mut self, chance: &mut Chance) {
        let id = chance.below(self.next_id + 3);
        let topic = (id % TOPICS) as u32;
        let event = Event {
            topic,
            id,
            version: 0,
        };
        let mut found = None;
        asked(self.store(), |store| {
            store.find(&event.topic_name(), &event.event_id(), |stored| {
                found = Some(stored.seq);
            })
        });
        assert_eq!(found, self.stored.get(&(topic, id)).map(|(seq, _)| *seq));
    }

    fn read(&mut self, chance: &mut Chance) {
        let topic = chance.below(TOPICS) as u32;
        let from = chance.below(self.stored.len() as u64 + 2);
        let is_ascending = chance.percent(50);
        let limit = 1 + chance.below(1_000) as usize;
        let topics = [topic_name(topic)];
        let query = PageQuery {
            topics: &topics,
            bound: match is_ascending {
                true => Bound::After(from),
                false => Bound::Before(from),
            },
            limit,
        };
        let seqs = asked(self.store(), |store| {
            let mut seqs = Vec::new();
            page(store, &query, |event| seqs.push(event.seq)).map(|_| seqs)
        });
        let all = self.by_topic.get(&topic).cloned().unwrap_or_default();
        let expected: Vec<u64> = match is_ascending {
            true => all
                .into_iter()
                .filter(|seq| *seq > from)
                .take(limit)
                .collect(),
            false => {
                let newest = all.into_iter().rev();
                newest.filter(|seq| *seq < from).take(limit).collect()
            }
        };
        assert_eq!(seqs, expected, "{query:?}");
    }

    /// Makes the store read each page, by asking for what is on it.
    fn look_at_all(&mut self) {
        let keys: Vec<(u32, u64)> = self.stored.keys().copied().collect();
        for (topic, id) in keys {
            let event = Event {
                topic,
                id,
                version: 0,
            };
            let is_found = asked(self.store(), |store| {
                store.find(&event.topic_name(), &event.event_id(), |_| ())
            });
            assert!(is_found, "{event:?}");
        }
        for topic in 0..TOPICS as u32 {
            let topics = [topic_name(topic)];
            let query = PageQuery {
                topics: &topics,
                bound: Bound::After(0),
                limit: 1_000_000,
            };
            // Pages end at some bytes; these events are small.
            let page = asked(self.store(), |store| page(store, &query, |_| ()));
            assert_eq!(page.count, self.by_topic.get(&topic).map_or(0, Vec::len));
        }
    }

    fn restart(&mut self) {
        self.store.take().expect("it is open").close().unwrap();
        self.open();
    }
}

#[test]
fn no_damaged_page_is_answered_from() {
    let mut damaged = HashMap::new();
    for seed in seeds(12) {
        eprintln!("seed {seed}");
        let mut chance = Chance::new(seed);
        let mut run = Run::new(&mut chance);
        for _ in 0..150 {
            match chance.below(20) {
                0..6 => run.publish(&mut chance),
                6..10 => run.look_up(&mut chance),
                10..13 => run.read(&mut chance),
                13 => run.restart(),
                14 => drop(run.store().idle_work(true).unwrap()),
                15 => drop(idle_until_done(run.store())),
                _ => {
                    let path = run.path();
                    let pages = pages(&Connection::open(&path).unwrap());
                    if !pages.is_empty() {
                        let page = chance.pick(&pages);
                        damage(&path, page, &mut chance);
                        *damaged.entry(page.part).or_insert(0) += 1;
                    }
                }
            }
        }
        // What nobody has asked for is found by a start, which reads filters and fences, or by a check.
        run.restart();
        run.look_at_all();
        idle_until_done(run.store());
        assert_eq!(run.store().damaged_pages(), 0);
        let bits = run.options.fingerprint_bits;
        run.store.take().expect("it is open").close().unwrap();
        if bits == 128 {
            is_clean(&run.path());
        }
        audit(&run.path(), bits);
    }
    assert!(
        damaged.len() == 5 || std::env::var("SEED").is_ok(),
        "{damaged:?}"
    );
}

/// Keys that only a damaged page had are lost, and nothing else is: what is stored is found, and the database is
/// right again.
#[test]
fn what_only_a_damaged_page_had_is_lost_and_nothing_else() {
    const EVENTS: u64 = 3_000;
    const OLD: u64 = 1_000;
    let event = |id: u64| Event {
        topic: (id % TOPICS) as u32,
        id,
        version: 0,
    };
    for part in ["keys", "postings", "filter"] {
        let folder = Folder::new();
        let mut options = options(&folder.file("db"), Dedup::Index);
        options.retention.events = Some(Limit::Age(1_000_000));
        // A filter in memory is right, and the one on disk is not read.
        options.filter_memory_bytes = 0;
        let mut store = Store::open(&options).unwrap();
        store.set_memtable_slots(1_024);
        let mut outcomes = Vec::new();
        for (ids, at) in [(0..OLD, 1_000_000), (OLD..EVENTS, 100_000_000)] {
            let events: Vec<Event> = ids.map(event).collect();
            let batch = publication(&events);
            store
                .commit([&batch].into_iter(), at, &mut outcomes)
                .unwrap();
        }
        idle_until_done(&mut store);
        // The first segment has lost all its events by then, the second some.
        while store.retain(50_000_000).unwrap() {}
        assert_eq!(store.first_seq(), OLD + 1);
        idle_until_done(&mut store);
        let chance = &mut Chance::new(7);
        let first = pages(&Connection::open(&options.path).unwrap());
        // Nobody asks for the topics of events that are gone.
        let is_read = |page: &&Page| part != "postings" || page.last_seq > OLD as i64;
        let of_part = first.iter().filter(|page| page.part == part);
        let damaged: Vec<Page> = of_part.filter(is_read).copied().collect();
        for page in damaged.iter().step_by(2) {
            flip_a_bit(&options.path, *page, chance);
        }
        let mut again = 0;
        for id in 0..EVENTS {
            let batch = publication(&[event(id)]);
            outcomes.clear();
            asked(&mut store, |store| {
                store.commit([&batch].into_iter(), 100_000_000, &mut outcomes)
            });
            match outcomes[0] {
                Outcome::Duplicate(seq) => assert_eq!(seq, id + 1),
                Outcome::Accepted(_) => again += 1,
                Outcome::Conflict(seq) => panic!("{seq} of {id}"),
            }
            assert!(
                id < OLD || outcomes[0] == Outcome::Duplicate(id + 1),
                "{id}"
            );
        }
        for topic in 0..TOPICS {
            let topics = [topic_name(topic as u32)];
            let query = PageQuery {
                topics: &topics,
                bound: Bound::After(0),
                limit: 10_000,
            };
            let mut seqs = Vec::new();
            asked(&mut store, |store| {
                seqs.clear();
                page(store, &query, |event| seqs.push(event.seq))
            });
            let stored = (OLD..EVENTS).filter(|id| id % TOPICS == topic);
            let stored: Vec<u64> = stored.map(|id| id + 1).collect();
            assert_eq!(seqs[..stored.len()], stored);
        }
        idle_until_done(&mut store);
        assert_eq!(store.damaged_pages(), 0);
        store.close().unwrap();
        let report = is_clean(&options.path);
        assert_eq!(report.lost_keys, again, "{part}");
        match part {
            "keys" => assert!((1..=damaged.len() as u64 * 126).contains(&again), "{again}"),
            _ => assert_eq!(again, 0),
        }
    }
}

fn flip_a_bit(path: &Path, page: Page, chance: &mut Chance) {
    let db = Connection::open(path).unwrap();
    let Page { level, id, .. } = page;
    let sql = format!("SELECT content FROM segment_pages_{level} WHERE id = ?1");
    let mut content: Vec<u8> = db.query_row(&sql, [id], |row| row.get(0)).unwrap();
    let bit = chance.below(8 * content.len() as u64) as usize;
    content[bit / 8] ^= 1 << (bit % 8);
    let sql = format!("UPDATE segment_pages_{level} SET content = ?2 WHERE id = ?1");
    db.execute(&sql, (id, content)).unwrap();
}

/// A segment's row says which pages are its own: when it is changed the start refuses.
#[test]
fn a_row_of_a_segment_that_was_changed_is_refused() {
    let folder = Folder::new();
    let options = options(&folder.file("db"), Dedup::Index);
    let mut store = Store::open(&options).unwrap();
    store.set_memtable_slots(64);
    let events: Vec<Event> = (0..100)
        .map(|id| Event {
            topic: 0,
            id,
            version: 0,
        })
        .collect();
    commit(&mut store, &events);
    idle_until_done(&mut store);
    store.close().unwrap();
    let db = Connection::open(&options.path).unwrap();
    for change in [
        "entries = entries - 1",
        "filter_bits = 13",
        "checksum = checksum + 1",
    ] {
        let change = format!("BEGIN; UPDATE segments SET {change} WHERE first_seq = 1");
        db.execute_batch(&change).unwrap();
        db.execute_batch("COMMIT").unwrap();
        let error = Store::open(&options).err().expect("it is refused");
        assert!(error.to_string().contains("it is damaged"), "{error}");
        db.execute_batch("UPDATE segments SET entries = 48, filter_bits = 15 WHERE first_seq = 1")
            .unwrap();
    }
}

/// What a row of `topics` says was believed: a page of the topic passed over events after a `last_seq` that was too
/// small.
#[test]
fn counts_of_a_topic_that_were_changed_are_counted_again() {
    const EVENTS: u64 = 3_000;
    let event = |id: u64| Event {
        topic: (id % TOPICS) as u32,
        id,
        version: 0,
    };
    for change in ["last_seq = 128", "events = events - 64", "checksum = 7"] {
        for dedup in [Dedup::Index, Dedup::Constraint] {
            let folder = Folder::new();
            let options = options(&folder.file("db"), dedup);
            let mut store = Store::open(&options).unwrap();
            commit(&mut store, &(0..EVENTS).map(event).collect::<Vec<_>>());
            store.close().unwrap();
            let db = Connection::open(&options.path).unwrap();
            let sql = format!("UPDATE topics SET {change} WHERE name = ?1");
            assert_eq!(db.execute(&sql, [topic_name(2)]).unwrap(), 1);
            drop(db);
            let mut store = Store::open(&options).unwrap();
            let topics = [topic_name(2)];
            let query = PageQuery {
                topics: &topics,
                bound: Bound::After(1_000),
                limit: 1_000,
            };
            let mut seqs = Vec::new();
            page(&store, &query, |event| seqs.push(event.seq)).unwrap();
            let expected = (1_000..EVENTS).filter(|id| id % TOPICS == 2);
            assert_eq!(seqs, expected.map(|id| id + 1).collect::<Vec<_>>());
            let id = store.topics().id(&topics[0]).unwrap();
            assert_eq!(store.topics().get(id).events, EVENTS / TOPICS);
            commit(&mut store, &[event(EVENTS)]);
            store.close().unwrap();
            is_clean(&options.path);
        }
    }
}

/// Under a name that was changed, all keys of a topic would be new.
#[test]
fn a_name_of_a_topic_that_was_changed_is_refused() {
    let folder = Folder::new();
    let options = options(&folder.file("db"), Dedup::Index);
    let event = Event {
        topic: 2,
        id: 1,
        version: 0,
    };
    let mut store = Store::open(&options).unwrap();
    commit(&mut store, &[event]);
    store.close().unwrap();
    let whole = std::fs::read(&options.path).unwrap();
    let name = topic_name(2).into_bytes();
    let mut places = Vec::new();
    for (at, bytes) in whole.windows(name.len()).enumerate() {
        if bytes == name {
            places.push(at);
        }
    }
    assert_eq!(places.len(), 2, "the table and its index have a copy each");
    for at in places {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&options.path, changed).unwrap();
        let error = Store::open(&options).err().expect("it is refused");
        assert!(
            error
                .to_string()
                .contains("it is damaged: the topic with id 1 has another name"),
            "{error}"
        );
    }
    std::fs::write(&options.path, &whole).unwrap();
    let mut store = Store::open(&options).unwrap();
    assert_eq!(commit(&mut store, &[event]), [Outcome::Duplicate(1)]);
}
