//! What shippers send, as requests: for each protocol one with a batch of events. The payloads that the server makes
//! of them are all [`PAYLOAD_BYTES`] long.

use super::events::ID_BYTES;
use super::request::{payload, topic_name, Builder, Template, SOURCE, TIMESTAMP};
use super::response::{parse_http, parse_start, Malformed, ParsedResponse};
use memchr::memmem;

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

/// [`parse`] for `_bulk`, whose success may hold records that failed.
fn parse_bulk(buffer: &[u8], events: u64) -> Result<Option<ParsedResponse>, Malformed> {
    let Some((head, body)) = parse_start(buffer)? else {
        return Ok(None);
    };
    let is_whole = memmem::find(body, br#""errors":false"#).is_some();
    let failure = (head.status != 200 || !is_whole)
        .then(|| format!("status {}: {}", head.status, String::from_utf8_lossy(body)));
    Ok(Some(ParsedResponse {
        total_bytes: head.total_bytes(),
        status: Some(head.status),
        accepted: if failure.is_none() { events } else { 0 },
        duplicates: 0,
        failure,
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

/// A payload of [`PAYLOAD_BYTES`] that begins like this and ends like that, filled up between.
fn filled(start: &str, end: &str, later: usize) -> String {
    let fill = PAYLOAD_BYTES - start.len() - end.len() - later;
    format!("{start}{}{end}", "x".repeat(fill))
}

/// `_bulk` of Elasticsearch, with an id for each document.
pub fn bulk(batch: usize, host: &str) -> Template {
    let topic = topic_name(0, 1);
    let start = format!(r#"{{"@timestamp":"{TIMESTAMP}","host":{{"name":"{SOURCE}"}},"message":""#);
    let document = filled(&start, "\"}", 0);
    let mut body = Builder::new(1);
    for _ in 0..batch {
        body.push(format!(r#"{{"create":{{"_index":"{topic}","_id":""#));
        body.push_id();
        body.push(format!("\"}}}}\n{document}\n"));
    }
    let head = head(
        "/elasticsearch/_bulk",
        host,
        "application/x-ndjson",
        body.pushed(),
    );
    body.finish(parse_bulk, Vec::new(), &head)
}

/// Loki's push request in JSON. The id is part of the line, so that no two entries are equal.
pub fn loki(batch: usize, host: &str) -> Template {
    let topic = topic_name(0, 1);
    let labels = format!(r#"{{"service_name":"{topic}","host":"{SOURCE}"}}"#);
    let payload = filled(&format!(r#"{{"labels":{labels},"line":""#), "\"}", ID_BYTES);
    let line = payload
        .split_once(r#""line":""#)
        .map(|(_, line)| line.trim_end_matches("\"}"));
    let mut body = Builder::new(1);
    body.push(format!(r#"{{"streams":[{{"stream":{labels},"values":["#));
    for at in 0..batch {
        let comma = if at == 0 { "" } else { "," };
        body.push(format!(
            r#"{comma}["1767323045678000000","{}"#,
            line.unwrap_or_default()
        ));
        body.push_id();
        body.push("\"]");
    }
    body.push("]}]}");
    let head = head("/loki/api/v1/push", host, "application/json", body.pushed());
    body.finish(parse, Vec::new(), &head)
}
