//! The scenarios that the original service's users know, with exact totals.

use std::thread;

use serde_json::{json, Value};

use crate::harness::{event, seqs_of, Client, Server};

fn totals(server: &Server) -> [u64; 3] {
    let stats = server.json("/stats");
    ["received", "unique_processed", "duplicate_dropped"]
        .map(|name| stats[name].as_u64().expect("a statistic is a number"))
}

fn batch(topic: &str, ids: impl IntoIterator<Item = usize>) -> Value {
    let events = ids.into_iter().map(|n| event(topic, &format!("evt-{n}")));
    json!({"events": events.collect::<Vec<_>>()})
}

/// The answer to a publication, member for member.
fn answer(received: u64, accepted: u64) -> Value {
    let duplicates = received - accepted;
    let message = format!(
        "Received {received} events, accepted {accepted}, rejected {duplicates} duplicates"
    );
    json!({"received": received, "accepted": accepted, "duplicates": duplicates, "message": message})
}

#[test]
fn one_event_three_times_is_stored_once() {
    let server = Server::start(&[]);
    let one = event("user.login", "evt-1");
    assert_eq!(server.publish(&one).expect(200), answer(1, 1));
    assert_eq!(server.publish(&one).expect(200), answer(1, 0));
    assert_eq!(server.publish(&one).expect(200), answer(1, 0));
    assert_eq!(totals(&server), [3, 1, 2]);
    assert_eq!(seqs_of(&server.json("/events")), [1]);
}

#[test]
fn three_equal_events_in_a_batch_are_stored_once() {
    let server = Server::start(&[]);
    let three = batch("t", [1, 1, 1]);
    assert_eq!(server.publish(&three).expect(200), answer(3, 1));
    assert_eq!(totals(&server), [3, 1, 2]);
}

#[test]
fn a_batch_of_five_new_and_two_old_stores_the_five() {
    let server = Server::start(&[]);
    server.publish(&batch("t", [1, 2])).expect(200);
    let mixed = batch("t", [3, 1, 4, 5, 2, 6, 7]);
    assert_eq!(server.publish(&mixed).expect(200), answer(7, 5));
    assert_eq!(totals(&server), [9, 7, 2]);
}

#[test]
fn five_topics_of_three_events_each() {
    let server = Server::start(&[]);
    let topics = ["alpha", "beta", "gamma", "delta", "epsilon"];
    for topic in topics {
        let batch = batch(topic, 0..3);
        assert_eq!(server.publish(&batch).expect(200), answer(3, 3));
    }
    assert_eq!(totals(&server), [15, 15, 0]);
    let stats = server.json("/stats");
    let names = json!(["alpha", "beta", "delta", "epsilon", "gamma"]);
    assert_eq!(
        (&stats["topics"], &stats["topic_count"]),
        (&names, &json!(5))
    );
    for topic in topics {
        let page = server.json(&format!("/events?topic={topic}"));
        assert_eq!((&page["topic"], &page["count"]), (&json!(topic), &json!(3)));
    }
}

#[test]
fn twenty_rapid_events_and_four_sent_again() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for n in 0..20 {
        let one = event("rapid", &format!("evt-{n}"));
        assert_eq!(client.publish(one.to_string()).expect(200), answer(1, 1));
    }
    for n in [0, 5, 10, 19] {
        let one = event("rapid", &format!("evt-{n}"));
        assert_eq!(client.publish(one.to_string()).expect(200), answer(1, 0));
    }
    assert_eq!(totals(&server), [24, 20, 4]);
}

/// 16 connections publish the same 600 keys, each in an order of its own and in batches of its own
/// size.
#[test]
fn concurrent_publishers_of_the_same_keys_store_each_once() {
    const KEYS: usize = 600;
    const PUBLISHERS: usize = 16;
    let server = Server::start(&["--log-duplicates", "off"]);
    let accepted: u64 = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let mut client = Client::connect(server.address());
                scope.spawn(move || {
                    // 600 and these factors have no common divisor, so each order visits every key.
                    let factor = [1, 7, 11, 13][publisher % 4];
                    let order: Vec<_> = (0..KEYS)
                        .map(|n| (n * factor + publisher * 37) % KEYS)
                        .collect();
                    let mut accepted = 0;
                    for ids in order.chunks(1 + publisher * 3) {
                        let body = batch("shared", ids.iter().copied()).to_string();
                        let answer = client.publish(body).expect(200);
                        assert_eq!(answer["received"], ids.len());
                        accepted += answer["accepted"].as_u64().unwrap();
                    }
                    accepted
                })
            })
            .collect();
        publishers.into_iter().map(|p| p.join().unwrap()).sum()
    });
    assert_eq!(accepted, KEYS as u64);
    let received = (KEYS * PUBLISHERS) as u64;
    assert_eq!(
        totals(&server),
        [received, KEYS as u64, received - KEYS as u64]
    );
    let page = server.json("/events?topic=shared&after=0&limit=1000");
    assert_eq!(seqs_of(&page), (1..=KEYS as u64).collect::<Vec<_>>());
}
