//! Both readers against `prost`, against what a model says of each record, and against each other.

use proptest::prelude::*;
use prost::Message;
use serde_json::{json, Value};

use super::*;
use crate::ingest::adapter::Tally;

mod model;
mod proto;

use model::*;
use proto::{Any, KeyValue};

/// The events of a body, and the reasons of records that were rejected.
type Read = (Vec<[String; 5]>, Vec<String>);

/// Reads a body, as many records at a time as a publication may have.
fn read(encoding: Encoding, body: &[u8], max_events: usize) -> Result<Read, String> {
    let run = dry_run(body, encoding == Encoding::Json, max_events)?;
    for [.., payload] in &run.events {
        assert_eq!(crate::event::payload_error(payload), None, "{payload}");
    }
    Ok((run.events, run.rejected))
}

fn key_value(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(wrapped(value)),
    }
}

/// A request with one record.
fn request(record: proto::LogRecord) -> proto::Request {
    requests(vec![record])
}

fn requests(log_records: Vec<proto::LogRecord>) -> proto::Request {
    let scope_logs = proto::ScopeLogs {
        log_records,
        ..Default::default()
    };
    let resource_logs = proto::ResourceLogs {
        scope_logs: vec![scope_logs],
        ..Default::default()
    };
    proto::Request {
        resource_logs: vec![resource_logs],
    }
}

fn payload_of(encoding: Encoding, body: &[u8]) -> String {
    let (events, rejected) = read(encoding, body, 10).expect("it is a message");
    assert_eq!(rejected, [""; 0]);
    let [.., payload] = events.into_iter().next().expect("there is a record");
    payload
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn both_encodings_give_what_the_model_says(request in any_request(), style in style(), max_events in 1..5_usize) {
        let bytes = request.encode_to_vec();
        let (events, rejected) = read(Encoding::Protobuf, &bytes, max_events).expect("it is a message");
        prop_assert_eq!(rejected, [""; 0]);
        let mut found = events.iter();
        for logs in &request.resource_logs {
            let resource = logs.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            for scope_logs in &logs.scope_logs {
                let scope = scope_logs.scope.clone().unwrap_or_default();
                for record in &scope_logs.log_records {
                    let [topic, id, time, source, text] = found.next().expect("each record is there");
                    let written: Value = serde_json::from_str(text).expect("it is JSON");
                    prop_assert_eq!(&written, &model_payload(record, &scope, resource), "{}", text);
                    // Names are made legal by others.
                    let is_plain = |name: &&str| !name.bytes().any(|byte| byte < 0x20);
                    let service = text_of(resource, "service.name").filter(is_plain);
                    prop_assert!(service.is_none_or(|service| service == topic), "{topic}");
                    let host = text_of(resource, "host.name").or(text_of(resource, "service.instance.id"));
                    prop_assert!(host.filter(is_plain).is_none_or(|host| host == source), "{source}");
                    let uid = text_of(&record.attributes, "log.record.uid").filter(is_plain);
                    prop_assert!(uid.is_none_or(|uid| uid == id), "{id}");
                    if record.time_unix_nano > 0 {
                        let digits = format!("{:09}Z", record.time_unix_nano % 1_000_000_000);
                        prop_assert!(time.ends_with(&digits), "{time}");
                    }
                }
            }
        }
        prop_assert!(found.next().is_none());

        let text = style.request(&request);
        let read_again = read(Encoding::Json, text.as_bytes(), max_events).expect("it is a message");
        for (json, protobuf) in read_again.0.iter().zip(&events) {
            // Ids that are made of the time of receipt are other ones each time.
            let is_made = protobuf[1].len() == 36;
            prop_assert!(is_made || json[1] == protobuf[1]);
            for member in [0, 2, 3, 4] {
                prop_assert_eq!(&json[member], &protobuf[member], "{}", text);
            }
        }
        prop_assert_eq!((read_again.0.len(), read_again.1.len()), (events.len(), 0));
    }

    /// Bytes in which something was changed: what `prost` takes is taken, nothing panics, and what was checked is
    /// read whole.
    #[test]
    fn broken_bodies_are_refused_or_lose_single_records(
        request in any_request(),
        changes in prop::collection::vec((any_of::<prop::sample::Index>(), any_of::<u8>()), 0..4),
        cut in any_of::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode_to_vec();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes.truncate(cut.index(2 * bytes.len() + 1));
        let found = read(Encoding::Protobuf, &bytes, 3);
        if let Ok(taken) = proto::Request::decode(&bytes[..]) {
            let count: usize = taken.resource_logs.iter().flat_map(|logs| &logs.scope_logs)
                .map(|logs| logs.log_records.len()).sum();
            let (events, rejected) = found.expect("prost takes it");
            prop_assert_eq!(events.len(), count);
            prop_assert_eq!(rejected, [""; 0]);
        }
        let mut text = Style { numbers_are_strings: true, is_upper: false, value_first: false, resource_last: false }
            .request(&request).into_bytes();
        let at = cut.index(text.len());
        text[at] = bytes.first().copied().unwrap_or(b'{');
        let _ = read(Encoding::Json, &text, 3);
    }
}

