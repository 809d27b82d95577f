//! What shippers send: good, broken, partly broken, repeated, compressed.

use std::io::Write;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;
use serde_json::json;

const JSON: &str = "Content-Type: application/json";
pub const BULK: &str = "Content-Type: application/x-ndjson";
const PROTOBUF: &str = "Content-Type: application/x-protobuf";
pub const JOURNAL: &str = "Content-Type: application/vnd.fdo.journal";
const SPLUNK: &str = "Authorization: Splunk any";

/// A request on a path of another protocol.
pub struct Sent {
    pub method: &'static str,
    pub target: &'static str,
    pub headers: Vec<&'static str>,
    pub body: Vec<u8>,
}

fn sent(
    method: &'static str,
    target: &'static str,
    headers: &[&'static str],
    body: impl Into<Vec<u8>>,
) -> Sent {
    Sent {
        method,
        target,
        headers: headers.to_vec(),
        body: body.into(),
    }
}

fn post(target: &'static str, headers: &[&'static str], body: impl Into<Vec<u8>>) -> Sent {
    sent("POST", target, headers, body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A field of protobuf with bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 0x80, "its length is one byte");
    [&[number << 3 | 2, length], bytes].concat()
}

/// A request of OTLP with records that have these texts, and one that is not a message if asked for.
fn otlp(texts: &[&str], is_partly_broken: bool) -> Vec<u8> {
    let mut records: Vec<u8> = Vec::new();
    for text in texts {
        let uid = [
            field(1, b"log.record.uid"),
            field(2, &field(1, text.as_bytes())),
        ]
        .concat();
        let record = [field(5, &field(1, text.as_bytes())), field(6, &uid)].concat();
        records.extend(field(2, &record));
    }
    if is_partly_broken {
        records.extend(field(2, b"\xff\xff"));
    }
    field(1, &field(2, &records))
}

fn otlp_json(uid: &str, text: &str) -> String {
    let attribute = json!({"key": "log.record.uid", "value": {"stringValue": uid}});
    let time = "1767323045678901234";
    let record =
        json!({"timeUnixNano": time, "body": {"stringValue": text}, "attributes": [attribute]});
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string()
}

pub fn of_otlp() -> Vec<Sent> {
    const PATH: &str = "/v1/logs";
    let good = otlp(&["a", "b"], false);
    vec![
        post(PATH, &[PROTOBUF], good.clone()),
        post(PATH, &[PROTOBUF], good.clone()),
        post(PATH, &[PROTOBUF], otlp(&["c"], true)),
        post(PATH, &[PROTOBUF], otlp(&[], true)),
        post(PATH, &[PROTOBUF], "no message"),
        post(PATH, &[PROTOBUF], ""),
        post(
            PATH,
            &[PROTOBUF, "Content-Encoding: gzip"],
            gzip(&otlp(&["d"], false)),
        ),
        post(PATH, &[PROTOBUF, "Content-Encoding: gzip"], "no gzip"),
        post(PATH, &[PROTOBUF, "Content-Encoding: br"], good),
        post(PATH, &[JSON], otlp_json("j", "text")),
        post(PATH, &[JSON], otlp_json("j", "another")),
        post(PATH, &[JSON], "{"),
        post(PATH, &["Content-Type: text/plain"], "x"),
        post("/v1/traces", &[JSON], "{}"),
        sent("OPTIONS", PATH, &[], ""),
        sent("PUT", PATH, &[JSON], "{}"),
    ]
}

