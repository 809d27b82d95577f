//! OTLP/HTTP logs, in protobuf and JSON.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{json, Value};

use super::{post, stored};
use crate::encodings;
use crate::harness::{Client, Response, Server, Setup, TIMEOUT};
use crate::wait::{wait_until, wait_within};

const PATH: &str = "/v1/logs";
const PROTOBUF: &str = "Content-Type: application/x-protobuf";

/// A field with a string or a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

fn string_value(text: &str) -> Vec<u8> {
    field(1, text.as_bytes())
}

fn key_value(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value)].concat()
}

/// A record with a time, a text, and an identity where there is one.
fn record(text: &str, uid: Option<&str>) -> Vec<u8> {
    let time = 1_767_323_045_678_901_234_u64;
    let mut record = [&[0x09][..], &time.to_le_bytes()].concat();
    record.extend(field(5, &string_value(text)));
    if let Some(uid) = uid {
        let attribute = key_value("log.record.uid", &string_value(uid));
        record.extend(field(6, &attribute));
    }
    record
}

/// A request whose records have one resource.
fn request(records: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let resource = [("service.name", "web"), ("host.name", "h1")]
        .map(|(key, value)| field(1, &key_value(key, &string_value(value))))
        .concat();
    let records: Vec<u8> = records
        .into_iter()
        .flat_map(|record| field(2, &record))
        .collect();
    let resource_logs = [field(1, &resource), field(2, &records)].concat();
    field(1, &resource_logs)
}

fn send(client: &mut Client, target: &str, body: &[u8]) -> Response {
    client.request("POST", target, &[PROTOBUF], body)
}

/// The number and the text of a `google.rpc.Status`, or of a `partial_success`; both have fields 1 and 2.
fn decoded(bytes: &[u8]) -> (u64, String) {
    let (mut number, mut at) = (0, 0);
    if bytes.first() == Some(&0x08) {
        number = u64::from(bytes[1]);
        assert!(number < 0x80);
        at = 2;
    }
    assert_eq!(bytes[at], 0x12);
    let mut length = usize::from(bytes[at + 1]);
    at += 2;
    if length >= 0x80 {
        length = (length & 0x7f) + 0x80 * usize::from(bytes[at]);
        at += 1;
    }
    assert_eq!(bytes.len(), at + length);
    (number, String::from_utf8(bytes[at..].to_vec()).unwrap())
}

/// The `partial_success` of an answer.
fn partial_success(response: &Response) -> (u64, String) {
    assert_eq!(response.status, 200);
    assert_eq!(response.body[0], 0x0a);
    let skipped = if response.body[1] < 0x80 { 2 } else { 3 };
    decoded(&response.body[skipped..])
}

fn texts<'e>(events: &'e [Value], member: &str) -> Vec<&'e str> {
    let text = |event: &'e Value| event[member].as_str().expect("it is a string");
    events.iter().map(text).collect()
}

#[test]
fn a_record_is_an_event() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let response = send(&mut client, PATH, &request([record("hello", Some("u1"))]));
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(
        response.header("content-type"),
        Some("application/x-protobuf")
    );
    let json = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"web"}},
        {"key":"service.instance.id","value":{"stringValue":"i7"}}]},
        "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[{"observedTimeUnixNano":"1767323045678901234",
        "severityNumber":17,"severityText":"ERROR","traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","body":{"intValue":"0"},"severity_text":"unknown name",
        "attributes":[{"key":"log.record.uid","value":{"stringValue":"u2"}},
        {"key":"n","value":{"intValue":"9007199254740993"}}]}]}]}]}"#;
    let response = post(&mut client, "/v1/logs", json);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.expect(200), json!({}));

    let events = stored(&server);
    assert_eq!(texts(&events, "topic"), ["web"; 2]);
    assert_eq!(texts(&events, "event_id"), ["u1", "u2"]);
    assert_eq!(texts(&events, "source"), ["h1", "i7"]);
    assert_eq!(
        texts(&events, "timestamp"),
        ["2026-01-02T03:04:05.678901234Z"; 2]
    );
    let resource = json!({"service.name": "web", "host.name": "h1"});
    let first =
        json!({"body": "hello", "attributes": {"log.record.uid": "u1"}, "resource": resource});
    assert_eq!(events[0]["payload"], first);
    let second = &events[1]["payload"];
    assert_eq!(second["body"], 0);
    assert_eq!(second["attributes"]["n"], 9_007_199_254_740_993_u64);
    assert_eq!(second["traceId"], "5b8efff798038103d269b633813fc60c");
    assert_eq!(second["spanId"], "eee19b7ec3c1b174");
    assert_eq!(second["scope"], json!({"name": "lib"}));
    assert_eq!(second["severityText"], "ERROR");
}

