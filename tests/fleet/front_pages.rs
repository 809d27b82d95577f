//! What a front says of the store and of itself: `/stats`, `/topics`, `/metrics`.

use std::collections::BTreeSet;

use serde_json::{json, Value};

use crate::engine::shared;
use crate::forwarder::forward_once;
use crate::front::{front, results};
use crate::harness::{event, Server};
use crate::proxy::Proxy;
use crate::wait::wait_until;

/// Members of `/stats`.
fn stats(server: &Server, members: &[&str]) -> Vec<Value> {
    let stats = server.json("/stats");
    members
        .iter()
        .map(|member| stats[*member].clone())
        .collect()
}

const COUNTS: &[&str] = &[
    "received",
    "unique_processed",
    "duplicate_dropped",
    "conflicts",
    "topic_count",
    "topics",
];

#[test]
fn statistics_are_those_of_the_whole_store_and_of_a_node_alike() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("front_statistics");
    let [first, second] = [front(&url), front(&url)];
    let node = Server::start(&[]);
    let empty = stats(&first, COUNTS);
    assert_eq!(empty, stats(&node, COUNTS));
    let mut other = event("b", "1");
    other["source"] = json!("another");
    let rounds = [
        json!([event("b", "1"), event("a", "1"), event("a", "1")]),
        json!([event("b", "1"), other]),
        json!([event("c d\"", "1"), event("a", "2")]),
    ];
    for (round, events) in rounds.iter().enumerate() {
        node.publish(events).expect(200);
        [&first, &second][round % 2].publish(events).expect(200);
        let expected = stats(&node, COUNTS);
        for front in [&first, &second] {
            wait_until("what the store counts", || stats(front, COUNTS) == expected);
        }
    }
    first.publish(&json!([{}])).expect(422);
    assert_eq!(
        stats(&first, &["rejected", "batches"]),
        [json!(1), json!(2)]
    );
    assert_eq!(
        stats(&second, &["rejected", "batches"]),
        [json!(0), json!(1)]
    );
    let id = engine.sql("front_statistics", "SELECT store_id FROM logagg.meta");
    let known = stats(
        &first,
        &["database_id", "wal_bytes", "first_seq", "last_seq"],
    );
    let last: u64 = results(&first, &json!([event("a", "2")]))[0]
        .strip_prefix("duplicate ")
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(known, [json!(id), json!(0), json!(1), json!(last)]);
    assert!(first.json("/stats")["database_bytes"].as_u64() > Some(100_000));
    // A store that is emptied under living connections begins again.
    engine.sql(
        "front_statistics",
        "TRUNCATE logagg.topics, logagg.keys, logagg.events, logagg.batches",
    );
    wait_until("the loss to be seen", || stats(&first, COUNTS) == empty);
}

#[test]
fn topics_are_counted_as_a_node_does() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("front_topics");
    let [first, second] = [front(&url), front(&url)];
    let node = Server::start(&[]);
    assert_eq!(first.json("/topics"), json!({"count": 0, "topics": []}));
    let counted = |server: &Server| -> Vec<(Value, Value)> {
        let page = server.json("/topics");
        let topics = page["topics"].as_array().unwrap();
        assert_eq!(page["count"], topics.len());
        let shown = |topic: &Value| (topic["topic"].clone(), topic["events"].clone());
        topics.iter().map(shown).collect()
    };
    for round in 0..4 {
        let events: Value = (0..20 + round)
            .map(|number| event(["z", "a", "é"][number % 3], &format!("{round} {number}")))
            .collect();
        node.publish(&events).expect(200);
        [&first, &second][round % 2].publish(&events).expect(200);
        let expected = counted(&node);
        assert_eq!(counted(&first), expected);
        assert_eq!(counted(&second), expected);
    }
    let of_last =
        "SELECT json_build_object('topic', 'z', 'events', count(*), 'last_seq', max(seq), \
                   'last_processed_at', to_char(max(processed_at) AT TIME ZONE 'UTC', \
                   'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')) FROM logagg.event_log WHERE topic = 'z'";
    let expected: Value = serde_json::from_str(&engine.sql("front_topics", of_last)).unwrap();
    assert_eq!(first.json("/topics")["topics"][1], expected);
    // What retention has removed is counted no more.
    engine.sql("front_topics", "DELETE FROM logagg.events WHERE seq <= 20");
    let left = "SELECT count(*) FROM logagg.events WHERE topic_id = (SELECT id FROM logagg.topics WHERE name = 'z')";
    let left: u64 = engine.sql("front_topics", left).parse().unwrap();
    let left = (json!("z"), json!(left));
    wait_until("the count of what is left", || counted(&first)[1] == left);
}

fn names(page: &str) -> BTreeSet<&str> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect()
}

#[test]
fn metrics_are_there_also_while_the_engine_is_not() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("front_metrics");
    let proxy = Proxy::start(engine.address());
    let front = front(&crate::engine::url_at(&[proxy.address()], "front_metrics"));
    front.publish(&event("t", "1")).expect(200);
    let node = Server::start(&[]);
    node.publish(&event("t", "2")).expect(200);
    forward_once(&node, &engine.url("front_metrics"));
    wait_until("the event of the node", || {
        front.json("/stats")["unique_processed"] == 2
    });
    let page = front.get("/metrics").text();
    let of_node = node.get("/metrics").text();
    let missing: Vec<&str> = names(&of_node).difference(&names(&page)).copied().collect();
    assert_eq!(missing, ["log_aggregator_disk_available_bytes"]);
    for line in [
        "log_aggregator_healthy 1",
        "log_aggregator_unique_processed_total 2",
        "log_aggregator_topics 1",
        "log_aggregator_store_commit_duration_seconds_count 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    let lag = format!(
        "log_aggregator_node_lag_seconds{{node=\"{}\"}} ",
        crate::forwarder::url_of(node.address())
    );
    assert!(page.contains(&lag), "{lag} in {page}");
    let openmetrics = ["Accept: application/openmetrics-text"];
    let answer = front.client().request("GET", "/metrics", &openmetrics, b"");
    assert!(answer.text().ends_with("# EOF\n"));
    proxy.refuse();
    wait_until("the loss to be seen", || front.get("/health").status == 503);
    let page = front.get("/metrics").text();
    assert!(page.contains("log_aggregator_healthy 0\n"), "{page}");
    assert!(
        page.contains("log_aggregator_unique_processed_total 2\n"),
        "{page}"
    );
    wait_until("no more answers", || front.get("/stats").status == 503);
    proxy.pass();
    wait_until("the engine to be back", || {
        front.get("/stats").status == 200
    });
}
