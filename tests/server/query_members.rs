//! Members of a query that a route does not know: a misspelt filter must not give unfiltered events.

use serde_json::{json, Value};

use crate::harness::{event, seqs_of, Server};

const EVENTS: &str =
    "known are topic, source, event_id, since, until, time, q, where, limit, after, before";
const SUBSCRIBE: &str =
    "known are topic, source, event_id, since, until, time, q, where, after, follow, subscription, progress";

fn entry(name: &str, msg: &str) -> Value {
    let msg = format!("unknown query member; {msg}");
    json!({"loc": ["query", name], "msg": msg, "type": "unknown_member"})
}

#[test]
fn a_member_that_is_not_known_is_422_with_a_guess() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e")).expect(200);
    let mut client = server.client();
    for (target, name, msg) in [
        ("/events?limt=5", "limt", "did you mean limit?"),
        ("/events?sorce=web-1", "sorce", "did you mean source?"),
        ("/events?source=a&wher=b", "wher", "did you mean where?"),
        ("/events?follow=false", "follow", EVENTS),
        ("/events?topic=t&Topic=t", "Topic", "did you mean topic?"),
        ("/events?%6cimt=5", "limt", "did you mean limit?"),
        ("/events?limit%=5", "limit%", "did you mean limit?"),
        ("/events?a+b=5", "a b", EVENTS),
        ("/events?=5", "", "did you mean q?"),
        ("/subscribe?limit=5", "limit", SUBSCRIBE),
        ("/subscribe?fallow=false", "fallow", "did you mean follow?"),
        (
            "/subscribe?sorce=x&follow=0",
            "sorce",
            "did you mean source?",
        ),
    ] {
        let answer = client.get(target).expect(422);
        assert_eq!(answer["detail"], json!([entry(name, msg)]), "{target}");
        let head = client.request("HEAD", target, &[], b"");
        assert_eq!(head.status, 422, "{target}");
    }
    // All of them are named.
    let answer = client.get("/events?limt=5&aaaa=1&bbbb=2").expect(422);
    assert_eq!(answer["detail"].as_array().unwrap().len(), 3);
    assert_eq!(answer["detail"][2], entry("bbbb", EVENTS));
}

#[test]
fn what_means_nothing_and_what_breaks_caches_is_passed_over() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e")).expect(200);
    let mut client = server.client();
    for target in [
        "/events?",
        "/events?&&",
        "/events?_=1",
        "/events?_limit=x&topic=t&",
        "/events?%5Fx&to%70ic=t",
        "/subscribe?&follow=0&_=7",
    ] {
        let answer = client.get(target);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
    assert_eq!(seqs_of(&client.get("/events?_=1").expect(200)), [1]);
    // Other routes go on to ignore what they do not know.
    for target in [
        "/topics?x=1",
        "/stats?limt=1",
        "/health?q",
        "/events/t/e?x=1",
    ] {
        client.get(target).expect(200);
    }
}

#[test]
fn a_page_whose_next_would_not_fit_into_an_address_is_422() {
    let server = Server::start(&[]);
    let topic = ":".repeat(200);
    server
        .publish(&json!([event(&topic, "1"), event(&topic, "2")]))
        .expect(200);
    let mut client = server.client();
    let mut page = |count: usize| {
        let topics = format!("topic={topic}&").repeat(count);
        client.get(&format!("/events?{topics}limit=1"))
    };
    // A colon is one byte in this request, and three in an address that is safe everywhere.
    let next = page(13).expect(200)["next"].clone();
    let next = next.as_str().expect("there is a second event");
    assert!((7_500..=8_000).contains(&next.len()), "{}", next.len());
    let refused = page(14).expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["query"]));
    assert_eq!(refused["detail"].as_array().map(Vec::len), Some(1));
    let second = client.get(next).expect(200);
    assert_eq!(seqs_of(&second), [1]);
    assert_eq!(second["next"], Value::Null);
}
