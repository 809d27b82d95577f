//! The body of `POST /publish`: what is taken and what refused, which faults are named where, and each
//! field of each event, against `serde_json::Value` as far as that can express a body, and against the
//! grammar for the rest.
//!
//! The input is a body.

use logagg::api::publish_body::{parse, BodyError};
use logagg::event::{EventSpans, Publication, Span};
use logagg::limits::{ERRORS_MAX, PAYLOAD_MAX_DEPTH};
use serde_json::{json, Value};

use crate::json_model::{self, Bad, Cursor};
use crate::timestamp;

/// More events than an input can bring.
const MANY: usize = 1 << 20;
const FEW: usize = 2;

const STRINGS: [&str; 4] = ["topic", "event_id", "timestamp", "source"];

/// The five fields of an event.
type Fields = [String; 5];

/// Where a fault is, and whether it is that something is missing.
type Fault = (Vec<Value>, bool);

pub fn check(body: &[u8]) {
    let expected = read(body, MANY);
    compare_with_values(body, &expected);
    for max_events in [MANY, FEW] {
        let expected = read(body, max_events);
        for partial in [false, true] {
            compare(body, &expected, partial, max_events);
        }
    }
}

/// What must become of a body.
enum Expected {
    TooMany,
    /// Refused whole, whatever is asked for: where, and what it counts for as `rejected`.
    Refused(Vec<Value>, u64),
    Events {
        /// By index; none if a rule is broken.
        events: Vec<Option<Fields>>,
        faults: Vec<Fault>,
    },
}

fn compare(body: &[u8], expected: &Expected, partial: bool, max_events: usize) {
    let used = vec![EventSpans::default()];
    match (parse(body.to_vec(), used, partial, max_events), expected) {
        (Ok(parsed), Expected::Events { events, faults }) => {
            assert!(partial || faults.is_empty());
            let legal: Vec<&Fields> = events.iter().flatten().collect();
            let found = fields(&parsed.publication);
            assert_eq!(found.iter().collect::<Vec<_>>(), legal);
            let illegal = (0..).zip(events).filter(|(_, event)| event.is_none());
            let illegal: Vec<u32> = illegal.map(|(index, _)| index).collect();
            assert_eq!(parsed.rejected, illegal);
            assert_eq!(places(parsed.errors.as_slice()), *faults);
            assert!(parsed.publication.body.starts_with(body));
            assert!(parsed.publication.body.len() <= 2 * body.len() + 2);
        }
        (Err(refused), expected) => {
            assert_eq!(refused.body, body);
            assert!(refused.events.is_empty());
            match (refused.error, expected) {
                (BodyError::TooMany, Expected::TooMany) => assert_eq!(refused.rejected, 0),
                (BodyError::Invalid(details), Expected::Refused(place, rejected)) => {
                    assert_eq!(places(details.as_slice()), [(place.clone(), false)]);
                    assert_eq!(refused.rejected, *rejected);
                }
                (BodyError::Invalid(details), Expected::Events { events, faults }) => {
                    assert!(!partial && !faults.is_empty());
                    assert_eq!(places(details.as_slice()), *faults);
                    let illegal = events.iter().filter(|event| event.is_none());
                    assert_eq!(refused.rejected, illegal.count() as u64);
                }
                (refusal, _) => panic!("refused: {refusal:?}"),
            }
        }
        (Ok(parsed), _) => panic!("taken: {:?}", fields(&parsed.publication)),
    }
}

fn fields(publication: &Publication) -> Vec<Fields> {
    let text = |span: Span| {
        let bytes = span.of(&publication.body).to_vec();
        String::from_utf8(bytes).expect("a field is UTF-8")
    };
    let fields = |event: &EventSpans| {
        [
            event.topic,
            event.event_id,
            event.timestamp,
            event.source,
            event.payload,
        ]
        .map(text)
    };
    publication.events.iter().map(fields).collect()
}

fn places(details: &[logagg::api::detail::Detail]) -> Vec<Fault> {
    let place = |detail: &logagg::api::detail::Detail| {
        let place = serde_json::to_value(&detail.loc).unwrap();
        assert!(!detail.msg.is_empty());
        (place.as_array().unwrap().clone(), detail.kind == "missing")
    };
    details.iter().map(place).collect()
}

/// Why reading ends early.
enum Stop {
    Bad,
    TooMany,
}

impl From<Bad> for Stop {
    fn from(_: Bad) -> Stop {
        Stop::Bad
    }
}

/// What is read of a body.
struct Reading {
    max_events: usize,
    events: Vec<Option<Fields>>,
    /// By the index of the event; no member where it is no object.
    faults: Vec<(usize, Option<&'static str>, bool)>,
}

/// The members of an object: the names without escapes, none if those leave a lone surrogate.
type Members<'t> = Vec<(Option<String>, json_model::Value<'t>)>;

