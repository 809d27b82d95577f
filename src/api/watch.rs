//! `GET /`, `GET /stats` and `GET /health`.

use serde::Serialize;

use crate::clock::rfc3339;
use crate::http::Response;
use crate::store::{DamagedPage, Identity, Origin};

/// The answer of `GET /stats`, in its order.
#[derive(Serialize)]
pub struct Stats<'a> {
    pub received: u64,
    pub unique_processed: u64,
    pub duplicate_dropped: u64,
    pub topics: Vec<&'a str>,
    pub uptime_seconds: u64,
    pub uptime_human: String,
    pub topic_count: usize,
    pub conflicts: u64,
    pub rejected: u64,
    pub queue_size: usize,
    pub queue_capacity: usize,
    pub batches: u64,
    pub connections: usize,
    pub subscribers: usize,
    pub database_bytes: u64,
    pub wal_bytes: u64,
    pub last_seq: u64,
    pub first_seq: u64,
    pub events_removed: u64,
    pub version: &'static str,
    #[serde(flatten)]
    pub identity: History,
}

/// Which history the seqs belong to.
#[derive(Serialize)]
pub struct History {
    database_id: String,
    restored_from: Option<Restored>,
}

/// The history up to some seq.
#[derive(Serialize)]
struct Restored {
    database_id: String,
    last_seq: u64,
}

impl From<&Identity> for History {
    fn from(identity: &Identity) -> History {
        let restored = |origin: &Origin| Restored {
            database_id: origin.database_id.clone(),
            last_seq: origin.last_seq,
        };
        History {
            database_id: identity.database_id.clone(),
            restored_from: identity.restored_from.as_ref().map(restored),
        }
    }
}

/// The state of the service as `GET /health` tells it.
#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    consumer_running: bool,
    queue_size: usize,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damage: Vec<Damage>,
}

/// A damaged page as `GET /health` names it.
#[derive(Serialize)]
struct Damage {
    table: String,
    page: i64,
    part: &'static str,
    /// The seqs that its segment covers.
    first_seq: u64,
    last_seq: u64,
    /// `repairing`, or `lost` if it cannot be rebuilt.
    state: &'static str,
}

impl From<&DamagedPage> for Damage {
    fn from(page: &DamagedPage) -> Self {
        Self {
            table: page.table(),
            page: page.id,
            part: page.part(),
            first_seq: page.first_seq,
            last_seq: page.last_seq,
            state: if page.is_lost { "lost" } else { "repairing" },
        }
    }
}

/// Seconds as the original service wrote them: `1h 1m 5s`.
pub(crate) fn uptime_human(seconds: u64) -> String {
    format!(
        "{}h {}m {}s",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Answers `GET /stats`.
pub(crate) fn stats(stats: &Stats) -> Response {
    json(200, stats)
}

/// Answers `GET /health`. `reason` says why the service is unhealthy; none means that it is healthy. Damaged pages
/// make it not unhealthy: nothing is answered from one.
pub(crate) fn health(
    reason: Option<String>,
    queue_size: usize,
    damage: &[DamagedPage],
    unix_us: i64,
) -> Response {
    let healthy = reason.is_none();
    let health = Health {
        status: if healthy { "healthy" } else { "unhealthy" },
        consumer_running: healthy,
        queue_size,
        timestamp: rfc3339(unix_us),
        reason,
        damage: damage.iter().map(Damage::from).collect(),
    };
    json(if healthy { 200 } else { 503 }, &health)
}

/// Answers `GET /`. `log-aggregator` is the long name of logagg, which clients of the original service expect here.
pub(crate) fn root() -> Response {
    const BODY: &str = concat!(
        r#"{"service":"log-aggregator","version":""#,
        env!("CARGO_PKG_VERSION"),
        r#"","status":"running","endpoints":{"#,
        r#""publish":"POST /publish","events":"GET /events","event":"GET /events/{topic}/{event_id}","#,
        r#""topics":"GET /topics","subscribe":"GET /subscribe","subscriptions":"GET /subscriptions","#,
        r#""stats":"GET /stats","health":"GET /health","metrics":"GET /metrics","#,
        r#""openapi":"GET /openapi.json","docs":"GET /docs","redoc":"GET /redoc"}}"#
    );
    Response::new(200, "application/json", BODY.as_bytes())
}

fn json(status: u16, value: &impl Serialize) -> Response {
    Response::json(
        status,
        serde_json::to_vec(value).expect("plain data always serialises into memory"),
    )
}

#[cfg(test)]
mod tests {
    use super::uptime_human;

    #[test]
    fn uptime_is_written_as_the_original_did() {
        assert_eq!(uptime_human(3_665), "1h 1m 5s");
        assert_eq!(uptime_human(5), "0h 0m 5s");
        assert_eq!(uptime_human(90_000), "25h 0m 0s");
    }
}
