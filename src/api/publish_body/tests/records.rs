//! Records in which members may be missing, against a model that knows `serde_json::Value` only.

use proptest::prelude::*;
use serde_json::{json, Value};

use super::properties::{an_event, json as any_json, write, NAMES, TEXT};
use super::*;
use crate::event::{Filled, Peer};
use crate::ingest::query::IngestQuery;

fn rules(query: &str) -> RecordRules {
    RecordRules {
        query: IngestQuery::parse(Some(query)).expect("the query is legal"),
        peer: Peer::Unix,
        received_at: 1_767_323_045_678_901,
    }
}

fn run_records(query: &str, body: &str, partial: bool) -> Result<Parsed, RejectedBody> {
    parse_records(body.into(), &rules(query), partial, 1000)
}

/// The events of a body, all of which is legal.
fn kept(query: &str, body: &str) -> Vec<Fields> {
    let parsed = run_records(query, body, false);
    let parsed = parsed.unwrap_or_else(|refused| panic!("{body}: {:?}", refused.error));
    fields(&parsed.publication)
}

/// The entries of a 422.
fn faults(query: &str, body: &str) -> Vec<String> {
    match run_records(query, body, false) {
        Err(RejectedBody {
            error: BodyError::Invalid(details),
            ..
        }) => entries(&details),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn what_an_event_has_goes_before_the_query() {
    let own = r#"{"topic":"own","event_id":"e","timestamp":"2026-01-02","source":"me","payload":{"a":1},"t":5}"#;
    let query = "topic=t&source=s&event_id=t&timestamp=t";
    assert_eq!(
        kept(query, own),
        [["own", "e", "2026-01-02", "me", "{\"a\":1}"].map(str::to_owned)]
    );
    let rest = r#"{"t":1767323045}"#;
    let expected = ["t", "1767323045", "2026-01-02T03:04:05Z", "s", "{}"];
    assert_eq!(kept(query, rest), [expected.map(str::to_owned)]);
    let receipt = ["t", "1", "2026-01-02T03:04:05.678901Z", "unix", "{}"];
    assert_eq!(
        kept("topic=t", r#"{"event_id":1}"#),
        [receipt.map(str::to_owned)]
    );
}

#[test]
fn members_are_looked_for_in_the_record_as_it_was_sent() {
    let body = r#"{"payload":{"id":"deep"},"id":"flat","date":1767323045.5}"#;
    for (rule, id) in [("id", "flat"), ("payload.id", "deep"), ("/x,/id", "flat")] {
        let events = kept(&format!("topic=t&event_id={rule}"), body);
        assert_eq!(events[0][1], id);
        assert_eq!(events[0][2], "2026-01-02T03:04:05.5Z");
    }
}

#[test]
fn the_whole_record_is_the_payload() {
    let query = "payload=whole&topic=t&event_id=event_id";
    let body = r#"[{ "event_id": "a", "topic": 7, "topic": 8 }, {"event_id":"b","events":[]}]"#;
    let events = kept(query, body);
    assert_eq!(events[0][4], r#"{"event_id":"a","topic":7,"topic":8}"#);
    assert_eq!(events[1][4], r#"{"event_id":"b","events":[]}"#);
    assert_eq!([&events[0][0], &events[1][1]], ["t", "b"]);
    // What is no array is no wrapper of records.
    let alone = r#"{"events":3,"event_id":"c"}"#;
    assert_eq!(kept(query, alone)[0][4], alone);
    let wrapped = r#"{"events":[{"event_id":"d"}]}"#;
    assert_eq!(kept(query, wrapped)[0][1], "d");
    assert_eq!(
        faults("payload=whole&topic=t", r#"[{"event_id":"a"}]"#),
        ["body.0.event_id|field required|missing"]
    );
}

#[test]
fn what_is_missing_or_wrong_is_located() {
    assert_eq!(
        faults("source=s", r#"[{"topic":"t","event_id":"e"},{}]"#),
        [
            "body.1.topic|field required|missing",
            "body.1.event_id|field required|missing"
        ]
    );
    for (body, fault) in [
        (r#"{"topic":7}"#, "topic must be a string"),
        (r#"{"source":""}"#, "source must not be empty"),
        (r#"{"event_id":[]}"#, "event_id must be a string"),
        (r#"{"payload":null}"#, "payload must be an object"),
        (
            r#"{"timestamp":1,"timestamp":1}"#,
            "timestamp appears more than once",
        ),
        (
            r#"{"payload":{},"payload":{}}"#,
            "payload appears more than once",
        ),
    ] {
        let entries = faults("topic=t&event_id=auto", body);
        assert!(
            entries.len() == 1 && entries[0].contains(fault),
            "{body}: {entries:?}"
        );
    }
    assert_eq!(
        faults("topic=t&event_id=auto", "7"),
        ["body|event must be an object|value_error"]
    );
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
    let deep = faults("topic=t&payload=whole&event_id=auto", &deep);
    assert_eq!(
        deep,
        ["body.payload|payload must be nested at most 128 levels deep|value_error"]
    );
}

#[test]
fn partial_keeps_the_neighbours_and_the_record_itself() {
    let body = r#"[{"event_id":"a"}, {"n": 1}, 7, {"event_id":"b"}]"#;
    let parsed = run_records("topic=t", body, true).expect("it is JSON");
    assert_eq!(parsed.rejected, [1, 2]);
    let ids: Vec<String> = fields(&parsed.publication)
        .into_iter()
        .map(|event| event[1].clone())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    let records = parsed.publication.rejected.iter();
    let records: Vec<(&[u8], &str)> = records
        .map(|kept| (&kept.record[..], &kept.reason[..]))
        .collect();
    let expected: [(&[u8], &str); 2] = [
        (b"{\"n\": 1}", "event_id is required"),
        (b"7", "event must be an object"),
    ];
    assert_eq!(records, expected);
}

fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.chars().any(|c| c.is_ascii_control())
}

/// An identity that is found: none if there is none, an error where it is no identity at all.
fn identity(value: Option<&Value>) -> Result<Option<String>, ()> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(()),
    }
}

/// Topic, identity (none if it is made), timestamp where the model can tell it, source.
type Model = (String, Option<String>, Option<String>, Option<String>);

fn model(event: &Value, has_topic: bool, has_source: bool, made: bool) -> Option<Model> {
    let name = |member: &str, query: Option<&str>| match event.get(member) {
        Some(value) => value
            .as_str()
            .filter(|name| is_name(name))
            .map(|name| Some(name.to_owned())),
        None => Some(query.map(str::to_owned)),
    };
    let topic = name("topic", has_topic.then_some("query topic"))??;
    let source = name("source", has_source.then_some("query source"))?;
    let own = identity(event.get("event_id")).ok()?;
    let found = own.or_else(|| identity(event.get("uid")).ok().flatten());
    if found.is_none() && !made {
        return None;
    }
    let is_legal = |text: &&str| crate::event::timestamp_is_valid(text.as_bytes());
    let timestamp = event
        .get("timestamp")
        .and_then(Value::as_str)
        .filter(is_legal);
    let is_object = event.get("payload").is_none_or(Value::is_object);
    is_object.then(|| (topic, found, timestamp.map(str::to_owned), source))
}

proptest! {
    #[test]
    fn records_become_what_the_model_says(
        events in proptest::collection::vec((an_event(), proptest::option::of(any_json(TEXT))), 1..5),
        absent in proptest::collection::vec(0..12usize, 5),
        form in 0..3usize,
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        has_topic: bool,
        has_source: bool,
        made: bool,
    ) {
        let mut records = Vec::new();
        for ((mut event, uid), absent) in events.into_iter().zip(absent) {
            let members = event.as_object_mut().expect("it is an object");
            members.extend(uid.map(|uid| ("uid".to_owned(), uid)));
            for name in NAMES.get(absent).into_iter().chain(NAMES.get(absent / 2)) {
                members.remove(*name);
            }
            records.push(event);
        }
        let mut query = "event_id=uid".to_owned();
        query.push_str(if made { ",auto" } else { "" });
        query.push_str(if has_topic { "&topic=query+topic" } else { "" });
        query.push_str(if has_source { "&source=query%20source" } else { "" });
        let body = write(&records, form, &choices);
        let parsed = run_records(&query, &body, true);
        let parsed = parsed.map_err(|refused| TestCaseError::fail(format!("{refused:?}: {body}")))?;
        let models: Vec<_> = records.iter()
            .map(|event| (event, model(event, has_topic, has_source, made)))
            .collect();
        let legal: Vec<_> = models.iter().filter_map(|(event, model)| Some((event, model.as_ref()?))).collect();
        let kept = fields(&parsed.publication);
        prop_assert_eq!(kept.len(), legal.len(), "{}", body);
        for (place, (kept, (event, (topic, id, timestamp, source)))) in kept.iter().zip(legal).enumerate() {
            let filled = parsed.publication.filled(place);
            prop_assert_eq!(&kept[0], topic);
            match id {
                Some(id) if is_name(id) => prop_assert_eq!(&kept[1], id),
                Some(_) => prop_assert!(kept[1].starts_with("sha256:")),
                None => prop_assert_eq!(kept[1].len(), 36),
            }
            if let Some(timestamp) = timestamp {
                prop_assert_eq!(&kept[2], timestamp);
                prop_assert!(!filled.timestamp);
            }
            prop_assert!(crate::event::timestamp_is_valid(kept[2].as_bytes()));
            prop_assert_eq!(&kept[3], source.as_deref().unwrap_or("unix"));
            prop_assert_eq!(filled, Filled { source: source.is_none(), ..filled });
            let payload: Value = serde_json::from_str(&kept[4]).expect("a payload is JSON");
            prop_assert_eq!(payload, event.get("payload").cloned().unwrap_or_else(|| json!({})));
        }
        let illegal = (0u32..).zip(&models).filter(|(_, (_, model))| model.is_none());
        let illegal: Vec<u32> = illegal.map(|(index, _)| index).collect();
        prop_assert_eq!(&parsed.rejected, &illegal);
        prop_assert_eq!(run_records(&query, &body, false).is_ok(), illegal.is_empty());
        let counts = parsed.identities;
        let made = models.iter().flat_map(|(_, model)| model).filter(|model| model.1.is_none()).count();
        prop_assert_eq!((counts.auto, counts.hash), (made as u64, 0));
        prop_assert_eq!(counts.own + counts.member + counts.auto, kept.len() as u64);
    }
}
