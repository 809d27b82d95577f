//! What a front reads is what a node reads: the same requests to both, and the answers compared.

use serde_json::{json, Value};

use crate::engine::shared;
use crate::front::front;
use crate::harness::{event, Server, Stream};

/// Members whose values are of the time or of the way in which an answer was found.
const OWN: [&str; 6] = [
    "processed_at",
    "last_processed_at",
    "updated_at",
    "elapsed_ms",
    "scanned",
    "through",
];

/// The text of an answer without those members.
fn comparable(text: &str) -> String {
    without(text, &OWN)
}

/// The text of an answer without these members.
pub fn without(text: &str, members: &[&str]) -> String {
    let mut text = text.to_owned();
    for member in members {
        let name = format!("\"{member}\":");
        let mut parts = text.split(&name);
        let mut rest = parts.next().unwrap().to_owned();
        for part in parts {
            let end = part.find([',', '}']).unwrap();
            rest += &part[end..];
        }
        text = rest;
    }
    text
}

/// Asks all of them the same, and compares.
fn same(servers: &[&Server; 2], method: &str, target: &str, body: &str) {
    let answers = servers.map(|server| {
        let headers = ["Content-Type: application/json"];
        let headers = if body.is_empty() { &[] } else { &headers[..] };
        let mut client = server.client();
        client.send_request(method, target, headers, body.as_bytes());
        let answer = client.response_to(method);
        (answer.status, comparable(&answer.text()))
    });
    assert_eq!(answers[0], answers[1], "{method} {target}");
}

fn publish(servers: &[&Server; 2]) {
    for batch in 0..4 {
        let numbers = batch * 50..(batch + 1) * 50;
        let events = numbers.map(|number| {
            let mut event = event(["a.x", "a.y", "b", "ü\""][number % 4], &number.to_string());
            event["source"] = json!(format!("source {}", number % 3));
            event["timestamp"] = json!(format!("2026-01-{:02}T00:00:00Z", number % 28 + 1));
            event["payload"] = json!({"n": number, "text": format!("word{} common", number % 5)});
            event
        });
        let body = events.collect::<Value>();
        for server in servers {
            server.publish(&body).expect(200);
        }
    }
}

#[test]
fn pages_are_those_of_a_node() {
    let Some(engine) = shared() else {
        return;
    };
    let front = front(&engine.database("pages"));
    let node = Server::start(&[]);
    let servers = [&front, &node];
    for target in [
        "/events",
        "/topics",
        "/events?after=0",
        "/events?after=1",
        "/subscriptions",
    ] {
        same(&servers, "GET", target, "");
    }
    publish(&servers);
    for target in [
        "/events",
        "/events?limit=7",
        "/events?limit=7&after=0",
        "/events?limit=7&after=195",
        "/events?after=200",
        "/events?after=201",
        "/events?before=0",
        "/events?before=1",
        "/events?before=3&limit=1",
        "/events?before=100&after=3",
        "/events?limit=0",
        "/events?limit=1001",
        "/events?limit=1000&after=18446744073709551615",
        "/events?limit=1000&before=18446744073709551615",
        "/events?topic=a.x",
        "/events?topic=a.*&limit=30",
        "/events?topic=a.*&topic=b&after=10&limit=30",
        "/events?topic=a.*&topic=a.x&limit=5",
        "/events?topic=none",
        "/events?topic=*&limit=3",
        "/events?topic=",
        "/events?topic=%C3%BC%22&limit=2",
        "/events?topic=%C3%BC*&limit=2",
        "/events?nothing=1",
        "/events?source=source%201&limit=9&after=0",
        "/events?source=source*&limit=9",
        "/events?event_id=17",
        "/events?q=word3&limit=11&after=0",
        "/events?q=word3&topic=b&limit=100",
        "/events?q=never",
        "/events?where=n%3E150&after=0",
        "/events?where=n%3D7",
        "/events?where=n%3D",
        "/events?since=2026-01-20&until=2026-01-22&time=event",
        "/events?since=2020-01-01&after=0&limit=5",
        "/events?since=soon",
        "/events/b/2",
        "/events/b/3",
        "/events/%C3%BC%22/3",
        "/topics",
    ] {
        same(&servers, "GET", target, "");
    }
    same(&servers, "HEAD", "/events/b/2", "");
    let members = [
        "received",
        "unique_processed",
        "duplicate_dropped",
        "topics",
        "topic_count",
        "last_seq",
    ];
    let of = |server: &Server| {
        let stats = server.json("/stats");
        members.map(|member| stats[member].clone())
    };
    assert_eq!(of(&front), of(&node));
    let page = front.get("/metrics").text();
    assert!(
        page.contains("\nlog_aggregator_unique_processed_total 200\n"),
        "{page}"
    );
}