#[test]
fn a_payload_has_its_members_in_order() {
    let record = proto::LogRecord {
        time_unix_nano: 1_767_323_045_000_000_001,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        event_name: "start".to_owned(),
        body: Some(wrapped(Any::Bool(false))),
        attributes: vec![
            key_value("http.status", Any::Integer(200)),
            key_value("twice", Any::Double(1.5)),
            key_value("twice", Any::Bytes(vec![0xff])),
            KeyValue {
                key: "none".to_owned(),
                value: None,
            },
        ],
        flags: 1,
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        dropped_attributes_count: 2,
        ..Default::default()
    };
    let mut request = request(record);
    let logs = &mut request.resource_logs[0];
    logs.resource = Some(proto::Resource {
        attributes: vec![key_value("service.name", Any::Text("web".to_owned()))],
        ..Default::default()
    });
    logs.scope_logs[0].scope = Some(proto::Scope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        ..Default::default()
    });
    let expected = concat!(
        r#"{"severityNumber":9,"severityText":"INFO","eventName":"start","body":false,"#,
        r#""attributes":{"http.status":200,"twice":1.5,"twice":{"base64":"/w=="},"none":null},"#,
        r#""traceId":"abababababababababababababababab","spanId":"cdcdcdcdcdcdcdcd","flags":1,"#,
        r#""droppedAttributesCount":2,"scope":{"name":"lib","version":"1.2"},"resource":{"service.name":"web"}}"#,
    );
    assert_eq!(
        payload_of(Encoding::Protobuf, &request.encode_to_vec()),
        expected
    );
    let style = Style {
        numbers_are_strings: true,
        is_upper: true,
        value_first: true,
        resource_last: true,
    };
    assert_eq!(
        payload_of(Encoding::Json, style.request(&request).as_bytes()),
        expected
    );
}

/// A body with a value that is nested so that its payload has `levels` levels.
fn nested(levels: usize) -> proto::LogRecord {
    let mut value = wrapped(Any::Integer(1));
    for _ in 1..levels {
        value = wrapped(Any::Array(proto::ArrayValue {
            values: vec![value],
        }));
    }
    proto::LogRecord {
        body: Some(value),
        ..Default::default()
    }
}

#[test]
fn what_is_nested_too_deeply_is_rejected_alone() {
    let style = Style {
        numbers_are_strings: false,
        is_upper: false,
        value_first: false,
        resource_last: false,
    };
    let request = requests(vec![nested(128), nested(129), nested(1)]);
    let bodies = [
        (Encoding::Protobuf, request.encode_to_vec()),
        (Encoding::Json, style.request(&request).into_bytes()),
    ];
    for (encoding, body) in bodies {
        let (events, rejected) = read(encoding, &body, 10).expect("it is a message");
        assert_eq!(events.len(), 2, "{encoding:?}");
        assert_eq!(rejected, ["it is nested deeper than 128 levels"]);
    }
    // A resource that is nested too deeply rejects its own records.
    let mut deep = requests(vec![nested(1), nested(1)]);
    let attribute = KeyValue {
        key: "deep".to_owned(),
        value: nested(128).body,
    };
    deep.resource_logs[0].resource = Some(proto::Resource {
        attributes: vec![
            attribute,
            key_value("service.name", Any::Text("x".to_owned())),
        ],
        ..Default::default()
    });
    let mut scope = requests(vec![nested(1)]);
    scope.resource_logs[0].scope_logs[0].scope = Some(proto::Scope {
        attributes: vec![KeyValue {
            key: "deep".to_owned(),
            value: nested(127).body,
        }],
        ..Default::default()
    });
    deep.resource_logs.extend(scope.resource_logs);
    deep.resource_logs
        .extend(requests(vec![nested(1)]).resource_logs);
    let bodies = [
        (Encoding::Protobuf, deep.encode_to_vec()),
        (Encoding::Json, style.request(&deep).into_bytes()),
    ];
    for (encoding, body) in bodies {
        let (events, rejected) = read(encoding, &body, 1).expect("it is a message");
        assert_eq!((events.len(), rejected.len()), (1, 3), "{encoding:?}");
    }
}

