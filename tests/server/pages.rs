//! `GET /events`: pages in both directions, `next` to the end, topics and patterns.

use std::collections::BTreeSet;

use serde_json::{json, Value};

use crate::harness::{event, events_of, seqs_of, Client, Server};

const TOPICS: [&str; 4] = ["order.new", "order.paid", "orders", "user"];

/// 230 events over four topics, in an irregular order.
fn filled() -> Server {
    let server = Server::start(&[]);
    let events: Vec<_> = (0..230)
        .map(|n| event(TOPICS[n * n % 13 % 4], &format!("e{n}")))
        .collect();
    assert_eq!(server.publish(&json!(events)).expect(200)["accepted"], 230);
    server
}

/// Follows `next` to its end; returns all seqs.
fn follow(client: &mut Client, first: &str, limit: usize) -> Vec<u64> {
    let mut all = Vec::new();
    let mut target = first.to_owned();
    loop {
        let page = client.get(&target).expect(200);
        let seqs = seqs_of(&page);
        all.extend(&seqs);
        match &page["next"] {
            Value::Null => {
                assert!(seqs.len() <= limit);
                return all;
            }
            next => {
                assert_eq!(seqs.len(), limit, "{target}");
                target = next.as_str().expect("next is an address").to_owned();
            }
        }
    }
}

#[test]
fn next_gives_every_event_once_in_both_directions() {
    let server = filled();
    let mut client = server.client();
    let ascending: Vec<u64> = (1..=230).collect();
    let descending: Vec<u64> = (1..=230).rev().collect();
    for limit in [1, 2, 3, 7, 10, 22, 23, 115, 229, 230, 231, 1000] {
        let all = follow(&mut client, &format!("/events?limit={limit}"), limit);
        assert_eq!(all, descending, "{limit}");
        let all = follow(
            &mut client,
            &format!("/events?limit={limit}&after=0"),
            limit,
        );
        assert_eq!(all, ascending, "{limit}");
        let all = follow(
            &mut client,
            &format!("/events?before=101&limit={limit}"),
            limit,
        );
        assert_eq!(all, descending[130..], "{limit}");
        let all = follow(
            &mut client,
            &format!("/events?after=100&limit={limit}"),
            limit,
        );
        assert_eq!(all, ascending[100..], "{limit}");
    }
    // 100 where nothing is said.
    assert_eq!(follow(&mut client, "/events", 100), descending);
    assert_eq!(follow(&mut client, "/events?after=0", 100), ascending);
}

#[test]
fn topics_and_patterns_select_the_same_events_as_a_filter() {
    let server = filled();
    let mut client = server.client();
    let all = client.get("/events?after=0&limit=1000").expect(200);
    let expected = |topics: &[&str]| -> Vec<u64> {
        let chosen = |event: &&Value| topics.iter().any(|topic| event["topic"] == *topic);
        events_of(&all)
            .iter()
            .filter(chosen)
            .map(|event| event["seq"].as_u64().unwrap())
            .collect()
    };
    for (query, topics) in [
        ("topic=user", &["user"][..]),
        ("topic=order.*", &["order.new", "order.paid"]),
        ("topic=order*", &["order.new", "order.paid", "orders"]),
        ("topic=orders*", &["orders"]),
        ("topic=*", &TOPICS),
        ("topic=%2A", &TOPICS),
        ("topic=user&topic=orders", &["user", "orders"]),
        ("topic=user&topic=user", &["user"]),
        (
            "topic=order.*&topic=order.new&topic=none",
            &["order.new", "order.paid"],
        ),
        ("topic=none", &[]),
        ("topic=none*", &[]),
        ("topic=ser*", &[]),
        ("topic=USER", &[]),
        ("topic=order", &[]),
    ] {
        let ascending = expected(topics);
        let descending: Vec<_> = ascending.iter().rev().copied().collect();
        for limit in [1, 5, 64, 1000] {
            let target = format!("/events?{query}&limit={limit}");
            assert_eq!(follow(&mut client, &target, limit), descending, "{target}");
            let target = format!("/events?after=0&{query}&limit={limit}");
            assert_eq!(follow(&mut client, &target, limit), ascending, "{target}");
        }
        let target = format!("/events?{query}&before=120&limit=1000");
        let older: Vec<_> = descending
            .iter()
            .filter(|seq| **seq < 120)
            .copied()
            .collect();
        assert_eq!(follow(&mut client, &target, 1000), older, "{target}");
    }
    let union: BTreeSet<_> = TOPICS.iter().flat_map(|topic| expected(&[topic])).collect();
    assert_eq!(union.len(), 230);
}

