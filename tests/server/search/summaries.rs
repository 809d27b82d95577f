//! Summaries: answers are the same with them and without, also after a kill, and events are passed over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{json, Value};

use super::{metric, walk};
use crate::harness::{event, Client, Server, Setup};
use crate::wait::wait_until;

/// Events of a block.
pub(super) const BLOCK: u64 = 4_096;
pub(super) const EVENTS: u64 = 3 * BLOCK + 70;

/// An event whose words and time are those of its block.
pub(super) fn number(n: u64) -> Value {
    let era = n / BLOCK;
    let mut event = event(["t.a", "t.b", "u"][n as usize % 3], &format!("id-{n}"));
    event["source"] = json!(format!("web-{}", n % 5));
    event["timestamp"] = json!(format!("2026-01-0{}T00:{:02}:00Z", 1 + era, n % 60));
    event["payload"] = json!({
        "msg": format!("Era{era} was declined"), "n": n, "ratio": n as f64 / 8.0, "rare": n == 5_000,
    });
    event
}

pub(super) fn publish(client: &mut Client, numbers: std::ops::Range<u64>) {
    for first in numbers.clone().step_by(1_000) {
        let events: Value = (first..numbers.end.min(first + 1_000))
            .map(number)
            .collect();
        client.publish(events.to_string()).expect(200);
    }
}

pub(super) fn wait_for_summaries(server: &Server) {
    wait_until("the full slots have summaries", || {
        server.json("/stats")["search_index_through"] == 3 * BLOCK
    });
}

/// Searches of each kind, and how many events match; the first ones are for what few blocks have.
const SEARCHES: [(&str, usize, bool); 16] = [
    ("q=era1", BLOCK as usize, true),
    ("q=era9", 0, true),
    ("q=ERA2%20declined%20-era1", BLOCK as usize, true),
    ("q=%22era0%20was%22", BLOCK as usize, true),
    ("event_id=id-5000", 1, true),
    ("event_id=id-5000&event_id=id-12000", 2, true),
    ("where=n=5000", 1, true),
    ("where=n=5.0e3", 1, true),
    ("where=ratio=625", 1, false),
    ("where=ratio=0.125", 1, false),
    ("where=msg=Era1+was+declined", BLOCK as usize, true),
    ("since=2026-01-02&until=2026-01-02T00:01:00Z", 68, true),
    ("source=web-9", 0, true),
    ("q=*ra1*", BLOCK as usize, false),
    ("where=rare=true", 1, false),
    ("q=-declined", 0, false),
];

#[test]
fn answers_are_the_same_with_summaries_and_without() {
    let setups = ["words", "off"].map(|kind| Setup::new().flags(["--search-index", kind]));
    let servers = setups.each_ref().map(Setup::start);
    for server in &servers {
        publish(&mut server.client(), 0..EVENTS);
    }
    wait_for_summaries(&servers[0]);
    let [words, off] = &servers;
    let (mut words, mut off) = (words.client(), off.client());
    assert_eq!(words.get("/stats").expect(200)["search_index"], "words");
    let stats = off.get("/stats").expect(200);
    assert_eq!(
        (&stats["search_index"], &stats["search_index_through"]),
        (&json!("off"), &json!(0))
    );
    for (query, count, is_fast) in SEARCHES {
        for direction in ["before=99999999", "after=0", "after=6000", "before=6000"] {
            let target = format!("/events?{query}&limit=1000&{direction}");
            let skipped = metric(&mut words, "search_seqs_skipped_total");
            let found = walk(&mut words, &target);
            let skipped = metric(&mut words, "search_seqs_skipped_total") - skipped;
            let expected = walk(&mut off, &target);
            assert_eq!(found.seqs, expected.seqs, "{target}");
            assert_eq!(found.scanned, expected.scanned, "{target}");
            if direction != "after=6000" && direction != "before=6000" {
                assert_eq!(found.seqs.len(), count, "{target}");
                assert_eq!(skipped > 0, is_fast, "{target} skipped {skipped}");
            }
        }
    }
    assert_eq!(metric(&mut off, "search_seqs_skipped_total"), 0);
}

