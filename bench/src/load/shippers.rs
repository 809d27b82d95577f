//! What shippers send, as requests: for each protocol one with a batch of events. The payloads that the server makes
//! of them are all [`PAYLOAD_BYTES`] long.

use super::events::ID_BYTES;
use super::request::{payload, topic_name, Builder, Template, SOURCE, TIMESTAMP};
use super::response::{parse_http, Malformed, ParsedResponse};

/// Bytes of each payload that is stored.
pub const PAYLOAD_BYTES: usize = 300;

/// How answers are read that have no counts: a success means all events.
fn parse(buffer: &[u8], events: u64) -> Result<Option<ParsedResponse>, Malformed> {
    let parsed = parse_http(buffer, events)?;
    Ok(parsed.map(|parsed| ParsedResponse {
        accepted: if parsed.failure.is_none() { events } else { 0 },
        ..parsed
    }))
}

/// The head of a request.
fn head(target: &str, host: &str, content_type: &str, length: usize) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// Events, one a line: what the others are compared with.
pub fn ndjson(batch: usize, host: &str, topics: u64) -> Template {
    let mut body = Builder::new(topics);
    for _ in 0..batch {
        body.push(r#"{"topic":""#);
        body.push_topic();
        body.push(r#"","event_id":""#);
        body.push_id();
        let payload = payload(PAYLOAD_BYTES);
        let rest =
            format!(r#"","timestamp":"{TIMESTAMP}","source":"{SOURCE}","payload":{payload}}}"#);
        body.push(rest + "\n");
    }
    let head = head("/publish", host, "application/x-ndjson", body.pushed());
    body.finish(parse_http, Vec::new(), &head)
}

/// A field of protobuf with a string or a message, whose last `later` bytes are still to come.
fn field(number: u8, bytes: &[u8], later: usize) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len() + later;
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// `ExportLogsServiceRequest` in protobuf, with one resource and an id for each record.
pub fn otlp(batch: usize, host: &str) -> Template {
    const UID: &str = "log.record.uid";
    let topic = topic_name(0, 1);
    let around = format!(
        concat!(
            r#"{{"severityNumber":9,"severityText":"INFO","body":"","attributes":{{"{}":"{}"}},"#,
            r#""resource":{{"service.name":"{}"}}}}"#
        ),
        UID,
        "-".repeat(ID_BYTES),
        topic
    );
    let text = "x".repeat(PAYLOAD_BYTES - around.len());
    let value = field(1, &[], ID_BYTES);
    let attribute = [field(1, UID.as_bytes(), 0), field(2, &value, ID_BYTES)].concat();
    let record = [
        &[0x09][..],
        &1_767_323_045_678_000_000_u64.to_le_bytes(),
        &[0x10, 9],
        &field(3, b"INFO", 0),
        &field(5, &field(1, text.as_bytes(), 0), 0),
        &field(6, &attribute, ID_BYTES),
    ]
    .concat();
    let record = field(2, &record, ID_BYTES);
    let records = batch * (record.len() + ID_BYTES);
    let service = [
        field(1, b"service.name", 0),
        field(2, &field(1, topic.as_bytes(), 0), 0),
    ]
    .concat();
    let resource = field(1, &field(1, &service, 0), 0);
    let scope_logs = field(2, &[], records);
    let resource_logs = field(1, &[resource, scope_logs].concat(), records);
    let mut body = Builder::new(1);
    body.push(resource_logs);
    for _ in 0..batch {
        body.push(&record);
        body.push_id();
    }
    let head = head("/v1/logs", host, "application/x-protobuf", body.pushed());
    body.finish(parse, Vec::new(), &head)
}
