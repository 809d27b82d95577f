//! What is recorded: a server, or several one after another, with publishers on real sockets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use serde_json::{json, Value};

use super::promise::Row;
use crate::disk::{Call, Disk, Entry, File};
use crate::harness::{Client, Server, Setup};
use crate::random::Random;

/// Publishers at the same time.
const PUBLISHERS: u64 = 4;
/// Keys that all publishers share; their events have one of two contents.
const SHARED_KEYS: u64 = 100;

/// How much is published.
#[derive(Clone, Copy)]
pub struct Size {
    /// By each publisher to each server.
    pub requests: u64,
    /// Requests of 8,000 events to the second server, which fill memtables of keys.
    pub batches: u64,
}

/// A recorded run, and where its database is.
pub struct Session {
    pub entries: Vec<Entry>,
    pub database: PathBuf,
    /// What was answered as accepted, by its seq, as far as anyone has listened: retention may have removed
    /// it from the database.
    pub accepted: BTreeMap<u64, Row>,
    /// Its folder stays as long as this.
    _setup: Setup,
}

impl Session {
    pub fn of(disk: &Disk, setup: Setup) -> Session {
        Session {
            database: setup.database_path().to_owned(),
            entries: disk.entries(),
            accepted: BTreeMap::new(),
            _setup: setup,
        }
    }
}

/// Runs three servers on one database: the first is killed, so that the second has to recover; the
/// second is stopped, which empties its log; the third is killed.
pub fn record(flags: &[&str], size: Size, seed: u64) -> Session {
    let mut random = Random::new(seed);
    let disk = Disk::new();
    let setup = Setup::new()
        .flags(["--log-duplicates", "off"])
        .flags(flags.iter().copied());

    let mut accepted = BTreeMap::new();
    let server = disk.recorded(&setup, 0).start();
    accepted.append(&mut publish(&server, "first", size.requests, &mut random));
    kill(server, &disk, &setup, 0);
    let server = disk.recorded(&setup, 1).start();
    for batch in 0..size.batches {
        accepted.append(&mut publish_batch(&server, batch));
        let round = format!("batch {batch}");
        accepted.append(&mut publish(&server, &round, 3, &mut random));
    }
    accepted.append(&mut publish(&server, "second", size.requests, &mut random));
    server.stop();
    let server = disk.recorded(&setup, 2).start();
    accepted.append(&mut publish(
        &server,
        "third",
        size.requests / 4,
        &mut random,
    ));
    kill(server, &disk, &setup, 2);

    let mut session = Session::of(&disk, setup);
    session.accepted = accepted;
    session
}

/// Runs two servers whose disk is in trouble again and again: syncs and writes fail for a moment, and what
/// a failed sync should have brought to the disk may be lost for good.
pub fn record_with_trouble(flags: &[&str], requests: u64, seed: u64) -> Session {
    let mut random = Random::new(seed);
    let disk = Disk::new();
    let setup = Setup::new()
        .flags(["--log-duplicates", "off"])
        .flags(flags.iter().copied());
    for (number, round) in ["first", "second"].into_iter().enumerate() {
        let server = disk.recorded(&setup, number).start();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let mut trouble_random = random.fork();
            let (disk, done) = (&disk, &done);
            let trouble = scope.spawn(move || trouble(disk, done, &mut trouble_random));
            publish(&server, round, requests, &mut random);
            done.store(true, Ordering::Relaxed);
            trouble.join().expect("it only sets numbers");
        });
        // The second server has to make do with what the first has left after a sync that failed.
        disk.fail(Call::Sync, File::Log, Errno::IO);
        let last = server.publish(&events(round, 9, 0, &mut random)[0]);
        assert!(matches!(last.status, 200 | 503), "{last:?}");
        kill(server, &disk, &setup, number);
        disk.heal();
    }
    let server = disk.recorded(&setup, 2).start();
    publish(&server, "third", requests / 4, &mut random);
    kill(server, &disk, &setup, 2);
    Session::of(&disk, setup)
}

