//! Retention: what is removed and forgotten, when, and what a client sees of it.

#[cfg(not(target_feature = "crt-static"))]
mod clock;
mod holding;
mod readers;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::{json, Value};

use crate::checking::check_beside;
use crate::harness::{event, events_of, seqs_of, Client, Server, Setup};
use crate::random::{number_from, Random};
use crate::wait::wait_until;

fn setup(dedup: &str, flags: &[&str]) -> Setup {
    let setup = Setup::new().flags(["--dedup", dedup, "--log-duplicates", "off"]);
    setup.flags(flags.iter().copied())
}

/// What became of one event.
fn publish(server: &Server, event: &Value) -> Value {
    let answer = server
        .client()
        .publish_to("/publish?results=true", event.to_string());
    answer.expect(200)["results"][0].clone()
}

/// The number of rows, as another program sees it: the server hears nothing of this.
fn rows(setup: &Setup) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(setup.database_path(), flags).unwrap();
    database
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .unwrap()
}

fn numbered(n: u64) -> Value {
    event(&format!("topic {}", n % 3), &format!("event {n}"))
}

#[test]
fn a_late_repeat_of_a_removed_event_is_still_a_duplicate() {
    for dedup in ["index", "constraint"] {
        let setup = setup(dedup, &["--retain-events", "1s"]);
        let mut server = setup.start();
        for n in 0..5 {
            publish(&server, &numbered(n));
        }
        // No request wakes the server up.
        wait_until("the events to be removed", || rows(&setup) == 0);
        for round in 0..3 {
            assert_eq!(server.json("/events?after=0")["count"], 0);
            assert_eq!(server.json("/events?topic=topic%201")["count"], 0);
            assert_eq!(server.get("/events/topic%201/event%201").status, 404);
            let stats = server.json("/stats");
            assert_eq!(stats["unique_processed"], 5);
            assert_eq!(stats["topic_count"], 3);
            let topics = server.json("/topics");
            assert_eq!(topics["topics"][1]["topic"], "topic 1");
            assert_eq!(topics["topics"][1]["events"], 0);
            assert_eq!(topics["topics"][1]["last_seq"], 5);
            for n in 0..5 {
                let again = publish(&server, &numbered(n));
                assert_eq!(again, json!({"status": "duplicate", "seq": n + 1}));
                let mut other = numbered(n);
                other["payload"] = json!({"other": 1});
                let conflict = publish(&server, &other);
                assert_eq!(conflict, json!({"status": "conflict", "seq": n + 1}));
            }
            check_beside(&server);
            if round == 0 {
                server = server.restart();
            } else {
                server.kill();
                server = setup.start();
            }
        }
        let next = publish(&server, &numbered(6));
        assert_eq!(next, json!({"status": "accepted", "seq": 6}));
    }
}

#[test]
fn a_forgotten_key_is_new_again() {
    for dedup in ["index", "constraint"] {
        let setup = setup(dedup, &["--retain-events", "1s", "--retain-keys", "2s"]);
        let mut server = setup.start();
        server.log().wait_for(1, "retention: events 1s, keys 2s");
        publish(&server, &numbered(0));
        for seq in [1, 2] {
            wait_until("the key to be forgotten", || {
                let again = publish(&server, &numbered(0));
                if again["status"] == "duplicate" {
                    assert_eq!(again["seq"], seq, "{again}");
                    return false;
                }
                assert_eq!(again, json!({"status": "accepted", "seq": seq + 1}));
                true
            });
            check_beside(&server);
            server = server.restart();
        }
        assert_eq!(server.json("/stats")["unique_processed"], 3);
    }
}

#[test]
fn keys_are_kept_as_long_as_their_events() {
    for flags in [
        &["--retain-keys", "1s"][..],
        &["--retain-events", "1h", "--retain-keys", "1MB"],
    ] {
        let server = setup("index", flags).start();
        let is_alone = flags.len() == 2;
        let told = if is_alone {
            "--retain-keys does nothing without --retain-events"
        } else {
            "retention: events 1h, keys 1MB"
        };
        server.log().wait_for(1, told);
        publish(&server, &numbered(0));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1_500) {
            assert_eq!(publish(&server, &numbered(0))["status"], "duplicate");
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(server.json("/events")["count"], 1);
    }
}

