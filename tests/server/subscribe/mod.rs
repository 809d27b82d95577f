//! `GET /subscribe` and named subscriptions: everything, once, in order, from any point, at any speed.

mod browser;
mod damaged;
mod ending;
mod live;
mod positions;
mod replay;
mod slow;

use serde_json::{json, Value};

use crate::harness::{event, Server};

/// Publishes `count` events of a topic in one request; their ids begin with `prefix`.
fn publish(server: &Server, topic: &str, prefix: &str, count: usize) {
    let events: Vec<Value> = (0..count)
        .map(|n| event(topic, &format!("{prefix}{n}")))
        .collect();
    let answer = server.publish(&json!(events)).expect(200);
    assert_eq!(answer["accepted"], count, "{answer}");
}

/// Publishes `count` events of some `bytes` each.
fn publish_large(server: &Server, prefix: &str, count: usize, bytes: usize) {
    let filling = "x".repeat(bytes);
    let mut client = server.client();
    for n in 0..count {
        let mut event = event("large", &format!("{prefix}{n}"));
        event["payload"] = json!({ "filling": filling });
        let answer = client.publish(event.to_string()).expect(200);
        assert_eq!(answer["accepted"], 1, "{answer}");
    }
}

fn subscribers(server: &Server) -> u64 {
    let stats = server.json("/stats");
    stats["subscribers"].as_u64().expect("a number")
}
