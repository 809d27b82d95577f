//! GELF over UDP, TCP and HTTP.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::{json, Value};

use super::sockets::{self, events, lock, members, wait_until_unhealthy};
use super::{post, stored};
use crate::encodings::{gzip, zlib};
use crate::harness::{Server, Setup};
use crate::wait::wait_until;

fn start(setup: Setup) -> Server {
    sockets::start(setup, "--gelf", &["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
}

fn message(text: &str) -> String {
    json!({"version": "1.1", "host": "web-1", "short_message": text, "timestamp": 1767323045.25,
        "level": 6, "_tag": "shop", "_user_id": 9001})
    .to_string()
}

/// Sends a message in chunks of `size` bytes, in the order in which `order` names them.
fn send_chunks(socket: &UdpSocket, id: u64, message: &[u8], size: usize, order: &[usize]) {
    let pieces: Vec<&[u8]> = message.chunks(size).collect();
    for &number in order {
        let mut chunk = vec![0x1e, 0x0f];
        chunk.extend(id.to_be_bytes());
        chunk.extend([number as u8, pieces.len() as u8]);
        chunk.extend_from_slice(pieces[number]);
        socket.send(&chunk).unwrap();
    }
}

/// What was rejected, the oldest first, once there are this many: reason and bytes.
fn rejected(server: &Server, count: usize) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    wait_until(&format!("{count} rejected records"), || {
        let page = server.json("/rejected?limit=100");
        let records = page["rejected"].as_array().unwrap().iter().rev();
        found = records
            .map(|record| {
                assert_eq!(
                    (&record["protocol"], &record["peer"]),
                    (&json!("gelf"), &json!("127.0.0.1"))
                );
                let reason = record["reason"].as_str().unwrap().to_owned();
                (reason, record["bytes"].as_u64().unwrap())
            })
            .collect();
        found.len() >= count
    });
    assert_eq!(found.len(), count, "{found:?}");
    found
}

fn sorted(events: &[Value]) -> Vec<String> {
    let mut found = members(events, "short_message");
    found.sort();
    found
}

#[test]
fn each_transport_brings_the_same_event() {
    let server = start(Setup::new());
    let text = message("hello");
    let udp = sockets::udp(&server);
    udp.send(text.as_bytes()).unwrap();
    udp.send(&gzip(text.as_bytes())).unwrap();
    udp.send(&zlib(text.as_bytes())).unwrap();
    send_chunks(&udp, 1, text.as_bytes(), 50, &[2, 0, 0, 1]);
    let coded = gzip(text.as_bytes());
    let backwards: Vec<usize> = (0..coded.len().div_ceil(40)).rev().collect();
    send_chunks(&udp, 2, &coded, 40, &backwards);
    send_chunks(&udp, 3, text.as_bytes(), 1_000, &[0]);
    events(&server, 6);
    let mut tcp = sockets::tcp(&server);
    tcp.write_all(format!("{text}\0{text}\n\0\0").as_bytes())
        .unwrap();
    events(&server, 8);
    // What has begun when the connection ends is a message, too.
    tcp.write_all(text.as_bytes()).unwrap();
    drop(tcp);
    events(&server, 9);
    let answer = post(&mut server.client(), "/gelf", &text);
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    for event in events(&server, 10) {
        assert_eq!(event["topic"], "shop");
        assert_eq!(event["source"], "web-1");
        assert_eq!(event["timestamp"], "2026-01-02T03:04:05.25Z");
        assert_eq!(
            event["payload"],
            serde_json::from_str::<Value>(&text).unwrap()
        );
    }
    let page = server.get("/metrics").text();
    let counted = r#"log_aggregator_ingest_records_total{protocol="gelf",result="accepted"} 10"#;
    assert!(page.contains(counted), "{page}");
}

#[test]
fn what_is_missing_is_filled_in() {
    let server = start(Setup::new().flags(["--ingest", "gelf?event_id=_uid,auto"]));
    let udp = sockets::udp(&server);
    for _ in 0..2 {
        udp.send(br#"{"short_message":"","_uid":"a","timestamp":"soon","_tag":""}"#)
            .unwrap();
    }
    udp.send(br#"{"message":"no short one","_uid":"b","timestamp":"1767323045.5"}"#)
        .unwrap();
    let events = events(&server, 2);
    let event = &events[0];
    assert_eq!(
        (&event["topic"], &event["source"], &event["event_id"]),
        (&json!("gelf"), &json!("127.0.0.1"), &json!("a"))
    );
    assert!(event["timestamp"].as_str().unwrap() > "2026-01-03");
    assert_eq!(events[1]["timestamp"], "2026-01-02T03:04:05.5Z");
    wait_until("the second to be a duplicate", || {
        server.json("/stats")["duplicate_dropped"] == 1
    });
}

#[test]
fn what_is_no_message_is_rejected_alone() {
    let server = start(Setup::new().flags(["--max-body-bytes", "2000"]));
    let udp = sockets::udp(&server);
    let bomb = gzip(message(&"a".repeat(3_000)).as_bytes());
    let long = message(&"b".repeat(2_000));
    for (datagram, reason) in [
        (&b"{"[..], "the message is not JSON: "),
        (
            b"[]",
            "a message must be an object with a string short_message",
        ),
        (
            br#"{"host":"h","short_message":7}"#,
            "a message must be an object with a string short_message",
        ),
        (b"\x1f\x8bxxx", "the message cannot be decompressed"),
        (b"\x78\x9cxxx", "the message cannot be decompressed"),
        (b"\x1e\x0f1234567", "a chunk is shorter than its head"),
        (
            b"\x1e\x0f12345678\x02\x02x",
            "a chunk's number must be below the count of chunks",
        ),
        (
            b"\x1e\x0f12345678\x00\x81x",
            "a message must have 1 to 128 chunks",
        ),
        (&bomb, "the message is larger than a body may be"),
        (long.as_bytes(), "the message is larger than a body may be"),
    ] {
        let expected = server.json("/stats")["rejected"].as_u64().unwrap() as usize + 1;
        udp.send(message("good").as_bytes()).unwrap();
        udp.send(datagram).unwrap();
        let (found, bytes) = rejected(&server, expected).pop().unwrap();
        assert!(found.starts_with(reason), "{found}");
        assert_eq!(bytes, datagram.len() as u64);
    }
    // On a stream, too: the one over the limit is passed over.
    let mut tcp = sockets::tcp(&server);
    let huge = vec![b'x'; 300_000];
    tcp.write_all(&[b"{\0", &huge[..], b"\0", message("last").as_bytes(), b"\0"].concat())
        .unwrap();
    let found = rejected(&server, 12);
    assert_eq!(
        found[11],
        (
            "the message is larger than a body may be".to_owned(),
            300_000
        )
    );
    assert_eq!(
        members(&events(&server, 11), "short_message")
            .pop()
            .unwrap(),
        "last"
    );
    // What is not UTF-8 is replaced, as Graylog does it.
    udp.send(b"{\"short_message\":\"a\xff\"}").unwrap();
    assert_eq!(
        events(&server, 12)[11]["payload"]["short_message"],
        "a\u{fffd}"
    );
}

#[test]
fn a_message_that_is_not_whole_after_five_seconds_is_rejected() {
    let server = start(Setup::new());
    let udp = sockets::udp(&server);
    let text = message(&"c".repeat(100));
    send_chunks(&udp, 7, text.as_bytes(), 30, &[0, 2]);
    // Others are not held up by it.
    send_chunks(&udp, 8, text.as_bytes(), 30, &[7, 6, 5, 4, 3, 2, 1, 0]);
    events(&server, 1);
    let count = text.len().div_ceil(30);
    let expected = (format!("only 2 of its {count} chunks arrived"), 60);
    assert_eq!(rejected(&server, 1)[0], expected);
    // The rest would be another message, which the end of the server gives up.
    send_chunks(&udp, 7, text.as_bytes(), 30, &[1, 3]);
    let server = server.restart();
    assert_eq!(rejected(&server, 2), [expected.clone(), expected]);
    assert_eq!(stored(&server).len(), 1);
}

#[test]
fn a_thousand_messages_may_be_open() {
    let server = start(Setup::new());
    let udp = sockets::udp(&server);
    let send = |id: usize, number: usize| {
        let text = message(&format!("{id:04}"));
        send_chunks(
            &udp,
            id as u64,
            text.as_bytes(),
            text.len().div_ceil(2),
            &[number],
        );
        // So that the socket's buffer in the kernel does not overflow.
        if id.is_multiple_of(100) {
            server.json("/stats");
        }
    };
    (0..1_001).for_each(|id| send(id, 0));
    assert_eq!(rejected(&server, 1)[0].0, "too many messages are not whole");
    (0..1_000).for_each(|id| send(id, 1));
    let expected: Vec<String> = (0..1_000).map(|id| format!("{id:04}")).collect();
    assert_eq!(sorted(&events(&server, 1_000)), expected);
}

#[test]
fn a_request_brings_one_message() {
    let server = start(Setup::new().flags(["--ingest", "gelf?topic=all"]));
    let mut client = server.client();
    for (target, text) in [("/gelf?topic=mine", "one"), ("/gelf", "two")] {
        assert_eq!(post(&mut client, target, message(text)).status, 202);
    }
    for (coding, body) in [
        ("gzip", gzip(message("three").as_bytes())),
        // graypy names no media type, and both codings of a body in the zlib format.
        ("gzip,deflate", zlib(message("four").as_bytes())),
    ] {
        let header = format!("Content-Encoding: {coding}");
        let answer = client.request("POST", "/gelf", &[&header], &body);
        assert_eq!(answer.status, 202, "{coding}");
    }
    let events = stored(&server);
    assert_eq!(
        members(&events, "short_message"),
        ["one", "two", "three", "four"]
    );
    assert_eq!(events[0]["topic"], "mine");
    assert!(events[1..].iter().all(|event| event["topic"] == "all"));
}

#[test]
fn a_request_is_refused_with_a_line_of_text() {
    let server = start(Setup::new());
    let mut client = server.client();
    for (body, sentence) in [
        ("", "the message is not JSON: "),
        ("{", "the message is not JSON: "),
        (
            "[{}]",
            "a message must be an object with a string short_message\n",
        ),
        (
            "{\"host\":\"h\"}",
            "a message must be an object with a string short_message\n",
        ),
    ] {
        let answer = post(&mut client, "/gelf", body);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("text/plain; charset=utf-8"))
        );
        assert!(answer.text().starts_with(sentence), "{}", answer.text());
    }
    rejected(&server, 4);
    let body = message("x");
    // What a page in a browser may send to another origin without asking.
    for headers in [
        &[][..],
        &["Content-Type: text/plain"],
        &["Content-Type: application/x-www-form-urlencoded"],
    ] {
        let answer = client.request("POST", "/gelf", headers, body.as_bytes());
        assert_eq!(answer.status, 415, "{headers:?}");
    }
    let answer = client.request("GET", "/gelf", &[], b"");
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("POST, OPTIONS"))
    );
    assert!(stored(&server).is_empty());
    let other = lock(&server);
    let answer = post(&mut client, "/gelf", &body);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    drop(other);
}

