//! Fluentd's forward protocol, as bytes of MessagePack.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::write::GzEncoder;
use flate2::Compression;
use serde_json::{json, Value};

use super::sockets::{self, events, lock, tcp, wait_until_unhealthy};
use crate::harness::{Server, Setup};
use crate::wait::wait_until;

fn start() -> Server {
    let addresses = ["tcp:127.0.0.1:0", "unix:FOLDER/forward"];
    sockets::start(Setup::new(), "--forward", &addresses)
}

/// JSON as MessagePack; whole numbers as 64 bits.
fn pack(value: &Value) -> Vec<u8> {
    let counted = |tag: u8, count: usize| [&[tag][..], &(count as u16).to_be_bytes()].concat();
    match value {
        Value::Null => vec![0xc0],
        Value::Bool(is) => vec![0xc2 + u8::from(*is)],
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            [&[0xd3][..], &number.to_be_bytes()].concat()
        }
        Value::String(text) => [counted(0xda, text.len()), text.clone().into_bytes()].concat(),
        Value::Array(all) => {
            let parts: Vec<u8> = all.iter().flat_map(pack).collect();
            [counted(0xdc, all.len()), parts].concat()
        }
        Value::Object(all) => {
            let pair = |(key, value): (&String, &Value)| [pack(&json!(key)), pack(value)].concat();
            let parts: Vec<u8> = all.iter().flat_map(pair).collect();
            [counted(0xde, all.len()), parts].concat()
        }
    }
}

