//! Random searches over random events, judged by a model that knows only what clients are promised: walks in both
//! directions and filtered exports, beside publishers, retention and crashes.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::model::{self, Event, Query};
use super::random;
use crate::harness::{Client, Server, Setup};
use crate::wait::wait_until;

/// A random value.
fn any<T>(runner: &mut TestRunner, strategy: impl Strategy<Value = T>) -> T {
    let tree = strategy.new_tree(runner);
    tree.expect("a value can be made").current()
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_micros() as i64
}

fn encoded(members: &[(String, String)]) -> String {
    let escape =
        |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let members = members
        .iter()
        .map(|(name, value)| format!("{name}={}&", escape(value)));
    members.collect()
}

/// What has been published, in the order of seqs from 1 on, and from where it comes.
struct Published {
    events: Vec<Event>,
    runner: TestRunner,
}

impl Published {
    fn new() -> Published {
        Published {
            events: Vec::new(),
            runner: TestRunner::default(),
        }
    }

    /// Publishes `count` more.
    fn publish(&mut self, client: &mut Client, count: usize) {
        let first = self.events.len() + 1;
        let mut body = String::new();
        while self.events.len() + 1 < first + count {
            let mut event = any(&mut self.runner, random::events()).remove(0);
            event
                .event_id
                .push_str(&format!("-{}", self.events.len() + 1));
            let text = |text: &str| Value::from(text).to_string();
            body.push_str(&format!(
                "{}{{\"topic\":{},\"event_id\":{},\"source\":{},\"timestamp\":{},\"payload\":{}}}",
                if body.is_empty() { "[" } else { "," },
                text(&event.topic),
                text(&event.event_id),
                text(&event.source),
                text(&event.timestamp),
                event.payload
            ));
            self.events.push(event);
        }
        body.push(']');
        assert_eq!(
            client.publish(&body).expect(200)["accepted"],
            count,
            "{body}"
        );
        let stored = page(client, &format!("/events?after={}&limit=1000", first - 1));
        for event in stored.events {
            let at = model::time::instant(&event.processed_at).unwrap();
            self.events[event.seq as usize - 1].processed_at = (at / 1_000) as i64;
        }
    }

    /// A random query, and how the model reads it.
    fn query(&mut self) -> (Vec<(String, String)>, Option<Query>) {
        let members = loop {
            let members = any(&mut self.runner, random::queries());
            // What does not fit into an address is refused for that.
            if encoded(&members).len() < 6_000 {
                break members;
            }
        };
        let query = Query::parse(&members, now());
        (members, query)
    }

    /// The same until it is legal and has a filter besides topics.
    fn legal_query(&mut self) -> (Vec<(String, String)>, Query) {
        loop {
            if let (members, Some(query)) = self.query() {
                // Neither which time is meant, nor what all events have, is a filter.
                let is_filter = |(name, value): &(String, String)| {
                    !matches!(&**name, "topic" | "time") && value != "*"
                };
                if members.iter().any(is_filter) {
                    return (members, query);
                }
            }
        }
    }

    /// The seqs of the events that match, of those from `first` to `last`.
    fn matching(&self, query: &Query, first: u64, last: u64) -> Vec<u64> {
        let matches = |seq: &u64| query.matches(&self.events[*seq as usize - 1]);
        (first..=last).filter(matches).collect()
    }

    fn last(&self) -> u64 {
        self.events.len() as u64
    }
}

/// What is looked at of an event. The payloads have what not every reader of JSON takes.
#[derive(Deserialize)]
struct Shown {
    seq: u64,
    processed_at: String,
}

/// One page of a walk.
#[derive(Deserialize)]
struct Page {
    events: Vec<Shown>,
    scanned: Option<u64>,
    through: Option<u64>,
    next: Option<String>,
}

fn page(client: &mut Client, target: &str) -> Page {
    let answer = client.get(target);
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).expect("a page")
}