#[test]
fn bytes_that_are_no_record_are_rejected_alone() {
    let good = nested(1).encode_to_vec();
    let mut scope_logs = Vec::new();
    for record in [&good[..], b"\xff\xff", b"\x0d\x01\x02\x03\x04", b"", &good] {
        scope_logs.extend_from_slice(&[0x12, record.len() as u8]);
        scope_logs.extend_from_slice(record);
    }
    let mut body = vec![
        0x0a,
        scope_logs.len() as u8 + 2,
        0x12,
        scope_logs.len() as u8,
    ];
    body.extend_from_slice(&scope_logs);
    let (events, rejected) = read(Encoding::Protobuf, &body, 10).expect("it is a message");
    assert_eq!(events.len(), 3);
    assert_eq!(
        rejected,
        ["a field is cut off", "a field has the wrong wire type"]
    );
    body.pop();
    assert!(read(Encoding::Protobuf, &body, 10).is_err());

    let records = r#"{},5,{"severityNumber":"INFO"},{"timeUnixNano":-1},{"body":{"intValue":"x"}},
        {"body":{"bytesValue":"!"}},{"attributes":{}},{"severityText":1},null,{"traceId":"xyz","spanId":"00"}"#;
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    let (events, rejected) = read(Encoding::Json, text.as_bytes(), 10).expect("it is a message");
    assert_eq!((events.len(), rejected.len()), (3, 7), "{rejected:?}");
    assert!(events.iter().all(|event| event[4] == "{}"));
}

#[test]
fn bodies_that_are_no_message_are_refused_whole() {
    for body in [
        &b"\x0a"[..],
        b"\x08\x01",
        b"\xff",
        b"\x0a\x02\x0a\x05",
        // A resource, and a scope, whose attributes are not messages.
        b"\x0a\x05\x0a\x03\x0a\x01\xff",
        b"\x0a\x07\x12\x05\x0a\x03\x1a\x01\xff",
    ] {
        let why = if body == b"\x08\x01" {
            // Field 1 is a message.
            "wrong wire type"
        } else {
            ""
        };
        let reason = read(Encoding::Protobuf, body, 10).expect_err("it is no message");
        assert!(reason.contains(why), "{body:x?}: {reason}");
    }
    for body in [
        "",
        "[]",
        "1",
        "{",
        r#"{"resourceLogs":{}}"#,
        r#"{"resourceLogs":[1]}"#,
        r#"{"resourceLogs":[{"resource":[]}]}"#,
        r#"{"resourceLogs":[{"resource":{"attributes":[1]}}]}"#,
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":1}]}}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":1}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"scope":{"name":1}}]}]}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":{}}]}]}"#,
    ] {
        let found = read(Encoding::Json, body.as_bytes(), 10);
        assert!(found.is_err(), "{body}: {found:?}");
    }
    for body in [
        "{}",
        "null",
        r#"{"resource_logs":1}"#,
        r#"{"resourceLogs":null}"#,
        r#"{"resourceLogs":[null,{"scopeLogs":[null,{"logRecords":null},{}],"resource":null}]}"#,
    ] {
        assert_eq!(
            read(Encoding::Json, body.as_bytes(), 10),
            Ok((vec![], vec![])),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_utf8_becomes_a_replacement_character() {
    let body = b"\x0a\x0b\x12\x09\x12\x07\x2a\x05\x0a\x03a\xffb";
    assert_eq!(
        payload_of(Encoding::Protobuf, body),
        "{\"body\":\"a\u{fffd}b\"}"
    );
    let body = b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"a\xffb\"}}]}]}]}";
    assert_eq!(
        payload_of(Encoding::Json, body),
        "{\"body\":\"a\u{fffd}b\"}"
    );
}

#[test]
fn answers_are_the_messages_of_the_specification() {
    let mut tally = Tally::default();
    let body = |encoding, tally: &Tally| answer::success(encoding, tally).body.into_owned();
    assert!(body(Encoding::Protobuf, &tally).is_empty());
    assert_eq!(body(Encoding::Json, &tally), b"{}");
    tally.rejected = 300;
    tally.first_reason = Some("it is \"bad\"".to_owned());
    let decoded = proto::Response::decode(&*body(Encoding::Protobuf, &tally)).unwrap();
    let partial = decoded.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 300);
    assert!(partial.error_message.contains("it is \"bad\""));
    let json: Value = serde_json::from_slice(&body(Encoding::Json, &tally)).unwrap();
    assert_eq!(json["partialSuccess"]["rejectedLogRecords"], "300");
    assert_eq!(
        json["partialSuccess"]["errorMessage"],
        partial.error_message
    );
    let tally = Tally {
        conflicts: 1,
        ..Tally::default()
    };
    let decoded = proto::Response::decode(&*body(Encoding::Protobuf, &tally)).unwrap();
    let partial = decoded.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 0);
    assert!(!partial.error_message.is_empty());

    let refusal = Refusal::new(503, "later");
    let response = refusal.shaped(Encoding::Protobuf.error_shape());
    let status = proto::Status::decode(&*response.body).unwrap();
    assert_eq!((status.code, status.message.as_str()), (14, "later"));
    let response = refusal.shaped(Encoding::Json.error_shape());
    let status: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(status, json!({"code": 14, "message": "later"}));
}

proptest! {
    #[test]
    fn doubles_are_written_exactly(number: f64) {
        let mut out = Vec::new();
        payload::write_double(number, &mut out);
        let text = String::from_utf8(out).expect("it is ASCII");
        let read: f64 = text.trim_matches('"').parse().expect("it is a number");
        prop_assert!(read == number || (read.is_nan() && number.is_nan()), "{}", text);
    }
}