/// Senders on TCP wait, and what has come over UDP waits in the kernel: also longer than chunks may take.
#[test]
fn a_store_that_cannot_commit_loses_nothing_that_has_come() {
    let server = start(Setup::new());
    let udp = sockets::udp(&server);
    let text = message(&"d".repeat(100));
    send_chunks(&udp, 1, text.as_bytes(), 80, &[0]);
    let mut tcp = sockets::tcp(&server);
    tcp.write_all(format!("{}\0", message("before")).as_bytes())
        .unwrap();
    events(&server, 1);
    let other = lock(&server);
    tcp.write_all(format!("{}\0", message("during")).as_bytes())
        .unwrap();
    wait_until_unhealthy(&server);
    send_chunks(&udp, 1, text.as_bytes(), 80, &[1, 2]);
    std::thread::sleep(Duration::from_millis(5_500));
    drop(other);
    assert_eq!(events(&server, 3).len(), 3);
    assert_eq!(server.json("/stats")["rejected"], 0);
}

#[test]
fn what_was_received_is_committed_before_the_end() {
    let server = start(Setup::new());
    let udp = sockets::udp(&server);
    let mut tcp: Vec<TcpStream> = (0..3).map(|_| sockets::tcp(&server)).collect();
    let big = gzip(message(&"e".repeat(2_000_000)).as_bytes());
    udp.send(&big).unwrap();
    for stream in &mut tcp {
        stream.write_all(message("last").as_bytes()).unwrap();
    }
    let server = server.restart();
    let events = stored(&server);
    assert_eq!(events.len(), 4);
    let length = |event: &Value| event["payload"]["short_message"].as_str().unwrap().len();
    assert_eq!(events.iter().map(length).max(), Some(2_000_000));
}

#[test]
fn an_address_that_is_none_ends_the_start() {
    for address in ["unix:/tmp/gelf", "udp:127.0.0.1", "127.0.0.1:12201", ""] {
        let (code, log) = Setup::new().flags(["--gelf", address]).fail();
        assert_eq!(code, 2, "{address}: {log}");
        assert!(log.contains("--gelf"), "{address}: {log}");
    }
}