/// The seqs of a filtered export.
fn exported(client: &mut Client, filters: &str) -> Vec<u64> {
    let target = format!("/subscribe?{filters}follow=false");
    let accept = ["Accept: application/x-ndjson"];
    let answer = client.request("GET", &target, &accept, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let seq = |line| serde_json::from_slice::<Shown>(line).expect("an event").seq;
    lines.map(seq).collect()
}

/// Follows a walk to its end; between two pages `meanwhile` happens. Says what it found in the order of its seqs, how
/// many seqs were scanned, and the last `through`.
fn walk(
    mut client: Client,
    first: String,
    mut meanwhile: impl FnMut(&mut Client),
) -> (Vec<u64>, u64, u64) {
    let (mut found, mut scanned) = (Vec::new(), 0);
    let mut target = first.clone();
    loop {
        let page = page(&mut client, &target);
        found.extend(page.events.iter().map(|event| event.seq));
        let of_page = page.scanned;
        scanned += of_page.unwrap_or_else(|| panic!("{target} is no search"));
        let Some(next) = page.next else {
            if !first.contains("after=") {
                found.reverse();
            }
            return (
                found,
                scanned,
                page.through.expect("it is a page of a search"),
            );
        };
        target = next;
        meanwhile(&mut client);
    }
}

#[test]
fn random_searches_find_what_the_model_finds_beside_publishers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut published = Published::new();
    published.publish(&mut client, 120);
    let mut refused = 0;
    for round in 0..60_u64 {
        let (members, query) = published.query();
        let text = encoded(&members);
        let Some(query) = query else {
            for target in [
                format!("/events?{text}"),
                format!("/subscribe?{text}follow=0"),
            ] {
                let answer = client.get(&target);
                assert_eq!(answer.status, 422, "{members:?}");
            }
            refused += 1;
            continue;
        };
        if members.iter().all(|(name, _)| name == "topic") {
            continue;
        }
        let limit = [1, 2, 5, 17, 100, 1_000][round as usize % 6];
        let head = published.last();
        let down = format!("/events?{text}limit={limit}");
        let mut more = 3;
        let publish = |client: &mut Client| {
            if more > 0 {
                more -= 1;
                published.publish(client, 1);
            }
        };
        let (found, scanned, _) = walk(server.client(), down, publish);
        assert_eq!(found, published.matching(&query, 1, head), "{members:?}");
        assert_eq!(scanned, head, "{members:?}");
        // Ages end at another moment, and what has come meanwhile may be before it.
        let query = Query::parse(&members, now()).expect("it was legal");
        let up = format!("/events?{text}limit={limit}&after=0");
        let mut more = 3;
        let publish = |client: &mut Client| {
            if more > 0 {
                more -= 1;
                published.publish(client, 1);
            }
        };
        let (found, scanned, through) = walk(server.client(), up, publish);
        assert_eq!(found, published.matching(&query, 1, through), "{members:?}");
        assert_eq!((scanned, through), (published.last(), published.last()));
        let query = Query::parse(&members, now()).expect("it was legal");
        let sent = exported(&mut client, &text);
        assert_eq!(
            sent,
            published.matching(&query, 1, published.last()),
            "{members:?}"
        );
    }
    assert!(refused < 50, "{refused} of 60 queries are not legal");
}

/// How many events a histogram has counted, and how many seqs it has gone through.
fn counted(client: &mut Client, target: String) -> (u64, u64) {
    let (mut matched, mut scanned, mut next) = (0, 0, Some(target));
    while let Some(target) = next {
        let answer = client.get(&target).expect(200);
        let of_answer = answer["matched"].as_u64().expect("a number");
        let counts = answer["counts"].as_array().expect("a list");
        let sum: Option<u64> = counts.iter().map(Value::as_u64).sum();
        assert_eq!(sum, Some(of_answer), "{target}");
        matched += of_answer;
        scanned += answer["scanned"].as_u64().expect("a number");
        next = answer["next"].as_str().map(str::to_owned);
    }
    (matched, scanned)
}

