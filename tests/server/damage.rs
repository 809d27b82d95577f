//! One flipped bit in a page of the key index, as a disk or memory brings it: stored events are not stored again, no
//! answer is wrong, the page is named until it has been made again, and then all is as before.

use rusqlite::Connection;
use serde_json::{json, Value};

use crate::checking::check_beside;
use crate::harness::{event, Log, Server, Setup};
use crate::wait::wait_until;

/// A memtable of the key index, which makes one segment.
const SEGMENT: u64 = 96 * 1024;
const EVENTS: u64 = SEGMENT + 500;
const BATCH: u64 = 9_000;

/// The first page of each part of this segment.
const PARTS: [(&str, i64); 5] = [
    ("keys", 1),
    ("filter", 782),
    ("fences of the keys", 828),
    ("postings", 830),
    ("fences of the postings", 1_123),
];

fn numbered(n: u64) -> Value {
    event(&format!("topic {}", n % 3), &format!("event {n}"))
}

fn setup(filter_memory: &str) -> Setup {
    Setup::new().flags([
        "--log-duplicates",
        "off",
        "--durability",
        "normal",
        "--filter-memory-bytes",
        filter_memory,
    ])
}

/// Starts a server whose database has one segment.
fn filled(setup: &Setup) -> Server {
    let server = setup.start();
    let mut client = server.client();
    for first in (0..EVENTS).step_by(BATCH as usize) {
        let events: Vec<Value> = (first..EVENTS.min(first + BATCH)).map(numbered).collect();
        client.publish(json!(events).to_string()).expect(200);
    }
    let database = Connection::open(setup.database_path()).unwrap();
    wait_until("a segment", || {
        let segments = "SELECT count(*) FROM segments";
        database.query_row(segments, [], |row| row.get::<_, i64>(0)) == Ok(1)
    });
    server
}

/// Flips one bit of a page, at some byte.
fn flip(setup: &Setup, page: i64, byte: usize) {
    let database = Connection::open(setup.database_path()).unwrap();
    let sql = "SELECT content FROM segment_pages_0 WHERE id = ?1";
    let mut content: Vec<u8> = database.query_row(sql, [page], |row| row.get(0)).unwrap();
    content[byte] ^= 0x10;
    let sql = "UPDATE segment_pages_0 SET content = ?2 WHERE id = ?1";
    assert_eq!(database.execute(sql, (page, content)).unwrap(), 1);
}

/// The number of an event whose key is on the first page of keys, and in the first block of the filter.
fn first_key(setup: &Setup) -> u64 {
    let database = Connection::open(setup.database_path()).unwrap();
    let sql = "SELECT content FROM segment_pages_0 WHERE id = 1";
    let content: Vec<u8> = database.query_row(sql, [], |row| row.get(0)).unwrap();
    u64::from_be_bytes(content[16..24].try_into().unwrap()) - 1
}

/// Publishes each event again, of some of them with other content. While a page is rebuilt the answer may be 503.
fn publish_all_again(server: &Server) {
    let mut client = server.client();
    for first in (0..EVENTS).step_by(BATCH as usize) {
        let numbers = first..EVENTS.min(first + BATCH);
        let differs = |n: u64| n % 1_000 == 7;
        let events: Vec<Value> = numbers
            .clone()
            .map(|n| {
                let mut event = numbered(n);
                if differs(n) {
                    event["payload"] = json!({"other": 1});
                }
                event
            })
            .collect();
        let body = json!(events).to_string();
        let mut results = Value::Null;
        wait_until("the events to be published again", || {
            let answer = client.publish_to("/publish?results=true", &body);
            if answer.status != 503 {
                results = answer.expect(200)["results"].take();
            }
            answer.status != 503
        });
        for (n, result) in numbers.zip(results.as_array().unwrap()) {
            let status = if differs(n) { "conflict" } else { "duplicate" };
            assert_eq!(*result, json!({"status": status, "seq": n + 1}));
        }
    }
}

