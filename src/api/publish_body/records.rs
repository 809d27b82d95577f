//! Objects that need not be events: what is missing is filled in from the query, or by the server.

use std::borrow::Cow;

use super::members::{Fault, Member, Members};
use super::sink::Sink;
use crate::event::{self, IdentityCounts, Peer, Protocol, Publication};
use crate::ingest::json;
use crate::ingest::query::{IdentityRule, IngestQuery, MadeIdentity};
use crate::ingest::record::Record;
use crate::ingest::records::{Defaults, Origin, Records, TOO_DEEP};
use crate::ingest::time::{document_time, is_time, Time, Unit};
use crate::limits::BODY_CEILING_BYTES;

/// What a request says of its records.
#[derive(Clone, Debug)]
pub(crate) struct RecordRules {
    pub(crate) query: IngestQuery,
    pub(crate) peer: Peer,
    /// The time of receipt, in microseconds since the epoch.
    pub(crate) received_at: i64,
}

/// Makes events of records.
pub(super) struct RecordSink<'r> {
    rules: &'r RecordRules,
    max_events: usize,
    records: Records,
    /// Identities that are members which the query names.
    from_members: u64,
}

/// An identity, and whether it is a member that the query names. None if one is to be made.
type Identity<'a> = Option<(Cow<'a, str>, bool)>;

impl<'r> RecordSink<'r> {
    pub(super) fn new(rules: &'r RecordRules, max_events: usize) -> Self {
        Self {
            rules,
            max_events,
            records: records(rules, max_events),
            from_members: 0,
        }
    }

    /// The events, and where their identities are from.
    pub(super) fn into_publication(mut self) -> (Publication, IdentityCounts) {
        let taken = self.records.take();
        let mut identities = taken.identities;
        identities.own -= self.from_members;
        identities.member = self.from_members;
        (taken.publication, identities)
    }

    /// A record that is an event in which members may be missing.
    fn event<'a>(
        &mut self,
        members: &Members<'a>,
        text: &'a str,
        mut report: impl FnMut(Member, Fault),
    ) -> bool {
        let query = &self.rules.query;
        let mut is_legal = true;
        let mut fault = |member, fault| {
            is_legal = false;
            report(member, fault);
        };
        let topic = once(members, Member::Topic, name(members, Member::Topic));
        let topic = topic.and_then(|own| own.or(borrowed(&query.topic)).ok_or(Fault::Missing));
        let identity = once(
            members,
            Member::EventId,
            own_identity(members).and_then(|own| self.identity(own, text)),
        );
        let time_is_once = once(members, Member::Timestamp, Ok(()));
        let source = once(members, Member::Source, name(members, Member::Source));
        let payload = once(members, Member::Payload, payload(members));
        let topic = topic.map_err(|found| fault(Member::Topic, found)).ok();
        let identity = identity.map_err(|found| fault(Member::EventId, found)).ok();
        let _ = time_is_once.map_err(|found| fault(Member::Timestamp, found));
        let source = source.map_err(|found| fault(Member::Source, found)).ok();
        let payload = payload.map_err(|found| fault(Member::Payload, found)).ok();
        if members.is_repeated(Member::Events) {
            fault(Member::Events, Fault::Repeated);
        }
        let own_time = members.value(Member::Timestamp);
        let own_time = own_time.and_then(|value| json::scalar(value.text));
        let time = own_time.filter(|time| is_time(time));
        let found = time.or_else(|| self.named_time(text));
        match (topic, identity, source, payload, is_legal) {
            (Some(topic), Some(identity), Some(source), Some(payload), true) => {
                let source = source.or(borrowed(&query.source));
                self.keep([Some(topic), source], identity, found, [text, payload])
                    .map_err(|found| report(Member::Payload, found))
                    .is_ok()
            }
            _ => false,
        }
    }

    /// A record that is the payload.
    fn whole(&mut self, text: &str, mut report: impl FnMut(Member, Fault)) -> bool {
        let identity = match self.identity(None, text) {
            Ok(identity) => identity,
            Err(found) => {
                report(Member::EventId, found);
                return false;
            }
        };
        let time = self.named_time(text);
        self.keep([None, None], identity, time, [text, text])
            .map_err(|found| report(Member::Payload, found))
            .is_ok()
    }

    /// The record's own identity, or the first that the query leads to.
    fn identity<'a>(
        &self,
        own: Option<Cow<'a, str>>,
        text: &'a str,
    ) -> Result<Identity<'a>, Fault> {
        if let Some(own) = own {
            return Ok(Some((own, false)));
        }
        let rule = self.rules.query.event_id.as_ref().ok_or(Fault::Missing)?;
        let found = rule.members.iter().find_map(|path| path.find(text));
        match (found, rule.made) {
            (Some(found), _) => Ok(Some((found, true))),
            (None, Some(_)) => Ok(None),
            (None, None) => Err(Fault::Missing),
        }
    }

    /// The member that the query names, if it is a time.
    fn named_time<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        let found = self.rules.query.timestamp.as_ref()?.find(text);
        found.filter(|time| is_time(time))
    }

    /// Makes the event. `time` goes before those of the record's text.
    fn keep<'a>(
        &mut self,
        [topic, source]: [Option<Cow<'a, str>>; 2],
        identity: Identity<'a>,
        time: Option<Cow<'a, str>>,
        [text, payload]: [&'a str; 2],
    ) -> Result<(), Fault> {
        if payload.len() > BODY_CEILING_BYTES / 2 {
            return Err(Fault::PayloadTooLarge);
        }
        let given = time.as_deref().map(|time| Time::Text(time, Unit::BySize));
        let is_from_member = matches!(identity, Some((_, true)));
        let record = Record {
            topic,
            source,
            time: given.or_else(|| document_time(text)),
            identity: identity.map(|(identity, _)| identity),
        };
        match self.records.document(&record, payload) {
            Ok(_) => {
                self.from_members += u64::from(is_from_member);
                Ok(())
            }
            Err(TOO_DEEP) => Err(Fault::PayloadTooDeep),
            Err(_) => Err(Fault::PayloadTooLarge),
        }
    }
}

