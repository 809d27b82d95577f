//! `GET /subscribe` with filters.

use serde_json::{json, Value};

use super::{crowded, filled, from, half_removed, metric, publish, walk};
use crate::harness::{event, Item, Server, Stream};
use crate::wait::wait_until;

fn seqs(events: &[Value]) -> Vec<u64> {
    let seq = |event: &Value| event["seq"].as_u64().expect("an event has a seq");
    events.iter().map(seq).collect()
}

/// Reads on until the stream has come to this seq. Says what it brought.
fn until(stream: &mut Stream, seq: u64) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let item = stream.next();
        items.push(item.clone());
        if matches!(item, Item::Progress(through) | Item::Id(through) if through >= seq) {
            return items;
        }
    }
}

#[test]
fn only_events_that_match_are_sent_and_the_export_is_the_walk() {
    let server = filled(90);
    let mut client = server.client();
    for filters in [
        "source=web",
        "topic=order*&source=api",
        "event_id=e1*&topic=user",
        "source=none",
        "q=e17",
    ] {
        let found = walk(&mut client, &format!("/events?{filters}&after=0")).seqs;
        for mut stream in [
            Stream::lines(&server, &format!("?{filters}&follow=false")),
            Stream::events(&server, &format!("?{filters}&follow=0&after=0")),
        ] {
            assert_eq!(seqs(&stream.rest()), found, "{filters}");
        }
        // Live, in both forms; what was sent looks as on a page.
        let mut live = Stream::events(&server, &format!("?{filters}"));
        let mut replay = Stream::lines(&server, &format!("?{filters}&after=0"));
        assert_eq!(replay.seqs(found.len()), found, "{filters}");
        let mut new = from("web", 0);
        let number = metric(&mut client, "last_seq") + 1;
        new["event_id"] = json!(format!("e1{number}"));
        client
            .publish(json!([new, from("api", 1_000 + number)]).to_string())
            .expect(200);
        let after = walk(&mut client, &format!("/events?{filters}&after=0")).seqs;
        let new = &after[found.len()..];
        assert_eq!(live.seqs(new.len()), new, "{filters}");
        assert_eq!(replay.seqs(new.len()), new, "{filters}");
    }
}