#[test]
fn what_is_missing_is_filled_in() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // A record that is empty, in a resource that is not there.
    let empty = field(1, &field(2, &field(2, b"")));
    assert_eq!(send(&mut client, PATH, &empty).status, 200);
    let named = "/v1/logs?topic=t&source=s&event_id=body";
    assert_eq!(
        send(&mut client, named, &request([record("id", None)])).status,
        200
    );
    let events = stored(&server);
    assert_eq!(texts(&events, "topic"), ["otlp", "t"]);
    assert_eq!(texts(&events, "source"), ["127.0.0.1", "s"]);
    assert_eq!(
        (&events[0]["payload"], &events[1]["event_id"]),
        (&json!({}), &json!("id"))
    );
    assert_eq!(events[0]["event_id"].as_str().unwrap().len(), 36);
}

#[test]
fn no_records_are_a_success() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for body in [vec![], field(1, b""), request([])] {
        let response = send(&mut client, PATH, &body);
        assert_eq!((response.status, response.body.len()), (200, 0));
    }
    assert_eq!(post(&mut client, PATH, "{}").expect(200), json!({}));
    let response = client.request(
        "POST",
        PATH,
        &["Content-Type: APPLICATION/JSON; charset=utf-8"],
        b"{}",
    );
    assert_eq!(response.expect(200), json!({}));
    assert!(stored(&server).is_empty());
}

#[test]
fn a_retry_is_stored_once_by_its_identity_or_by_its_content() {
    let server = Server::start(&[]);
    let body = request((0..100).map(|n| record(&n.to_string(), Some(&format!("uid-{n}")))));
    let anonymous = request((0..100).map(|n| record(&n.to_string(), None)));
    for _ in 0..3 {
        let mut client = server.client();
        assert_eq!(send(&mut client, PATH, &body).body, b"");
        assert_eq!(
            send(&mut client, "/v1/logs?event_id=hash", &anonymous).body,
            b""
        );
    }
    assert_eq!(stored(&server).len(), 200);
    // Without either it is stored again.
    for _ in 0..2 {
        send(&mut server.client(), PATH, &anonymous);
    }
    assert_eq!(stored(&server).len(), 400);
}

#[test]
fn rejected_records_and_conflicts_are_told() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = request([
        record("1", Some("a")),
        b"\xff\xff".to_vec(),
        record("2", Some("b")),
    ]);
    let (rejected, message) = partial_success(&send(&mut client, PATH, &body));
    assert_eq!(rejected, 1);
    assert!(message.contains("cut off"), "{message}");
    assert_eq!(stored(&server).len(), 2);
    // All of them.
    let (rejected, _) = partial_success(&send(&mut client, PATH, &request([b"\x0a".to_vec()])));
    assert_eq!(rejected, 1);
    let json =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}},7]}]}]}"#;
    let answer = post(&mut client, PATH, json).expect(200);
    assert_eq!(
        answer["partialSuccess"]["rejectedLogRecords"], "1",
        "{answer}"
    );
    assert!(answer["partialSuccess"]["errorMessage"].is_string());

    let conflict = request([record("other", Some("a"))]);
    let (rejected, message) = partial_success(&send(&mut client, PATH, &conflict));
    assert_eq!(rejected, 0);
    assert!(message.contains("another content"), "{message}");
    let events = stored(&server);
    let first = events
        .iter()
        .find(|event| event["event_id"] == "a")
        .unwrap();
    assert_eq!(first["payload"]["body"], "1");
}

#[test]
fn errors_are_a_status_in_the_encoding_of_the_request() {
    let server = Server::start(&["--max-body-bytes", "4096"]);
    let mut client = server.client();
    let status = |response: &Response| {
        assert_eq!(
            response.header("content-type"),
            Some("application/x-protobuf")
        );
        decoded(&response.body)
    };
    let response = send(&mut client, PATH, b"\xff");
    assert_eq!(response.status, 400);
    let (code, message) = status(&response);
    assert!(
        code == 3 && message.contains("ExportLogsServiceRequest"),
        "{message}"
    );
    let headers = [PROTOBUF, "Content-Encoding: gzip"];
    let response = client.request("POST", PATH, &headers, b"no gzip");
    assert_eq!((response.status, status(&response).0), (400, 3));
    let response = send(&mut server.client(), PATH, &vec![0; 5000]);
    assert_eq!((response.status, status(&response).0), (413, 8));
    let response = send(&mut client, "/v1/logs?event_id=", b"");
    assert_eq!((response.status, status(&response).0), (400, 3));

    let answer = post(&mut client, PATH, "{").expect(400);
    assert_eq!(answer["code"], 3, "{answer}");
    let response = client.request("POST", PATH, &["Content-Type: text/plain"], b"x");
    let answer = response.expect(415);
    assert!(answer["message"]
        .as_str()
        .unwrap()
        .contains("application/x-protobuf"));
    let response = client.request("GET", PATH, &[], b"");
    assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    assert_eq!(response.expect(405)["code"], 12);
    assert!(stored(&server).is_empty());
}