/// Histograms, and whether the rows of two blocks or more need not be read for them.
const HISTOGRAMS: [(&str, bool); 9] = [
    ("since=2025-12-31&until=2026-02-01", true),
    ("since=2026-01-02&until=2026-01-03&interval=1h", true),
    (
        "since=2026-01-02&until=2026-01-03&interval=1h&topic=*",
        true,
    ),
    (
        "since=2026-01-02&until=2026-01-03&interval=1h&topic=t.*",
        true,
    ),
    (
        "since=2026-01-01&until=2026-01-02&interval=12h&by=topic",
        true,
    ),
    (
        "since=2026-01-01T00:10:00Z&until=2026-01-02T00:20:00Z&interval=10m",
        true,
    ),
    (
        "since=2026-01-01T00:10:00.5Z&until=2026-01-02T00:20:00.5Z&interval=10m",
        false,
    ),
    ("since=2026-01-01&until=2026-01-09&q=*ra1*", false),
    (
        "since=2020-01-01&until=now&time=received&interval=36500d",
        true,
    ),
];

#[test]
fn histograms_are_the_same_with_summaries_and_without() {
    let setups = ["words", "off"].map(|kind| Setup::new().flags(["--search-index", kind]));
    let servers = setups.each_ref().map(Setup::start);
    for server in &servers {
        publish(&mut server.client(), 0..EVENTS);
    }
    wait_for_summaries(&servers[0]);
    let mut clients = servers.each_ref().map(Server::client);
    for (query, is_fast) in HISTOGRAMS {
        let skipped = metric(&mut clients[0], "search_seqs_skipped_total");
        let [found, expected] = clients.each_mut().map(|client| {
            let mut target = format!("/histogram?{query}");
            let (mut counts, mut scanned) = (Vec::new(), 0);
            // A busy machine may need several answers.
            loop {
                let answer = client.get(&target).expect(200);
                let of_answer = answer["counts"].as_array().expect("a list").iter();
                let of_answer: Vec<u64> = of_answer.filter_map(Value::as_u64).collect();
                counts.resize(of_answer.len(), 0);
                counts
                    .iter_mut()
                    .zip(of_answer)
                    .for_each(|(sum, count)| *sum += count);
                scanned += answer["scanned"].as_u64().expect("a number");
                match answer["next"].as_str() {
                    Some(next) => target = next.to_owned(),
                    None => return (counts, scanned),
                }
            }
        });
        assert_eq!(found, expected, "{query}");
        let skipped = metric(&mut clients[0], "search_seqs_skipped_total") - skipped;
        assert_eq!(skipped >= 2 * BLOCK, is_fast, "{query} skipped {skipped}");
    }
}

#[test]
fn a_kill_leaves_summaries_that_are_right() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&mut server.client(), 0..EVENTS);
    server.kill();
    for _ in 0..3 {
        let server = setup.start();
        let found = walk(&mut server.client(), "/events?q=era1&limit=1000");
        assert_eq!(found.seqs.len(), BLOCK as usize);
        server.kill();
    }
    let server = setup.start();
    wait_for_summaries(&server);
    let found = walk(&mut server.client(), "/events?q=era1&limit=1000");
    assert_eq!(found.seqs.len(), BLOCK as usize);
    assert!(server.json("/stats")["search_index_bytes"].as_u64() > Some(0));
}

/// Ends the publishers, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn summaries_that_are_missing_are_made_while_events_come() {
    let off = Setup::new().flags(["--search-index", "off"]);
    let server = off.start();
    publish(&mut server.client(), 0..EVENTS);
    server.stop();
    let server = Setup::new().database(off.database_path()).start();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = End(&is_over);
        for publisher in 0..4 {
            let (mut client, is_over) = (server.client(), &is_over);
            scope.spawn(move || {
                let mut sent = 0;
                while !is_over.load(Ordering::Relaxed) {
                    sent += 1;
                    let event = event("new", &format!("{publisher}-{sent}"));
                    client.publish(event.to_string()).expect(200);
                }
            });
        }
        wait_until("all full slots have summaries", || {
            let stats = server.json("/stats");
            let number = |name: &str| stats[name].as_u64().expect("a number");
            number("unique_processed") > EVENTS
                && number("search_index_through") + BLOCK > number("unique_processed")
        });
    });
    let found = walk(&mut server.client(), "/events?q=era1&limit=1000");
    assert_eq!(found.seqs.len(), BLOCK as usize);
}
