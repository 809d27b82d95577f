//! What is committed while somebody listens.

use serde_json::{json, Value};

use super::{publish, subscribers};
use crate::harness::{event, events_of, Item, Server, Stream};
use crate::wait::wait_until;

#[test]
fn events_come_as_they_are_committed_and_look_as_on_pages() {
    let server = Server::start(&[]);
    publish(&server, "before", "b", 3);
    let mut events = Stream::events(&server, "");
    let mut lines = Stream::lines(&server, "");
    assert_eq!(events.head.header("cache-control"), Some("no-store"));
    assert_eq!(subscribers(&server), 2);

    let mut hostile = event("a \"quoted\" t\u{f6}pic \\", "id");
    hostile["payload"] = json!({"text": "<b>\n</b>", "n": 0.10});
    server.publish(&hostile).expect(200);
    publish(&server, "t", "e", 500);
    // What was there already does not come again, and neither does a duplicate.
    server.publish(&hostile).expect(200);
    publish(&server, "t", "f", 1);

    let page = server.json("/events?after=3&limit=1000");
    let expected = events_of(&page);
    assert_eq!(expected.len(), 502);
    for stream in [&mut events, &mut lines] {
        let got: Vec<Value> = expected.iter().map(|_| stream.next_event()).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn a_topic_or_a_pattern_selects() {
    let server = Server::start(&[]);
    publish(&server, "order.old", "x", 2);
    let cases: [(&str, &[u64]); 6] = [
        ("?topic=user", &[3, 8]),
        ("?topic=order.*", &[4, 5]),
        ("?topic=user&topic=order.new", &[3, 4, 8]),
        ("?topic=*", &[3, 4, 5, 6, 7, 8]),
        ("?topic=quote%22*&topic=none", &[7]),
        ("?topic=order.*&after=0", &[1, 2, 4, 5]),
    ];
    let mut streams: Vec<(Stream, &[u64])> = cases
        .into_iter()
        .map(|(query, seqs)| (Stream::lines(&server, query), seqs))
        .collect();
    let topics = ["user", "order.new", "order.x", "other", "quote\"d", "user"];
    for (n, topic) in topics.into_iter().enumerate() {
        publish(&server, topic, &format!("{n}-"), 1);
    }
    for (stream, seqs) in &mut streams {
        assert_eq!(stream.seqs(seqs.len()), *seqs);
    }
    // The end of each stream is where the server's is, so nothing else has come.
    server.stop();
    for (stream, _) in &mut streams {
        assert_eq!(stream.rest(), [] as [Value; 0]);
    }
}

#[test]
fn the_accept_field_chooses_the_form() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 1);
    let events = "text/event-stream";
    let lines = "application/x-ndjson";
    for (accept, form) in [
        (None, events),
        (Some("*/*"), events),
        (Some("text/event-stream"), events),
        (Some("application/json"), events),
        (Some("application/x-ndjson"), lines),
        (Some("Application/NDJSON"), lines),
        (Some("application/jsonl;q=0.5, text/html"), lines),
        (Some("application/x-ndjson, */*"), lines),
        (Some("application/x-ndjson, */*;q=0.8"), lines),
        (Some("application/x-ndjson;q=0.5, */*"), events),
        (Some("application/x-ndjson, text/event-stream"), events),
        (
            Some("application/x-ndjson;q=0.9, text/event-stream;q=0.8"),
            lines,
        ),
        (Some("application/x-ndjson;q=0, */*;q=0.1"), events),
    ] {
        let accept = accept.map(|accept| format!("Accept: {accept}"));
        let headers: Vec<&str> = accept.iter().map(String::as_str).collect();
        let mut stream = Stream::open(&server, "?after=0", &headers);
        assert_eq!(stream.head.header("content-type"), Some(form), "{accept:?}");
        assert_eq!(stream.seqs(1), [1]);
    }
}

#[test]
fn a_silent_stream_says_that_it_is_there() {
    let server = Server::start(&[]);
    let mut events = Stream::events(&server, "");
    let mut lines = Stream::lines(&server, "");
    assert_eq!(events.next(), Item::Heartbeat);
    assert_eq!(lines.next(), Item::Heartbeat);
    publish(&server, "t", "e", 1);
    assert_eq!((events.seqs(1), lines.seqs(1)), (vec![1], vec![1]));
}

#[test]
fn whoever_vanishes_is_forgotten() {
    let server = Server::start(&[]);
    let streams: Vec<Stream> = (0..50).map(|_| Stream::events(&server, "")).collect();
    assert_eq!(subscribers(&server), 50);
    drop(streams);
    wait_until("the subscribers to be forgotten", || {
        subscribers(&server) == 0
    });
    let mut stays = Stream::lines(&server, "");
    publish(&server, "t", "e", 1);
    assert_eq!(stays.seqs(1), [1]);
}

#[test]
fn a_reader_that_has_ended_its_side_gets_what_there_is() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 300);
    let mut stream = Stream::lines(&server, "?after=0");
    stream.client.shutdown_write();
    assert_eq!(stream.rest().len(), 300);
    wait_until("the subscriber to be forgotten", || {
        subscribers(&server) == 0
    });
}