#[test]
fn other_signals_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for path in ["/v1/traces", "/v1/metrics"] {
        let response = send(&mut client, path, b"anything");
        assert_eq!(response.status, 404);
        let (code, message) = decoded(&response.body);
        assert!(code == 5 && message.contains("Only logs"), "{message}");
        let answer = post(&mut client, path, "{}").expect(404);
        assert_eq!(answer["code"], 5);
        assert!(answer["message"].as_str().unwrap().contains("/v1/logs"));
    }
}

#[test]
fn tokens_are_asked_for_in_the_encoding_of_the_request() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "shipper publish secret\nreader read other\n").unwrap();
    let server = setup.flags(["--auth-tokens-file".into(), path]).start();
    let body = request([record("x", None)]);
    for (token, status, code) in [("wrong", 401, 16), ("other", 403, 7)] {
        let token = format!("Authorization: Bearer {token}");
        let response = server
            .client()
            .request("POST", PATH, &[PROTOBUF, &token], &body);
        assert_eq!((response.status, decoded(&response.body).0), (status, code));
    }
    let headers = [PROTOBUF, "Authorization: Bearer secret"];
    assert_eq!(
        server
            .client()
            .request("POST", PATH, &headers, &body)
            .status,
        200
    );
}

#[test]
fn encoded_bodies_are_taken() {
    let server = Server::start(&[]);
    let body = encodings::gzip(&request([record("x", Some("u"))]));
    let headers = [PROTOBUF, "Content-Encoding: gzip"];
    let response = server.client().request("POST", PATH, &headers, &body);
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(texts(&stored(&server), "event_id"), ["u"]);
}

#[test]
fn while_the_store_cannot_commit_it_is_503_and_a_retry_is_stored_once() {
    let server = Server::start(&[]);
    let body = request([record("x", Some("u"))]);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.busy_timeout(TIMEOUT).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let response = send(&mut server.client(), PATH, &body);
    assert_eq!((response.status, decoded(&response.body).0), (503, 14));
    assert!(response.header("retry-after").is_some());
    other.execute_batch("ROLLBACK").unwrap();
    server.log().wait_for(1, "the store commits again");
    for _ in 0..2 {
        assert_eq!(send(&mut server.client(), PATH, &body).body, b"");
    }
    assert_eq!(texts(&stored(&server), "event_id"), ["u"]);
}

#[test]
fn records_whose_answer_was_lost_are_stored_once() {
    let mut server = Server::start(&["--ring-capacity", "50"]);
    // In several transactions, with a kill somewhere among them.
    let body = request((0..2_000).map(|n| record(&n.to_string(), Some(&format!("uid-{n}")))));
    for _ in 0..3 {
        let mut client = server.client();
        let before = received(&server);
        client.send_request("POST", PATH, &[PROTOBUF], &body);
        wait_until("a part to be committed", || received(&server) > before);
        let setup = server.setup().clone();
        server.kill();
        drop(client);
        server = setup.start();
        // The next try is cut off after the request has been sent.
        server
            .client()
            .send_request("POST", PATH, &[PROTOBUF], &body);
    }
    let response = send(&mut server.client(), PATH, &body);
    assert_eq!((response.status, response.body.len()), (200, 0));
    let events = stored(&server);
    let mut ids = texts(&events, "event_id");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), events.len()), (2_000, 2_000));
}

#[test]
fn a_body_that_is_cut_off_stores_nothing() {
    let server = Server::start(&[]);
    let body = request((0..10).map(|n| record(&n.to_string(), None)));
    let mut client = server.client();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\n{PROTOBUF}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head);
    client.send(&body[..body.len() / 2]);
    drop(client);
    // And one whose end is missing, though HTTP has all of it.
    let response = send(&mut server.client(), PATH, &body[..body.len() - 3]);
    assert_eq!((response.status, decoded(&response.body).0), (400, 3));
    assert!(stored(&server).is_empty());
}

#[test]
fn a_million_empty_records_are_stored_in_bounded_memory() {
    let server = Server::start(&["--retain-events", "1MB"]);
    let records = b"\x12\x00".repeat(1_000_000);
    let body = field(1, &field(2, &records));
    let before = peak_kib(&server);
    let mut client = server.client();
    client.send_request("POST", PATH, &[PROTOBUF], &body);
    // It may take longer than a client waits for an answer.
    let what = "a million records";
    wait_within(Duration::from_secs(300), what, || {
        received(&server) == 1_000_000
    });
    assert_eq!(client.response().status, 200);
    let grown = peak_kib(&server) - before;
    assert!(grown < 64 * 1024, "{grown} KiB");
}

/// How many events the database has been sent.
fn received(server: &Server) -> u64 {
    server.json("/stats")["received"].as_u64().unwrap()
}

/// The most memory that the server has had.
fn peak_kib(server: &Server) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