#[test]
fn a_stream_begins_at_the_first_event_where_only_a_time_says_where() {
    for (query, first) in [
        ("?source=web&since=2026-01-01", vec![3, 6, 9]),
        ("?source=web&since=2026-01-01&after=4", vec![6, 9]),
        ("?source=web&since=2026-01-01&subscription=s", vec![9]),
        ("?since=2026-01-01&until=now&topic=order", vec![3, 6, 9]),
        ("?since=9999999d&topic=order", vec![3, 6, 9]),
        ("?source=web", vec![]),
        ("?source=web&until=now", vec![]),
        // The time of the request counts, and until ends nothing.
        ("?source=web&until=1d", vec![]),
        ("?source=web&since=1d", vec![]),
    ] {
        let server = filled(9);
        let mut client = server.client();
        let json = ["Content-Type: application/json"];
        client.request("PUT", "/subscriptions/s", &json, br#"{"after":6}"#);
        let mut stream = Stream::lines(&server, query);
        assert_eq!(stream.seqs(first.len()), first, "{query}");
        let next = metric(&mut client, "last_seq") + 1;
        let mut old = from("web", 0);
        old["event_id"] = json!(format!("old{next}"));
        let mut new = old.clone();
        new["event_id"] = json!(format!("new{next}"));
        new["timestamp"] = json!("2099-01-01");
        client.publish(json!([old, new]).to_string()).expect(200);
        let expected = match query {
            _ if query.contains("since=1d") => vec![next + 1],
            _ if query.contains("until") => vec![next],
            _ => vec![next, next + 1],
        };
        assert_eq!(stream.seqs(expected.len()), expected, "{query}");
    }
}

#[test]
fn ids_say_how_far_a_stream_came_that_finds_nothing() {
    let server = crowded(40_000);
    let mut stream = Stream::events(&server, "?source=none&after=0");
    let items = until(&mut stream, 40_000);
    let mut last = 0;
    for item in items {
        match item {
            Item::Id(id) => {
                assert!(id > last, "{id} after {last}");
                last = id;
            }
            Item::Heartbeat => {}
            other => panic!("{other:?}"),
        }
    }
    // So it is with what is committed later.
    server.publish(&event("t", "new")).expect(200);
    until(&mut stream, 40_001);
    // A reader that comes again goes on there.
    let mut again = Stream::open(&server, "?source=test&after=0", &["Last-Event-ID: 40000"]);
    assert_eq!(again.seqs(1), [40_001]);
    // Streams without other filters than topics say nothing of the kind.
    let mut plain = Stream::events(&server, "?topic=none&after=0&follow=0");
    assert_eq!(plain.try_next(), Ok(None));
}

#[test]
fn progress_is_told_in_both_forms_and_once_more_at_the_end() {
    let server = filled(30);
    let mut client = server.client();
    for query in [
        "?source=web&follow=false",
        "?follow=false",
        "?topic=order&follow=false",
        "?source=none&follow=0",
    ] {
        for progress in ["true", "1"] {
            for open in [Stream::lines, Stream::events] {
                let mut stream = open(&server, &format!("{query}&progress={progress}"));
                let mut items = Vec::new();
                while let Some(item) = stream.try_next().unwrap() {
                    items.push(item);
                }
                assert_eq!(items.last(), Some(&Item::Progress(30)), "{query}");
                let is_other = |item: &&Item| !matches!(item, Item::Event(_) | Item::Progress(_));
                assert_eq!(items.iter().find(is_other), None);
            }
        }
        for progress in ["false", "0"] {
            let mut stream = Stream::lines(&server, &format!("{query}&progress={progress}"));
            while let Some(item) = stream.try_next().unwrap() {
                assert!(matches!(item, Item::Event(_)), "{item:?}");
            }
        }
    }
    // Its very bytes.
    let bytes = |accept: &str| {
        let field = format!("Accept: {accept}");
        let target = "/subscribe?source=none&follow=false&progress=true";
        let answer = server.client().request("GET", target, &[&field], b"");
        String::from_utf8(answer.body).unwrap()
    };
    assert_eq!(
        bytes("application/x-ndjson"),
        "{\"progress\":{\"through\":30}}\n"
    );
    assert_eq!(
        bytes("text/event-stream"),
        "id: 30\nevent: progress\ndata: {\"progress\":{\"through\":30}}\n\n"
    );
    for bad in [
        "progress=yes",
        "progress=",
        "progress",
        "progress=1&progress=1",
    ] {
        let refused = client
            .get(&format!("/subscribe?follow=0&{bad}"))
            .expect(422);
        assert_eq!(
            refused["detail"][0]["loc"],
            json!(["query", "progress"]),
            "{bad}"
        );
    }
    // While it follows, too.
    let mut stream = Stream::lines(&server, "?source=none&progress=true");
    publish(&mut client, 31..=33);
    until(&mut stream, 33);
    // Nothing is stored.
    let empty = Server::start(&[]);
    let mut stream = Stream::lines(&empty, "?source=a&follow=false&progress=1");
    assert_eq!(stream.try_next(), Ok(Some(Item::Progress(0))));
    assert_eq!(stream.try_next(), Ok(None));
}

#[test]
fn a_stream_that_nobody_reads_any_more_ends() {
    let server = crowded(60_000);
    let mut watcher = server.client();
    for accept in ["application/x-ndjson", "text/event-stream"] {
        let accept = format!("Accept: {accept}");
        let streams: Vec<Stream> = (0..20)
            .map(|_| Stream::open(&server, "?source=none&follow=false", &[&accept]))
            .collect();
        drop(streams);
        wait_until("the streams to end", || {
            metric(&mut watcher, "subscribers") == 0
        });
        let scanned = metric(&mut watcher, "search_seqs_scanned_total");
        watcher.publish(event("t", &accept).to_string()).expect(200);
        assert_eq!(metric(&mut watcher, "search_seqs_scanned_total"), scanned);
    }
    // One that has only ended its side gets what there is.
    let mut stream = Stream::lines(&server, "?source=test&after=0");
    stream.client.shutdown_write();
    assert_eq!(seqs(&stream.rest()), [60_001, 60_002]);
}

#[test]
fn a_gap_and_a_reset_are_told_as_without_filters() {
    let server = half_removed();
    wait_until("the older half to be removed", || {
        server.json("/stats")["first_seq"] == 61
    });
    let mut stream = Stream::events(&server, "?source=web&after=10");
    assert_eq!(stream.next(), Item::Gap(json!({"from": 11, "to": 60})));
    assert_eq!(
        stream.seqs(20),
        (21..=40).map(|n| 3 * n).collect::<Vec<u64>>()
    );
    // What is left of a filtered export.
    let mut export = Stream::lines(&server, "?source=web&follow=false");
    assert_eq!(export.rest().len(), 20);
    let mut ahead = Stream::events(&server, "?source=none&after=1000");
    assert_eq!(
        ahead.next(),
        Item::Reset(json!({"position": 1000, "last_seq": 120}))
    );
    server.publish(&event("t", "new")).expect(200);
    assert_eq!(ahead.next(), Item::Id(121));
}

#[test]
fn a_stream_of_lines_that_finds_nothing_is_not_silent() {
    let server = filled(3);
    let mut stream = Stream::lines(&server, "?source=none&after=0");
    assert_eq!(stream.next(), Item::Heartbeat);
}

#[test]
fn head_of_a_stream_and_bad_filters() {
    let server = filled(3);
    let mut client = server.client();
    let head = client.request("HEAD", "/subscribe?source=web&after=0", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, None));
    for (query, name) in [
        ("since=never", "since"),
        ("source=", "source"),
        ("q=-", "q"),
        ("where=", "where"),
    ] {
        let refused = client.get(&format!("/subscribe?{query}")).expect(422);
        assert_eq!(
            refused["detail"][0]["loc"],
            json!(["query", name]),
            "{query}"
        );
    }
}

#[test]
fn streams_with_filters_follow_publishers_without_a_hole() {
    let server = filled(3);
    let mut streams: Vec<Stream> = (0..20)
        .map(|_| Stream::lines(&server, "?source=web&after=0&progress=1"))
        .collect();
    let mut client = server.client();
    for n in 0..30 {
        publish(&mut client, 10 * n + 4..=10 * n + 13);
    }
    let expected: Vec<u64> = (1..=303).filter(|seq| seq % 3 == 0).collect();
    for stream in &mut streams {
        assert_eq!(stream.seqs(expected.len()), expected);
    }
}
