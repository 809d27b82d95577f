//! What random bodies must keep: events come back as they were written, whatever white space and
//! escapes wrote them, and what is JSON is decided as `serde_json::Value` decides it.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Writes JSON with choices of white space and escapes that a sequence of bytes makes.
struct Writer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    /// With white space between tokens.
    sent: String,
    /// The same without.
    tight: String,
}

impl<'a> Writer<'a> {
    fn new(choices: &'a [u8]) -> Writer<'a> {
        Writer {
            choices: choices.iter().cycle(),
            sent: String::new(),
            tight: String::new(),
        }
    }

    fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or(0)
    }

    fn token(&mut self, token: &str) {
        self.sent.push_str(token);
        self.tight.push_str(token);
    }

    fn white(&mut self) {
        let choice = self.choice();
        if choice.is_multiple_of(4) {
            let all = [" ", "\n", "\t", "\r\n", "  "];
            self.sent.push_str(all[usize::from(choice / 4) % all.len()]);
        }
    }

    fn string(&mut self, text: &str) {
        self.token("\"");
        for character in text.chars() {
            let must = matches!(character, '\0'..='\x1f' | '"' | '\\');
            if must || self.choice().is_multiple_of(8) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    self.token(&format!("\\u{unit:04x}"));
                }
            } else {
                self.token(character.encode_utf8(&mut [0; 4]));
            }
        }
        self.token("\"");
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(values) => {
                self.list("[", "]", values.iter(), |writer, value| writer.value(value));
            }
            Value::Object(members) => {
                self.list("{", "}", members.iter(), |writer, (name, value)| {
                    writer.string(name);
                    writer.white();
                    writer.token(":");
                    writer.white();
                    writer.value(value);
                });
            }
            other => self.token(&other.to_string()),
        }
    }

    fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.token(open);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.token(",");
            }
            self.white();
            write(self, item);
            self.white();
        }
        self.white();
        self.token(close);
    }
}

pub(super) fn json(text: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            object(text, inner),
        ]
    })
}

fn object(text: &'static str, value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    proptest::collection::hash_map(text, value, 0..6)
        .prop_map(|members| Value::from(serde_json::Map::from_iter(members)))
}

/// Text with all that matters to JSON and to names.
pub(super) const TEXT: &str = "[ a-z0-9\"\\\\{}\\[\\]:,/\n\t\u{0}\u{7f}é日😀\u{feff}]{0,12}";
/// Legal names.
const NAME: &str = "[ a-z0-9\"\\\\{}\\[\\]:,/é日😀\u{80}\u{feff}]{1,40}";

pub(super) fn an_event() -> impl Strategy<Value = Value> {
    let mostly = |name: BoxedStrategy<Value>| prop_oneof![20 => name, 1 => json(TEXT)];
    let name = || mostly(NAME.prop_map(Value::from).boxed());
    let timestamp = mostly(
        (0..10_000, 1..30, 0..24)
            .prop_map(|(year, day, hour)| format!("{year:04}-02-{day:02}T{hour:02}:00").into())
            .boxed(),
    );
    let payload = mostly(object(TEXT, json(TEXT)).boxed());
    let unknown = proptest::option::of((TEXT, json(TEXT)));
    let absent = prop_oneof![5 => Just(None), 1 => (0..5usize).prop_map(Some)];
    let members = (name(), name(), timestamp, name(), payload);
    (members, unknown, absent).prop_map(|((a, b, c, d, e), unknown, absent)| {
        let mut members = serde_json::Map::from_iter(unknown);
        for (index, (name, value)) in NAMES.into_iter().zip([a, b, c, d, e]).enumerate() {
            if absent != Some(index) {
                members.insert(name.into(), value);
            }
        }
        Value::from(members)
    })
}

pub(super) const NAMES: [&str; 5] = ["topic", "event_id", "timestamp", "source", "payload"];

/// The fields that `event` must be stored with, but for the payload's text; `None` if it is illegal.
fn expected(event: &Value) -> Option<[&str; 4]> {
    let name = |name: &str| {
        let name = event.get(name)?.as_str()?;
        let legal = (1..=255).contains(&name.len()) && !name.chars().any(|c| c.is_ascii_control());
        legal.then_some(name)
    };
    let timestamp = event.get("timestamp")?.as_str()?;
    let legal = crate::event::timestamp_is_valid(timestamp.as_bytes())
        && event.get("payload").is_none_or(Value::is_object);
    let fields = [
        name("topic")?,
        name("event_id")?,
        timestamp,
        name("source")?,
    ];
    legal.then_some(fields)
}

/// Writes `events` in one of the forms.
pub(super) fn write(events: &[Value], form: usize, choices: &[u8]) -> String {
    let mut writer = Writer::new(choices);
    writer.white();
    match form {
        0 => {
            for event in events {
                writer.value(event);
                writer.white();
            }
        }
        1 => writer.value(&Value::from(events.to_vec())),
        _ => {
            let members = [("events", Value::from(events.to_vec())), ("x", Value::Null)];
            let members = members.map(|(name, value)| (name.to_owned(), value));
            writer.value(&Value::from(serde_json::Map::from_iter(members)));
        }
    }
    writer.white();
    writer.sent
}