#[test]
fn pages_begin_with_the_oldest_event_that_is_left() {
    for dedup in ["index", "constraint"] {
        let keeping = setup(dedup, &[]);
        let removing = keeping.clone().flags(["--retain-events", "1s"]);
        let server = removing.start();
        for n in 0..20 {
            publish(&server, &numbered(n));
        }
        wait_until("the first events to be removed", || rows(&removing) == 0);
        server.stop();
        let server = keeping.start();
        for n in 20..40 {
            publish(&server, &numbered(n));
        }
        let all = seqs_of(&server.json("/events?after=0"));
        assert_eq!(all, (21..=40).collect::<Vec<u64>>());
        let of_topic: Vec<u64> = (21..=40).filter(|seq| (seq - 1) % 3 == 1).collect();
        let page = server.json("/events?topic=topic%201&after=3&limit=2");
        assert_eq!(seqs_of(&page), of_topic[..2]);
        let next = page["next"].as_str().unwrap();
        assert_eq!(seqs_of(&server.json(next)), of_topic[2..4]);
        let page = server.json("/events?topic=topic*&before=24");
        assert_eq!(seqs_of(&page), [23, 22, 21]);
        assert_eq!(page["next"], Value::Null);
        let page = server.json("/events?topic=topic%202&before=10");
        assert_eq!((events_of(&page).len(), &page["next"]), (0, &Value::Null));
    }
}

/// Sends requests of events of different sizes, and counts what it sends.
struct Traffic {
    random: Random,
    number: u64,
    bytes: u64,
}

impl Traffic {
    fn new() -> Traffic {
        Traffic {
            random: Random::new(1),
            number: 0,
            bytes: 0,
        }
    }

    /// One request of some 64 KB.
    fn send(&mut self, client: &mut Client) {
        let mut events = Vec::new();
        let mut size = 0;
        // Times of large events and times of small ones.
        let most = if self.number % 40_000 < 20_000 {
            800
        } else {
            8_000
        };
        while size < 64_000 {
            let filling = "f".repeat(self.random.below(most) as usize);
            size += filling.len() + 150;
            let event_id = format!("{:x}-{}", self.random.next(), self.number);
            let mut event = event(&format!("topic {}", self.number % 7), &event_id);
            event["payload"] = json!({"filling": filling});
            events.push(event);
            self.number += 1;
        }
        let count = events.len();
        let body = Value::from(events).to_string();
        self.bytes += body.len() as u64;
        assert_eq!(client.publish(body).expect(200)["accepted"], count);
    }
}

/// A day at 1,000 events a second would be some 35 GB; this is the same number of times around a smaller
/// database. `RETENTION_MB` makes it longer.
#[test]
fn a_database_is_held_at_its_size() {
    let sent_mb = number_from("RETENTION_MB", 160);
    for (dedup, sent_mb) in [("index", sent_mb), ("constraint", sent_mb / 4)] {
        let setup = setup(
            dedup,
            &[
                "--retain-events",
                "8MB",
                "--retain-keys",
                "2MB",
                "--durability",
                "normal",
            ],
        );
        let mut server = setup.start();
        let mut client = server.client();
        let mut traffic = Traffic::new();
        let (mut most, mut after_fill, mut fewest) = (0, 0, u64::MAX);
        let mut restarts = 0;
        while traffic.bytes < sent_mb * 1_000_000 {
            traffic.send(&mut client);
            let file = fs::metadata(setup.database_path()).unwrap().len();
            most = most.max(file);
            if traffic.bytes > 16_000_000 {
                after_fill = if after_fill == 0 { file } else { after_fill };
                let stats = client.get("/stats").expect(200);
                assert_eq!(stats["unique_processed"], traffic.number);
                let oldest = client.get("/events?after=0&limit=1").expect(200);
                let oldest = seqs_of(&oldest)[0];
                fewest = fewest.min(traffic.number - oldest + 1);
                assert!(oldest > 1);
            }
            // In the middle of it all.
            if traffic.bytes / (sent_mb * 250_000) > restarts {
                restarts += 1;
                drop(client);
                server = match restarts % 2 {
                    0 => server.restart(),
                    _ => {
                        server.kill();
                        setup.start()
                    }
                };
                client = server.client();
            }
        }
        println!(
            "FIGURE retention-{dedup}: held at 8 MB, the database was at most {:.1} MB while {} MB in {} events \
             were published; the fewest events kept were {fewest}",
            most as f64 / 1e6,
            traffic.bytes / 1_000_000,
            traffic.number
        );
        assert!(most < 10_000_000, "{dedup}: {most} bytes");
        assert!(fewest > 500, "{dedup}: {fewest} events");
        check_beside(&server);
        let log = server.stop();
        assert!(!log.text().contains("ERROR"), "{}", log.text());
    }
}

