//! What a model says of each record, the same requests as OTLP's JSON, and how both are generated.

use proptest::prelude::*;
use serde_json::{json, Map, Value};

use super::proto::{self, Any, AnyValue, KeyValue};

pub(super) fn wrapped(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(super) fn any_payload(value: &AnyValue) -> Value {
    match &value.value {
        None => Value::Null,
        Some(Any::Text(text)) => json!(text),
        Some(Any::Bool(value)) => json!(value),
        Some(Any::Integer(number)) => json!(number),
        Some(Any::Double(number)) if number.is_nan() => json!("NaN"),
        Some(Any::Double(number)) if number.is_infinite() => {
            json!(if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        }
        Some(Any::Double(number)) => json!(number),
        Some(Any::Array(array)) => array.values.iter().map(any_payload).collect(),
        Some(Any::Object(list)) => object_payload(&list.values),
        Some(Any::Bytes(bytes)) => json!({"base64": base64_of(bytes)}),
    }
}

pub(super) fn object_payload(pairs: &[KeyValue]) -> Value {
    let value = |pair: &KeyValue| pair.value.as_ref().map_or(Value::Null, any_payload);
    let pairs = pairs.iter().map(|pair| (pair.key.clone(), value(pair)));
    Value::Object(pairs.collect())
}

pub(super) fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(super) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn is_empty(value: &Value) -> bool {
    let is_empty_bytes = *value == json!({"base64": ""});
    [json!(null), json!(""), json!([]), json!({})].contains(value) || is_empty_bytes
}

pub(super) fn model_payload(
    record: &proto::LogRecord,
    scope: &proto::Scope,
    resource: &[KeyValue],
) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value, is_there: bool| {
        if is_there && !is_empty(&value) {
            object.insert(name.to_owned(), value);
        }
    };
    let number = record.severity_number;
    put("severityNumber", json!(number), number != 0);
    put("severityText", json!(record.severity_text), true);
    put("eventName", json!(record.event_name), true);
    put(
        "body",
        record.body.as_ref().map_or(Value::Null, any_payload),
        true,
    );
    put("attributes", object_payload(&record.attributes), true);
    let is_id = |id: &[u8], length| id.len() == length && id.iter().any(|byte| *byte != 0);
    put(
        "traceId",
        json!(hex_of(&record.trace_id)),
        is_id(&record.trace_id, 16),
    );
    put(
        "spanId",
        json!(hex_of(&record.span_id)),
        is_id(&record.span_id, 8),
    );
    put("flags", json!(record.flags), record.flags != 0);
    let dropped = record.dropped_attributes_count;
    put("droppedAttributesCount", json!(dropped), dropped != 0);
    let mut members = Map::new();
    for (name, value) in [
        ("name", json!(scope.name)),
        ("version", json!(scope.version)),
        ("attributes", object_payload(&scope.attributes)),
    ] {
        if !is_empty(&value) {
            members.insert(name.to_owned(), value);
        }
    }
    put("scope", Value::Object(members), true);
    put("resource", object_payload(resource), true);
    Value::Object(object)
}

/// What an attribute says that is a string.
pub(super) fn text_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let texts = attributes.iter().filter(|pair| pair.key == key);
    texts
        .filter_map(|pair| match pair.value.as_ref()?.value.as_ref()? {
            Any::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .find(|text| !text.is_empty())
}

// OTLP's JSON.

/// How JSON is written where it may be written in several ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) numbers_are_strings: bool,
    pub(super) is_upper: bool,
    pub(super) value_first: bool,
    pub(super) resource_last: bool,
}

impl Style {
    fn number(self, number: impl Into<i128> + Copy) -> Value {
        let number = number.into();
        if self.numbers_are_strings {
            return json!(number.to_string());
        }
        serde_json::from_str(&number.to_string()).expect("it is a number")
    }

    fn any(self, value: &AnyValue) -> Value {
        match &value.value {
            None => json!({}),
            Some(Any::Text(text)) => json!({"stringValue": text}),
            Some(Any::Bool(value)) => json!({"boolValue": value}),
            Some(Any::Integer(number)) => json!({"intValue": self.number(*number)}),
            Some(Any::Double(_)) => json!({"doubleValue": any_payload(value)}),
            Some(Any::Array(array)) => {
                let values: Value = array.values.iter().map(|value| self.any(value)).collect();
                json!({"arrayValue": {"values": values}})
            }
            Some(Any::Object(list)) => json!({"kvlistValue": {"values": self.pairs(&list.values)}}),
            Some(Any::Bytes(bytes)) => json!({"bytesValue": base64_of(bytes)}),
        }
    }

    /// As text: `serde_json::Value` would order the members.
    fn pairs(self, pairs: &[KeyValue]) -> Value {
        let pair = |pair: &KeyValue| {
            let value = pair.value.as_ref().map(|value| self.any(value));
            // In the order of their names, which puts `key` first. `turned` changes that.
            json!({"key": pair.key, "value": value})
        };
        pairs.iter().map(pair).collect()
    }

    fn id(self, id: &[u8]) -> Value {
        let text = hex_of(id);
        json!(if self.is_upper {
            text.to_uppercase()
        } else {
            text
        })
    }

    fn record(self, record: &proto::LogRecord) -> Value {
        json!({
            "timeUnixNano": self.number(record.time_unix_nano),
            "observedTimeUnixNano": self.number(record.observed_time_unix_nano),
            "severityNumber": record.severity_number,
            "severityText": record.severity_text,
            "body": record.body.as_ref().map(|body| self.any(body)),
            "attributes": self.pairs(&record.attributes),
            "droppedAttributesCount": record.dropped_attributes_count,
            "flags": record.flags,
            "traceId": self.id(&record.trace_id),
            "spanId": self.id(&record.span_id),
            "eventName": record.event_name,
            "unknown": [record.unknown, {"body": null}],
            "severity_text": "not a name here",
        })
    }

    pub(super) fn request(self, request: &proto::Request) -> String {
        let resource_logs = request.resource_logs.iter().map(|logs| {
            let scope_logs = logs.scope_logs.iter().map(|logs| {
                let scope = logs.scope.as_ref().map(|scope| {
                    let attributes = self.pairs(&scope.attributes);
                    json!({"name": scope.name, "version": scope.version, "attributes": attributes})
                });
                let records: Value = logs
                    .log_records
                    .iter()
                    .map(|record| self.record(record))
                    .collect();
                json!({"scope": scope, "logRecords": records, "schemaUrl": logs.schema_url})
            });
            let resource = logs.resource.as_ref();
            let resource =
                resource.map(|resource| json!({"attributes": self.pairs(&resource.attributes)}));
            json!({"resource": resource, "scopeLogs": scope_logs.collect::<Value>()})
        });
        let text = json!({"resourceLogs": resource_logs.collect::<Value>(), "more": {"a": []}});
        let mut out = String::new();
        self.write(&text, &mut out);
        out
    }

    /// Writes with the members of some objects in another order.
    fn write(self, value: &Value, out: &mut String) {
        let separator = |out: &mut String, at: usize| {
            if at > 0 {
                out.push_str(" ,\n");
            }
        };
        match value {
            Value::Array(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    separator(out, at);
                    self.write(value, out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                let is_pair = members.iter().any(|(name, _)| *name == "key");
                let is_turned = if is_pair {
                    self.value_first
                } else {
                    self.resource_last
                };
                members.sort_by_key(|(name, _)| (*name).clone());
                if is_turned {
                    members.reverse();
                }
                out.push('{');
                for (at, (name, value)) in members.into_iter().enumerate() {
                    separator(out, at);
                    out.push_str(&format!("{} : ", json!(name)));
                    self.write(value, out);
                }
                out.push('}');
            }
            _ => out.push_str(&value.to_string()),
        }
    }
}

// What is generated.

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,3}", "\\PC{0,6}", "[\u{0}-\u{20}\"\\\\/é𝄞]{0,5}"]
}

