//! What a request says once may stand in each of its events: a small body must not become any number of bytes.

use serde_json::{json, Value};

use super::loki::protobuf::{bytes, entry, snappy, stream};
use super::{post, stored};
use crate::harness::{Response, Server};

/// Longer than all that is left of the limit of a body.
fn long() -> String {
    "x".repeat(32_000)
}

const JSON: &str = "Content-Type: application/json";
const PROTOBUF: &str = "Content-Type: application/x-protobuf";

fn otlp_json(attribute: &str, records: usize) -> Vec<u8> {
    let attributes = json!([{"key": "k", "value": {"stringValue": attribute}}]);
    let records = vec![json!({}); records];
    let resource_logs =
        json!({"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": records}]});
    json!({"resourceLogs": [resource_logs]})
        .to_string()
        .into_bytes()
}

fn otlp_protobuf(attribute: &str, records: usize) -> Vec<u8> {
    let value = bytes(1, attribute.as_bytes());
    let attribute = [bytes(1, b"k"), bytes(2, &value)].concat();
    let scope = bytes(2, &bytes(2, b"").repeat(records));
    bytes(1, &[bytes(1, &bytes(1, &attribute)), scope].concat())
}

fn loki_json(label: &str, entries: usize) -> Vec<u8> {
    let values: Vec<Value> = (1..=entries).map(|n| json!([n.to_string(), "l"])).collect();
    json!({"streams": [{"stream": {"a": label}, "values": values}]})
        .to_string()
        .into_bytes()
}

fn loki_protobuf(label: &str, entries: usize) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = (1..=entries).map(|n| entry(n as u64, b"l", None)).collect();
    snappy(&stream(&format!("{{a=\"{label}\"}}"), &entries))
}

#[test]
fn what_a_request_says_once_is_not_repeated_without_bound() {
    type Body = fn(&str, usize) -> Vec<u8>;
    let cases: [(&str, &str, Body, u16); 4] = [
        ("/v1/logs", JSON, otlp_json, 200),
        ("/v1/logs", PROTOBUF, otlp_protobuf, 200),
        ("/loki/api/v1/push", JSON, loki_json, 204),
        ("/loki/api/v1/push", PROTOBUF, loki_protobuf, 204),
    ];
    for (path, media_type, body, success) in cases {
        let server = Server::start(&["--max-body-bytes", "65536"]);
        let send = |records| -> Response {
            let body = body(&long(), records);
            server.client().request("POST", path, &[media_type], &body)
        };
        let refused = send(600);
        assert_eq!(refused.status, 413, "{path} {media_type}: {refused:?}");
        let text = String::from_utf8_lossy(&refused.body);
        assert!(text.contains("send them in several requests"), "{text}");
        assert_eq!(stored(&server).len(), 0);
        assert_eq!(send(50).status, success, "{path} {media_type}");
        assert_eq!(stored(&server).len(), 50);
        // It is refused for its size, and not kept.
        assert_eq!(server.json("/rejected")["count"], 0);
    }
}

#[test]
fn a_source_in_the_query_is_counted_too() {
    let server = Server::start(&["--max-body-bytes", "1048576"]);
    let query = format!("source={}", "s".repeat(250));
    let array = format!("[{}{{}}]", "{},".repeat(300_000));
    let refused = post(
        &mut server.client(),
        &format!("/api/v2/logs?{query}"),
        array,
    );
    assert_eq!(refused.status, 413, "{refused:?}");
    let target = format!("/services/collector/raw?{query}");
    let headers = ["Authorization: Splunk any"];
    let lines = "a\n".repeat(300_000);
    let refused = server
        .client()
        .request("POST", &target, &headers, lines.as_bytes());
    assert_eq!(refused.expect(413)["code"], 27);
    let good = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    let batch = format!("[{good}{}]", ",5".repeat(300_000));
    let refused = server.client().request(
        "POST",
        &format!("/cloudevents?{query}"),
        &["Content-Type: application/cloudevents-batch+json"],
        batch.as_bytes(),
    );
    assert!(refused.sentence(413).contains("several requests"));
    assert_eq!(stored(&server).len(), 0);
}

/// Their number times the length of the resource would be hundreds of gigabytes.
#[test]
fn empty_scopes_below_a_large_resource_cost_nothing() {
    let server = Server::start(&[]);
    let attribute = "x".repeat(4_000_000);
    let scopes = 100_000;
    let protobuf = {
        let value = bytes(1, attribute.as_bytes());
        let attribute = [bytes(1, b"k"), bytes(2, &value)].concat();
        let resource = bytes(1, &bytes(1, &attribute));
        bytes(1, &[resource, bytes(2, b"").repeat(scopes)].concat())
    };
    let json = {
        let attributes = json!([{"key": "k", "value": {"stringValue": attribute}}]);
        let scopes = vec![json!({}); scopes];
        json!({"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": scopes}]})
    };
    for (media_type, body) in [(PROTOBUF, protobuf), (JSON, json.to_string().into_bytes())] {
        let answer = server
            .client()
            .request("POST", "/v1/logs", &[media_type], &body);
        assert_eq!(answer.status, 200, "{media_type}");
    }
    assert_eq!(stored(&server).len(), 0);
}

/// Each of the stream's entries has the reason for which it was rejected.
#[test]
fn the_reason_of_a_rejected_stream_is_short() {
    let server = Server::start(&[]);
    let entries: Vec<Vec<u8>> = (1..=1_000).map(|n| entry(n, b"l", None)).collect();
    let labels = format!("{{a=\"é\",{}", "é".repeat(50_000));
    let answer = server.client().request(
        "POST",
        "/loki/api/v1/push",
        &[PROTOBUF],
        &snappy(&stream(&labels, &entries)),
    );
    assert_eq!(answer.status, 400);
    assert!(answer.text().ends_with("é… cannot be read\n"), "{answer:?}");
    assert_eq!(server.json("/stats")["rejected"], 1_000);
}