/// Keys that are kept for ever come to take more than the size for events.
#[test]
fn keys_leave_events_their_share() {
    let setup = setup(
        "index",
        &["--retain-events", "1MB", "--durability", "normal"],
    );
    let server = setup.start();
    let mut client = server.client();
    // Long enough for keys to move from the table of removed ones into segments, and out of the table.
    for first in (0..120_000).step_by(1_000) {
        let events: Vec<Value> = (first..first + 1_000).map(numbered).collect();
        client.publish(Value::from(events).to_string()).expect(200);
        let newest = seqs_of(&server.json("/events?limit=500"));
        assert_eq!(newest.len(), 500, "behind {first}");
    }
    server
        .log()
        .wait_for(1, "--retain-keys would bound the keys");
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], 120_000);
    let left = rows(&setup);
    assert!((500..10_000).contains(&left), "{left} events");
    assert_eq!(publish(&server, &numbered(7))["status"], "duplicate");
    check_beside(&server);
}

/// A limit that comes late: what is too much goes, and the file becomes shorter.
#[test]
fn space_is_given_back() {
    let setup = setup("index", &["--durability", "normal"]);
    let server = setup.start();
    let mut client = server.client();
    let mut traffic = Traffic::new();
    while traffic.bytes < 30_000_000 {
        traffic.send(&mut client);
    }
    drop(client);
    server.stop();
    let length = || fs::metadata(setup.database_path()).unwrap().len();
    let before = length();
    assert!(before > 25_000_000, "{before}");
    let setup = setup.clone().flags(["--retain-events", "5MB"]);
    let server = setup.start();
    wait_until("the file to become shorter", || length() < 8_000_000);
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], traffic.number);
    assert!(
        stats["database_bytes"].as_u64() < Some(8_000_000),
        "{stats}"
    );
    let newest = seqs_of(&server.json("/events?limit=100"));
    assert_eq!(newest[0], traffic.number);
    check_beside(&server);
    println!(
        "FIGURE retention-space: a limit of 5 MB on a database of {:.1} MB made its file {:.1} MB long",
        before as f64 / 1e6,
        length() as f64 / 1e6
    );
}

/// Kills the server while it removes: the newest events and all keys are there.
#[test]
fn removing_may_be_killed_at_any_moment() {
    for dedup in ["index", "constraint"] {
        let setup = setup(dedup, &["--retain-events", "1MB"]);
        let mut random = Random::new(7);
        let mut stored = 0;
        for _ in 0..6 {
            let server = setup.start();
            let mut client = server.client();
            let until = Instant::now() + Duration::from_millis(random.below(300));
            let killer = server.pid();
            let answered = thread::scope(|scope| {
                scope.spawn(move || {
                    thread::sleep(until.saturating_duration_since(Instant::now()));
                    rustix::process::kill_process(killer, rustix::process::Signal::KILL).unwrap();
                });
                let mut answered = stored;
                loop {
                    let events: Vec<Value> = (answered..answered + 50)
                        .map(|n| {
                            let mut event = numbered(n);
                            event["payload"] = json!({"filling": "f".repeat(n as usize % 500)});
                            event
                        })
                        .collect();
                    let body = Value::from(events).to_string();
                    let head = format!(
                        "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                         Content-Length: {}\r\n\r\n",
                        body.len()
                    );
                    if client.try_send(head + &body).is_err() {
                        return answered;
                    }
                    let Some(answer) = client.try_response("POST") else {
                        return answered;
                    };
                    answer.expect(200);
                    answered += 50;
                }
            });
            server.wait();
            let server = setup.start();
            check_beside(&server);
            let last_seq = server.json("/stats")["last_seq"].as_u64().unwrap();
            assert!(
                last_seq == answered || last_seq == answered + 50,
                "{last_seq} of {answered}"
            );
            stored = last_seq;
            if stored > 0 {
                let newest = seqs_of(&server.json("/events?limit=50"));
                let expected: Vec<u64> =
                    (stored + 1 - newest.len() as u64..=stored).rev().collect();
                assert_eq!(newest, expected);
                assert_eq!(newest.len(), 50, "of {stored} with {dedup}");
            }
            for n in (0..stored).step_by(stored as usize / 50 + 1) {
                let mut event = numbered(n);
                event["payload"] = json!({"filling": "f".repeat(n as usize % 500)});
                let again = publish(&server, &event);
                assert_eq!(again, json!({"status": "duplicate", "seq": n + 1}));
            }
            server.stop();
        }
    }
}