#[test]
fn a_walk_through_pages_has_every_event_once() {
    let Some(engine) = shared() else {
        return;
    };
    let front = front(&engine.database("walk"));
    // Three of these fill a page by their length.
    let large = "x".repeat(1_600_000);
    for number in 0..8 {
        let mut event = event("large", &number.to_string());
        event["payload"] = json!({ "text": large });
        front.publish(&event).expect(200);
    }
    for first in [
        "/events?after=0&limit=1000",
        "/events?limit=1000",
        "/events?q=x*&after=0",
    ] {
        let (mut seqs, mut pages, mut next) = (Vec::new(), 0, Some(first.to_owned()));
        while let Some(target) = next {
            let page = front.json(&target);
            let events = page["events"].as_array().unwrap();
            seqs.extend(events.iter().map(|event| event["seq"].as_u64().unwrap()));
            next = page["next"].as_str().map(str::to_owned);
            pages += 1;
        }
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=8).collect::<Vec<u64>>(), "{first}");
        assert!(pages >= 3, "{first}: {pages}");
    }
}

#[test]
fn subscriptions_are_rows_that_each_front_has() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("positions");
    let [front, other] = [front(&url), crate::front::front(&url)];
    let node = Server::start(&[]);
    let servers = [&front, &node];
    publish(&servers);
    for (method, target, body) in [
        ("GET", "/subscriptions/x", ""),
        ("DELETE", "/subscriptions/x", ""),
        ("POST", "/subscriptions/x/ack", r#"{"seq":3}"#),
        ("POST", "/subscriptions/x/ack", r#"{"seq":300}"#),
        ("PUT", "/subscriptions/x", r#"{"after":300}"#),
        ("PUT", "/subscriptions/x", r#"{"after":"1"}"#),
        ("PUT", "/subscriptions/x", r#"{"after":100}"#),
        ("POST", "/subscriptions/x/ack", r#"{"seq":150}"#),
        ("POST", "/subscriptions/x/ack", r#"{"seq":120}"#),
        ("POST", "/subscriptions/x/ack", r#"{"seq":201}"#),
        ("GET", "/subscriptions/x", ""),
        ("PUT", "/subscriptions/%C3%BC", r#"{"after":7}"#),
        ("GET", "/subscriptions", ""),
        ("GET", "/subscribe?subscription=none&follow=false", ""),
        ("GET", "/subscribe?subscription=x&follow=false", ""),
        ("GET", "/subscribe?follow=false", ""),
        ("GET", "/subscribe?follow=false&after=190&topic=a.*", ""),
        ("GET", "/subscribe?follow=false&q=word1", ""),
        ("GET", "/subscribe?follow=false&after=500", ""),
        ("GET", "/subscribe?follow=maybe", ""),
        ("DELETE", "/subscriptions/%C3%BC", ""),
    ] {
        same(&servers, method, target, body);
    }
    assert_eq!(other.json("/subscriptions/x")["after"], 150);
    let rest = Stream::lines(&other, "?subscription=x&follow=false").rest();
    assert_eq!(rest.len(), 50);
    // A row that no server of ours has written.
    engine.sql(
        "positions",
        "INSERT INTO logagg.events SELECT 0, topic_id, event_id, timestamp, source, payload, processed_at \
         FROM logagg.events WHERE seq = 1",
    );
    let all = Stream::lines(&front, "?follow=false").rest();
    assert!(all.len() >= 200, "{} events", all.len());
    assert_eq!(
        front.json("/subscriptions")["subscriptions"][0]["after"],
        150
    );
}