pub(super) fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Any::Text(text))),
        any_of::<bool>().prop_map(|value| Some(Any::Bool(value))),
        any_of::<i64>().prop_map(|number| Some(Any::Integer(number))),
        (-3_i64..3).prop_map(|number| Some(Any::Integer(number))),
        // Those that serde_json reads exactly.
        any_of::<i32>().prop_map(|number| Some(Any::Double(f64::from(number) / 8.0))),
        Just(Some(Any::Double(f64::NAN))),
        Just(Some(Any::Double(f64::NEG_INFINITY))),
        prop::collection::vec(any_of::<u8>(), 0..6).prop_map(|bytes| Some(Any::Bytes(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            values.prop_map(|values| wrapped(Any::Array(proto::ArrayValue { values }))),
            pairs_of(inner).prop_map(|values| wrapped(Any::Object(proto::KeyValueList { values }))),
        ]
    })
}

pub(super) fn any_of<T: Arbitrary>() -> T::Strategy {
    proptest::arbitrary::any::<T>()
}

pub(super) fn pairs_of(
    value: impl Strategy<Value = AnyValue>,
) -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (text(), prop::option::of(value)).prop_map(|(key, value)| KeyValue { key, value });
    prop::collection::vec(pair, 0..4).prop_map(|mut pairs| {
        // The model cannot say that a key comes twice.
        pairs.sort_by(|a, b| a.key.cmp(&b.key));
        pairs.dedup_by(|a, b| a.key == b.key);
        pairs
    })
}

