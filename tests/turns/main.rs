//! A turn of the loop is short with a million topics too: whatever is asked for is answered in slices, each of
//! which takes a few milliseconds. What is measured is the time of the processor that this thread gets, so that
//! a machine with other work to do measures the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod large;
mod reads;
mod summaries;

use std::path::PathBuf;
use std::time::Duration;

use logagg::api::route::Route;
use logagg::app::{App, FeedStatus, Options, Reply};
use logagg::clock::Now;
use logagg::http::{Conn, Step};
use logagg::limits::{READ_UNITS_PER_SLICE, SEARCH_MS, SPARE_QUIET_US, STREAM_LONG_SLICE_BYTES};
use logagg::store::{Dedup, Durability, OpenOptions, Retention, SearchIndex, Store};
use rusqlite::Connection;
use rustix::time::{clock_gettime, ClockId};

const TOPICS: u64 = 1_000_000;

/// The most that a turn may take. What the compiler has not optimised gets more.
const TURN_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 20 });

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("logagg-{name}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            path: self.0.join("events.db"),
            durability: Durability::Normal,
            dedup: Some(Dedup::Constraint),
            filter_memory_bytes: 1 << 20,
            fingerprint_bits: 128,
            triggers: false,
            retention: Retention::default(),
            search_index: SearchIndex::default(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database with a million topics of one event each, none of which has been counted.
fn database(folder: &Folder) -> Store {
    let options = folder.options();
    let store = Store::open(&options).expect("a new database");
    store.close().expect("nothing is in the way of closing");
    let db = Connection::open(&options.path).unwrap();
    let at = 1_767_323_045_000_000_u64;
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TOPICS})"
    );
    db.execute_batch(&format!(
        "BEGIN;
        {numbers} INSERT INTO topics(id, name, events, last_seq, last_processed_at)
            SELECT i, printf('t.%07d', i), 0, 0, 0 FROM n;
        {numbers} INSERT INTO events SELECT i, i, 'e', '2026-01-02', 's', '{{}}', {at} FROM n;
        UPDATE counters SET last_seq = {TOPICS}, unique_processed = {TOPICS}, checksum = NULL;
        COMMIT"
    ))
    .unwrap();
    drop(db);
    Store::open(&options).expect("a database that is right")
}

/// The application with one connection, turned as the loop turns it, and the longest turn so far.
struct Desk {
    app: App,
    conn: Conn,
    now: Now,
    longest: Duration,
    turns: u64,
}

/// The largest body that it takes.
const BODY_MAX: usize = 8 << 20;

impl Desk {
    fn new(store: Store) -> Self {
        let now = Now {
            mono_ms: 1_000,
            unix_us: 1_767_323_046_000_000,
        };
        let options = Options {
            ring_capacity: 10_000,
            max_body_bytes: BODY_MAX,
            read_units: READ_UNITS_PER_SLICE,
        };
        Self {
            app: App::new(store, options, now),
            conn: Conn::new(BODY_MAX, now),
            now,
            longest: Duration::ZERO,
            turns: 0,
        }
    }

    /// A turn that takes at least one step, and as many as the loop would take.
    fn turn<T>(&mut self, mut step: impl FnMut(&mut Self, usize) -> Option<T>) -> Option<T> {
        let begun = processor_time();
        self.app.begin_turn(false);
        let mut done = None;
        for at in 0.. {
            done = step(self, at);
            let took = processor_time() - begun;
            let has_time = took < Duration::from_micros(SPARE_QUIET_US);
            if done.is_some() || !has_time || !self.app.begin_slice(1.0) {
                break;
            }
        }
        self.longest = self.longest.max(processor_time() - begun);
        self.turns += 1;
        done
    }

    /// The answer of the next request.
    fn handle(&mut self, request: &str) -> Reply {
        self.conn.receive(request.as_bytes(), self.now);
        let step = loop {
            match self.conn.next(self.now) {
                Step::Head => self.conn.admit(self.now),
                step => break step,
            }
        };
        assert_eq!(step, Step::Request, "{request}");
        let body = self.conn.take_body();
        let request = self.conn.request();
        let route = Route::of(request.path());
        self.app.handle(0, &request, route.as_ref(), body, self.now)
    }

