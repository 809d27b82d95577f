//! `GET /events/{topic}/{event_id}`, and what all that show events share.

use std::ops::Range;

use super::json::write_escaped;
use crate::clock::Stamp;
use crate::http::{write_number, Response};
use crate::store::{Store, StoreError, StoredEvent};

/// The field, under logagg's long name, that names the history of the seqs in an answer ([`Store::identity`]).
pub(crate) const DATABASE_FIELD: &str = "Log-Aggregator-Database";

/// Answers `GET /events/{topic}/{event_id}`.
pub(crate) fn event(store: &Store, topic: &str, event_id: &str) -> Result<Response, StoreError> {
    let mut body = Vec::new();
    let found = store.find(topic, event_id, |event| {
        write_event(&mut body, &event, &mut Stamp::default());
    })?;
    if found {
        Ok(Response::json(200, body))
    } else {
        Ok(no_event())
    }
}

/// The answer where no event has the key.
pub(crate) fn no_event() -> Response {
    Response::error(404, "No event of this topic and event_id is stored.")
}

/// Appends one event as JSON. Returns where the topic is in `out`, between its quotes. `stamp` makes the times of
/// consecutive events cheap.
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
