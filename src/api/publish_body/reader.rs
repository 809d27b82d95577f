//! The forms that a body can have, and the walk over it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{offset_in, span, Fault, Member, Members, Value};
use super::parsed::BodyError;
use super::sink::Sink;
use crate::api::detail::{Detail, Details, LocPart};
use crate::event::Span;
use crate::limits::ERRORS_MAX;

/// What a body turned out to be. It decides how faults are located.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One value.
    One,
    /// A JSON array, or values one after another.
    Many,
    /// An object with a member `events`.
    Wrapped,
}

impl Form {
    /// The way to the event with this index.
    fn loc(self, index: u32) -> Vec<LocPart> {
        match self {
            Form::One => vec!["body".into()],
            Form::Many => vec!["body".into(), index.into()],
            Form::Wrapped => vec!["body".into(), "events".into(), index.into()],
        }
    }
}

/// What a whole body held besides its legal events.
#[derive(Default)]
pub(super) struct ReadEvents {
    /// Those that break a rule, ascending.
    pub(super) rejected: Vec<BrokenEvent>,
    pub(super) errors: Details,
}

/// An event that breaks a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrokenEvent {
    pub(super) index: u32,
    /// Where it is in the text.
    pub(super) span: Span,
    /// The first rule that it breaks.
    pub(super) member: Option<Member>,
    pub(super) fault: Fault,
}

/// Why a body is refused as a whole although it is JSON as far as it was read.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// It has more events than are allowed.
    TooMany,
    /// Something is wrong with the member `events` of the outermost object.
    Events(&'static str),
}

type TextDeserializer<'a> = serde_json::Deserializer<serde_json::de::StrRead<'a>>;

/// Reads `text` and returns its objects to `sink`, which is empty. On error, the number with it is that of the
/// statistic `rejected`.
pub(super) fn read<'a>(
    text: &'a str,
    sink: &mut impl Sink<'a>,
    max_events: usize,
) -> Result<ReadEvents, (BodyError, u64)> {
    let mut reader = Reader {
        text,
        cursor: 0,
        sink,
        max_events,
        count: 0,
        is_wrapped: false,
        rejected: Vec::new(),
        faults: Vec::new(),
        stop: None,
    };
    let form = reader.body();
    let Reader {
        count,
        rejected,
        faults,
        stop,
        ..
    } = reader;
    match (stop, form) {
        (Some(Stop::TooMany), _) => Err((BodyError::TooMany, 0)),
        // What is not JSON is called that, whatever else is wrong with it.
        (_, Err(error)) => Err(invalid(
            vec!["body".into()],
            format!("body is not JSON: {error}"),
            1,
        )),
        (Some(Stop::Events(message)), Ok(_)) => {
            Err(invalid(vec!["body".into(), "events".into()], message, 1))
        }
        (None, Ok(form)) if count == 0 => {
            let mut loc = vec!["body".into()];
            loc.extend((form == Form::Wrapped).then_some(LocPart::from("events")));
            Err(invalid(loc, "at least one event is required", 0))
        }
        (None, Ok(form)) => {
            let mut errors = Details::default();
            for (index, member, fault) in faults {
                errors.push(fault.detail(form.loc(index), member));
            }
            Ok(ReadEvents { rejected, errors })
        }
    }
}

/// An error of the whole body, and the number that it adds to the statistic `rejected`.
fn invalid(
    loc: Vec<LocPart>,
    msg: impl Into<Cow<'static, str>>,
    rejected: u64,
) -> (BodyError, u64) {
    let mut details = Details::default();
    details.push(Detail::value_error(loc, msg));
    (BodyError::Invalid(details), rejected)
}

/// The state of the one skip a body. `'a` is the text's life.
struct Reader<'a, 'r, S> {
    text: &'a str,
    /// Offset in `text` after the last value or punctuation that is known to have been read. With
    /// white space skipped it names the next token, which serde does not show before it is read.
    cursor: usize,
    sink: &'r mut S,
    max_events: usize,
    /// Events met so far, legal or not; the next one's index.
    count: usize,
    /// The outermost object holds the events.
    is_wrapped: bool,
    rejected: Vec<BrokenEvent>,
    /// At most [`ERRORS_MAX`]; located when the form is known.
    faults: Vec<(u32, Option<Member>, Fault)>,
    stop: Option<Stop>,
}

