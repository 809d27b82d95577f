//! Bulk bodies that are made from a list of what they mean, read by the adapter and compared with that list.

use proptest::prelude::*;
use serde_json::{json, Value};

use super::bulk::{Bulk, Single};
use super::Operation;
use crate::event::{Peer, Protocol, Span};
use crate::ingest::adapter::{Intake, ReadStatus, Results};
use crate::ingest::query::{IngestQuery, MadeIdentity};
use crate::ingest::records::{Defaults, Origin, Records};
use crate::store::Outcome;

fn records(query: &str, max_events: usize) -> Records {
    let defaults = Defaults {
        protocol: Protocol::Elasticsearch,
        topic: "elasticsearch",
        identity: MadeIdentity::Auto,
    };
    let origin = Origin {
        peer: Peer::Unix,
        received_at: 1_767_323_045_000_000,
        query: IngestQuery::parse(Some(query)).unwrap(),
        max_events,
        max_body_bytes: 1 << 24,
    };
    Records::new(defaults, origin)
}

/// What the store says of the event with this seq.
fn outcome(seq: u64) -> Outcome {
    match seq % 3 {
        0 => Outcome::Duplicate(seq),
        1 => Outcome::Accepted(seq),
        _ => Outcome::Conflict(seq),
    }
}

/// An event as topic, event id, timestamp, source and payload.
type Event = [String; 5];

/// Reads a body to its end, with [`outcome`] for a store. Returns the events, the bytes of what was rejected, and the
/// answer.
fn read(
    intake: &mut dyn Intake,
    body: &[u8],
    mut records: Records,
) -> (Vec<Event>, Vec<Vec<u8>>, u16, Value) {
    let (mut events, mut rejected): (Vec<Event>, Vec<Vec<u8>>) = Default::default();
    loop {
        let status = match intake.read(body, &mut records) {
            Ok(status) => status,
            Err(bad) => {
                assert!(events.is_empty() && rejected.is_empty());
                let body = serde_json::from_slice(&bad.response.body).unwrap();
                return (events, rejected, bad.response.status, body);
            }
        };
        let taken = records.take();
        assert!(taken.publication.events.len() <= records.origin().max_events);
        let text = |span: Span| String::from_utf8(span.of(&taken.publication.body).to_vec());
        let first_seq = events.len() as u64;
        events.extend(taken.publication.events.iter().map(|event| {
            let spans = [
                event.topic,
                event.event_id,
                event.timestamp,
                event.source,
                event.payload,
            ];
            spans.map(|span| text(span).unwrap())
        }));
        let outcomes: Vec<_> = (first_seq..events.len() as u64).map(outcome).collect();
        let kept = &taken.publication.rejected;
        rejected.extend(kept.iter().map(|record| record.record.clone()));
        intake.committed(&Results {
            outcomes: &outcomes,
            rejected: &taken.rejected,
        });
        if status == ReadStatus::Done {
            break;
        }
    }
    intake.committed_at(1_767_323_045_012_345);
    let answer = intake.answer();
    let product = ("X-Elastic-Product", "Elasticsearch".to_owned());
    assert_eq!(answer.headers, [product]);
    let body = serde_json::from_slice(&answer.body).unwrap();
    (events, rejected, answer.status, body)
}

/// What an action of a generated body means.
#[derive(Clone, Debug)]
struct Meant {
    operation: Operation,
    /// Written as `index` with an `op_type`.
    is_op_type: bool,
    index: Option<String>,
    id: Option<Value>,
    /// Another member, in the action or beside it.
    other: u8,
    document: Document,
    /// Empty lines before it.
    empty: u8,
    is_crlf: bool,
}

#[derive(Clone, Debug)]
enum Document {
    Object(u32),
    Bad(&'static [u8]),
}

impl Document {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Document::Object(n) => json!({"n": n, "host": {"name": "h"}, "ts": 1})
                .to_string()
                .into(),
            Document::Bad(bytes) => bytes.to_vec(),
        }
    }
}

