//! Everything that a server answers out of its database, asked for at once. After a fault has passed, each
//! way of reading must work again, and all of them must agree.

use serde_json::{json, Value};

use crate::harness::{events_of, seqs_of, Server, Stream};

/// Asserts that pages, look-ups, topics, statistics, streams, exports and subscriptions work and agree with
/// each other. Leaves the events as they were.
pub fn assert_serves_everything(server: &Server) {
    let stats = server.json("/stats");
    let stored = stats["unique_processed"].as_u64().unwrap() as usize;
    assert_eq!(server.json("/health")["status"], "healthy");

    let events = all_pages(server, "/events?limit=1000&after=0");
    let seqs: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs.len(), stored, "{stats}");
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    assert_eq!(stats["last_seq"], *seqs.last().unwrap_or(&0));
    let newest = seqs_of(&server.json("/events?limit=10"));
    assert!(newest.iter().eq(seqs.iter().rev().take(newest.len())));
    assert_eq!(newest.is_empty(), seqs.is_empty());

    let topics = server.json("/topics");
    let counted = |topic: &Value| topic["events"].as_u64().unwrap() as usize;
    let listed = topics["topics"].as_array().unwrap();
    assert_eq!(
        listed.iter().map(counted).sum::<usize>(),
        stored,
        "{topics}"
    );
    for topic in listed {
        let name = topic["name"].as_str().or(topic["topic"].as_str()).unwrap();
        let of_topic = all_pages(server, &format!("/events?limit=1000&after=0&topic={name}"));
        assert_eq!(of_topic.len(), counted(topic), "{name}");
        let exported = Stream::lines(server, &format!("?follow=false&topic={name}")).rest();
        assert_eq!(exported, of_topic, "{name}");
    }
    let found = events.first().into_iter().chain(events.last());
    for event in found {
        let [topic, id] = ["topic", "event_id"].map(|name| event[name].as_str().unwrap());
        assert_eq!(server.json(&format!("/events/{topic}/{id}")), *event);
    }
    assert_eq!(server.get("/events/t/never-published").status, 404);

    assert_eq!(Stream::lines(server, "?follow=false").rest(), events);
    assert_eq!(Stream::events(server, "?after=0").seqs(stored), seqs);
    assert_serves_subscriptions(server, stats["last_seq"].as_u64().unwrap());
    assert_eq!(server.get("/metrics").status, 200);
}

fn assert_serves_subscriptions(server: &Server, last_seq: u64) {
    let mut client = server.client();
    let headers = ["Content-Type: application/json"];
    let target = "/subscriptions/of-the-test";
    let body = json!({ "after": last_seq }).to_string();
    let put = client.request("PUT", target, &headers, body.as_bytes());
    assert_eq!(put.expect(200)["lag"], 0);
    assert_eq!(client.get(target).expect(200)["after"], last_seq);
    let list = client.get("/subscriptions").expect(200);
    let is_listed = |list: &Value| list["subscriptions"].to_string().contains("of-the-test");
    assert!(is_listed(&list), "{list}");
    assert_eq!(client.request("DELETE", target, &[], b"").status, 204);
    assert!(!is_listed(&client.get("/subscriptions").expect(200)));
}

/// The events of a page and of all that follow it.
fn all_pages(server: &Server, target: &str) -> Vec<Value> {
    let (mut events, mut next) = (Vec::new(), Some(target.to_owned()));
    while let Some(target) = next {
        let page = server.json(&target);
        events.extend_from_slice(events_of(&page));
        next = page["next"].as_str().map(str::to_owned);
    }
    events
}