pub fn of_elasticsearch() -> Vec<Sent> {
    const PATH: &str = "/elasticsearch/_bulk";
    let good =
        "{\"create\":{\"_index\":\"web\",\"_id\":\"1\"}}\n{\"m\":1}\n{\"index\":{}}\n{\"m\":2}\n";
    // Without a time of its own, so what is filled in must not make a conflict of it.
    let other = "{\"create\":{\"_index\":\"web\",\"_id\":\"1\"}}\n{\"m\":9}\n";
    let mixed = "{\"create\":{\"_id\":\"2\"}}\nnot JSON\n{\"delete\":{\"_id\":\"3\"}}\n\
                 {\"create\":{\"_id\":\"4\"}}\n{\"m\":4}\n\
                 {\"create\":{\"_id\":\"4\"}}\n{\"m\":4}\n{\"create\":{\"_id\":\"4\"}}\n{\"m\":5}\n";
    vec![
        post(PATH, &[BULK], good),
        post(PATH, &[BULK], good),
        post(PATH, &[BULK], other),
        post(PATH, &[BULK], mixed),
        post("/web/_bulk", &[BULK], good),
        post("/_bulk", &[BULK], mixed),
        post(PATH, &[BULK], "{\"create\":{}}\n[]\n"),
        post(PATH, &[BULK], "{\"nothing\":{}}\n{}\n"),
        post(PATH, &[BULK], ""),
        post(
            PATH,
            &[BULK, "Content-Encoding: gzip"],
            gzip(good.as_bytes()),
        ),
        post("/elasticsearch/web/_doc", &[JSON], "{\"m\":1}"),
        sent("PUT", "/elasticsearch/web/_doc/d", &[JSON], "{\"m\":1}"),
        sent("PUT", "/elasticsearch/web/_create/d", &[JSON], "{\"m\":2}"),
        sent("PUT", "/elasticsearch/web/_create/e", &[JSON], "no"),
        sent("GET", "/elasticsearch", &[], ""),
        sent("HEAD", "/elasticsearch", &[], ""),
        sent("GET", "/elasticsearch/_license", &[], ""),
        sent("GET", "/elasticsearch/_cluster/health", &[], ""),
        sent("PUT", "/elasticsearch/_index_template/x", &[JSON], "{}"),
        post("/elasticsearch/web/_search", &[JSON], "{}"),
    ]
}

pub fn of_loki() -> Vec<Sent> {
    const PATH: &str = "/loki/api/v1/push";
    let good = r#"{"streams":[{"stream":{"app":"web","host":"h"},"values":[["1767323045678901234","one"],
        ["1767323045678901235","two",{"k":"v"}]]}]}"#;
    let mixed = r#"{"streams":[{"stream":{"app":"web"},"values":[["1767323045678901236","three"],["x","four"]]},
        {"stream":7,"values":[["1767323045678901236","five"]]}]}"#;
    vec![
        post(PATH, &[JSON], good),
        post(PATH, &[JSON], good),
        post(PATH, &[JSON], mixed),
        post(
            PATH,
            &[JSON],
            r#"{"streams":[{"stream":7,"values":[["1","five"]]}]}"#,
        ),
        post(PATH, &[JSON], "{"),
        post(
            PATH,
            &[JSON, "Content-Encoding: gzip"],
            gzip(good.as_bytes()),
        ),
        post(PATH, &[PROTOBUF], "no snappy"),
        post("/loki/api/v1/push?event_id=auto", &[JSON], good),
        post("/loki/api/v1/push?event_id=", &[JSON], good),
    ]
}

