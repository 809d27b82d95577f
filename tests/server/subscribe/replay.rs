//! Reading on from a point in the past, and to an end.

use serde_json::{json, Value};

use super::publish;
use crate::harness::{Client, Server, Stream};

#[test]
fn a_replay_runs_into_what_is_live_without_a_seam() {
    for flags in [&[][..], &["--dedup", "constraint"]] {
        let server = Server::start(flags);
        for part in 0..20 {
            publish(&server, "t", &format!("a{part}-"), 500);
        }
        let mut streams: Vec<Stream> = [0, 1, 777, 9_999, 10_000]
            .iter()
            .map(|after| Stream::lines(&server, &format!("?after={after}")))
            .collect();
        for part in 0..4 {
            publish(&server, "t", &format!("b{part}-"), 500);
        }
        for (stream, after) in streams.iter_mut().zip([0, 1, 777, 9_999, 10_000]) {
            let expected: Vec<u64> = (after + 1..=12_000).collect();
            assert_eq!(stream.seqs(expected.len()), expected);
        }
    }
}

#[test]
fn many_topics_are_replayed_in_their_common_order() {
    for flags in [&[][..], &["--dedup", "constraint"]] {
        let server = Server::start(flags);
        let events: Vec<Value> = (0..4_000)
            .map(|n| {
                crate::harness::event(
                    &format!("{}.{}", ["a", "b"][n % 2], n % 100),
                    &n.to_string(),
                )
            })
            .collect();
        server.publish(&json!(events)).expect(200);
        let all_of_a: Vec<u64> = (1..=4_000).filter(|seq| seq % 2 == 1).collect();
        let mut wide = Stream::lines(&server, "?after=0&topic=a.*");
        assert_eq!(wide.seqs(all_of_a.len()), all_of_a);
        let mut narrow = Stream::lines(&server, "?after=1000&topic=a.2&topic=b.99");
        let expected: Vec<u64> = (1_001..=4_000)
            .filter(|seq| seq % 100 == 3 || seq % 100 == 0)
            .collect();
        assert_eq!(narrow.seqs(expected.len()), expected);
    }
}

#[test]
fn without_following_it_is_an_export() {
    let server = Server::start(&[]);
    let mut empty = Stream::lines(&server, "?follow=false");
    assert_eq!(empty.rest(), [] as [Value; 0]);
    publish(&server, "t", "e", 5_000);
    for (query, first) in [
        ("?follow=false", 1),
        ("?follow=0&after=4999", 5_000),
        ("?follow=false&after=5000", 5_001),
        ("?follow=false&after=9999999", 5_001),
    ] {
        for mut stream in [
            Stream::lines(&server, query),
            Stream::events(&server, query),
        ] {
            let seqs: Vec<Value> = stream.rest().iter().map(|e| e["seq"].clone()).collect();
            let expected: Vec<Value> = (first..=5_000).map(Value::from).collect();
            assert_eq!(seqs, expected, "{query}");
            // The connection goes on behind it.
            stream.client.get("/health").expect(200);
        }
    }
}

#[test]
fn exports_can_be_pipelined() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 10);
    let mut client = server.client();
    let request = "GET /subscribe?follow=false HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n";
    client.send(request.repeat(20) + "GET /health HTTP/1.1\r\nHost: test\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(client.response().text().lines().count(), 10);
    }
    client.response().expect(200);
}

#[test]
fn http_1_0_and_head() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 3);
    let mut client = server.client();
    client.send("GET /subscribe?follow=false HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.text().matches("\ndata: ").count(), 3);

    let mut client = server.client();
    let answer = client.request("HEAD", "/subscribe", &[], b"");
    assert_eq!(
        (answer.status, answer.header("transfer-encoding")),
        (200, Some("chunked"))
    );
    client.get("/health").expect(200);
    assert_eq!(super::subscribers(&server), 0);
}

#[test]
fn a_browser_that_reconnects_goes_on_where_it_was() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 10);
    for (id, query, first) in [
        ("7", "", 8),
        ("7", "?after=2", 8),
        ("0", "?after=2", 1),
        ("x7", "?after=2", 3),
        ("", "?after=2", 3),
    ] {
        let field = format!("Last-Event-ID: {id}");
        let mut stream = Stream::open(&server, query, &[&field]);
        assert_eq!(stream.seqs(1), [first], "{id:?} {query:?}");
    }
    // Behind a seq that is still to come, nothing comes before it.
    let mut ahead = Stream::lines(&server, "?after=12");
    publish(&server, "t", "f", 3);
    assert_eq!(ahead.seqs(1), [13]);
}

#[test]
fn what_is_malformed_is_told_and_costs_no_stream() {
    let server = Server::start(&[]);
    let refused = |client: &mut Client, query: &str, name: &str| {
        let body = client.get(&format!("/subscribe?{query}")).expect(422);
        assert_eq!(body["detail"][0]["loc"], json!(["query", name]), "{query}");
    };
    let mut client = server.client();
    for (query, name) in [
        ("after=", "after"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=1&after=2", "after"),
        ("after=99999999999999999999", "after"),
        ("follow=yes", "follow"),
        ("follow=true&follow=true", "follow"),
        ("topic=", "topic"),
        ("topic=%00", "topic"),
        ("topic=%zz", "topic"),
        ("subscription=", "subscription"),
        ("subscription=a%0a", "subscription"),
        ("subscription=a&subscription=b", "subscription"),
    ] {
        refused(&mut client, query, name);
    }
    client.get("/subscribe?subscription=unknown").sentence(404);
    client.request("POST", "/subscribe", &[], b"").sentence(405);
    assert_eq!(super::subscribers(&server), 0);
}