    fn get(&mut self, target: &str) -> Reply {
        self.handle(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"))
    }

    /// Asks for a page or statistics. Says how many turns it took.
    fn ask(&mut self, target: &str) -> (serde_json::Value, u64) {
        let mut page = None;
        let turns = self.turns;
        let response = loop {
            let answer = self.turn(|desk, _| match &mut page {
                Some(page) => desk.app.read_on(page, desk.now),
                None => match desk.get(target) {
                    Reply::Now(response) => Some(response),
                    Reply::Reading(begun) => {
                        page = Some(begun);
                        None
                    }
                    answer => panic!("{answer:?} to {target}"),
                },
            });
            if let Some(response) = answer {
                break response;
            }
        };
        assert_eq!(response.status, 200, "{target}");
        self.conn.respond(&response, self.now);
        self.sent();
        let json = serde_json::from_slice(&response.body).expect("an answer is JSON");
        (json, self.turns - turns)
    }

    /// Asks for something that is sent in slices. Says how many bytes came.
    fn read(&mut self, target: &str) -> usize {
        let Some(Reply::Stream(mut stream)) = self.turn(|desk, _| Some(desk.get(target))) else {
            panic!("{target} is no stream");
        };
        self.conn.start_stream(&stream.head, None, self.now);
        let mut bytes = stream.first.len();
        while stream.status != FeedStatus::Ended {
            self.turn(|desk, _| {
                let mut out = Vec::new();
                let status = desk.app.feed(
                    &mut stream.source,
                    STREAM_LONG_SLICE_BYTES,
                    &mut out,
                    desk.now,
                );
                stream.status = status.expect("the database can be read");
                bytes += out.len();
                (stream.status == FeedStatus::Ended).then_some(())
            });
        }
        self.conn.end_stream(self.now);
        self.sent();
        assert!(stream.length.is_none_or(|length| length == bytes));
        bytes
    }

    fn sent(&mut self) {
        let sent = self.conn.output().len();
        self.conn.sent(sent, self.now);
    }

    fn publish(&mut self, topic: &str, id: &str) {
        self.publish_with(topic, id, "{}");
    }

    fn publish_with(&mut self, topic: &str, id: &str, payload: &str) {
        let body = format!(
            r#"{{"topic":"{topic}","event_id":"{id}","timestamp":"2026-01-02","source":"s","payload":{payload}}}"#
        );
        let length = body.len();
        let head = "POST /publish HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
        let answer = self.handle(&format!("{head}Content-Length: {length}\r\n\r\n{body}"));
        assert!(matches!(answer, Reply::AfterCommit), "{answer:?}");
        self.app.drain(self.now);
        let mut committed = Vec::new();
        self.app.take_completions(&mut committed);
        self.conn.respond(&committed[0].response, self.now);
        self.sent();
    }

    fn check(&self, what: &str) {
        let longest = self.longest;
        assert!(longest <= TURN_MAX, "a turn took {longest:?} after {what}");
    }
}

#[test]
fn with_a_million_topics_each_turn_is_short() {
    let folder = Folder::new("turns");
    let mut desk = Desk::new(database(&folder));

    let seqs = |page: &serde_json::Value| -> Vec<u64> {
        let events = page["events"].as_array().expect("a page has events");
        events.iter().map(|e| e["seq"].as_u64().unwrap()).collect()
    };
    // What is near is found at once, whatever the prefix matches.
    for (target, first) in [
        ("/events?topic=t.*&after=0", 1),
        ("/events?topic=t.*&topic=x*", TOPICS),
        ("/events?topic=t.0*&after=500000", 500_001),
    ] {
        let (page, turns) = desk.ask(target);
        assert_eq!((seqs(&page)[0], turns), (first, 1), "{target}");
        desk.check(target);
    }
    // What is far takes its turns: the newest event of these topics is in front of 900,000 others.
    let same = "topic=t.00*&".repeat(600);
    for target in ["/events?topic=t.00*", &format!("/events?{same}")] {
        let (page, turns) = desk.ask(target);
        assert_eq!(seqs(&page)[0], 99_999);
        assert!(turns > 10, "{turns}");
        desk.check(target);
    }
    let (page, _) = desk.ask("/events?topic=t.09*&topic=t.02*&topic=t.07777*&after=10&limit=3");
    assert_eq!(seqs(&page), [200_000, 200_001, 200_002]);
    desk.check("patterns");

    // A search with other filters goes through everything, or through the events of its topics.
    for (target, turns_min) in [
        ("/events?source=none", 30),
        ("/events?source=none&after=0&topic=t.*", 30),
        ("/events?event_id=x&topic=t.00*&limit=1", 30),
        ("/events?source=s&topic=t.0500000&topic=t.0500001", 1),
    ] {
        let (page, turns) = desk.ask(target);
        assert_eq!(
            (&page["scanned"], &page["next"]),
            (&TOPICS.into(), &serde_json::Value::Null)
        );
        assert!(turns >= turns_min, "{turns} turns for {target}");
        desk.check(target);
    }

    // After a second it is answered with what it has.
    desk.app.begin_turn(false);
    let Reply::Reading(mut search) = desk.get("/events?source=none") else {
        panic!("a search works in later turns");
    };
    assert!(desk.app.read_on(&mut search, desk.now).is_none());
    desk.now.mono_ms += SEARCH_MS;
    let answer = desk.app.read_on(&mut search, desk.now);
    let answer = answer.expect("the second is over");
    desk.conn.respond(&answer, desk.now);
    desk.sent();
    let page: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let scanned = page["scanned"].as_u64().unwrap();
    assert!((1..TOPICS).contains(&scanned), "{scanned}");
    let through = TOPICS + 1 - scanned;
    assert_eq!(page["through"], through);
    assert_eq!(
        page["next"],
        format!("/events?source=none&before={through}")
    );
    assert_eq!(page["elapsed_ms"], SEARCH_MS);

    // A new topic costs the next statistics nothing.
    for topic in ["a", "t.0500000x", "z"] {
        desk.publish(topic, "new");
        let (stats, _) = desk.ask("/stats");
        assert_eq!(stats["topics"][0], "a");
        desk.check("a new topic");
    }

    // The whole list, and an export of a prefix.
    assert!(desk.read("/topics") > 80 * TOPICS as usize);
    desk.check("the list of topics");
    assert!(desk.read("/subscribe?follow=false&topic=t.00*") > 9_999_900);
    desk.check("an export");

    // The rows of all topics are behind, and are brought up to date in quiet turns.
    for _ in 0..60 {
        let more = desk.turn(|desk, _| Some(desk.app.idle_work(desk.now)));
        assert_eq!(more, Some(true));
    }
    desk.check("quiet turns");
    println!(
        "the longest of {} turns took {:.1} ms",
        desk.turns,
        desk.longest.as_secs_f64() * 1_000.0
    );
}