fn read(body: &[u8], max_events: usize) -> Expected {
    let whole = |member: &[&str], rejected| {
        let place = std::iter::once("body").chain(member.iter().copied());
        Expected::Refused(place.map(Value::from).collect(), rejected)
    };
    let Ok(text) = std::str::from_utf8(body) else {
        return whole(&[], 1);
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reading = Reading {
        max_events,
        events: Vec::new(),
        faults: Vec::new(),
    };
    let form = match reading.body(&mut Cursor::new(text)) {
        Ok(form) => form,
        Err(Stop::Bad) => return whole(&[], 1),
        Err(Stop::TooMany) => return Expected::TooMany,
    };
    let Reading { events, faults, .. } = reading;
    let is_wrapped = matches!(form, Form::Wrapped { .. });
    match form {
        Form::Wrapped { is_legal: false } => return whole(&["events"], 1),
        Form::Wrapped { .. } if events.is_empty() => return whole(&["events"], 0),
        _ if events.is_empty() => return whole(&[], 0),
        _ => {}
    }
    let is_one = matches!(form, Form::Sequence) && events.len() == 1;
    let place = |(index, member, missing): &(usize, Option<&str>, bool)| {
        let mut place = vec![json!("body")];
        place.extend(is_wrapped.then(|| json!("events")));
        place.extend((!is_one).then(|| json!(index)));
        place.extend(member.map(Value::from));
        (place, *missing)
    };
    let faults = faults.iter().take(ERRORS_MAX).map(place).collect();
    Expected::Events { events, faults }
}

#[derive(Clone, Copy)]
enum Form {
    Sequence,
    Array,
    Wrapped { is_legal: bool },
}

impl Reading {
    fn body(&mut self, text: &mut Cursor) -> Result<Form, Stop> {
        let mut form = Form::Sequence;
        match text.peek() {
            Some(b'[') => {
                self.array(text)?;
                form = Form::Array;
            }
            Some(b'{') => {
                // Only here may a member `events` hold the events.
                let mut members = Members::new();
                let mut is_legal = true;
                self.object(text, &mut members, Some(&mut is_legal))?;
                let count = members.iter().filter(|(name, _)| is(name, "events"));
                match count.count() {
                    0 => self.event(&members),
                    n => {
                        let is_legal = is_legal && n == 1;
                        form = Form::Wrapped { is_legal };
                    }
                }
            }
            _ => {}
        }
        if matches!(form, Form::Sequence) {
            while text.peek().is_some() {
                let shows_its_end = self.element(text)?;
                let next = text.next_byte();
                if !shows_its_end && !next.is_none_or(|byte| b" \t\n\r{[\"".contains(&byte)) {
                    return Err(Stop::Bad);
                }
            }
        }
        match text.peek() {
            None => Ok(form),
            Some(_) => Err(Stop::Bad),
        }
    }

    fn array(&mut self, text: &mut Cursor) -> Result<(), Stop> {
        text.take(b'[')?;
        if text.peek() == Some(b']') {
            return Ok(text.take(b']')?);
        }
        loop {
            if matches!(text.peek(), None | Some(b']')) {
                return Err(Stop::Bad);
            }
            self.element(text)?;
            if text.peek() != Some(b',') {
                return Ok(text.take(b']')?);
            }
            text.take(b',')?;
        }
    }

    /// One event or what stands in its place; says whether its last byte shows its end.
    fn element(&mut self, text: &mut Cursor) -> Result<bool, Stop> {
        if self.events.len() == self.max_events {
            return Err(Stop::TooMany);
        }
        if text.peek() == Some(b'{') {
            let mut members = Members::new();
            self.object(text, &mut members, None)?;
            self.event(&members);
            return Ok(true);
        }
        let value = text.value()?;
        self.faults.push((self.events.len(), None, false));
        self.events.push(None);
        Ok(value.text.starts_with(['[', '"']))
    }

    /// An object. Where `wraps` is given, a member `events` holds events, and `wraps` says whether it may.
    fn object<'t>(
        &mut self,
        text: &mut Cursor<'t>,
        members: &mut Members<'t>,
        mut wraps: Option<&mut bool>,
    ) -> Result<(), Stop> {
        text.take(b'{')?;
        if text.peek() == Some(b'}') {
            return Ok(text.take(b'}')?);
        }
        loop {
            let name = match serde_json::from_str(text.name()?) {
                Ok(Value::String(name)) => Some(name),
                _ => None,
            };
            let value = match (&mut wraps, text.peek()) {
                (Some(_), Some(b'[')) if is_first_events(members, &name) => {
                    self.array(text)?;
                    NO_VALUE
                }
                (Some(_), Some(b'{')) if is_first_events(members, &name) => {
                    self.element(text)?;
                    NO_VALUE
                }
                (wraps, _) => {
                    if let Some(is_legal) =
                        wraps.as_mut().filter(|_| is_first_events(members, &name))
                    {
                        **is_legal = false;
                    }
                    text.value()?
                }
            };
            members.push((name, value));
            if text.peek() != Some(b',') {
                return Ok(text.take(b'}')?);
            }
            text.take(b',')?;
        }
    }

    /// Judges the event that these members make.
    fn event(&mut self, members: &Members) {
        let index = self.events.len();
        let mut faults = Vec::new();
        let mut fields = Fields::default();
        for (at, name) in STRINGS.into_iter().chain(["payload"]).enumerate() {
            let mut named = members.iter().filter(|(known, _)| is(known, name));
            let found = match (named.next(), named.next()) {
                (None, _) if name == "payload" => Some("{}".to_owned()),
                (None, _) => {
                    faults.push((index, Some(name), true));
                    continue;
                }
                (Some((_, value)), None) if name == "payload" => payload(value),
                (Some((_, value)), None) => string(name, value),
                (Some(_), Some(_)) => None,
            };
            match found {
                Some(found) => fields[at] = found,
                None => faults.push((index, Some(name), false)),
            }
        }
        let events = members.iter().filter(|(name, _)| is(name, "events"));
        if events.count() > 1 {
            faults.push((index, Some("events"), false));
        }
        self.events.push(faults.is_empty().then_some(fields));
        self.faults.extend(faults);
    }
}

