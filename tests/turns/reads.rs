//! Searches in the whole loop, on sockets and a clock that the test has made up: how long they work beside
//! publications, how many are at work, and how long others wait. Time within a turn passes only where a clock is read,
//! so it counts work and is the same on each machine.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use logagg::app::{App, Options};
use logagg::clock::Now;
use logagg::limits::{
    READS_AT_WORK, READ_UNITS_PER_SLICE, READ_WAIT_MAX_MS, SPARE_QUIET_US, SUMMARY_BLOCK_EVENTS,
};
use logagg::net::{
    self, Accepted, Datagram, Platform, PollEvent, Reactor, Readiness, Sleep, Socket,
};
use logagg::store::{SearchIndex, Store};
use rusqlite::Connection;

use super::{Folder, BODY_MAX};

thread_local! {
    static STARTED: Instant = Instant::now();
    /// Microseconds that the clock has gone on.
    static PASSED_US: Cell<u64> = const { Cell::new(0) };
}

/// Each look at the clock takes this long, in microseconds. A search looks at it every 64 units of work.
const LOOK_US: u64 = 20;

fn look() -> Instant {
    PASSED_US.set(PASSED_US.get() + LOOK_US);
    STARTED.with(|started| *started) + Duration::from_micros(PASSED_US.get())
}

/// A connection: what the server has not read yet, and what it has written.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Pipe>>);

#[derive(Default)]
struct Pipe {
    key: usize,
    is_news: bool,
    sent: VecDeque<u8>,
    answers: String,
}

impl Wire {
    fn send(&self, text: &str) {
        let mut pipe = self.0.borrow_mut();
        pipe.is_news = true;
        pipe.sent.extend(text.bytes());
    }

    fn get(&self, target: &str) {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }

    /// The answers since the last call.
    fn take_answers(&self) -> String {
        std::mem::take(&mut self.0.borrow_mut().answers)
    }
}

impl Socket for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        let n = pipe.sent.len().min(into.len());
        for (to, byte) in into.iter_mut().zip(pipe.sent.drain(..n)) {
            *to = byte;
        }
        match n {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }

    fn receive(&mut self, _: &mut [u8]) -> io::Result<Datagram> {
        unreachable!("all sockets here are connections")
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).expect("these answers are texts");
        self.0.borrow_mut().answers.push_str(text);
        Ok(bytes.len())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

/// All connections, those that are not accepted yet, and the time in milliseconds.
#[derive(Clone, Default)]
struct World {
    wires: Rc<RefCell<Vec<Wire>>>,
    backlog: Rc<RefCell<Vec<Wire>>>,
    mono_ms: Rc<Cell<u64>>,
}

impl World {
    fn now(&self) -> Now {
        Now {
            mono_ms: self.mono_ms.get(),
            unix_us: 1_767_323_046_000_000,
        }
    }
}

impl Platform for World {
    type Socket = Wire;

    fn poll(&mut self, _: Sleep, into: &mut Vec<PollEvent>) -> io::Result<(Instant, Now)> {
        for wire in self.wires.borrow().iter() {
            let mut pipe = wire.0.borrow_mut();
            if std::mem::take(&mut pipe.is_news) {
                let readiness = Readiness {
                    readable: true,
                    ..Readiness::default()
                };
                into.push(PollEvent::Client(pipe.key, readiness));
            }
        }
        Ok((look(), self.now()))
    }

    fn instant(&mut self) -> Instant {
        look()
    }

    fn accept(&mut self, _: Now) -> Option<Accepted<Wire>> {
        let socket = self.backlog.borrow_mut().pop()?;
        Some(Accepted {
            socket,
            protocol: None,
        })
    }

    fn accept_deadline(&self) -> Option<u64> {
        None
    }

    fn log_full(&mut self, _: usize, _: Now) {}

    fn stop_accepting(&mut self) {}

    fn register(&mut self, wire: &mut Wire, key: usize) -> io::Result<()> {
        wire.0.borrow_mut().key = key;
        self.wires.borrow_mut().push(wire.clone());
        Ok(())
    }

    fn offload_checkpoint(&mut self, _: &mut App, _: Now) {}

    fn log_lines_dropped(&self) -> u64 {
        0
    }

    fn end_turn(&mut self, _: Now) {}

    fn exit(&mut self, code: i32) -> ! {
        panic!("the loop ends the program with {code}")
    }
}

/// A server that turns when it is told to. Its folder goes last.
struct Turning {
    reactor: Reactor<World>,
    world: World,
    _folder: Folder,
}