pub fn of_hec() -> Vec<Sent> {
    const PATH: &str = "/services/collector/event";
    let channel = "X-Splunk-Request-Channel: 11111111-2222-3333-4444-555555555555";
    let good = r#"{"event":"one","host":"h","time":1767323045}{"event":{"n":2}}"#;
    vec![
        post(PATH, &[SPLUNK], good),
        post(PATH, &[SPLUNK, channel], good),
        post(
            "/services/collector/raw?host=h",
            &[SPLUNK],
            "line 1\nline 2\n",
        ),
        post(PATH, &[SPLUNK], r#"{"event":"a"}{"host":"h"}{"event":""}"#),
        post(PATH, &[SPLUNK], r#"{"event":"a"}no"#),
        post(PATH, &[SPLUNK], ""),
        post(PATH, &[], good),
        post(
            "/services/collector/ack",
            &[SPLUNK, channel],
            r#"{"acks":[1,2,999999]}"#,
        ),
        post("/services/collector/ack", &[SPLUNK, channel], "no"),
        sent("GET", "/services/collector/health", &[], ""),
        sent("OPTIONS", PATH, &[], ""),
        post(
            PATH,
            &[SPLUNK, "Content-Encoding: deflate"],
            zlib(good.as_bytes()),
        ),
    ]
}

pub fn of_datadog_and_gelf() -> Vec<Sent> {
    const PATH: &str = "/api/v2/logs";
    let good = r#"[{"service":"web","hostname":"h","message":"one"},{"message":"two"}]"#;
    let deep = format!(
        "[{{\"a\":{}{}}},{{\"n\":1}}]",
        "[".repeat(200),
        "]".repeat(200)
    );
    vec![
        post(PATH, &[JSON], good),
        post("/api/v2/logs?event_id=message", &[JSON], good),
        post("/api/v2/logs?event_id=message", &[JSON], good),
        post(
            "/api/v2/logs?event_id=message",
            &[JSON],
            r#"{"message":"one","other":1}"#,
        ),
        post(PATH, &[JSON], deep),
        post(PATH, &[JSON], "[7]"),
        post(PATH, &[JSON], "{}"),
        post(
            PATH,
            &[JSON, "Content-Encoding: zstd"],
            zstd(good.as_bytes()),
        ),
        post(PATH, &[JSON], "no"),
        sent("GET", "/api/v1/validate", &[], ""),
        post(
            "/gelf",
            &[JSON],
            r#"{"host":"h","short_message":"x","timestamp":1767323045.5}"#,
        ),
        post("/gelf", &[JSON], "[1]"),
    ]
}

pub fn of_journald() -> Vec<Sent> {
    let entry = |number: usize| {
        format!("__CURSOR=c{number}\n__REALTIME_TIMESTAMP=1767323045000000\n_HOSTNAME=box\nMESSAGE=m {number}\n\n")
    };
    let good = entry(1) + &entry(2);
    vec![
        post("/upload", &[JOURNAL], good.clone()),
        post("/upload", &[JOURNAL], good.clone()),
        post(
            "/upload",
            &[JOURNAL, "Content-Encoding: zstd"],
            zstd(entry(3).as_bytes()),
        ),
        post("/upload", &[JOURNAL], entry(4) + "MESSAGE\n\x05"),
        post("/upload", &[JOURNAL, "Content-Encoding: gzip"], "no gzip"),
        post("/upload", &[JOURNAL], ""),
        post("/upload", &[JSON], good),
        sent("GET", "/upload", &[], ""),
    ]
}

pub fn of_events() -> Vec<Sent> {
    const ONE: &str = "Content-Type: application/cloudevents+json";
    const BATCH: &str = "Content-Type: application/cloudevents-batch+json";
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":1}}"#;
    let other = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":2}}"#;
    let binary = [
        "Content-Type: text/plain",
        "ce-specversion: 1.0",
        "ce-id: 2",
        "ce-source: /s",
        "ce-type: t",
    ];
    let record = r#"{"event_id":"p","payload":{"n":1}}"#;
    vec![
        post("/cloudevents", &[ONE], event),
        post("/cloudevents", &[ONE], event),
        post("/cloudevents?results=true", &[ONE], other),
        post("/cloudevents", &[BATCH], format!("[{event},{{}}]")),
        post("/cloudevents", &[BATCH], "[{}]"),
        post("/cloudevents", &[ONE], "{}"),
        post("/cloudevents", &binary, "text"),
        post("/cloudevents", &[JSON], "{}"),
        sent(
            "OPTIONS",
            "/cloudevents",
            &["WebHook-Request-Origin: example.com"],
            "",
        ),
        post("/publish?topic=t&source=s", &[JSON], record),
        post("/publish?topic=t", &[JSON], record),
        post(
            "/publish?topic=t",
            &[JSON],
            r#"{"event_id":"p","payload":{"n":2}}"#,
        ),
        post(
            "/publish?topic=t&partial=true&results=true",
            &[JSON],
            format!("[{record},{{\"payload\":1}}]"),
        ),
        post(
            "/publish?topic=t&partial=true",
            &[JSON],
            "[{\"payload\":1}]",
        ),
        post(
            "/publish?topic=t&payload=whole&event_id=auto",
            &[JSON],
            "{\"x\":1}",
        ),
    ]
}