impl Meant {
    fn action(&self) -> String {
        let mut members = serde_json::Map::new();
        if let Some(index) = &self.index {
            members.insert("_index".into(), json!(index));
        }
        if self.other & 1 > 0 {
            members.insert("routing".into(), json!({"_id": "x"}));
        }
        if let Some(id) = &self.id {
            members.insert("_id".into(), id.clone());
        }
        let mut name = self.operation.name();
        if self.is_op_type && self.operation == Operation::Create {
            members.insert("op_type".into(), json!("create"));
            name = "index";
        }
        let mut line = serde_json::Map::new();
        if self.other & 2 > 0 {
            line.insert("a_pipeline".into(), json!("p"));
        }
        line.insert(name.into(), Value::Object(members));
        match self.other & 4 > 0 {
            true => format!(" {} ", Value::Object(line)),
            false => Value::Object(line).to_string(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let end: &[u8] = if self.is_crlf { b"\r\n" } else { b"\n" };
        for _ in 0..self.empty {
            out.extend_from_slice(end);
        }
        out.extend_from_slice(self.action().as_bytes());
        out.extend_from_slice(end);
        if self.operation != Operation::Delete {
            out.extend_from_slice(&self.document.bytes());
            out.extend_from_slice(end);
        }
    }

    fn is_event(&self) -> bool {
        matches!(self.operation, Operation::Index | Operation::Create)
            && matches!(self.document, Document::Object(_))
    }

    fn id(&self) -> Option<String> {
        match self.id.as_ref()? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Null => None,
            number => Some(number.to_string()),
        }
    }

    /// Its item, where the store gives its event this seq and it has this id.
    fn item(&self, path: Option<&str>, id: Option<&str>, seq: u64) -> Value {
        let named = self.index.as_deref().filter(|index| !index.is_empty());
        let index = named.or(path).unwrap_or("elasticsearch");
        let mut item = json!({"_index": index.replace('\n', "_"), "_id": id});
        let more = match outcome(seq) {
            _ if !self.is_event() => json!({"status": 400}),
            Outcome::Accepted(_) => json!({"status": 201, "result": "created"}),
            Outcome::Duplicate(_) => json!({"status": 200, "result": "noop"}),
            Outcome::Conflict(_) => json!({"status": 409}),
        };
        let members = item.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        if members["status"].as_u64() < Some(300) {
            let more = json!({"_version": 1, "_seq_no": seq, "_primary_term": 1,
                "_shards": {"total": 1, "successful": 1, "failed": 0}});
            members.extend(more.as_object().unwrap().clone());
        }
        json!({self.operation.name(): item})
    }
}

fn meant() -> impl Strategy<Value = Meant> {
    let operation = prop_oneof![
        4 => Just(Operation::Index),
        4 => Just(Operation::Create),
        1 => Just(Operation::Update),
        1 => Just(Operation::Delete),
    ];
    let index = prop::option::of(prop_oneof![
        4 => "[a-c]{1,2}",
        1 => Just(String::new()),
        1 => Just("a\"\n%20é".to_owned()),
    ]);
    let id = prop::option::of(prop_oneof![
        4 => "[a-z\"\\\\/ é]{0,4}".prop_map(Value::from),
        1 => any::<u32>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]);
    let document = prop_oneof![
        6 => any::<u32>().prop_map(Document::Object),
        2 => prop::sample::select(vec![
            &b""[..], b"[]", b"{", b"null", b"\"x\"", b"{}x", b"\xff", b"{\"a\":\"\xc3\"}",
        ]).prop_map(Document::Bad),
    ];
    let form = (any::<bool>(), 0_u8..8, 0_u8..3, any::<bool>());
    (operation, index, id, document, form).prop_map(
        |(operation, index, id, document, (is_op_type, other, empty, is_crlf))| Meant {
            operation,
            is_op_type,
            index,
            id,
            other,
            document,
            empty,
            is_crlf,
        },
    )
}

/// Takes the errors out of items, whose texts the model does not have.
fn without_errors(mut answer: Value) -> Value {
    for item in answer["items"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap().values_mut().next().unwrap();
        let (status, error) = (item["status"].as_u64(), item["error"].take());
        assert_eq!(error.is_object(), status >= Some(300), "{item}");
        let expected = match status {
            Some(409) => "version_conflict_engine_exception",
            _ if error["reason"]
                .as_str()
                .is_some_and(|why| why.contains("events are not")) =>
            {
                "illegal_argument_exception"
            }
            _ => "document_parsing_exception",
        };
        assert!(error.is_null() || error["type"] == expected, "{error}");
        item.as_object_mut().unwrap().remove("error");
    }
    answer
}

proptest! {
    #[test]
    fn a_body_means_what_it_was_made_of(
        meant in prop::collection::vec(meant(), 1..20),
        path in prop::option::of(Just("path")),
        max_events in 1_usize..6,
        has_last_end: bool,
    ) {
        let mut body = Vec::new();
        meant.iter().for_each(|one| one.write(&mut body));
        let is_empty_last = matches!(meant.last().unwrap().document, Document::Bad(b""));
        while !has_last_end && !is_empty_last && matches!(body.last(), Some(b'\r' | b'\n')) {
            body.pop();
        }
        let mut bulk = Bulk::new(path.map(str::to_owned));
        let (events, rejected, status, answer) = read(&mut bulk, &body, records("", max_events));
        prop_assert_eq!(status, 200);
        let kept: Vec<Vec<u8>> = meant.iter().filter(|one| !one.is_event()).map(|one| {
            match one.operation {
                Operation::Delete => one.action().into_bytes(),
                _ => one.document.bytes(),
            }
        }).collect();
        prop_assert_eq!(rejected.len(), kept.len());
        for (found, kept) in rejected.iter().zip(&kept) {
            prop_assert_eq!(found.trim_ascii(), kept.trim_ascii());
        }
        let mut seq = 0;
        let mut items = Vec::new();
        for one in &meant {
            let Some(event) = events.get(seq).filter(|_| one.is_event()) else {
                items.push(one.item(path, one.id().as_deref(), 0));
                continue;
            };
            let item = one.item(path, Some(&event[1]), seq as u64);
            let index = item[one.operation.name()]["_index"].as_str().unwrap();
            prop_assert_eq!(&event[0], index);
            match one.id() {
                Some(id) => prop_assert_eq!(&event[1], &id),
                None => prop_assert_eq!(event[1].len(), 36),
            }
            let payload = one.document.bytes();
            prop_assert_eq!(event[4].as_bytes(), &payload[..]);
            prop_assert_eq!((&event[2][..], &event[3][..]), ("1970-01-01T00:00:01Z", "h"));
            items.push(item);
            seq += 1;
        }
        prop_assert_eq!(seq, events.len());
        let has_errors = items.iter().any(|item| {
            item.as_object().unwrap().values().any(|item| item["status"].as_u64() >= Some(300))
        });
        let expected = json!({"took": 12, "errors": has_errors, "items": items});
        prop_assert_eq!(without_errors(answer), expected);
    }

    #[test]
    fn nothing_panics_and_nothing_is_stored_of_a_bad_body(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{\"index\":{}}", "{\"delete\":{\"_id\":1}}", "{\"create\":{\"_id\":\"a\"}}", "{}", "\n", "\r\n",
            "x", "{\"update\":{}}", "[", "\"", "{\"index\":{\"_id\":[]}}", " ", "\u{0}", "é",
        ]), 0..12),
    ) {
        let body = pieces.concat().into_bytes();
        let mut bulk = Bulk::new(None);
        let (events, _, status, answer) = read(&mut bulk, &body, records("", 3));
        prop_assert!(status == 200 || (status == 400 && events.is_empty()));
        prop_assert_eq!(answer["items"].is_array(), status == 200);
    }
}

