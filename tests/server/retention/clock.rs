//! Retention on a machine whose wall clock is wrong for a while.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use serde_json::json;

use super::{numbered, publish, rows, setup};
use crate::checking::check_beside;
use crate::disk::shim::compile;
use crate::harness::{seqs_of, Server, Setup, TemporaryDirectory};
use crate::wait::wait_until;

const YEAR: i64 = 365 * 86_400;
const AHEAD: &str = "ahead of the clock";

/// The wall clock of a server.
struct Clock {
    own: TemporaryDirectory,
    file: fs::File,
}

impl Clock {
    /// `seconds` ahead of the right one.
    fn new(seconds: i64) -> Clock {
        let own = TemporaryDirectory::new();
        let path = own.join("offset");
        fs::write(&path, seconds.to_ne_bytes()).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        Clock { own, file }
    }

    /// Moves it while a server runs.
    fn set(&self, seconds: i64) {
        self.file
            .write_all_at(&seconds.to_ne_bytes(), 0)
            .expect("the file is ours");
    }

    /// The setup of a server that has this clock.
    fn of(&self, setup: &Setup) -> Setup {
        static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| compile("clock", "tests/server/retention/clock.c"));
        let text = |path: &Path| path.to_str().expect("test paths are UTF-8").to_owned();
        setup
            .clone()
            .variable("LD_PRELOAD", &text(library))
            .variable("CLOCK_OFFSET", &text(&self.own.join("offset")))
    }
}

/// Moves the clock and publishes an event when the server has seen it.
fn publish_at(clock: &Clock, seconds: i64, server: &Server, number: u64) {
    clock.set(seconds);
    wait_until("the server to see its clock", || {
        let health = server.json("/health");
        let year = &health["timestamp"].as_str().unwrap()[..4];
        let ahead = year.parse::<i64>().unwrap() - this_year();
        (ahead - seconds / YEAR).abs() <= 1
    });
    publish(server, &numbered(number));
}

fn this_year() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    1970 + since.as_secs() as i64 / YEAR
}

/// What a reader sees when all of `count` events have been removed and their keys forgotten.
fn assert_empty_and_forgotten(server: &Server, count: u64) {
    assert_eq!(server.json("/events?after=0")["events"], json!([]));
    assert_eq!(server.get("/events/topic%201/event%201").status, 404);
    for n in 0..count {
        let status = &publish(server, &numbered(n))["status"];
        assert_eq!(status, "accepted", "event {n}");
    }
}

/// Waits until an event's key is new again, without having it stored before.
fn wait_for_keys(setup: &Setup) {
    wait_until("the keys to be forgotten", || {
        let database = Connection::open(setup.database_path()).unwrap();
        let sql = "SELECT events_horizon = keys_horizon AND keys_horizon > 0 FROM retention";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    });
}

const SECONDS: [&str; 4] = ["--retain-events", "2s", "--retain-keys", "2s"];

/// The clock is far ahead for a moment while the server runs.
#[test]
fn events_that_were_stored_while_the_clock_was_ahead_go_like_all_others() {
    for dedup in ["index", "constraint"] {
        for followed in [true, false] {
            let clock = Clock::new(0);
            let setup = clock.of(&setup(dedup, &SECONDS));
            let server = setup.start();
            publish_at(&clock, 0, &server, 0);
            publish_at(&clock, 73 * YEAR, &server, 1);
            publish_at(&clock, 73 * YEAR, &server, 2);
            let number = if followed { 4 } else { 3 };
            if followed {
                publish_at(&clock, 0, &server, 3);
            } else {
                clock.set(0);
            }
            wait_until("all events to be removed", || rows(&setup) == 0);
            wait_for_keys(&setup);
            check_beside(&server);
            assert_empty_and_forgotten(&server, number);
            wait_until("the next ones to be removed", || rows(&setup) == 0);
            let told = server.stop().lines_with(AHEAD);
            assert_eq!(told.len(), 1, "{told:?}");
        }
    }
}

/// The server starts with a clock that is ahead, and finds what it stored then when that is right again.
#[test]
fn events_of_a_run_with_a_wrong_clock_go_in_the_next_run() {
    for dedup in ["index", "constraint"] {
        let clock = Clock::new(73 * YEAR);
        let kept = setup(dedup, &[]);
        let server = clock.of(&kept).start();
        for n in 0..5 {
            publish(&server, &numbered(n));
        }
        server.stop();
        let short = kept.flags(SECONDS[..].iter().copied());
        let server = short.start();
        publish(&server, &numbered(5));
        wait_until("all events to be removed", || rows(&short) == 0);
        wait_for_keys(&short);
        let server = server.restart();
        check_beside(&server);
        assert_empty_and_forgotten(&server, 6);
    }
}

/// Events are removed by size while the clock is ahead: their keys are forgotten all the same.
#[test]
fn keys_of_events_that_were_removed_while_the_clock_was_ahead_are_forgotten() {
    for dedup in ["index", "constraint"] {
        let clock = Clock::new(73 * YEAR);
        let wide = setup(dedup, &["--retain-events", "2s"]);
        let server = clock.of(&wide).start();
        publish(&server, &numbered(0));
        wait_until("the event to be removed", || rows(&wide) == 0);
        server.stop();
        let database = Connection::open(wide.database_path()).unwrap();
        let sql = "SELECT max(processed_at) FROM removed_times";
        let at: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(at > 73 * YEAR * 1_000_000, "{at}");
        drop(database);
        let short = wide.flags(["--retain-keys", "2s"]);
        let server = short.start();
        wait_for_keys(&short);
        check_beside(&server);
        assert_empty_and_forgotten(&server, 1);
        server.log().wait_for(1, AHEAD);
    }
}

/// A clock that jumps ahead for a moment must not make everything old.
#[test]
fn a_clock_that_jumps_ahead_removes_nothing() {
    for dedup in ["index", "constraint"] {
        let clock = Clock::new(0);
        let setup = clock.of(&setup(
            dedup,
            &["--retain-events", "1h", "--retain-keys", "1h"],
        ));
        let server = setup.start();
        publish_at(&clock, 0, &server, 0);
        publish_at(&clock, 73 * YEAR, &server, 1);
        server.log().wait_for(1, "the wall clock jumped ahead by");
        publish_at(&clock, 73 * YEAR, &server, 2);
        publish_at(&clock, 0, &server, 3);
        assert_eq!(seqs_of(&server.json("/events?after=0")), [1, 2, 3, 4]);
        for n in 0..4 {
            assert_eq!(publish(&server, &numbered(n))["status"], "duplicate");
        }
        check_beside(&server);
    }
}
