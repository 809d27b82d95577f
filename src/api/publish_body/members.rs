//! One event's members: which there are, and which rule each must keep.

use std::borrow::Cow;

use crate::api::detail::{Detail, LocPart};
use crate::event::{self, compact, EventSpans, NameError, Span, TooDeep};

/// The members of an event, in the order in which their faults are listed. Everything that is kept by
/// member is an array in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Topic,
    EventId,
    Timestamp,
    Source,
    Payload,
    /// Not a member of an event, but one that must not be repeated either.
    Events,
}

impl Member {
    pub(super) fn name(self) -> &'static str {
        match self {
            Member::Topic => "topic",
            Member::EventId => "event_id",
            Member::Timestamp => "timestamp",
            Member::Source => "source",
            Member::Payload => "payload",
            Member::Events => "events",
        }
    }

    /// The member that the key means, of which `key` is the JSON text. A key with escapes may mean one
    /// too; one that leaves a lone surrogate means none.
    pub(super) fn of_key(key: &str) -> Option<Member> {
        if memchr::memchr(b'\\', key.as_bytes()).is_some() {
            let unescaped: String = serde_json::from_str(key).ok()?;
            Member::of_name(&unescaped)
        } else {
            Member::of_plain_key(key)
        }
    }

    /// The same for a key that has no escapes.
    pub(super) fn of_plain_key(key: &str) -> Option<Member> {
        Member::of_name(&key[1..key.len() - 1])
    }

    fn of_name(name: &str) -> Option<Member> {
        Some(match name {
            "topic" => Member::Topic,
            "event_id" => Member::EventId,
            "timestamp" => Member::Timestamp,
            "source" => Member::Source,
            "payload" => Member::Payload,
            "events" => Member::Events,
            _ => return None,
        })
    }
}

/// A member's value, and what has been seen of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    /// Its JSON text.
    pub text: &'a str,
    /// A string in it may have escapes.
    pub may_have_escapes: bool,
    /// It may have white space between its tokens, or be nested too deep.
    pub may_need_compacting: bool,
}

impl<'a> Value<'a> {
    /// Of which nothing but the grammar has been checked.
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            text,
            may_have_escapes: true,
            may_need_compacting: true,
        }
    }

    /// What it means if it is a string.
    #[inline(always)]
    pub(super) fn string(self) -> Result<Cow<'a, str>, Fault> {
        let json = self.text;
        if !json.starts_with('"') {
            return Err(Fault::NotAString);
        }
        let inner = &json[1..json.len() - 1];
        if !self.may_have_escapes || memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Ok(Cow::Borrowed(inner));
        }
        // The grammar has been checked; what can still be wrong is a surrogate without its partner.
        let unescaped: String = serde_json::from_str(json).map_err(|_| Fault::LoneSurrogate)?;
        Ok(Cow::Owned(unescaped))
    }
}

/// What an object brought: the values of the members that an event has.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    values: [Option<Value<'a>>; 6],
    repeated: [bool; 6],
}

impl<'a> Members<'a> {
    /// Takes a member's value, the first of that name; later ones are only remembered as a fault.
    pub(super) fn insert(&mut self, member: Member, value: Value<'a>) {
        let slot = &mut self.values[member as usize];
        if slot.is_some() {
            self.repeated[member as usize] = true;
        } else {
            *slot = Some(value);
        }
    }

    pub(super) fn has(&self, member: Member) -> bool {
        self.value(member).is_some()
    }

    pub(super) fn value(&self, member: Member) -> Option<Value<'a>> {
        self.values[member as usize]
    }

    pub(super) fn is_repeated(&self, member: Member) -> bool {
        self.repeated[member as usize]
    }
}

/// How an event, or a member of it, breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotAnObject,
    Missing,
    Repeated,
    NotAString,
    LoneSurrogate,
    Name(NameError),
    Timestamp,
    PayloadNotAnObject,
    PayloadTooDeep,
    PayloadTooLarge,
}

impl From<TooDeep> for Fault {
    fn from(_: TooDeep) -> Self {
        Fault::PayloadTooDeep
    }
}

impl Fault {
    /// The entry for the fault of `member`, or of the whole event where that is `None`. `loc` leads to
    /// the event.
    pub(super) fn detail(self, mut loc: Vec<LocPart>, member: Option<Member>) -> Detail {
        loc.extend(member.map(|member| LocPart::from(member.name())));
        match self {
            Fault::Missing => Detail::missing(loc),
            _ => Detail::value_error(loc, self.sentence(member)),
        }
    }

    /// What is wrong with `member`, or with the whole event where that is `None`.
    pub(super) fn sentence(self, member: Option<Member>) -> String {
        let name = member.map_or("event", Member::name);
        let complaint = match self {
            Fault::Missing => "is required",
            Fault::Repeated => "appears more than once",
            Fault::NotAnObject | Fault::PayloadNotAnObject => "must be an object",
            Fault::NotAString => "must be a string",
            Fault::LoneSurrogate => "must not have an escape that leaves a lone surrogate",
            Fault::Name(error) => error.complaint(),
            Fault::Timestamp => "must be in ISO 8601 format",
            Fault::PayloadTooDeep => "must be nested at most 128 levels deep",
            Fault::PayloadTooLarge => "is larger than an event may be",
        };
        format!("{name} {complaint}")
    }
}