impl Turning {
    /// With this many events and no summaries. A slice of reading has this many units.
    fn new(name: &str, events: u64, read_units: u64) -> Turning {
        let folder = Folder::new(name);
        let mut options = folder.options();
        options.search_index = SearchIndex::Off;
        let store = Store::open(&options).expect("a new database");
        store.close().expect("nothing is in the way of closing");
        let db = Connection::open(&options.path).unwrap();
        let at = 1_767_323_045_000_000_u64;
        db.execute_batch(&format!(
            "BEGIN;
            INSERT INTO topics(id, name, events, last_seq, last_processed_at)
                VALUES (1, 't', {events}, {events}, {at});
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events})
                INSERT INTO events SELECT i, 1, 'e' || i, '2026-01-02', 's', '{{}}', {at} FROM n;
            UPDATE counters SET last_seq = {events}, unique_processed = {events}, topics_mark = {events},
                checksum = NULL, mark_checksum = NULL;
            COMMIT"
        ))
        .unwrap();
        drop(db);
        let world = World::default();
        world.mono_ms.set(1_000);
        let store = Store::open(&options).expect("a database that is right");
        let options = Options {
            ring_capacity: 10_000,
            max_body_bytes: BODY_MAX,
            read_units,
        };
        let mut app = App::new(store, options, world.now());
        app.set_clock(look);
        let options = net::Options {
            max_connections: 10_000,
            max_body_bytes: BODY_MAX,
            max_buffered_bytes: 64 << 20,
        };
        let started = STARTED.with(|started| *started);
        let mut turning = Turning {
            reactor: Reactor::new(world.clone(), app, options, started),
            world,
            _folder: folder,
        };
        for _ in 0..1_000 {
            turning.turn();
        }
        turning
    }

    fn connect(&mut self) -> Wire {
        let wire = Wire::default();
        self.world.backlog.borrow_mut().push(wire.clone());
        self.turn();
        wire
    }

    /// One turn; returns how many microseconds it took.
    fn turn(&mut self) -> u64 {
        let before = PASSED_US.get();
        self.reactor.turn().expect("this poll does not fail");
        PASSED_US.get() - before
    }

    /// Turns until there are answers.
    fn answers(&mut self, wire: &Wire) -> String {
        for _ in 0..1_000 {
            self.turn();
            let answers = wire.take_answers();
            if !answers.is_empty() {
                self.reactor.check_invariants();
                return answers;
            }
        }
        panic!("there is no answer")
    }
}

/// A publisher meets a search that goes through everything.
#[test]
fn searches_work_little_while_a_publication_arrives_and_soon_after_it() {
    const HALF_US: u64 = SPARE_QUIET_US / 2;
    let mut turning = Turning::new(
        "reads-beside",
        40 * SUMMARY_BLOCK_EVENTS,
        READ_UNITS_PER_SLICE,
    );
    let (searcher, publisher) = (turning.connect(), turning.connect());
    searcher.get("/events?q=*absent*");
    turning.turn();
    let quiet = turning.turn();
    assert!(quiet >= SPARE_QUIET_US, "a quiet turn took {quiet} us");

    for number in 0..20 {
        let body = format!(
            r#"{{"topic":"t","event_id":"new-{number}","timestamp":"2026-01-02","source":"s","payload":{{}}}}"#
        );
        let head = "POST /publish HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let (first, rest) = request.split_at(request.len() - 20);
        publisher.send(first);
        let mut took = Vec::new();
        for _ in 0..4 {
            took.push(turning.turn());
        }
        publisher.send(rest);
        took.push(turning.turn());
        let answer = publisher.take_answers();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        // The next request may come at once.
        for _ in 0..3 {
            took.push(turning.turn());
        }
        assert!(took.iter().all(|us| *us < HALF_US), "{took:?}");
        turning.reactor.check_invariants();
        // Without one, searches get all of the time soon.
        let mut turns = 0;
        while turning.turn() < SPARE_QUIET_US {
            if !searcher.take_answers().is_empty() {
                searcher.get("/events?q=*absent*");
            }
            turns += 1;
            assert!(turns < 200, "searches never get their time again");
        }
    }
}

fn counted(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    let count = line.unwrap_or_else(|| panic!("no {name} in {page}")).trim();
    count.parse().unwrap()
}

/// Far more searches than may be at work, none of which finds anything within its second.
#[test]
fn searches_beyond_those_at_work_wait_and_are_refused_after_ten_seconds() {
    let mut turning = Turning::new(
        "reads-many",
        20 * SUMMARY_BLOCK_EVENTS,
        READ_UNITS_PER_SLICE / 16,
    );
    let observer = turning.connect();
    let wires: Vec<Wire> = (0..12 * READS_AT_WORK).map(|_| turning.connect()).collect();
    for wire in &wires {
        wire.get("/events?q=*absent*");
    }
    let mut answered: Vec<Option<(u64, bool)>> = vec![None; wires.len()];
    let mut most = 0;
    for turn in 0.. {
        assert!(turn < 10_000, "some are never answered");
        turning.world.mono_ms.set(turning.world.mono_ms.get() + 100);
        observer.get("/metrics");
        let page = turning.answers(&observer);
        most = most.max(counted(&page, "log_aggregator_searches "));
        let now = turning.world.mono_ms.get();
        for (wire, known) in wires.iter().zip(&mut answered) {
            let answer = wire.take_answers();
            if answer.is_empty() {
                continue;
            }
            assert_eq!(*known, None, "it is answered once");
            let is_found = answer.starts_with("HTTP/1.1 200 ");
            if !is_found {
                assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
                assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
                assert!(answer.contains("busy reading"), "{answer}");
            }
            *known = Some((now, is_found));
        }
        if answered.iter().all(Option::is_some) {
            break;
        }
    }
    assert_eq!(most, READS_AT_WORK as u64);
    let refused = |(at, is_found): (u64, bool)| (!is_found).then_some(at);
    let refused: Vec<u64> = answered
        .iter()
        .flatten()
        .copied()
        .filter_map(refused)
        .collect();
    let found = wires.len() - refused.len();
    assert!(found > READS_AT_WORK, "{found} have been answered");
    assert!(!refused.is_empty(), "all have been answered");
    // They have waited for as long as they may, and not for a turn longer.
    for at in refused {
        let waited = at - 1_000;
        assert!(
            (READ_WAIT_MAX_MS..=READ_WAIT_MAX_MS + 500).contains(&waited),
            "{waited}"
        );
    }
    // Nothing of it is left.
    observer.get("/metrics");
    let page = turning.answers(&observer);
    assert_eq!(counted(&page, "log_aggregator_searches "), 0);
    wires[0].get("/events?q=*absent*&after=81900");
    let answer = turning.answers(&wires[0]);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
