//! The body of `POST /publish`: bytes in; events, or a list of what is wrong, out.
//!
//! One skip the text takes a body that is plain and right (`quick`). Anything else is read again from the start by
//! `serde_json` (`reader`), which finds everything that is wrong and says where. There every value is taken as
//! [`RawValue`](serde_json::value::RawValue), so neither a number's range nor the depth of nesting makes valid JSON
//! (RFC 8259) an error, nothing is built as a tree, and each text is a slice of the body, so that its offset is known.
//! That offset also tells, as serde does not, which kind of value comes next.
//!
//! This module counts and refuses; it must never decide what is a duplicate or what is stored.

mod members;
mod parsed;
pub(crate) mod quick;
mod reader;
mod records;
mod sink;
#[cfg(test)]
mod tests;

use super::detail::Details;
use crate::event::{EventSpans, IdentityCounts, Protocol, Publication, RejectedRecord};
use crate::limits::BODY_CEILING_BYTES;
use reader::ReadEvents;
use records::RecordSink;
use sink::{EventSink, Sink};

pub use parsed::{BodyError, Parsed, RejectedBody};
pub(crate) use records::RecordRules;

/// Reads the events out of a decoded `body`, at most [`BODY_CEILING_BYTES`] long.
///
/// `events` is a buffer that is reused; what it holds is discarded. With `partial`, events that break
/// a rule are left out instead of refusing all; a body that is not JSON or holds no event at all is
/// refused nevertheless. Reading ends with the event after the `max_events`th.
pub fn parse(
    mut body: Vec<u8>,
    mut events: Vec<EventSpans>,
    partial: bool,
    max_events: usize,
) -> Result<Parsed, RejectedBody> {
    events.clear();
    let outcome = text_of(&body).and_then(|(text, start)| {
        let mut sink = EventSink::new(text, start, &mut events);
        let read = read(text, &mut sink, partial, max_events)?;
        Ok((sink.into_appended(), read, start))
    });
    match outcome {
        Ok((appended, read, start)) => {
            let rejected = rejected(&read, &body[start..]);
            body.extend_from_slice(&appended);
            let identities = IdentityCounts {
                own: events.len() as u64,
                ..IdentityCounts::default()
            };
            let publication = Publication {
                body,
                events,
                rejected,
                ..Publication::default()
            };
            Ok(parsed(publication, read, identities))
        }
        Err((error, rejected)) => {
            events.clear();
            Err(RejectedBody {
                error,
                rejected,
                body,
                events,
            })
        }
    }
}

/// Reads records, which need not be events, out of a decoded `body`. Otherwise as [`parse`].
pub(crate) fn parse_records(
    body: Vec<u8>,
    rules: &RecordRules,
    partial: bool,
    max_events: usize,
) -> Result<Parsed, RejectedBody> {
    let outcome = text_of(&body).and_then(|(text, _)| {
        let mut sink = RecordSink::new(rules, max_events);
        let read = read(text, &mut sink, partial, max_events)?;
        let (mut publication, identities) = sink.into_publication();
        publication.rejected = rejected(&read, text.as_bytes());
        Ok(parsed(publication, read, identities))
    });
    outcome.map_err(|(error, rejected)| RejectedBody {
        error,
        rejected,
        body,
        events: Vec::new(),
    })
}

/// An error of the whole body, and the number that it adds to the statistic `rejected`.
type Refused = (BodyError, u64);

/// The text of a body, and where in it the text starts.
fn text_of(body: &[u8]) -> Result<(&str, usize), Refused> {
    assert!(
        body.len() <= BODY_CEILING_BYTES,
        "the body limit is checked"
    );
    let marked = std::str::from_utf8(body).map_err(|error| {
        let msg = format!("body is not UTF-8 at byte {}", error.valid_up_to());
        (BodyError::Invalid(Details::body(msg)), 1)
    })?;
    let text = marked.strip_prefix('\u{feff}').unwrap_or(marked);
    Ok((text, marked.len() - text.len()))
}

fn read<'a>(
    text: &'a str,
    sink: &mut impl Sink<'a>,
    partial: bool,
    max_events: usize,
) -> Result<ReadEvents, Refused> {
    if quick::read(text, sink, max_events) {
        return Ok(ReadEvents::default());
    }
    sink.clear();
    let read = reader::read(text, sink, max_events)?;
    if partial || read.rejected.is_empty() {
        return Ok(read);
    }
    let rejected = read.rejected.len() as u64;
    Err((BodyError::Invalid(read.errors), rejected))
}

/// What is kept of the events that break a rule. Their peer is not known here.
fn rejected(read: &ReadEvents, text: &[u8]) -> Vec<RejectedRecord> {
    let kept = read.rejected.iter().map(|event| {
        let reason = event.fault.sentence(event.member);
        RejectedRecord::new(Protocol::Publish, "", reason, event.span.of(text))
    });
    kept.collect()
}

fn parsed(publication: Publication, read: ReadEvents, identities: IdentityCounts) -> Parsed {
    Parsed {
        publication,
        rejected: read.rejected.iter().map(|event| event.index).collect(),
        errors: read.errors,
        identities,
    }
}