/// Reads a topic from end to end, once no page stands in the way any more.
fn read_a_topic(server: &Server) {
    wait_until("the pages of a topic", || {
        server.get("/events?topic=topic%201&after=0").status == 200
    });
    let mut next = Some("/events?topic=topic%201&after=0&limit=1000".to_owned());
    let mut count = 0;
    while let Some(target) = next {
        let mut page = None;
        wait_until("the next page", || {
            let answer = server.get(&target);
            let is_there = answer.status == 200;
            if is_there {
                page = Some(answer.expect(200));
            }
            is_there
        });
        let page = page.unwrap();
        count += page["count"].as_u64().unwrap();
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(count, (0..EVENTS).filter(|n| n % 3 == 1).count() as u64);
}

/// Waits until nothing is damaged; then a check finds nothing either.
fn is_whole(server: &Server) {
    wait_until("the pages to be rebuilt", || {
        server.json("/health").get("damage").is_none()
    });
    let metrics = server.get("/metrics");
    assert!(metrics.text().contains("log_aggregator_damaged_pages 0\n"));
    check_beside(server);
}

fn is_named_once(log: &Log, part: &str) {
    let again = format!("({part} of the segment of seq 1 to {SEGMENT}) has been rebuilt");
    log.wait_for(1, &again);
    let damaged = format!("({part} of the segment of seq 1 to {SEGMENT}) is damaged");
    assert_eq!(log.lines_with(&damaged).len(), 1, "{}", log.text());
}

/// A flipped bit in a filter made each event new that it stood for, and it was stored again with 200.
#[test]
fn a_flipped_bit_before_the_start_changes_no_answer() {
    for filter_memory in ["0", "268435456"] {
        let setup = setup(filter_memory);
        filled(&setup).stop();
        for (_, page) in PARTS {
            flip(&setup, page, 100);
        }
        let server = setup.start();
        publish_all_again(&server);
        read_a_topic(&server);
        is_whole(&server);
        for (part, _) in PARTS {
            is_named_once(server.log(), part);
        }
        let stats = server.json("/stats");
        assert_eq!(stats["unique_processed"], EVENTS);
        server.restart().stop();
    }
}

/// The damage of the keys shows only when they are read to make the page of the filter again.
#[test]
fn a_filter_waits_for_keys_that_turn_out_to_be_damaged_as_well() {
    let setup = setup("268435456");
    filled(&setup).stop();
    let [(_, keys), (filter, filter_page), ..] = PARTS;
    flip(&setup, keys + 9, 100);
    flip(&setup, filter_page, 100);
    let server = setup.start();
    is_whole(&server);
    for part in ["keys", filter] {
        is_named_once(server.log(), part);
    }
    publish_all_again(&server);
    read_a_topic(&server);
    server.restart().stop();
}

/// Nobody reads these pages, and no other page is read that would show it.
#[test]
fn damage_that_nobody_runs_into_is_found_by_the_scrub() {
    let setup = setup("268435456");
    filled(&setup).stop();
    let pages = [PARTS[0], PARTS[3]].map(|(part, page)| (part, page + 30));
    for (_, page) in pages {
        flip(&setup, page, 100);
    }
    let server = setup.start();
    for (part, _) in pages {
        is_named_once(server.log(), part);
    }
    is_whole(&server);
    is_asleep_between_the_looks_at_its_files(&server);
    publish_all_again(&server);
    read_a_topic(&server);
    server.restart().stop();
}

/// An idle server wakes to look at the names of its files, once a second, and for nothing else.
fn is_asleep_between_the_looks_at_its_files(server: &Server) {
    const LOOKS: u64 = 4;
    let switches = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    wait_until("the pass to end", || {
        let before = switches();
        let begun = std::time::Instant::now();
        wait_until("some looks at the files", || switches() >= before + LOOKS);
        // A slice of the scrub is due ten times a second. A busy machine only makes this longer.
        begun.elapsed() > std::time::Duration::from_millis((LOOKS - 1) * 700)
    });
}

#[test]
fn a_flipped_bit_under_a_running_server_is_named_and_mended() {
    let setup = setup("0");
    let server = filled(&setup);
    assert_eq!(server.json("/health").get("damage"), None);
    let first = first_key(&setup);
    for (part, page) in PARTS {
        flip(&setup, page, 40);
        // What only a start reads is in memory, and is right there.
        if part.starts_with("fences") {
            publish_all_again(&server);
            flip(&setup, page, 40);
            continue;
        }
        // Nothing can be made again before this is over.
        let other = Connection::open(setup.database_path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let asked = match part {
            "postings" => server.get("/events?topic=topic%200&after=0&limit=1"),
            _ => server.get(&format!("/events/topic%20{}/event%20{first}", first % 3)),
        };
        // A filter only spares a look at the keys.
        let expected = if part == "filter" { 200 } else { 503 };
        assert_eq!(asked.status, expected, "{part}");
        let health = server.json("/health");
        let expected = json!([{
            "table": "segment_pages_0", "page": page, "part": part,
            "first_seq": 1, "last_seq": SEGMENT, "state": "repairing",
        }]);
        assert_eq!(health["damage"], expected);
        let metrics = server.get("/metrics");
        assert!(metrics.text().contains("log_aggregator_damaged_pages 1\n"));
        other.execute_batch("ROLLBACK").unwrap();
        publish_all_again(&server);
        read_a_topic(&server);
        is_whole(&server);
        is_named_once(server.log(), part);
    }
    let new = server
        .client()
        .publish_to("/publish?results=true", event("new", "1").to_string());
    let seq = EVENTS + 1;
    assert_eq!(
        new.expect(200)["results"],
        json!([{"status": "accepted", "seq": seq}])
    );
    server.stop();
}
