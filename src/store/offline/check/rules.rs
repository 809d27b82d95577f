//! Whether what is stored keeps the rules that events had to keep when they were published: answers rely on
//! them.

use crate::event::{name_error, payload_error, timestamp_is_valid};

/// What is wrong with a name, as a clause.
pub(super) fn name_problem(name: &[u8]) -> Option<&'static str> {
    match std::str::from_utf8(name) {
        Err(_) => Some("is not UTF-8"),
        Ok(name) => name_error(name).map(|error| error.complaint()),
    }
}

/// What is wrong with the texts of an event: which one, and a clause.
pub(super) fn event_problem(
    event_id: &[u8],
    timestamp: &[u8],
    source: &[u8],
    payload: &[u8],
) -> Option<(&'static str, &'static str)> {
    if let Some(what) = name_problem(event_id) {
        return Some(("event_id", what));
    }
    if let Some(what) = name_problem(source) {
        return Some(("source", what));
    }
    if !timestamp_is_valid(timestamp) {
        return Some(("timestamp", "is not in ISO 8601 format"));
    }
    let what = match std::str::from_utf8(payload) {
        Err(_) => Some("is not UTF-8"),
        Ok(payload) => payload_error(payload),
    };
    what.map(|what| ("payload", what))
}