/// Whether serde_json finds only whole values in a body, in the arrangement that the forms want.
/// `None` where it cannot say: it refuses numbers out of range, lone surrogates and deep nesting, which
/// the grammar allows.
fn is_json(text: &str) -> Option<bool> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut first = None;
    let mut count = 0;
    for value in values {
        match value {
            Ok(value) => first = first.or(Some(value)),
            Err(error) => {
                let message = error.to_string();
                let unsure = ["out of range", "surrogate", "hex escape", "recursion"];
                let unsure = unsure.iter().any(|word| message.contains(word));
                return (!unsure).then_some(false);
            }
        }
        count += 1;
    }
    let stands_alone = first.is_some_and(|first| first.is_array() || first.get("events").is_some());
    Some(count <= 1 || !stands_alone)
}

/// What the short way takes, the reader takes for the same.
fn check_short_way(text: &str) -> Result<(), TestCaseError> {
    let (mut quick, mut slow) = (Vec::new(), Vec::new());
    let mut sink = EventSink::new(text, 3, &mut quick);
    if quick::read(text, &mut sink, 10) {
        let appended = sink.into_appended();
        let mut sink = EventSink::new(text, 3, &mut slow);
        let outcome = reader::read(text, &mut sink, 10);
        let outcome =
            outcome.map_err(|(error, _)| TestCaseError::fail(format!("{text:?} {error:?}")))?;
        prop_assert!(outcome.rejected.is_empty(), "{:?}", text);
        let read = sink.into_appended();
        prop_assert_eq!((appended, quick), (read, slow), "{:?}", text);
    }
    Ok(())
}

fn check_grammar(body: &[u8]) -> Result<(), TestCaseError> {
    let result = run(body, false);
    // With partial the same is called not JSON.
    let partial = run(body, true);
    let Ok(text) = std::str::from_utf8(body) else {
        prop_assert!(result.is_err() && partial.is_err());
        return Ok(());
    };
    check_short_way(text)?;
    let not_json = |result: &Result<Parsed, RejectedBody>| match result {
        Err(RejectedBody {
            error: BodyError::Invalid(details),
            ..
        }) => details.as_slice()[0].msg.starts_with("body is not JSON"),
        _ => false,
    };
    prop_assert_eq!(not_json(&result), not_json(&partial));
    if let Some(is_json) = is_json(text) {
        prop_assert_eq!(!not_json(&result), is_json, "{:?} {:?}", text, result);
    }
    Ok(())
}

proptest! {
    #[test]
    fn events_come_back_as_they_were_written(
        events in proptest::collection::vec(an_event(), 1..5),
        form in 0..3usize,
        choices in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let body = write(&events, form, &choices);
        let parsed = match run(&body, true) {
            Ok(parsed) => parsed,
            Err(refused) => return Err(TestCaseError::fail(format!("{refused:?}: {body}"))),
        };
        let legal: Vec<&Value> = events.iter().filter(|event| expected(event).is_some()).collect();
        let kept = fields(&parsed.publication);
        prop_assert_eq!(kept.len(), legal.len());
        for (kept, event) in kept.iter().zip(&legal) {
            let strings = [0, 1, 2, 3].map(|index| kept[index].as_str());
            prop_assert_eq!(Some(strings), expected(event));
            let payload: Value = serde_json::from_str(&kept[4]).expect("a payload is JSON");
            let sent = event.get("payload").cloned();
            prop_assert_eq!(payload, sent.unwrap_or_else(|| serde_json::json!({})));
        }
        let illegal = (0u32..).zip(&events).filter(|(_, event)| expected(event).is_none());
        let illegal: Vec<u32> = illegal.map(|(index, _)| index).collect();
        prop_assert_eq!(&parsed.rejected, &illegal);
        prop_assert_eq!(run(&body, false).is_ok(), illegal.is_empty());
    }

    #[test]
    fn a_payload_loses_white_space_between_tokens_only(
        payload in object(TEXT, json(TEXT)),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut writer = Writer::new(&choices);
        writer.value(&payload);
        let stored = stored(with("payload", Some(&writer.sent)));
        prop_assert_eq!(&stored[0][4], &writer.tight);
    }

    #[test]
    fn what_is_json_is_decided_as_by_serde_json_for_damaged_bodies(
        events in proptest::collection::vec(an_event(), 0..4),
        form in 0..3usize,
        choices in proptest::collection::vec(any::<u8>(), 0..60),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), 0..4, any::<u8>()), 0..4),
    ) {
        let mut body = write(&events, form, &choices).into_bytes();
        let marks = b"{}[]:,\"\\ \nu0-.eE1tfn\x01\x80\xef";
        for (at, kind, byte) in damages {
            let mark = marks[usize::from(byte) % marks.len()];
            let at = at.index(body.len() + 1);
            match kind {
                0 => body.insert(at, mark),
                1 if at < body.len() => body[at] = mark,
                2 if at < body.len() => drop(body.remove(at)),
                _ if byte < 64 => body.truncate(at),
                _ => {}
            }
        }
        check_grammar(&body)?;
    }

    #[test]
    fn what_is_json_is_decided_as_by_serde_json_for_token_soup(
        tokens in proptest::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "{}", "[]", "{\"events\":", "\"events\"", "\"topic\"",
                "\"a\":1", "\"\\ud800\"", "\"\\u", "\"", "1", "-", "0", "1e400", ".5", "null", "true",
                "nul", " ", "\n", "\r", "\u{feff}", "\u{1}", "\"\u{1}\"", "é", EVENT, EVENT,
            ]),
            0..10,
        ),
    ) {
        check_grammar(tokens.concat().as_bytes())?;
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_grammar(&body)?;
    }
}
