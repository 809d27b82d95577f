//! Events to publish, and what pages of events hold.

use serde_json::{json, Value};

/// A legal event.
pub fn event(topic: &str, event_id: &str) -> Value {
    json!({
        "topic": topic,
        "event_id": event_id,
        "timestamp": "2026-01-02T03:04:05Z",
        "source": "test",
        "payload": {"n": 1},
    })
}

/// The events of a page.
pub fn events_of(page: &Value) -> &[Value] {
    let events = page["events"].as_array();
    let events = events.unwrap_or_else(|| panic!("no events in {page}"));
    assert_eq!(page["count"], events.len(), "{page}");
    events
}

/// The seqs of a page's events, in its order.
pub fn seqs_of(page: &Value) -> Vec<u64> {
    let seq = |event: &Value| event["seq"].as_u64().expect("an event has a seq");
    events_of(page).iter().map(seq).collect()
}
