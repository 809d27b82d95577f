//! `/stats`, `/health` and `/`, and what of them outlives the process.

use serde_json::{json, Value};

use crate::harness::{event, Server};

const NUMBERS: [&str; 19] = [
    "received",
    "unique_processed",
    "duplicate_dropped",
    "uptime_seconds",
    "topic_count",
    "conflicts",
    "rejected",
    "queue_size",
    "queue_capacity",
    "batches",
    "connections",
    "subscribers",
    "database_bytes",
    "wal_bytes",
    "last_seq",
    "first_seq",
    "events_removed",
    "search_index_through",
    "search_index_bytes",
];

/// The statistics, after a check of what holds in every answer.
fn stats(server: &Server) -> Value {
    let stats = server.json("/stats");
    for name in NUMBERS {
        assert!(stats[name].is_u64(), "{name}: {stats}");
    }
    let number = |name: &str| stats[name].as_u64().unwrap();
    assert_eq!(number("queue_size"), 0);
    assert_eq!(
        number("received"),
        number("unique_processed") + number("duplicate_dropped")
    );
    assert!(number("conflicts") <= number("duplicate_dropped"));
    assert!(number("connections") >= 1);
    assert!(number("database_bytes") > 0);
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    let topics = stats["topics"]
        .as_array()
        .expect("topics is a list of names");
    assert_eq!(topics.len() as u64, number("topic_count").min(1_000));
    assert!(topics
        .windows(2)
        .all(|pair| pair[0].as_str() < pair[1].as_str()));
    let seconds = number("uptime_seconds");
    let human = format!(
        "{}h {}m {}s",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    assert_eq!(stats["uptime_human"], human);
    stats
}

#[test]
fn a_new_server_has_counted_nothing() {
    let server = Server::start(&[]);
    let stats = stats(&server);
    for name in [
        "received",
        "conflicts",
        "rejected",
        "batches",
        "subscribers",
        "last_seq",
        "topic_count",
    ] {
        assert_eq!(stats[name], 0, "{name}");
    }
    assert_eq!(stats["queue_capacity"], 10_000);
}

#[test]
fn lifetime_counts_outlive_the_process_and_the_others_do_not() {
    let mut server = Server::start(&[]);
    let mut other = event("a", "1");
    other["source"] = json!("other");
    server
        .publish(&json!([
            event("b", "1"),
            event("a", "1"),
            event("a", "1"),
            other
        ]))
        .expect(200);
    server.publish(&json!([])).expect(422);
    server.client().publish("x").expect(422);
    let before = stats(&server);
    let lifetime = |stats: &Value| {
        [
            "received",
            "unique_processed",
            "duplicate_dropped",
            "conflicts",
            "last_seq",
            "topics",
            "topic_count",
        ]
        .map(|name| stats[name].clone())
    };
    let expected = [
        json!(4),
        json!(2),
        json!(2),
        json!(1),
        json!(2),
        json!(["a", "b"]),
        json!(2),
    ];
    assert_eq!(lifetime(&before), expected);
    assert_eq!(before["batches"], 1);
    assert_eq!(before["rejected"], 1);
    let topics = server.json("/topics");
    for _ in 0..2 {
        server = server.restart();
        let after = stats(&server);
        assert_eq!(lifetime(&after), expected);
        assert_eq!(
            (&after["batches"], &after["rejected"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(server.json("/topics"), topics);
    }
    // What was stored before is a duplicate now, and seqs go on.
    let answer = server.client().publish_to(
        "/publish?results=1",
        json!([event("a", "1"), event("c", "1")]).to_string(),
    );
    let results = answer.expect(200)["results"].clone();
    assert_eq!(results[0], json!({"status": "duplicate", "seq": 2}));
    assert!(results[1]["seq"].as_u64() > Some(2));
    assert_eq!(stats(&server)["received"], 6);
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/health").status, 200);
    }
    assert_eq!(clients[0].get("/stats").expect(200)["connections"], 5);
    let mut last = clients.swap_remove(0);
    for client in clients {
        client.shutdown_write();
        let mut client = client;
        assert!(client.is_closed());
    }
    assert_eq!(last.get("/stats").expect(200)["connections"], 1);
}

#[test]
fn the_names_of_a_thousand_topics_are_listed() {
    let server = Server::start(&[]);
    let events: Vec<_> = (0..1_005)
        .rev()
        .map(|n| event(&format!("topic-{n:04}"), "e"))
        .collect();
    server.publish(&json!(events)).expect(200);
    let stats = stats(&server);
    assert_eq!(stats["topic_count"], 1_005);
    let names: Vec<_> = (0..1_000).map(|n| format!("topic-{n:04}")).collect();
    assert_eq!(stats["topics"], json!(names));
    assert_eq!(server.json("/topics")["count"], 1_005);
    assert_eq!(
        server.json("/topics")["topics"][1_004]["topic"],
        "topic-1004"
    );
}

#[test]
fn health_is_as_the_original_gave_it() {
    let server = Server::start(&[]);
    let mut health = server.json("/health");
    let timestamp = health.as_object_mut().unwrap().remove("timestamp").unwrap();
    let timestamp = timestamp.as_str().unwrap();
    assert!(timestamp.starts_with("20") && timestamp.ends_with('Z') && timestamp.contains('T'));
    let expected = json!({"status": "healthy", "consumer_running": true, "queue_size": 0});
    assert_eq!(health, expected);
}

#[test]
fn the_root_names_the_service_and_its_endpoints() {
    let server = Server::start(&[]);
    let root = server.json("/");
    for member in ["service", "version", "status", "endpoints"] {
        assert!(!root[member].is_null(), "{member}");
    }
    assert_eq!(root["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(root["status"], "running");
    let endpoints = root["endpoints"].to_string();
    for path in ["/publish", "/events", "/stats", "/health", "/topics"] {
        assert!(endpoints.contains(path), "{path}");
    }
}

#[test]
fn the_last_hour_is_kept_in_intervals() {
    let server = Server::start(&[]);
    assert!(stats(&server)["last_hour"].is_null());
    server
        .publish(&json!([event("t", "1"), event("t", "2")]))
        .expect(200);
    server.publish(&event("t", "1")).expect(200);
    let hour = || server.json("/stats?last_hour=true")["last_hour"].take();
    let sum = |hour: &Value, name: &str| -> u64 {
        hour[name]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .sum()
    };
    let first = hour();
    assert_eq!(first["interval_seconds"], 10);
    // A page that was just opened shows them at once.
    let commits = &first["all_commits"];
    let times = ["p50_us", "p99_us", "slowest_us"].map(|name| commits[name].as_u64().unwrap());
    assert!(commits["count"].as_u64() >= Some(1) && times[0] > 0 && times.is_sorted());
    crate::wait::wait_until("the interval has ended", || sum(&hour(), "accepted") == 2);
    let hour = hour();
    assert_eq!((sum(&hour, "duplicates"), sum(&hour, "conflicts")), (1, 0));
    assert!(sum(&hour, "commits") >= 1);
    assert!(sum(&hour, "commit_us") >= sum(&hour, "commit_slowest_us"));
    assert!(sum(&hour, "commit_slowest_us") >= sum(&hour, "commit_p99_us"));
    assert!(sum(&hour, "commit_p99_us") >= sum(&hour, "commit_p50_us"));
    assert_eq!(
        hour["all_commits"]["slowest_us"].as_u64(),
        times.last().copied()
    );
    let lengths =
        ["accepted", "rejected", "commit_p99_us"].map(|name| hour[name].as_array().unwrap().len());
    assert!(
        lengths.iter().all(|length| (1..=360).contains(length)),
        "{lengths:?}"
    );
    let refused = server.get("/stats?last_hour=yes");
    assert_eq!(
        refused.expect(422)["detail"][0]["loc"],
        json!(["query", "last_hour"])
    );
}