#[test]
fn random_searches_of_blocks_with_summaries_find_what_the_model_finds() {
    const BLOCK: u64 = 4_096;
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut published = Published::new();
    while published.last() < BLOCK + 100 {
        published.publish(&mut client, 700);
    }
    let through = |server: &Server| server.json("/stats")["search_index_through"].as_u64();
    wait_until("a block has a summary", || through(&server) == Some(BLOCK));
    let last = published.last();
    for round in 0..20 {
        let (members, query) = published.legal_query();
        let text = encoded(&members);
        let order = ["", "&after=0", "&after=50", "&before=4000"][round % 4];
        let from = if order == "&after=50" { 51 } else { 1 };
        let to = if order == "&before=4000" { 3_999 } else { last };
        let target = format!("/events?{text}limit=1000{order}");
        let (found, scanned, _) = walk(server.client(), target, |_| ());
        assert_eq!(found, published.matching(&query, from, to), "{members:?}");
        assert_eq!(scanned, to + 1 - from, "{members:?}");
        // A histogram needs a range.
        let mut members = members;
        for (name, value) in [("since", "1900-01-01"), ("until", "9000-01-01")] {
            if !members.iter().any(|member| member.0 == name) {
                members.push((name.to_owned(), value.to_owned()));
            }
        }
        let text = encoded(&members);
        let query = Query::parse(&members, now()).expect("it was legal");
        // Ranges of nothing, and of times that no answer can show, are refused.
        if client.get(&format!("/histogram?{text}")).status == 422 {
            continue;
        }
        let found = counted(&mut client, format!("/histogram?{text}buckets=500"));
        let expected = published.matching(&query, 1, last).len() as u64;
        assert_eq!(found, (expected, last), "{members:?}");
    }
}

#[test]
fn random_walks_go_on_after_crashes() {
    let setup = Setup::new();
    let mut server = Some(setup.start());
    let mut published = Published::new();
    published.publish(&mut server.as_ref().unwrap().client(), 80);
    let mut crashes = 0;
    while crashes < 6 {
        let (members, query) = published.legal_query();
        let first = format!("/events?{}limit=3&after=0", encoded(&members));
        let before = crashes;
        let client = server.as_ref().expect("one runs").client();
        let restart = |client: &mut Client| {
            if crashes == before + 3 {
                return;
            }
            let running = server.take().expect("one runs");
            match crashes % 2 {
                0 => running.kill(),
                _ => running.stop(),
            };
            crashes += 1;
            *client = server.insert(setup.start()).client();
            published.publish(client, 2);
        };
        let (found, scanned, through) = walk(client, first, restart);
        assert_eq!(found, published.matching(&query, 1, through), "{members:?}");
        assert_eq!(scanned, through, "{members:?}");
    }
}

#[test]
fn random_walks_beside_retention_find_what_is_left() {
    let setup = Setup::new();
    let server = setup.start();
    let mut published = Published::new();
    published.publish(&mut server.client(), 400);
    let mut first = 1;
    server.stop();
    let retaining = setup.clone().flags(["--retain-events", "1d"]);
    // Each start makes a hundred events old, which are removed beside the walks.
    for old in [100_u64, 200, 300] {
        let db = Connection::open(setup.database_path()).unwrap();
        db.execute(
            "UPDATE events SET processed_at = 1000 * seq WHERE seq <= ?1",
            [old as i64],
        )
        .unwrap();
        drop(db);
        let server = retaining.start();
        loop {
            let (members, query) = published.legal_query();
            if members.iter().any(|(_, value)| value == "received") {
                continue;
            }
            for order in ["", "&after=0"] {
                let before = first;
                let (found, scanned, _) = walk(
                    server.client(),
                    format!("/events?{}limit=7{order}", encoded(&members)),
                    |_| (),
                );
                first = server.json("/stats")["first_seq"].as_u64().unwrap();
                let left = published.matching(&query, first, 400);
                let at_most = published.matching(&query, before, 400);
                assert!(left.iter().all(|seq| found.contains(seq)), "{members:?}");
                assert!(found.iter().all(|seq| at_most.contains(seq)), "{members:?}");
                assert!(
                    (401 - first..=401 - before).contains(&scanned),
                    "{members:?}: {scanned}"
                );
                let sorted = found.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(sorted, "{found:?}");
            }
            if first == old + 1 {
                break;
            }
        }
        server.stop();
    }
}