/// A message whose second element is these bytes.
fn message(second: &[u8], option: &Value) -> Vec<u8> {
    let head = [&[0x93][..], &pack(&json!("app"))].concat();
    [&head, second, &pack(option)].concat()
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    [&[0xc5][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn entries(from: u64, count: u64) -> Value {
    let entry = |number| json!([1_767_323_045, {"n": number}]);
    Value::Array((from..from + count).map(entry).collect())
}

fn packed(from: u64, count: u64) -> Vec<u8> {
    let all = entries(from, count);
    all.as_array().unwrap().iter().flat_map(pack).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn acknowledgement(chunk: &str) -> Vec<u8> {
    let head = [0x81, 0xa3, b'a', b'c', b'k', 0xa0 | chunk.len() as u8];
    [&head[..], chunk.as_bytes()].concat()
}

fn expect_acknowledgements(stream: &mut TcpStream, chunks: &[&str]) {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let expected: Vec<u8> = chunks
        .iter()
        .flat_map(|chunk| acknowledgement(chunk))
        .collect();
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn each_mode_is_taken_and_acknowledged_in_order() {
    let server = start();
    let mut stream = tcp(&server);
    let single = json!(["app", 1_767_323_045, {"n": 0, "host": "h"}, {"chunk": "one"}]);
    let parts = [
        pack(&single),
        vec![0xc0],
        message(&pack(&entries(1, 2)), &json!({"chunk": "two", "size": 2})),
        message(&binary(&packed(3, 2)), &json!({"chunk": "three"})),
        message(
            &binary(&gzip(&packed(5, 2))),
            &json!({"chunk": "four", "compressed": "gzip"}),
        ),
    ];
    for byte in parts.concat().chunks(7) {
        stream.write_all(byte).unwrap();
    }
    expect_acknowledgements(&mut stream, &["one", "two", "three", "four"]);
    let events = events(&server, 7);
    let ids: Vec<_> = events
        .iter()
        .map(|event| event["event_id"].clone())
        .collect();
    assert_eq!(
        ids,
        ["one:0", "two:0", "two:1", "three:0", "three:1", "four:0", "four:1"]
    );
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["payload"]["n"], number);
        assert_eq!(event["topic"], "app");
        assert_eq!(event["timestamp"], "2026-01-02T03:04:05Z");
        assert_eq!(event["source"], if number == 0 { "h" } else { "127.0.0.1" });
    }
}

#[test]
fn a_retry_is_stored_once_and_without_a_chunk_each_is_another() {
    let server = start();
    let chunk = message(&pack(&entries(0, 3)), &json!({"chunk": "c"}));
    for _ in 0..2 {
        let mut stream = tcp(&server);
        stream.write_all(&chunk).unwrap();
        expect_acknowledgements(&mut stream, &["c"]);
    }
    let plain = pack(&json!(["app", 1, {"n": 3}]));
    tcp(&server)
        .write_all(&[&plain[..], &plain].concat())
        .unwrap();
    assert_eq!(events(&server, 5).len(), 5);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 3);
}

#[test]
fn values_of_all_kinds_become_json() {
    let server = start();
    // Text that is no UTF-8, binary, a double that is no number, a number as a key.
    let record = b"\x84\xa1a\xa2\\\xff\xa1b\xc4\x02\xff\x00\xa1c\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x07\x92\xc3\xff";
    let time = b"\xd7\x00\x69\x57\x35\xa5\x00\x00\x00\x09";
    let line = [&b"\x93\xa3app"[..], time, record].concat();
    tcp(&server).write_all(&line).unwrap();
    let event = &events(&server, 1)[0];
    let expected = json!({
        "a": "\\\\\\xff", "b": {"base64": "/wA="}, "c": "NaN", "7": [true, -1], "escaped": true,
    });
    assert_eq!(event["payload"], expected);
    assert_eq!(event["timestamp"], "2026-01-02T03:04:05.000000009Z");
}

#[test]
fn a_record_that_is_no_map_is_rejected_alone() {
    let server = start();
    let mut stream = tcp(&server);
    let bad = json!([[1, {"n": 0}], [1, 7], [1, {"n": 1}], "x"]);
    stream
        .write_all(&message(&pack(&bad), &json!({"chunk": "c"})))
        .unwrap();
    expect_acknowledgements(&mut stream, &["c"]);
    let events = events(&server, 2);
    assert_eq!(events[1]["event_id"], "c:2");
    assert_eq!(server.json("/stats")["rejected"], 2);
}

#[test]
fn what_is_broken_closes_the_connection_and_nothing_of_it_is_stored() {
    let setup = Setup::new().flags(["--max-body-bytes", "4096"]);
    let server = sockets::start(setup, "--forward", &["tcp:127.0.0.1:0"]);
    let chunk = json!({"chunk": "c"});
    let cut = [packed(0, 1), vec![0x92, 0xc1]].concat();
    let bomb = gzip(&packed(0, 1_000));
    for bad in [
        b"\xc1".to_vec(),
        pack(&json!({"no": "array"})),
        pack(&json!([1, 2, 3])),
        message(&binary(&cut), &chunk),
        message(
            &binary(b"no gzip"),
            &json!({"chunk": "c", "compressed": "gzip"}),
        ),
        message(&binary(&bomb), &json!({"chunk": "c", "compressed": "gzip"})),
        b"\x93\xa3app\xdb\x00\x01\x00\x00".to_vec(),
    ] {
        let mut stream = tcp(&server);
        stream
            .write_all(&pack(&json!(["app", 1, {"n": 0}, {"chunk": "before"}])))
            .unwrap();
        expect_acknowledgements(&mut stream, &["before"]);
        stream.write_all(&bad).unwrap();
        let mut rest = Vec::new();
        // The end, or a reset where bytes were left unread.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert_eq!(events(&server, 1).len(), 1);
    // It leaves a trace all the same.
    let kept = server.json("/rejected?limit=1000");
    assert_eq!(kept["count"], 7, "{kept}");
    for record in kept["rejected"].as_array().unwrap() {
        assert_eq!(record["protocol"], "forward");
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains("no message"), "{reason}");
    }
}

#[test]
fn a_chunk_has_a_bound() {
    let server = start();
    for (length, is_taken) in [(4_096, true), (4_097, false)] {
        let chunk = "c".repeat(length);
        let mut stream = tcp(&server);
        let sent = pack(&json!(["app", 1, {"n": length}, {"chunk": chunk}]));
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(!answer.is_empty(), is_taken, "{length}");
    }
    assert_eq!(events(&server, 1)[0]["payload"]["n"], 4_096);
}

#[test]
fn while_the_store_is_away_nothing_is_acknowledged() {
    let server = start();
    let other = lock(&server);
    let chunk = message(&pack(&entries(0, 3)), &json!({"chunk": "c"}));
    let mut stream = tcp(&server);
    stream.write_all(&chunk).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    wait_until_unhealthy(&server);
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("a healthy server", || server.get("/health").status == 200);
    let mut stream = tcp(&server);
    stream.write_all(&chunk).unwrap();
    expect_acknowledgements(&mut stream, &["c"]);
    assert_eq!(events(&server, 3).len(), 3);
}

#[test]
fn a_killed_server_gets_the_chunk_again() {
    let server = start();
    let chunk = message(&pack(&entries(0, 100)), &json!({"chunk": "c"}));
    tcp(&server).write_all(&chunk).unwrap();
    let setup = server.setup().clone();
    server.kill();
    let server = setup.start();
    server.log().wait_for(2, "taking ");
    let mut stream = tcp(&server);
    stream.write_all(&chunk).unwrap();
    expect_acknowledgements(&mut stream, &["c"]);
    assert_eq!(events(&server, 100).len(), 100);
}

#[test]
fn only_streams_are_taken() {
    for value in ["udp:127.0.0.1:0", "127.0.0.1:24224", ""] {
        let (code, text) = Setup::new().flags(["--forward", value]).fail();
        assert_eq!(code, 2, "{value:?}: {text}");
        assert!(text.contains("--forward"), "{value:?}: {text}");
    }
}
