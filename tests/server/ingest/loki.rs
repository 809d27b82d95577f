//! Loki's push interface, in JSON and in protobuf.

use serde_json::{json, Value};

use super::{post, stored};
use crate::encodings;
use crate::harness::{Response, Server};

const PATH: &str = "/loki/api/v1/push";

/// Protobuf, written by hand.
pub mod protobuf {
    pub fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    pub fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
        [
            varint(number << 3 | 2),
            varint(content.len() as u64),
            content.to_vec(),
        ]
        .concat()
    }

    pub fn number(number: u64, value: u64) -> Vec<u8> {
        [varint(number << 3), varint(value)].concat()
    }

    /// An entry with metadata of one pair.
    pub fn entry(nanos: u64, line: &[u8], metadata: Option<(&str, &str)>) -> Vec<u8> {
        let time = [
            number(1, nanos / 1_000_000_000),
            number(2, nanos % 1_000_000_000),
        ]
        .concat();
        let pair = metadata.map(|(name, value)| {
            bytes(
                3,
                &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat(),
            )
        });
        bytes(
            2,
            &[bytes(1, &time), bytes(2, line), pair.unwrap_or_default()].concat(),
        )
    }

    pub fn stream(labels: &str, entries: &[Vec<u8>]) -> Vec<u8> {
        bytes(1, &[bytes(1, labels.as_bytes()), entries.concat()].concat())
    }

    pub fn snappy(request: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(request).unwrap()
    }
}

fn push(server: &Server, headers: &[&str], body: &[u8]) -> Response {
    server.client().request("POST", PATH, headers, body)
}

fn push_protobuf(server: &Server, request: &[u8]) -> Response {
    push(
        server,
        &["Content-Type: application/x-protobuf"],
        &protobuf::snappy(request),
    )
}

/// The events without what differs from server to server.
fn contents(server: &Server) -> Vec<Value> {
    let events = stored(server).into_iter().map(|mut event| {
        let members = event.as_object_mut().unwrap();
        members.remove("processed_at");
        members.remove("seq");
        event
    });
    events.collect()
}

#[test]
fn both_formats_make_the_same_events() {
    let (one, other) = (Server::start(&[]), Server::start(&[]));
    let body = r#"{"streams":[
        {"stream":{"job":"j","service_name":"web","hostname":"h1"},"values":[
            ["1767323045000000001","first \"line\""],
            ["1767323045000000002","second é\n", {"uid":"u-1"}]]},
        {"values":[[1767323045000000003,"third"]],"stream":{}}]}"#;
    let response = post(&mut one.client(), PATH, body);
    assert_eq!((response.status, response.body.len()), (204, 0));
    let labels = "{job=\"j\", service_name=\"web\", hostname=\"h1\"}";
    let entries = [
        protobuf::entry(1_767_323_045_000_000_001, b"first \"line\"", None),
        protobuf::entry(
            1_767_323_045_000_000_002,
            "second é\n".as_bytes(),
            Some(("uid", "u-1")),
        ),
    ];
    let request = [
        protobuf::stream(labels, &entries),
        protobuf::stream(
            "{}",
            &[protobuf::entry(1_767_323_045_000_000_003, b"third", None)],
        ),
    ];
    assert_eq!(push_protobuf(&other, &request.concat()).status, 204);
    let events = contents(&one);
    assert_eq!(events, contents(&other));
    let first = &events[0];
    assert_eq!(
        (&first["topic"], &first["source"]),
        (&json!("web"), &json!("h1"))
    );
    assert_eq!(first["timestamp"], "2026-01-02T03:04:05.000000001Z");
    let labels = json!({"job": "j", "service_name": "web", "hostname": "h1"});
    assert_eq!(
        first["payload"],
        json!({"labels": labels, "line": "first \"line\""})
    );
    assert_eq!(events[1]["payload"]["metadata"], json!({"uid": "u-1"}));
    assert_eq!(
        (&events[2]["topic"], &events[2]["source"]),
        (&json!("loki"), &json!("127.0.0.1"))
    );
}

#[test]
fn entries_of_a_stream_with_the_same_time_and_line_are_one() {
    let server = Server::start(&[]);
    let value = r#"["1767323045000000001","same"]"#;
    let body = |values: &str| {
        format!("{{\"streams\":[{{\"stream\":{{\"a\":\"b\"}},\"values\":[{values}]}}]}}")
    };
    // Also in one request.
    for values in [value.to_owned(), format!("{value},{value}")] {
        assert_eq!(post(&mut server.client(), PATH, body(&values)).status, 204);
    }
    assert_eq!(stored(&server).len(), 1);
    for _ in 0..2 {
        let target = format!("{PATH}?event_id=auto");
        assert_eq!(post(&mut server.client(), &target, body(value)).status, 204);
    }
    assert_eq!(stored(&server).len(), 3);
    let named = r#"["1767323045000000001","same",{"uid":"x"}]"#;
    for _ in 0..2 {
        let target = format!("{PATH}?event_id=metadata.uid");
        assert_eq!(post(&mut server.client(), &target, body(named)).status, 204);
    }
    let events = stored(&server);
    assert_eq!((events.len(), &events[3]["event_id"]), (4, &json!("x")));
}