#[test]
fn an_answer_is_written_byte_for_byte() {
    let body =
        b"{\"index\":{\"_index\":\"a\",\"_id\":\"0\"}}\n{}\n{\"create\":{\"_id\":\"1\"}}\n{}";
    let mut bulk = Bulk::new(Some("b".to_owned()));
    let mut records = records("", 10);
    assert_eq!(bulk.read(body, &mut records).unwrap(), ReadStatus::Done);
    let outcomes = [Outcome::Accepted(7), Outcome::Duplicate(3)];
    bulk.committed(&Results {
        outcomes: &outcomes,
        rejected: &records.take().rejected,
    });
    let expected = "{\"took\":0,\"errors\":false,\"items\":[\
        {\"index\":{\"_index\":\"a\",\"_id\":\"0\",\"_version\":1,\"result\":\"created\",\
        \"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\"_seq_no\":7,\"_primary_term\":1,\"status\":201}},\
        {\"create\":{\"_index\":\"b\",\"_id\":\"1\",\"_version\":1,\"result\":\"noop\",\
        \"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\"_seq_no\":3,\"_primary_term\":1,\"status\":200}}]}";
    assert_eq!(String::from_utf8_lossy(&bulk.answer().body), expected);
}

#[test]
fn the_query_says_where_a_document_goes() {
    let mut single = Single::new(Operation::Index, "a".to_owned(), None);
    let records = records("topic=t&event_id=uid", 1);
    let (events, _, status, item) = read(&mut single, b" {\"uid\":\"u\"}\n", records);
    assert_eq!((&events[0][0][..], &events[0][1][..]), ("t", "u"));
    assert_eq!(
        (status, &item["_index"], &item["_id"]),
        (200, &json!("t"), &json!("u"))
    );
}

#[test]
fn an_answer_that_would_be_far_longer_than_its_request_is_refused() {
    let body = "{\"index\":{}}\n{}\n".repeat(10_000);
    for (index, expected) in [("a".repeat(20), 200), ("a".repeat(255), 413)] {
        let mut bulk = Bulk::new(Some(index));
        let (events, _, status, answer) = read(&mut bulk, body.as_bytes(), records("", 1_000_000));
        assert_eq!(status, expected);
        assert_eq!(events.is_empty(), expected == 413);
        assert!(answer.to_string().len() <= body.len() * 20 + 64 * 1024);
    }
}