const _: () = assert!(
    crate::limits::PAYLOAD_MAX_DEPTH == 128,
    "the complaint names the number"
);

/// Makes events out of members.
#[derive(Debug)]
pub(super) struct Validator<'a> {
    /// What all values are slices of.
    text: &'a str,
    /// Offset of `text` in the body.
    text_start: usize,
    /// Text that had to be changed. It is appended to the body, so that is what its spans say.
    pub(super) appended: Vec<u8>,
    /// Where `{}` is in `appended`, once an event without a payload has come.
    absent_payload: Option<Span>,
}

impl<'a> Validator<'a> {
    pub(super) fn new(text: &'a str, text_start: usize) -> Validator<'a> {
        Validator {
            text,
            text_start,
            appended: Vec::new(),
            absent_payload: None,
        }
    }

    /// The event that the members make, if all rules are kept. Each fault goes to `report`.
    pub(super) fn event(
        &mut self,
        members: &Members<'a>,
        mut report: impl FnMut(Member, Fault),
    ) -> Option<EventSpans> {
        let mut keep = |member: Member, result: Result<Span, Fault>| match result {
            _ if members.is_repeated(member) => {
                report(member, Fault::Repeated);
                None
            }
            Ok(span) => Some(span),
            Err(fault) => {
                report(member, fault);
                None
            }
        };
        let topic = keep(Member::Topic, self.name(members, Member::Topic));
        let event_id = keep(Member::EventId, self.name(members, Member::EventId));
        let timestamp = keep(Member::Timestamp, self.timestamp(members));
        let source = keep(Member::Source, self.name(members, Member::Source));
        let payload = keep(Member::Payload, self.payload(members));
        let events_once = !members.is_repeated(Member::Events);
        if !events_once {
            report(Member::Events, Fault::Repeated);
        }
        match (topic, event_id, timestamp, source, payload) {
            (Some(topic), Some(event_id), Some(timestamp), Some(source), Some(payload))
                if events_once =>
            {
                Some(EventSpans {
                    topic,
                    event_id,
                    timestamp,
                    source,
                    payload,
                })
            }
            _ => None,
        }
    }

    fn name(&mut self, members: &Members<'a>, member: Member) -> Result<Span, Fault> {
        self.string(members, member, |name| {
            event::name_error(name).map_or(Ok(()), |error| Err(Fault::Name(error)))
        })
    }

    fn timestamp(&mut self, members: &Members<'a>) -> Result<Span, Fault> {
        self.string(members, Member::Timestamp, |timestamp| {
            event::timestamp_is_valid(timestamp.as_bytes())
                .then_some(())
                .ok_or(Fault::Timestamp)
        })
    }

    /// The span of a required string, unescaped, which must keep `rule`.
    fn string(
        &mut self,
        members: &Members<'a>,
        member: Member,
        rule: impl FnOnce(&str) -> Result<(), Fault>,
    ) -> Result<Span, Fault> {
        let value = members.value(member).ok_or(Fault::Missing)?;
        let unescaped = match value.string()? {
            Cow::Borrowed(inner) => {
                rule(inner)?;
                return Ok(self.span_in_text(inner));
            }
            Cow::Owned(unescaped) => unescaped,
        };
        rule(&unescaped)?;
        let start = self.appended.len();
        self.appended.extend_from_slice(unescaped.as_bytes());
        Ok(self.span_in_appended(start))
    }

    fn payload(&mut self, members: &Members<'a>) -> Result<Span, Fault> {
        let start = self.appended.len();
        let Some(value) = members.value(Member::Payload) else {
            if let Some(span) = self.absent_payload {
                return Ok(span);
            }
            self.appended.extend_from_slice(b"{}");
            let span = self.span_in_appended(start);
            self.absent_payload = Some(span);
            return Ok(span);
        };
        if !value.text.starts_with('{') {
            return Err(Fault::PayloadNotAnObject);
        }
        match value.may_need_compacting && compact(value.text, &mut self.appended)? {
            true => Ok(self.span_in_appended(start)),
            false => Ok(self.span_in_text(value.text)),
        }
    }

    /// The span of `part`, which must be a slice of the text.
    fn span_in_text(&self, part: &str) -> Span {
        span(self.text_start + offset_in(self.text, part), part.len())
    }

    /// The span from `start` to the end of what has been appended.
    fn span_in_appended(&self, start: usize) -> Span {
        let appended_start = self.text_start + self.text.len();
        span(appended_start + start, self.appended.len() - start)
    }
}

pub(super) fn span(start: usize, len: usize) -> Span {
    let bounded =
        |number| u32::try_from(number).expect("a body is at most BODY_CEILING_BYTES long");
    Span {
        start: bounded(start),
        len: bounded(len),
    }
}

/// Where `part`, which must be a slice of `text`, starts in it.
pub(super) fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}
