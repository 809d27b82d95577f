//! Searches: pages and streams with filters, how far each answer came, and who waits for whom.

mod damaged;
mod fields;
mod histogram;
mod judged;
mod language;
#[path = "../../search/model/mod.rs"]
mod model;
mod older;
mod pages;
#[path = "../../search/random.rs"]
mod random;
mod streams;
mod summaries;
mod work;

use proptest::prelude::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use serde_json::{json, Value};

use crate::harness::{event, seqs_of, Client, Server, Setup};

/// An event of this source, in one of three topics.
fn from(source: &str, n: u64) -> Value {
    let topic = ["order", "user", "order.paid"][n as usize % 3];
    let mut event = event(topic, &format!("e{n}"));
    event["source"] = json!(source);
    event
}

/// A server with this many events; every third one is from `web`, the others from `api`.
fn filled(count: u64) -> Server {
    let server = Server::start(&[]);
    publish(&mut server.client(), 1..=count);
    server
}

/// A server with 120 events as [`filled`] makes them, of which the older half is about to be removed.
fn half_removed() -> Server {
    let server = filled(120);
    let setup = server.setup().clone();
    server.stop();
    let db = Connection::open(setup.database_path()).unwrap();
    let sql = "UPDATE events SET processed_at = 1000 * seq WHERE seq <= 60";
    db.execute(sql, []).unwrap();
    drop(db);
    setup.flags(["--retain-events", "1d"]).start()
}

fn publish(client: &mut Client, numbers: std::ops::RangeInclusive<u64>) {
    let source = |n: u64| if n.is_multiple_of(3) { "web" } else { "api" };
    let events: Value = numbers.map(|n| from(source(n), n)).collect();
    client.publish(events.to_string()).expect(200);
}

/// The value of a metric.
fn metric(client: &mut Client, name: &str) -> u64 {
    let [value] = metrics(client, [name]);
    value.unwrap_or_else(|| panic!("{name} has a sample"))
}

/// Samples of one moment; those that there are.
fn metrics<const N: usize>(client: &mut Client, names: [&str; N]) -> [Option<u64>; N] {
    let page = client.get("/metrics");
    let text = String::from_utf8(page.body).expect("samples are ASCII");
    names.map(|name| {
        let name = format!("log_aggregator_{name} ");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&name));
        let value = lines.next()?.parse();
        Some(value.expect("it is a whole number"))
    })
}

/// A server with this many events of one topic from `s`, put into its file; it has no summaries, so that each search
/// goes through all of them.
fn crowded(count: u64) -> Server {
    let setup = Setup::new().flags(["--dedup", "constraint", "--search-index", "off"]);
    setup.start().stop();
    let db = Connection::open(setup.database_path()).unwrap();
    let at = 1_767_323_045_000_000_u64;
    db.execute_batch(&format!(
        "BEGIN;
        INSERT INTO topics(id, name, events, last_seq, last_processed_at)
            VALUES (1, 't', {count}, {count}, {at});
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) INSERT INTO events
            SELECT i, 1, 'e' || i, '2026-01-02T03:04:05Z', 's', '{{}}', {at} FROM n;
        UPDATE counters SET last_seq = {count}, unique_processed = {count}, topics_mark = {count},
            checksum = NULL, mark_checksum = NULL;
        COMMIT"
    ))
    .unwrap();
    drop(db);
    setup.start()
}

/// What the answers of a walk came to together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Walked {
    seqs: Vec<u64>,
    scanned: u64,
    pages: usize,
    /// The `through` of the last one.
    through: u64,
}

/// Follows `next` to its end, and checks what each page says of itself.
fn walk(client: &mut Client, first: &str) -> Walked {
    let mut walked = Walked::default();
    let mut target = first.to_owned();
    loop {
        let page = client.get(&target).expect(200);
        let number = |name: &str| {
            page[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} in {page}"))
        };
        let (seqs, through) = (seqs_of(&page), number("through"));
        walked.pages += 1;
        walked.scanned += number("scanned");
        walked.through = through;
        number("elapsed_ms");
        let upwards = target.contains("after=");
        let passed = |seq: &u64| {
            if upwards {
                *seq <= through
            } else {
                *seq >= through
            }
        };
        assert!(seqs.iter().all(passed), "{target}: {page}");
        walked.seqs.extend(seqs);
        let Some(next) = page["next"].as_str() else {
            assert_eq!(page["next"], Value::Null);
            return walked;
        };
        assert!(number("scanned") > 0, "{target} got on by nothing");
        let direction = if upwards { "after" } else { "before" };
        assert!(
            next.ends_with(&format!("{direction}={through}")),
            "{next} after {through}"
        );
        target = next.to_owned();
    }
}

/// 2026-01-02T03:04:05.678901Z, the time at which random events are said to happen.
const NOW: i64 = 1_767_323_045_678_901;

/// What a strategy makes, this many times; the same in each run.
fn sampled<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let trees = (0..count).map(|_| strategy.new_tree(&mut runner).unwrap());
    trees.map(|tree| tree.current()).collect()
}

/// Publishes events, each with an id of its own, and says what is stored of them.
fn stored(client: &mut Client, mut events: Vec<model::Event>) -> Vec<model::Event> {
    for (n, event) in events.iter_mut().enumerate() {
        event.event_id = format!("{}-{n}", event.event_id);
        let head = json!({
            "topic": event.topic, "event_id": event.event_id, "source": event.source, "timestamp": event.timestamp,
        });
        let head = head.to_string();
        let body = format!(
            "{},\"payload\":{}}}",
            head.trim_end_matches('}'),
            event.payload
        );
        client.publish(body).expect(200);
    }
    events
}

/// Random queries, as their members and as they stand in an address. What depends on when it is asked is left out.
fn random_targets(count: usize) -> Vec<(Vec<(String, String)>, String)> {
    let is_relative =
        |value: &str| ["now", "1h", "7d", "0s"].contains(&value) || value == "received";
    let queries = sampled(random::queries(), count).into_iter();
    let absolute = queries.filter(|members| !members.iter().any(|(_, value)| is_relative(value)));
    absolute
        .map(|members| {
            let encoded = |value: &str| {
                value
                    .bytes()
                    .map(|byte| format!("%{byte:02X}"))
                    .collect::<String>()
            };
            let pairs = members
                .iter()
                .map(|(name, value)| format!("{name}={}", encoded(value)));
            let target = pairs.collect::<Vec<_>>().join("&");
            (members, target)
        })
        .collect()
}

/// The `loc` of the one fault of a request.
fn refusal(client: &mut Client, target: &str) -> Value {
    let body = client.get(target).expect(422);
    let faults = body["detail"].as_array().unwrap();
    assert_eq!(faults.len(), 1, "{body}");
    faults[0]["loc"].clone()
}
