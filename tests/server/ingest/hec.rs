//! Splunk's HTTP Event Collector.

use rusqlite::Connection;
use serde_json::{json, Value};

use super::stored;
use crate::encodings;
use crate::harness::{Client, Response, Server, Setup};

const EVENT: &str = "/services/collector/event";
const RAW: &str = "/services/collector/raw";
const ACK: &str = "/services/collector/ack";
const HEALTH: &str = "/services/collector/health";

const TOKEN: &str = "Authorization: Splunk any";
const CHANNEL: &str = "X-Splunk-Request-Channel: 18654C68-B28B-4450-9CF0-6E7645CA60CA";

fn send(server: &Server, target: &str, body: impl AsRef<[u8]>) -> Response {
    send_with(server, target, &[TOKEN], body)
}

fn send_with(server: &Server, target: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Response {
    let mut client = server.client();
    client.request("POST", target, headers, body.as_ref())
}

/// The answer to events that were sent with a channel.
fn ack_id(server: &Server, body: &str) -> u64 {
    let answer = send_with(server, EVENT, &[TOKEN, CHANNEL], body).expect(200);
    assert_eq!(
        (&answer["text"], &answer["code"]),
        (&"Success".into(), &json!(0))
    );
    answer["ackId"].as_u64().unwrap()
}

fn acks(server: &Server, ids: &Value) -> Value {
    let question = json!({ "acks": ids }).to_string();
    let mut answer = send_with(server, ACK, &[TOKEN, CHANNEL], question).expect(200);
    answer["acks"].take()
}

/// Topics, sources, times and payloads.
fn contents(server: &Server) -> Vec<[Value; 4]> {
    let of = |event: &Value| {
        ["topic", "source", "timestamp", "payload"].map(|member| event[member].clone())
    };
    stored(server).iter().map(of).collect()
}

#[test]
fn each_object_is_an_event() {
    let server = Server::start(&[]);
    let web = r#"{"time": 1767323045.678, "index":"web","sourcetype":"s","host":"h1",
        "event":{"n": 1},"fields":{"a":"b"},"source":"file"}"#;
    let nginx = r#"{"time":"1767323045","sourcetype":"nginx","index":"","event":"two"}"#;
    let plain = r#"{"event":3}"#;
    let bodies = [
        format!("{web}{nginx}{plain}"),
        format!(" {web}\r\n{nginx} \n\n{plain}\n"),
        format!("[{web}, {nginx},{plain}]"),
        format!("{web}[{nginx}] [] [{plain}]"),
    ];
    let types = [
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: application/json; charset=utf-8",
        "X: y",
        "Content-Type: nonsense",
    ];
    let paths = [
        "/services/collector",
        EVENT,
        "/services/collector/event/1.0",
        EVENT,
    ];
    for ((body, media_type), path) in bodies.iter().zip(types).zip(paths) {
        let response = send_with(&server, path, &[TOKEN, media_type], body);
        assert_eq!(response.text(), r#"{"text":"Success","code":0}"#);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    let found = contents(&server);
    assert_eq!(found.len(), 12, "a retry is stored again");
    for three in found.chunks(3) {
        let payload: Value = serde_json::from_str(web).unwrap();
        let time = "2026-01-02T03:04:05.678Z";
        assert_eq!(
            three[0],
            [json!("web"), json!("h1"), json!(time), payload.clone()]
        );
        assert_eq!(
            three[1][..3],
            ["nginx", "127.0.0.1", "2026-01-02T03:04:05Z"].map(Value::from)
        );
        assert_eq!(three[2][0], "splunk");
        assert_eq!(three[2][3], json!({"event": 3}));
    }
    let metrics = server.get("/metrics").text();
    let line = "log_aggregator_ingest_identities_total{protocol=\"hec\",identity=\"auto\"} 12";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn each_line_of_text_is_an_event() {
    let server = Server::start(&[]);
    let body = b"one\r\n\n{\"event\":\"two\"}\n \r\r\n\xff\\three\x01\nlast";
    let query = "?index=web&sourcetype=s&host=h%201&time=1767323045.5&channel=";
    let answer = send(&server, &format!("{RAW}{query}"), body).expect(200);
    assert_eq!(answer, json!({"text": "Success", "code": 0}));
    let expected = [
        json!({"line": "one"}),
        json!({"line": "{\"event\":\"two\"}"}),
        json!({"line": " "}),
        json!({"line": "\\xff\\\\three\u{1}", "escaped": true}),
        json!({"line": "last"}),
    ];
    let expected = expected.map(|payload| {
        let time = json!("2026-01-02T03:04:05.5Z");
        [json!("web"), json!("h 1"), time, payload]
    });
    assert_eq!(contents(&server), expected);
    send(&server, &format!("{RAW}/1.0?sourcetype=s&index="), "x").expect(200);
    send(&server, RAW, "x").expect(200);
    let found = contents(&server);
    assert_eq!(
        (&found[5][0], &found[6][0]),
        (&"s".into(), &"splunk".into())
    );
    assert_eq!(found[6][1], "127.0.0.1");
    for body in ["", "\r\n\n"] {
        assert_eq!(send(&server, RAW, body).expect(400)["code"], 5, "{body:?}");
    }
    assert_eq!(stored(&server).len(), 7);
}

#[test]
fn a_retry_is_stored_once_where_the_query_names_an_identity() {
    let server = Server::start(&[]);
    let query = "?topic=t&source=s&event_id=event.uid,hash&timestamp=event.at";
    let body = r#"{"index":"web","host":"h","event":{"uid":"u-1","at":1767323045}}
        {"time":1767323046,"event":"a line"}"#;
    for path in [EVENT, "/services/collector"] {
        send(&server, &format!("{path}{query}"), body).expect(200);
    }
    let raw = format!("{RAW}?event_id=hash&time=1767323045");
    for _ in 0..2 {
        send(&server, &raw, "same\nsame\nother").expect(200);
    }
    let events = stored(&server);
    assert_eq!(events.len(), 5);
    assert_eq!(
        (&events[0]["topic"], &events[0]["source"]),
        (&"t".into(), &"s".into())
    );
    assert_eq!(events[0]["event_id"], "u-1");
    assert_eq!(events[0]["timestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(server.json("/stats")["duplicate_dropped"], 5);
    let target = format!("{EVENT}?event_id=auto,id");
    let answer = send(&server, &target, body).expect(400);
    assert_eq!(answer["code"], 6);
    assert!(
        answer["text"].as_str().unwrap().starts_with("event_id"),
        "{answer}"
    );
}

#[test]
fn what_cannot_be_read_stores_nothing_and_is_kept() {
    let server = Server::start(&[]);
    let good = r#"{"event":"good"}"#;
    let invalid = |number: u64| json!({"text": "Invalid data format", "code": 6, "invalid-event-number": number});
    let no_data = json!({"text": "No data", "code": 5});
    let cases = [
        (String::new(), no_data.clone()),
        (" \r\n".to_owned(), no_data.clone()),
        ("[]".to_owned(), no_data),
        ("event=x".to_owned(), invalid(0)),
        (format!("{good}{{\"event\":}}{good}"), invalid(1)),
        (format!("[{good},{good},{{\"event\":\"cut"), invalid(2)),
        (format!("[{good},{good}"), invalid(2)),
        (format!("{good},{good}"), invalid(1)),
        (format!("\u{feff}{good}"), invalid(0)),
    ];
    for (number, (body, expected)) in cases.iter().enumerate() {
        let response = send(&server, EVENT, body);
        assert_eq!(&response.expect(400), expected, "{body}");
        let kept = &server.json("/rejected?limit=1");
        let kept = &kept["rejected"][0];
        assert_eq!(kept["seq"], number + 1, "{body}: {kept}");
        assert_eq!(
            (&kept["protocol"], &kept["record"]),
            (&json!("hec"), &json!(body))
        );
    }
    assert!(stored(&server).is_empty());
}

#[test]
fn a_bad_event_leaves_its_neighbours() {
    let server = Server::start(&[]);
    let deep = format!("{{\"event\":{}{}}}", "[".repeat(128), "]".repeat(128));
    let required =
        json!({"text": "Event field is required", "code": 12, "invalid-event-number": 0});
    let blank =
        json!({"text": "Event field cannot be blank", "code": 13, "invalid-event-number": 0});
    let invalid = |why: &str| {
        let text = format!("Invalid data format: {why}");
        json!({"text": text, "code": 6, "invalid-event-number": 0})
    };
    let cases: [(&[u8], Value); 7] = [
        (b"{}", required.clone()),
        (b"{\"event\":null}", required),
        (b"{\"event\":\"\"}", blank),
        (b"[[]]", invalid("it is not an object")),
        (b"5", invalid("it is not an object")),
        (
            deep.as_bytes(),
            invalid("it is nested deeper than 128 levels"),
        ),
        (b"{\"event\":\"\xff\"}", invalid("it is not UTF-8")),
    ];
    for (body, expected) in &cases {
        assert_eq!(&send(&server, EVENT, body).expect(400), expected);
        let answer = send(&server, EVENT, [*body, b" {}"].concat()).expect(400);
        assert_eq!(&answer, expected, "the first one is named");
        let between = [&b"{\"event\":1}"[..], body, b" ", body, b" {\"event\":2}"].concat();
        let answer = send(&server, EVENT, between).expect(200);
        assert_eq!(answer, json!({"text": "Success", "code": 0}));
    }
    assert_eq!(stored(&server).len(), 2 * cases.len());
    assert_eq!(server.json("/stats")["rejected"], 5 * cases.len());
}

#[test]
fn without_a_token_nothing_is_taken() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "shipper publish secret\nreader read other\n").unwrap();
    let closed = setup.flags(["--auth-tokens-file".into(), path]).start();
    let open = Server::start(&[]);
    let required = json!({"text": "Token is required", "code": 2});
    let event = r#"{"event":"x"}"#;
    for server in [&open, &closed] {
        for path in [
            "/services/collector",
            EVENT,
            RAW,
            ACK,
            "/services/collector/x",
        ] {
            for header in ["X: y", "Authorization:", "Authorization:  "] {
                if server.address() == open.address() && path.ends_with("/x") {
                    continue;
                }
                let target = format!("{path}?token=secret&channel=c");
                let response = send_with(server, &target, &[header], event);
                assert_eq!(response.expect(401), required, "{path} {header}");
                assert!(response.header("www-authenticate").is_some());
            }
        }
        for method in ["GET", "HEAD"] {
            assert_eq!(
                server.client().request(method, HEALTH, &[], b"").status,
                200
            );
        }
        // Docker's driver asks without looking at more than the status.
        for path in [EVENT, "/services/collector/event/1.0", RAW, ACK, HEALTH] {
            let response = server.client().request("OPTIONS", path, &[], b"");
            assert_eq!((response.status, response.text()), (200, String::new()));
        }
    }
    for (header, status, verdict) in [
        (
            "Authorization: Splunk wrong",
            401,
            (3, "Invalid authorization"),
        ),
        (
            "Authorization: Digest secret",
            401,
            (3, "Invalid authorization"),
        ),
        ("Authorization: Splunk other", 403, (4, "Invalid token")),
        ("Authorization: Splunk secret", 200, (0, "Success")),
        // Base64 of x:secret.
        ("Authorization: Basic eDpzZWNyZXQ=", 200, (0, "Success")),
    ] {
        let answer = send_with(&closed, EVENT, &[header], event).expect(status);
        assert_eq!(
            answer,
            json!({"text": verdict.1, "code": verdict.0}),
            "{header}"
        );
    }
    // Another shipper's field is a token, but not one that a page could not send.
    let answer = send_with(&closed, EVENT, &["DD-API-KEY: secret"], event).expect(401);
    assert_eq!(answer, required);
    assert!(stored(&open).is_empty());
}

#[test]
fn an_acknowledgement_is_true_for_what_is_stored() {
    let setup = Setup::new();
    let server = setup.start();
    assert_eq!(
        acks(&server, &json!([0, 1])),
        json!({"0": false, "1": false})
    );
    let first = ack_id(&server, r#"{"event":1}{"event":2}"#);
    let target = format!("{RAW}?channel=c");
    let answer = send(&server, &target, "three\nfour\nfive").expect(200);
    let second = answer["ackId"].as_u64().unwrap();
    assert_eq!((first, second), (2, 5));
    let without = send(&server, EVENT, r#"{"event":6}"#).expect(200);
    assert_eq!(without.get("ackId"), None);
    let question = json!([second, first, 6, 7, u64::MAX, -1]);
    let expected = json!({"5": true, "2": true, "6": true, "7": false,
        "18446744073709551615": false, "-1": false});
    assert_eq!(acks(&server, &question), expected);
    let huge = send(
        &server,
        ACK,
        r#" { "x":[], "acks" : [ 1 , 99999999999999999999 ] } "#,
    );
    assert_eq!(
        huge.text(),
        r#"{"acks":{"1":true,"99999999999999999999":false}}"#
    );
    assert_eq!(acks(&server, &json!([])), json!({}));
    // Any server on this database knows it, and it is true again whenever it is asked.
    let setup = server.setup().clone();
    server.kill();
    let server = setup.start();
    for _ in 0..2 {
        assert_eq!(acks(&server, &question), expected);
    }
    assert_eq!(ack_id(&server, r#"{"event":7}"#), 7);
    assert_eq!(acks(&server, &json!([7])), json!({"7": true}));
    // What was stored before is stored.
    let target = format!("{EVENT}?event_id=event&channel=c");
    for _ in 0..2 {
        let answer = send(&server, &target, r#"{"event":"a"}"#).expect(200);
        assert_eq!(answer["ackId"], 8);
    }
}

#[test]
fn a_bad_question_for_acknowledgements_is_refused() {
    let server = Server::start(&[]);
    for (body, code) in [
        ("", 5),
        ("{}", 6),
        ("[1]", 6),
        ("{\"acks\":1}", 6),
        ("{\"acks\":[1.5]}", 6),
        ("{\"acks\":[1e3]}", 6),
        ("{\"acks\":[\"1\"]}", 6),
        ("{\"acks\":[null]}", 6),
        ("{\"acks\":[[1]]}", 6),
        ("{\"acks\":[1}", 6),
        ("{\"acks\":[1]", 6),
    ] {
        assert_eq!(send(&server, ACK, body).expect(400)["code"], code, "{body}");
    }
    let question = |count: usize| json!({"acks": vec![1; count]}).to_string();
    assert_eq!(send(&server, ACK, question(100_000)).status, 200);
    let text = "Invalid data format: ask for at most 100000 ids at a time";
    let expected = json!({"text": text, "code": 6});
    assert_eq!(send(&server, ACK, question(100_001)).expect(400), expected);
    assert_eq!(server.get(ACK).expect(405)["code"], 405);
    assert!(stored(&server).is_empty());
}

#[test]
fn while_the_store_cannot_commit_events_are_refused_and_acknowledgements_answered() {
    let server = Server::start(&[]);
    let healthy = json!({"text": "HEC is healthy", "code": 17});
    assert_eq!(server.get(HEALTH).expect(200), healthy);
    let id = ack_id(&server, r#"{"event":1}"#);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = json!({"text": "Server is busy", "code": 9});
    for (path, body) in [(EVENT, "{\"event\":2}"), (RAW, "two"), (EVENT, "{")] {
        let response = send_with(&server, path, &[TOKEN, CHANNEL], body);
        if body == "{" {
            assert_eq!(response.expect(400)["code"], 6);
            continue;
        }
        assert_eq!(response.expect(503), busy);
        assert!(response.header("retry-after").is_some());
    }
    for path in [HEALTH, "/services/collector/health/1.0?token=x&ack=1"] {
        let response = server.get(path);
        assert_eq!(response.expect(503)["code"], 18);
        assert!(response.header("retry-after").is_some());
    }
    assert_eq!(
        acks(&server, &json!([id, id + 1])),
        json!({"1": true, "2": false})
    );
    other.execute_batch("ROLLBACK").unwrap();
    server.log().wait_for(1, "the store commits again");
    assert_eq!(server.get(HEALTH).expect(200), healthy);
    assert_eq!(ack_id(&server, r#"{"event":2}"#), 2);
    assert_eq!(stored(&server).len(), 2);
}

#[test]
fn a_request_may_take_several_commits() {
    let server = Server::start(&["--ring-capacity", "7"]);
    let events: Vec<String> = (0..100)
        .map(|n| match n % 10 {
            5 => format!("{{\"n\":{n}}}"),
            _ => format!("{{\"event\":{n}}}"),
        })
        .collect();
    let array = format!("[{}]", events.join(","));
    for body in [events.concat(), array] {
        let gzip = encodings::gzip(body.as_bytes());
        let headers = [TOKEN, CHANNEL, "Content-Encoding: gzip"];
        let before = stored(&server).len();
        let answer = send_with(&server, EVENT, &headers, gzip).expect(200);
        assert_eq!(answer["ackId"], before + 90);
        let numbers: Vec<u64> = stored(&server)[before..]
            .iter()
            .map(|event| event["payload"]["event"].as_u64().unwrap())
            .collect();
        let expected: Vec<u64> = (0..100).filter(|n| n % 10 != 5).collect();
        assert_eq!(numbers, expected);
    }
    let lines: String = (0..50).map(|n| format!("{n}\n")).collect();
    send(&server, RAW, &lines).expect(200);
    assert_eq!(stored(&server).len(), 230);
    let bad = "{}".repeat(20);
    let answer = send(&server, EVENT, bad).expect(400);
    assert_eq!(
        (&answer["code"], &answer["invalid-event-number"]),
        (&json!(12), &json!(0))
    );
}

#[test]
fn other_refusals_have_the_shape_too() {
    let server = Server::start(&["--max-body-bytes", "2048"]);
    let coded = |coding: &str, body: &[u8]| {
        let coding = format!("Content-Encoding: {coding}");
        send_with(&server, EVENT, &[TOKEN, &coding], body)
    };
    assert_eq!(coded("gzip", b"not gzip").expect(400)["code"], 6);
    assert_eq!(coded("br", b"x").expect(415)["code"], 415);
    assert_eq!(coded("identity", &[b' '; 4096]).expect(413)["code"], 27);
    let bomb = encodings::gzip(&[b' '; 4096]);
    assert_eq!(coded("gzip", &bomb).expect(413)["code"], 27);
    let response = server.get(EVENT);
    assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    assert_eq!(response.expect(405)["code"], 405);
    assert_eq!(send(&server, HEALTH, "x").expect(405)["code"], 405);
    let unknown = json!({"text": "The requested URL was not found on this server.", "code": 404});
    assert_eq!(
        send(&server, "/services/collector/x", "{}").expect(404),
        unknown
    );
    let mut client: Client = server.client();
    assert_eq!(client.get("/services").status, 404);
    assert!(stored(&server).is_empty());
}