impl<'a, S: Sink<'a>> Reader<'a, '_, S> {
    /// Reads the whole text and tells its form.
    fn body(&mut self) -> Result<Form, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(self.text);
        let form = match self.peek() {
            Some(b'[') => {
                json.deserialize_seq(Elements(self))?;
                Form::Many
            }
            Some(b'{') => {
                let (members, text) = json.deserialize_map(Object {
                    reader: self,
                    outermost: true,
                })?;
                if self.is_wrapped {
                    if members.is_repeated(Member::Events) {
                        self.stop = Some(Stop::Events("events appears more than once"));
                    }
                    Form::Wrapped
                } else {
                    self.begin_event()?;
                    self.end_event(&members, text);
                    self.sequence(&mut json)?
                }
            }
            _ => self.sequence(&mut json)?,
        };
        json.end()?;
        Ok(form)
    }

    /// Reads values one after another up to the end of the text.
    fn sequence(&mut self, json: &mut TextDeserializer<'a>) -> Result<Form, serde_json::Error> {
        while let Some(first) = self.peek() {
            Element(self).deserialize(&mut *json)?;
            // A number or a literal does not show its own end as the others do.
            let shows_end = matches!(first, b'{' | b'[' | b'"');
            let next = self.text.as_bytes().get(self.cursor);
            if !shows_end && !next.is_none_or(|byte| b" \t\n\r{[\"".contains(byte)) {
                json.end()?;
            }
        }
        Ok(if self.count == 1 {
            Form::One
        } else {
            Form::Many
        })
    }

    /// Counts an event whose reading begins.
    fn begin_event<E: de::Error>(&mut self) -> Result<(), E> {
        if self.count == self.max_events {
            self.stop = Some(Stop::TooMany);
            return Err(E::custom("too many events"));
        }
        self.count += 1;
        Ok(())
    }

    /// Keeps or rejects the event that was begun last.
    fn end_event(&mut self, members: &Members<'a>, text: &'a str) {
        let index = self.index();
        let faults = &mut self.faults;
        let mut first = None;
        let is_kept = self.sink.object(members, text, |member, fault| {
            first = first.or(Some((Some(member), fault)));
            if faults.len() < ERRORS_MAX {
                faults.push((index, Some(member), fault));
            }
        });
        if !is_kept {
            self.reject(text, first.unwrap_or((None, Fault::NotAnObject)));
        }
    }

    /// Rejects the event that was begun last because it is not an object.
    fn reject_value(&mut self, text: &'a str) {
        let index = self.index();
        if self.faults.len() < ERRORS_MAX {
            self.faults.push((index, None, Fault::NotAnObject));
        }
        self.reject(text, (None, Fault::NotAnObject));
    }

    fn reject(&mut self, text: &'a str, (member, fault): (Option<Member>, Fault)) {
        self.rejected.push(BrokenEvent {
            index: self.index(),
            span: span(offset_in(self.text, text), text.len()),
            member,
            fault,
        });
    }

    /// Whether a member `events`, whose value comes next, makes its object a wrapper.
    fn is_wrapper(&mut self) -> bool {
        let first = self.peek();
        self.sink.is_wrapper(first)
    }

    /// The index of the event that was begun last.
    fn index(&self) -> u32 {
        u32::try_from(self.count - 1).expect("an event takes at least one byte of the body")
    }

    /// Notes that a value has been read and returns its text.
    fn passed(&mut self, value: &'a RawValue) -> &'a str {
        let value = value.get();
        self.cursor = offset_in(self.text, value) + value.len();
        value
    }

    /// The first byte of the next token.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.cursor), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.cursor += 1;
        }
        bytes.get(self.cursor).copied()
    }

    /// Moves past the next token if it is this one. That it must be there is checked by serde.
    fn pass(&mut self, punctuation: u8) {
        if self.peek() == Some(punctuation) {
            self.cursor += 1;
        }
    }
}

/// One event, or any other value in its place.
struct Element<'s, 'a, 'r, S>(&'s mut Reader<'a, 'r, S>);

impl<'de, S: Sink<'de>> DeserializeSeed<'de> for Element<'_, 'de, '_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let reader = self.0;
        reader.begin_event()?;
        if reader.peek() == Some(b'{') {
            let (members, text) = deserializer.deserialize_map(Object {
                reader,
                outermost: false,
            })?;
            reader.end_event(&members, text);
        } else {
            let value = <&RawValue>::deserialize(deserializer)?;
            let text = reader.passed(value);
            reader.reject_value(text);
        }
        Ok(())
    }
}

/// A JSON array of events.
struct Elements<'s, 'a, 'r, S>(&'s mut Reader<'a, 'r, S>);

impl<'de, S: Sink<'de>> Visitor<'de> for Elements<'_, 'de, '_, S> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let reader = self.0;
        reader.pass(b'[');
        while elements.next_element_seed(Element(reader))?.is_some() {
            reader.pass(b',');
        }
        reader.pass(b']');
        Ok(())
    }
}

/// The value of the member `events` in the outermost object.
struct Events<'s, 'a, 'r, S>(&'s mut Reader<'a, 'r, S>);

impl<'de, S: Sink<'de>> DeserializeSeed<'de> for Events<'_, 'de, '_, S> {
    /// The text of the value.
    type Value = &'de str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'de str, D::Error> {
        let reader = self.0;
        let first = reader.peek();
        let start = reader.cursor;
        match first {
            Some(b'[') => deserializer.deserialize_seq(Elements(reader))?,
            Some(b'{') => Element(reader).deserialize(deserializer)?,
            _ => {
                let value = <&RawValue>::deserialize(deserializer)?;
                reader.passed(value);
                reader.stop = Some(Stop::Events("events must be an array of events"));
            }
        }
        Ok(&reader.text[start..reader.cursor])
    }
}

/// An object, which may be an event.
struct Object<'s, 'a, 'r, S> {
    reader: &'s mut Reader<'a, 'r, S>,
    /// Whether a member `events` makes this object a wrapper of events.
    outermost: bool,
}

impl<'de, S: Sink<'de>> Visitor<'de> for Object<'_, 'de, '_, S> {
    /// Its members, and the text of all of it.
    type Value = (Members<'de>, &'de str);

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reader = self.reader;
        let mut members = Members::default();
        reader.pass(b'{');
        let start = reader.cursor - 1;
        // Keys are read raw too: as bytes, serde_json would take control characters in them.
        while let Some(key) = map.next_key::<&RawValue>()? {
            let key = reader.passed(key);
            let member = Member::of_key(key);
            reader.pass(b':');
            let value = match member {
                Some(Member::Events)
                    if self.outermost && !members.has(Member::Events) && reader.is_wrapper() =>
                {
                    reader.is_wrapped = true;
                    map.next_value_seed(Events(reader))?
                }
                _ => reader.passed(map.next_value()?),
            };
            if let Some(member) = member {
                members.insert(member, Value::of(value));
            }
            reader.pass(b',');
        }
        reader.pass(b'}');
        Ok((members, &reader.text[start..reader.cursor]))
    }
}