/// Stands for the value of a member `events`, which is not looked at again.
const NO_VALUE: json_model::Value = json_model::Value {
    text: "",
    tight: String::new(),
    depth: 0,
};

fn is(known: &Option<String>, name: &str) -> bool {
    known.as_deref() == Some(name)
}

fn is_first_events(members: &Members, name: &Option<String>) -> bool {
    is(name, "events") && !members.iter().any(|(known, _)| is(known, "events"))
}

/// A legal topic, event id, timestamp or source.
fn string(name: &str, value: &json_model::Value) -> Option<String> {
    let Ok(Value::String(text)) = serde_json::from_str(value.text) else {
        return None;
    };
    let is_legal = match name {
        "timestamp" => timestamp::is_legal(text.as_bytes()),
        _ => (1..=255).contains(&text.len()) && !text.chars().any(|c| c.is_ascii_control()),
    };
    is_legal.then_some(text)
}

/// The text that a legal payload is kept with.
fn payload(value: &json_model::Value) -> Option<String> {
    let is_legal = value.text.starts_with('{') && value.depth <= PAYLOAD_MAX_DEPTH;
    if let (true, Ok(sent)) = (is_legal, serde_json::from_str::<Value>(value.text)) {
        let kept = serde_json::from_str::<Value>(&value.tight);
        assert_eq!(kept.ok(), Some(sent), "white space has no meaning");
    }
    is_legal.then(|| value.tight.clone())
}

/// Asks `serde_json::Value` whether the body is JSON and what the events are, where it can tell: it knows
/// no numbers out of range, no lone surrogates and no deep nesting, and only the last of equal names.
fn compare_with_values(body: &[u8], expected: &Expected) {
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value {
            Ok(value) => values.push(value),
            Err(error) => {
                let message = error.to_string();
                let unsure = ["out of range", "surrogate", "hex escape", "recursion"];
                if !unsure.iter().any(|word| message.contains(word)) {
                    assert!(is_not_json(expected), "{message}");
                }
                return;
            }
        }
    }
    let stands_alone = values
        .first()
        .is_some_and(|first| first.is_array() || first.get("events").is_some());
    if stands_alone && values.len() > 1 {
        return assert!(is_not_json(expected));
    }
    assert!(!is_not_json(expected));
    let Expected::Events { events, .. } = expected else {
        return;
    };
    if stands_alone {
        let first = values.swap_remove(0);
        values = match first.get("events").cloned().unwrap_or(first) {
            Value::Array(values) => values,
            one => vec![one],
        };
    }
    assert_eq!(values.len(), events.len());
    for (value, event) in values.iter().zip(events) {
        if let Some(event) = event {
            for (name, field) in STRINGS.iter().zip(event) {
                assert_eq!(value.get(name), Some(&json!(field)));
            }
            let payload = value.get("payload").cloned().unwrap_or(json!({}));
            assert_eq!(serde_json::from_str::<Value>(&event[4]).ok(), Some(payload));
        }
    }
}

/// Whether a body is refused because it is not JSON, as far as can be told from the outcome.
fn is_not_json(expected: &Expected) -> bool {
    matches!(expected, Expected::Refused(place, 1) if place.len() == 1)
}
