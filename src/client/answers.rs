//! Answers of a server in the form that more than one command reads.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The answer of `GET /stats`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ServerStats {
    pub received: u64,
    pub unique_processed: u64,
    pub duplicate_dropped: u64,
    pub conflicts: u64,
    pub rejected: u64,
    pub batches: u64,
    pub topic_count: u64,
    pub last_seq: u64,
    pub first_seq: u64,
    pub events_removed: u64,
    pub queue_size: u64,
    pub queue_capacity: u64,
    pub connections: u64,
    pub subscribers: u64,
    pub database_bytes: u64,
    pub wal_bytes: u64,
    pub uptime_human: String,
    pub version: String,
    /// Servers of older versions do not say it.
    pub database_id: Option<String>,
}

/// An event as a server returns it.
#[derive(Deserialize)]
pub(crate) struct StoredEvent<'a> {
    pub seq: u64,
    pub topic: String,
    pub event_id: String,
    pub timestamp: String,
    pub source: String,
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

impl StoredEvent<'_> {
    /// Topic and event id.
    pub(crate) fn key(&self) -> (&str, &str) {
        (&self.topic, &self.event_id)
    }
}
