//! What shippers send, over raw sockets: what is common to all protocols here, and a module for each of them.

mod bounds;
mod cloudevents;
mod common;
mod datadog;
mod elasticsearch;
mod forward;
mod gelf;
mod hec;
mod journald;
mod loki;
mod otlp;
mod publish;
pub mod sockets;
mod syslog;

use serde_json::Value;

use crate::harness::{Client, Response, Server};

/// Sends a body of JSON to a path.
pub fn post(client: &mut Client, target: &str, body: impl AsRef<[u8]>) -> Response {
    client.publish_to(target, body)
}

/// All events, oldest first.
pub fn stored(server: &Server) -> Vec<Value> {
    let mut events = Vec::new();
    let mut next = Some("/events?after=0&limit=1000".to_owned());
    while let Some(target) = next {
        let page = server.json(&target);
        events.extend_from_slice(page["events"].as_array().expect("a page has events"));
        next = page["next"].as_str().map(str::to_owned);
    }
    events
}