#[test]
fn a_page_says_what_was_asked_for() {
    let server = filled();
    for (query, topic) in [
        ("", json!(null)),
        ("?topic=user", json!("user")),
        ("?topic=order.*", json!("order.*")),
        ("?topic=*", json!("*")),
        ("?topic=none", json!("none")),
        ("?topic=user&topic=orders", json!(null)),
        ("?topic=a%20%2F%C3%A4", json!("a /ä")),
    ] {
        let page = server.json(&format!("/events{query}"));
        assert_eq!(page["topic"], topic, "{query}");
        let members: BTreeSet<_> = page
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            members,
            BTreeSet::from(["topic", "count", "events", "next"])
        );
    }
    // The example's form of an address.
    let page = server.json("/events?topic=user&limit=2");
    let last = seqs_of(&page)[1];
    let next = page["next"].as_str().unwrap();
    assert!(
        next.starts_with("/events?topic=user&") && next.contains(&format!("before={last}")),
        "{next}"
    );
}

#[test]
fn the_edges_of_the_seqs_are_empty_pages() {
    let server = filled();
    let mut client = server.client();
    for query in [
        "before=0",
        "before=1",
        "after=230",
        "before=0&topic=user",
        "after=230&topic=user",
    ] {
        let page = client.get(&format!("/events?{query}")).expect(200);
        assert_eq!(page["events"], json!([]), "{query}");
        assert_eq!(
            (&page["count"], &page["next"]),
            (&json!(0), &json!(null)),
            "{query}"
        );
    }
    for query in [
        "before=2",
        "before=18446744073709551615&limit=1",
        "after=229",
    ] {
        assert_eq!(
            seqs_of(&client.get(&format!("/events?{query}")).expect(200)).len(),
            1,
            "{query}"
        );
    }
}

#[test]
fn next_follows_what_was_published_in_between() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut add = |id: &str| {
        client.publish(event("t", id).to_string()).expect(200);
    };
    ["a", "b", "c"].into_iter().for_each(&mut add);
    let forward = server.json("/events?after=0&limit=2");
    let backward = server.json("/events?limit=2");
    ["d", "e"].into_iter().for_each(&mut add);
    let next = |page: &Value| server.json(page["next"].as_str().unwrap());
    assert_eq!(seqs_of(&next(&forward)), [3, 4]);
    assert_eq!(seqs_of(&next(&backward)), [1]);
}

#[test]
fn large_events_come_all_however_many_pages_it_takes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for n in 0..12 {
        let mut large = event(["a", "b"][n % 2], &n.to_string());
        large["payload"] = json!({"text": "x".repeat(1 << 20)});
        client.publish(large.to_string()).expect(200);
    }
    for (query, expected) in [
        ("after=0", (1..=12).collect::<Vec<u64>>()),
        ("topic=a", vec![11, 9, 7, 5, 3, 1]),
    ] {
        let mut seqs = Vec::new();
        let mut target = Some(format!("/events?{query}"));
        while let Some(address) = target {
            let page = client.get(&address).expect(200);
            assert_ne!(page["count"], 0);
            seqs.extend(seqs_of(&page));
            target = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(seqs, expected);
    }
}
