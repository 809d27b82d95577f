//! Reading on from a point in the past, and to an end.

use rusqlite::Connection;
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
fn hundreds_of_patterns_select_what_each_of_them_selects() {
    let server = Server::start(&[]);
    let name = |n: usize| format!("t{}\"{}", n * 37 % 500, n % 7);
    let events = |from: usize| -> Vec<Value> {
        let ids = from..from + 2_000;
        ids.map(|n| crate::harness::event(&name(n), &n.to_string()))
            .collect()
    };
    server.publish(&json!(events(0))).expect(200);
    let patterns: Vec<String> = (0..600)
        .map(|n| match n % 3 {
            0 => format!("t{}*", 20 + n % 10),
            1 => format!("t{n}%221"),
            _ => format!("none{n}*"),
        })
        .collect();
    let is_wanted = |seq: &u64| {
        let topic = name(*seq as usize - 1);
        patterns
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => topic.starts_with(prefix),
                None => topic == pattern.replace("%22", "\""),
            })
    };
    let expected: Vec<u64> = (1..=4_000).filter(is_wanted).collect();
    assert!(expected.len() > 500 && expected.len() < 3_000);
    let mut stream = Stream::lines(
        &server,
        &format!("?after=0&topic={}", patterns.join("&topic=")),
    );
    // The first half comes from the store, and the second from memory.
    let stored = expected.partition_point(|seq| *seq <= 2_000);
    assert_eq!(stream.seqs(stored), expected[..stored]);
    server.publish(&json!(events(2_000))).expect(200);
    assert_eq!(stream.seqs(expected.len() - stored), expected[stored..]);
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
            // The connection goes on after it.
            stream.client.get("/health").expect(200);
        }
    }
}

/// Events whose text is hard to get right, as they are sent: topic, event id, and payload as JSON text.
fn tricky_events() -> Vec<(String, String, String)> {
    let mut names: Vec<String> = [
        "q\"uote",
        "back\\slash",
        "\\",
        "\"",
        "\u{80}",
        "\u{2028}",
        "日本",
        "😀",
    ]
    .map(String::from)
    .to_vec();
    names.extend((1..=20).map(|length| "n".repeat(length)));
    names.extend(["n".repeat(255), "é".repeat(127), "\"".repeat(255)]);
    let payloads = [
        "{}".into(),
        r#"{"number":123456789012345678901234567890,"small":-0.10e-400,"large":1E+400}"#.into(),
        r#"{"text":"\u0000\u001f\n\t\"\\\/\u007f\ud83d\ude00 é 日本 😀","":[[],{},null,true]}"#
            .into(),
        format!(r#"{{"long":"{}"}}"#, "x".repeat(100_000)),
    ];
    let of_name = |(n, name): (usize, String)| {
        let id: String = name.chars().rev().collect();
        (name, id, payloads[n % payloads.len()].clone())
    };
    names.into_iter().enumerate().map(of_name).collect()
}

#[test]
fn every_way_to_an_event_gives_the_same_bytes() {
    let server = Server::start(&[]);
    let sent = tricky_events();
    let text = |value: &str| Value::from(value).to_string();
    let mut members = Vec::new();
    for (topic, id, payload) in &sent {
        let (topic, id) = (text(topic), text(id));
        let timestamp = text("2026-01-02 03:04:05.678901234+05:30");
        members.push(format!(
            r#""topic":{topic},"event_id":{id},"timestamp":{timestamp},"source":{id},"payload":{payload}"#
        ));
    }
    let body = members.iter().map(|event| format!("{{{event}}}"));
    let body: Vec<String> = body.collect();
    let answer = server.client().publish(format!("[{}]", body.join(",")));
    assert_eq!(answer.expect(200)["accepted"], sent.len());
    // Before and after the ends of a second, a minute, a day and a year.
    let times = [
        (1_767_225_599_999_999_i64, "2025-12-31T23:59:59.999999Z"),
        (1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z"),
        (1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z"),
        (1_767_225_600_123_456, "2026-01-01T00:00:00.123456Z"),
        (1_767_225_601_000_001, "2026-01-01T00:00:01.000001Z"),
        (1_767_225_659_999_999, "2026-01-01T00:00:59.999999Z"),
        (1_767_225_660_000_000, "2026-01-01T00:01:00.000000Z"),
        (1_767_311_999_999_999, "2026-01-01T23:59:59.999999Z"),
        (1_767_312_000_000_000, "2026-01-02T00:00:00.000000Z"),
    ];
    let db = Connection::open(server.setup().database_path()).unwrap();
    let mut expected = Vec::new();
    for (members, seq) in members.iter().zip(1_usize..) {
        let (unix_us, processed_at) = times[seq % times.len()];
        let sql = "UPDATE events SET processed_at = ?1 WHERE seq = ?2";
        assert_eq!(db.execute(sql, (unix_us, seq as i64)), Ok(1));
        expected.push(format!(
            r#"{{"seq":{seq},{members},"processed_at":"{processed_at}"}}"#
        ));
    }

    let page = server.client().get("/events?after=0&limit=1000");
    let list = format!(r#""events":[{}]"#, expected.join(","));
    assert!(page.text().contains(&list), "{}", page.text());
    let mut client = server.client();
    let mut stream_of = |query: &str, accept: &str| {
        let accept = format!("Accept: {accept}");
        let target = format!("/subscribe?follow=false{query}");
        client.request("GET", &target, &[&accept], b"").text()
    };
    let lines = |events: &[String]| -> String { events.iter().map(|e| format!("{e}\n")).collect() };
    assert_eq!(stream_of("", "application/x-ndjson"), lines(&expected));
    let messages = expected.iter().zip(1..);
    let messages = messages.map(|(event, seq)| format!("id: {seq}\ndata: {event}\n\n"));
    assert_eq!(
        stream_of("", "text/event-stream"),
        messages.collect::<String>()
    );
    // One topic is read by its own order, many are picked out of all.
    let named = |range: std::ops::Range<usize>| -> String {
        let topic = |(name, _, _): &(String, String, String)| {
            let name: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            format!("&topic={name}")
        };
        sent[range].iter().map(topic).collect()
    };
    for range in [1..2, 3..sent.len()] {
        let got = stream_of(&named(range.clone()), "application/x-ndjson");
        assert_eq!(got, lines(&expected[range]));
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