/// Lets calls fail, mostly until one has, and succeed again, until `done`.
fn trouble(disk: &Disk, done: &AtomicBool, random: &mut Random) {
    while !done.load(Ordering::Relaxed) {
        let (call, file) = [
            (Call::Sync, File::Log),
            (Call::Sync, File::Log),
            (Call::Sync, File::Database),
            (Call::Write, File::Log),
            (Call::Write, File::Database),
        ][random.below(5) as usize];
        let before = disk.failures();
        disk.fail(call, file, Errno::IO);
        for _ in 0..random.below(40) {
            if disk.failures() > before || done.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(random.below(6)));
        disk.heal();
        thread::sleep(Duration::from_millis(random.below(30)));
    }
}

/// Kills the server of this number, whose last answers to publishers are in the record: it has answered once more.
pub fn kill(server: Server, disk: &Disk, setup: &Setup, number: usize) {
    server.json("/stats");
    server.kill();
    disk.forget_undone(setup, number);
}

/// Publishes from several connections; returns what was accepted.
fn publish(server: &Server, round: &str, requests: u64, random: &mut Random) -> BTreeMap<u64, Row> {
    let publisher = |number: u64, mut random: Random, mut client: Client| {
        move || {
            let mut accepted = BTreeMap::new();
            let mut last = Vec::new();
            for request in 0..requests {
                // Every third request only repeats: its counts are committed without a sync.
                let events = if request % 3 == 2 && !last.is_empty() {
                    std::mem::take(&mut last)
                } else {
                    events(round, number, request, &mut random)
                };
                let body = Value::from(events.clone()).to_string();
                // What a disk in trouble has refused is sent again.
                let target = "/publish?results=true";
                let mut answer = client.publish_to(target, &body);
                crate::wait::wait_until("an answer", || {
                    if answer.status == 503 {
                        answer = client.publish_to(target, &body);
                    }
                    answer.status != 503
                });
                let answer = answer.expect(200);
                assert_eq!(answer["received"], events.len());
                accepted.append(&mut accepted_of(&events, &answer));
                last = events;
            }
            accepted
        }
    };
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| scope.spawn(publisher(number, random.fork(), server.client())))
            .collect();
        let joined = publishers
            .into_iter()
            .flat_map(|publisher| publisher.join().unwrap());
        joined.collect()
    })
}

/// The events that an answer with results calls accepted, as they are stored.
fn accepted_of(events: &[Value], answer: &Value) -> BTreeMap<u64, Row> {
    let results = answer["results"].as_array().expect("they were asked for");
    let accepted = events
        .iter()
        .zip(results)
        .filter(|(_, result)| result["status"] == "accepted");
    let row = |(event, result): (&Value, &Value)| {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let payload = event
            .get("payload")
            .map_or("{}".to_owned(), Value::to_string);
        let row = [
            text("topic"),
            text("event_id"),
            text("timestamp"),
            text("source"),
            payload,
        ];
        (result["seq"].as_u64().expect("an event has a seq"), row)
    };
    accepted.map(row).collect()
}

fn events(round: &str, publisher: u64, request: u64, random: &mut Random) -> Vec<Value> {
    let count = if random.chance(3) {
        1 + random.below(30)
    } else {
        1
    };
    let event = |at: u64| {
        let (event_id, content) = if random.chance(2) {
            let key = random.below(SHARED_KEYS);
            (format!("shared {key}"), random.below(2).to_string())
        } else {
            let own = format!("{round} {publisher} {request} {at}");
            (own, random.next().to_string())
        };
        json!({
            "topic": format!("topic {}", random.below(5)),
            "event_id": event_id,
            "timestamp": "2026-01-02T03:04:05Z",
            "source": "power",
            "payload": {"content": content, "filling": "f".repeat(random.below(200) as usize)},
        })
    };
    (0..count).map(event).collect()
}

fn publish_batch(server: &Server, batch: u64) -> BTreeMap<u64, Row> {
    let event = |at: u64| {
        json!({
            "topic": format!("topic {}", at % 7),
            "event_id": format!("batch {batch} {at}"),
            "timestamp": "2026-01-02",
            "source": "batch",
        })
    };
    let events: Vec<Value> = (0..8_000).map(event).collect();
    let body = Value::from(&events[..]).to_string();
    let mut client = server.client();
    let answer = client.publish_to("/publish?results=true", body).expect(200);
    assert_eq!(answer["accepted"], 8_000);
    accepted_of(&events, &answer)
}
