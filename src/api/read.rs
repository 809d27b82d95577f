//! `GET /events/{topic}/{event_id}`, and what all that show events share.

use std::ops::Range;

use super::detail::Details;
use super::json::write_escaped;
use super::query;
use crate::clock::Stamp;
use crate::event::name_error;
use crate::http::{write_number, Response};
use crate::store::{Store, StoreError, StoredEvent};

/// The field, under logagg's long name, that names the history of the seqs in an answer ([`Store::identity`]).
pub(crate) const DATABASE_FIELD: &str = "Log-Aggregator-Database";

/// The topics that a query names, checked: names, or prefixes of names with a trailing `*`.
pub(super) fn topic_patterns(text: Option<&str>) -> Result<Vec<String>, Details> {
    let topics = query::values(text, "topic")?;
    for topic in &topics {
        let name = topic.strip_suffix('*').unwrap_or(topic);
        if name_error(name).is_some() && topic != "*" {
            let rule = "topic must be a legal name of 1 to 255 bytes, or a prefix of one with a trailing *";
            return Err(Details::query("topic", rule));
        }
    }
    Ok(topics)
}

/// Answers `GET /events/{topic}/{event_id}`.
pub(crate) fn event(store: &Store, topic: &str, event_id: &str) -> Result<Response, StoreError> {
    let mut body = Vec::new();
    let found = store.find(topic, event_id, |event| {
        write_event(&mut body, &event, &mut Stamp::default());
    })?;
    if found {
        Ok(Response::json(200, body))
    } else {
        Ok(Response::error(
            404,
            "No event of this topic and event_id is stored.",
        ))
    }
}

/// Appends one event as JSON. Says where in `out` the topic stands, between its quotes. `stamp` is what
/// makes the times of events that follow each other cheap.
pub(crate) fn write_event(
    out: &mut Vec<u8>,
    event: &StoredEvent,
    stamp: &mut Stamp,
) -> Range<usize> {
    out.extend_from_slice(b"{\"seq\":");
    write_number(out, event.seq);
    out.extend_from_slice(b",\"topic\":\"");
    let from = out.len();
    write_escaped(out, event.topic);
    let topic = from..out.len();
    out.extend_from_slice(b"\",\"event_id\":\"");
    write_escaped(out, event.event_id);
    out.extend_from_slice(b"\",\"timestamp\":\"");
    write_escaped(out, event.timestamp);
    out.extend_from_slice(b"\",\"source\":\"");
    write_escaped(out, event.source);
    out.extend_from_slice(b"\",\"payload\":");
    out.extend_from_slice(event.payload);
    out.extend_from_slice(b",\"processed_at\":\"");
    out.extend_from_slice(stamp.at(event.processed_at));
    out.extend_from_slice(b"\"}");
    topic
}