#[test]
fn what_cannot_be_read_of_a_body_refuses_it() {
    let server = Server::start(&["--max-body-bytes", "4096"]);
    let json = ["Content-Type: application/json"];
    let protobuf = ["Content-Type: application/x-protobuf"];
    let cases: [(&[&str], Vec<u8>, u16, &str); 10] = [
        (&json, b"{".to_vec(), 400, "the body is not JSON"),
        (&json, b"[]".to_vec(), 400, "an array `streams`"),
        (
            &json,
            b"{\"streams\":{}}".to_vec(),
            400,
            "an array `streams`",
        ),
        (&protobuf, b"not snappy".to_vec(), 400, "Snappy"),
        (
            &protobuf,
            protobuf::snappy(b"\x0a\x05abc"),
            400,
            "PushRequest",
        ),
        (
            &protobuf,
            protobuf::snappy(&vec![0; 5000]),
            413,
            "limit of 4096 bytes",
        ),
        (&[], protobuf::snappy(b""), 415, "application/json"),
        (
            &["Content-Type: text/plain"],
            b"x".to_vec(),
            415,
            "application/json",
        ),
        (
            &["Content-Type: application/json", "Content-Encoding: snappy"],
            b"x".to_vec(),
            415,
            "Content-Encoding",
        ),
        (
            &[
                "Content-Type: application/x-protobuf",
                "Content-Encoding: gzip",
            ],
            b"x".to_vec(),
            415,
            "Content-Encoding",
        ),
    ];
    for (headers, body, status, part) in cases {
        let response = push(&server, headers, &body);
        let text = response.text();
        assert_eq!(response.status, status, "{headers:?}: {text}");
        assert!(text.contains(part), "{text}");
        assert!(response
            .header("content-type")
            .unwrap()
            .starts_with("text/plain"));
    }
    assert_eq!(
        post(&mut server.client(), PATH, "{\"streams\":[]}").status,
        204
    );
    assert!(stored(&server).is_empty());
}

#[test]
fn a_stream_that_is_wrong_rejects_its_own_entries_only() {
    let server = Server::start(&[]);
    let body = r#"{"streams":[{"stream":{"a":1},"values":[["1767323045000000001","x"],["1767323045000000001","y"]]},
        {"stream":{"a":"b"},"values":[["1767323045000000001","good"],["1"],["1",2],["nonsense","no time"]]}]}"#;
    assert_eq!(post(&mut server.client(), PATH, body).status, 204);
    let lines: Vec<Value> = stored(&server)
        .iter()
        .map(|event| event["payload"]["line"].clone())
        .collect();
    assert_eq!(lines, [json!("good"), json!("no time")]);
    assert_eq!(server.json("/stats")["rejected"], 4);
    let entry = protobuf::entry(1, b"x", None);
    let response = push_protobuf(&server, &protobuf::stream("{a=b}", &[entry]));
    assert_eq!(response.status, 400);
    assert!(
        response.text().contains("{a=b} cannot be read"),
        "{}",
        response.text()
    );
}

#[test]
fn text_that_is_not_utf_8_is_replaced_and_codings_are_taken_off() {
    let server = Server::start(&[]);
    let entry = protobuf::entry(1_767_323_045_000_000_001, b"a\xffb", None);
    assert_eq!(
        push_protobuf(&server, &protobuf::stream("{a=\"b\"}", &[entry])).status,
        204
    );
    let body = b"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"1767323045000000001\",\"a\xffb\"]]}]}";
    let gzip = encodings::gzip(body);
    let headers = [
        "Content-Type: application/json; charset=utf-8",
        "Content-Encoding: gzip",
    ];
    assert_eq!(push(&server, &headers, &gzip).status, 204);
    let events = stored(&server);
    // The two formats agree, so the second is a repeat of the first.
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["payload"]["line"], "a\u{fffd}b");
}

#[test]
fn more_entries_than_the_ring_holds_are_read_one_part_after_the_other() {
    let server = Server::start(&["--ring-capacity", "7"]);
    let entry = |n: u64| {
        protobuf::entry(
            1_767_323_045_000_000_000 + n,
            format!("line {n}").as_bytes(),
            None,
        )
    };
    let stream = |name: &str, numbers: std::ops::Range<u64>| {
        let entries: Vec<Vec<u8>> = numbers.map(entry).collect();
        protobuf::stream(&format!("{{app=\"{name}\"}}"), &entries)
    };
    let request = [stream("a", 0..30), stream("b", 30..30), stream("c", 30..70)].concat();
    assert_eq!(push_protobuf(&server, &request).status, 204);
    let values = |numbers: std::ops::Range<u64>| -> Vec<Value> {
        let value = |n: u64| {
            json!([
                (1_767_323_045_000_000_000_u64 + n).to_string(),
                format!("line {n}")
            ])
        };
        numbers.map(value).collect()
    };
    let body = json!({"streams": [{"stream": {"app": "c"}, "values": values(30..70)},
        {"stream": {"app": "d"}, "values": values(70..100)}]});
    assert_eq!(
        post(&mut server.client(), PATH, body.to_string()).status,
        204
    );
    let events = stored(&server);
    assert_eq!(events.len(), 100);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["payload"]["line"], format!("line {n}"));
        let app = match n {
            0..30 => "a",
            30..70 => "c",
            _ => "d",
        };
        assert_eq!(event["topic"], app);
    }
}