/// Attributes among which these are, more often than not.
pub(super) fn attributes(names: &'static [&'static str]) -> impl Strategy<Value = Vec<KeyValue>> {
    let named = prop::sample::subsequence(names, 0..=names.len());
    let named = (named, any_value(), text()).prop_map(|(names, value, text)| {
        let last = names.len().saturating_sub(1);
        let value = |at| {
            if at == last {
                value.clone()
            } else {
                wrapped(Any::Text(text.clone()))
            }
        };
        let pair = |(at, name): (usize, &&str)| KeyValue {
            key: (*name).to_owned(),
            value: Some(value(at)),
        };
        names.iter().enumerate().map(pair).collect::<Vec<_>>()
    });
    (pairs_of(any_value()), named).prop_map(|(pairs, named)| [pairs, named].concat())
}

pub(super) fn id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![0; 16]),
        Just(vec![0; 8]),
        prop::collection::vec(any_of::<u8>(), 8..=8),
        prop::collection::vec(any_of::<u8>(), 16..=16),
    ]
}

prop_compose! {
    pub(super) fn log_record()(
        times in (prop_oneof![Just(0), any_of::<u64>()], prop_oneof![Just(0), any_of::<u64>()]),
        severity_number in prop_oneof![Just(0), 0..25_i32, any_of::<i32>()],
        texts in (text(), text(), text()),
        body in prop::option::of(any_value()),
        attributes in attributes(&["log.record.uid"]),
        counts in (prop_oneof![Just(0), any_of::<u32>()], prop_oneof![Just(0), any_of::<u32>()]),
        ids in (id(), id()),
    ) -> proto::LogRecord {
        proto::LogRecord {
            time_unix_nano: times.0,
            observed_time_unix_nano: times.1,
            severity_number,
            severity_text: texts.0,
            event_name: texts.1,
            unknown: texts.2,
            body,
            attributes,
            dropped_attributes_count: counts.0,
            flags: counts.1,
            trace_id: ids.0,
            span_id: ids.1,
        }
    }
}

prop_compose! {
    pub(super) fn scope_logs()(
        scope in prop::option::of((text(), text(), attributes(&[]))),
        log_records in prop::collection::vec(log_record(), 0..4),
        schema_url in text(),
    ) -> proto::ScopeLogs {
        let scope = scope.map(|(name, version, attributes)| proto::Scope { name, version, attributes });
        proto::ScopeLogs { scope, log_records, schema_url }
    }
}

pub(super) fn any_request() -> impl Strategy<Value = proto::Request> {
    let resource = attributes(&["service.name", "host.name", "service.instance.id"]);
    let resource_logs = (
        prop::option::of(resource),
        prop::collection::vec(scope_logs(), 0..3),
        text(),
    );
    let resource_logs = resource_logs.prop_map(|(resource, scope_logs, schema_url)| {
        let resource = resource.map(|attributes| proto::Resource {
            attributes,
            dropped_attributes_count: 3,
        });
        proto::ResourceLogs {
            resource,
            scope_logs,
            schema_url,
        }
    });
    let all = prop::collection::vec(resource_logs, 0..3);
    all.prop_map(|resource_logs| proto::Request { resource_logs })
}

pub(super) fn style() -> impl Strategy<Value = Style> {
    let flags = (
        any_of::<bool>(),
        any_of::<bool>(),
        any_of::<bool>(),
        any_of::<bool>(),
    );
    flags.prop_map(
        |(numbers_are_strings, is_upper, value_first, resource_last)| Style {
            numbers_are_strings,
            is_upper,
            value_first,
            resource_last,
        },
    )
}