impl<'a> Sink<'a> for RecordSink<'_> {
    fn object(
        &mut self,
        members: &Members<'a>,
        text: &'a str,
        report: impl FnMut(Member, Fault),
    ) -> bool {
        if self.rules.query.whole {
            self.whole(text, report)
        } else {
            self.event(members, text, report)
        }
    }

    /// A record may well have a member of this name that is something else.
    fn is_wrapper(&self, first: Option<u8>) -> bool {
        !self.rules.query.whole || first == Some(b'[')
    }

    fn clear(&mut self) {
        self.records = records(self.rules, self.max_events);
        self.from_members = 0;
    }
}

/// The builder. What depends on a record is found here, since members of the query are looked for in the record, not
/// in its payload, and an event's own members go before the query.
fn records(rules: &RecordRules, max_events: usize) -> Records {
    let query = &rules.query;
    let shared = |name: &Option<String>| name.clone().filter(|_| query.whole);
    let made = query.event_id.as_ref().and_then(|rule| rule.made);
    let defaults = Defaults {
        protocol: Protocol::Publish,
        topic: Protocol::Publish.name(),
        identity: MadeIdentity::Auto,
    };
    let origin = Origin {
        peer: rules.peer,
        received_at: rules.received_at,
        query: IngestQuery {
            topic: shared(&query.topic),
            source: shared(&query.source),
            event_id: Some(IdentityRule {
                members: Vec::new(),
                made,
            }),
            ..IngestQuery::default()
        },
        max_events,
        // The body is decoded already.
        max_body_bytes: BODY_CEILING_BYTES,
    };
    Records::new(defaults, origin)
}

fn borrowed(name: &Option<String>) -> Option<Cow<'_, str>> {
    name.as_deref().map(Cow::Borrowed)
}

/// What was found of a member that may not be repeated.
fn once<T>(members: &Members, member: Member, found: Result<T, Fault>) -> Result<T, Fault> {
    match members.is_repeated(member) {
        true => Err(Fault::Repeated),
        false => found,
    }
}

/// A name, if the record has it.
fn name<'a>(members: &Members<'a>, member: Member) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(value) = members.value(member) else {
        return Ok(None);
    };
    let name = value.string()?;
    match event::name_error(&name) {
        Some(error) => Err(Fault::Name(error)),
        None => Ok(Some(name)),
    }
}

/// The identity that the record itself has. An empty one and `null` are none, a number is its text.
fn own_identity<'a>(members: &Members<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(value) = members.value(Member::EventId) else {
        return Ok(None);
    };
    match value.text {
        "null" => Ok(None),
        json if json.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            Ok(Some(Cow::Borrowed(json)))
        }
        _ => Ok(Some(value.string()?).filter(|text| !text.is_empty())),
    }
}

/// The JSON text of the payload.
fn payload<'a>(members: &Members<'a>) -> Result<&'a str, Fault> {
    match members.value(Member::Payload).map(|value| value.text) {
        None => Ok("{}"),
        Some(json) if !json.starts_with('{') => Err(Fault::PayloadNotAnObject),
        Some(json) => Ok(json),
    }
}
