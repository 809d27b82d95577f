//! `GET /`, `GET /stats` and `GET /health`.

use serde::Serialize;

use super::json::write_string;
use crate::http::{write_number, Response};
use crate::store::{DamagedPage, Identity, Origin};

/// Room for the answer of `GET /health` while all is well.
const HEALTH_BYTES: usize = 128;

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
    pub search_index: &'static str,
    pub search_index_through: u64,
    pub search_index_bytes: u64,
    pub version: &'static str,
    #[serde(flatten)]
    pub identity: History,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_hour: Option<LastHour>,
}

/// Counts of an interval of time, or since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub accepted: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub rejected: u64,
    pub commits: u64,
    /// The time of all commits.
    pub commit_us: u64,
    /// The times within which 50 and 99 of 100 commits of the interval were done, and that of the slowest.
    pub commit_p50_us: u64,
    pub commit_p99_us: u64,
    pub commit_slowest_us: u64,
}

impl Figures {
    /// The counts after `earlier`.
    pub(crate) fn since(&self, earlier: &Figures) -> Figures {
        // The counts of the database start over when its file is replaced.
        let between = |later: u64, earlier: u64| later.saturating_sub(earlier);
        Figures {
            accepted: between(self.accepted, earlier.accepted),
            duplicates: between(self.duplicates, earlier.duplicates),
            conflicts: between(self.conflicts, earlier.conflicts),
            rejected: between(self.rejected, earlier.rejected),
            commits: between(self.commits, earlier.commits),
            commit_us: between(self.commit_us, earlier.commit_us),
            ..*self
        }
    }
}

/// The commits of an hour.
#[derive(Serialize)]
pub(crate) struct Commits {
    pub count: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub slowest_us: u64,
}

/// What came in the last hour, by interval, the oldest first; fewer intervals after a start.
#[derive(Serialize)]
pub struct LastHour {
    interval_seconds: u64,
    accepted: Vec<u64>,
    duplicates: Vec<u64>,
    conflicts: Vec<u64>,
    rejected: Vec<u64>,
    commits: Vec<u64>,
    commit_us: Vec<u64>,
    commit_p50_us: Vec<u64>,
    commit_p99_us: Vec<u64>,
    commit_slowest_us: Vec<u64>,
    /// All of them, and those after the last interval.
    all_commits: Commits,
}

impl LastHour {
    pub(crate) fn of<'f>(
        interval_seconds: u64,
        intervals: impl Iterator<Item = &'f Figures> + Clone,
        all_commits: Commits,
    ) -> LastHour {
        let list = |figure: fn(&Figures) -> u64| intervals.clone().map(figure).collect();
        LastHour {
            interval_seconds,
            accepted: list(|one| one.accepted),
            duplicates: list(|one| one.duplicates),
            conflicts: list(|one| one.conflicts),
            rejected: list(|one| one.rejected),
            commits: list(|one| one.commits),
            commit_us: list(|one| one.commit_us),
            commit_p50_us: list(|one| one.commit_p50_us),
            commit_p99_us: list(|one| one.commit_p99_us),
            commit_slowest_us: list(|one| one.commit_slowest_us),
            all_commits,
        }
    }
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

/// Answers `GET /health`. `reason` says why the service is unhealthy; none means that it is healthy. Damaged pages and
/// subscriptions do not make it unhealthy: nothing is answered from one. `timestamp` is the time of the answer. Written
/// by hand, since monitors may ask often.
pub(crate) fn health(
    reason: Option<&str>,
    queue_size: usize,
    damage: &[DamagedPage],
    subscriptions: &[&str],
    timestamp: &[u8; 27],
) -> Response {
    let (status, state): (_, &[u8]) = match reason {
        None => (200, br#"{"status":"healthy","consumer_running":true"#),
        Some(_) => (503, br#"{"status":"unhealthy","consumer_running":false"#),
    };
    let mut body = Vec::with_capacity(HEALTH_BYTES);
    body.extend_from_slice(state);
    body.extend_from_slice(br#","queue_size":"#);
    write_number(&mut body, queue_size);
    body.extend_from_slice(br#","timestamp":""#);
    body.extend_from_slice(timestamp);
    body.push(b'"');
    if let Some(reason) = reason {
        body.extend_from_slice(br#","reason":"#);
        write_string(&mut body, reason);
    }
    if !damage.is_empty() {
        let damage: Vec<Damage> = damage.iter().map(Damage::from).collect();
        body.extend_from_slice(br#","damage":"#);
        serde_json::to_writer(&mut body, &damage)
            .expect("plain data always serialises into memory");
    }
    for (at, name) in subscriptions.iter().enumerate() {
        let before: &[u8] = match at {
            0 => br#","damaged_subscriptions":["#,
            _ => b",",
        };
        body.extend_from_slice(before);
        write_string(&mut body, name);
    }
    if !subscriptions.is_empty() {
        body.push(b']');
    }
    body.push(b'}');
    Response::json(status, body)
}

/// Answers `GET /`. `log-aggregator` is the long name of logagg, which clients of the original service expect here.
pub(crate) fn root() -> Response {
    const BODY: &str = concat!(
        r#"{"service":"log-aggregator","version":""#,
        env!("CARGO_PKG_VERSION"),
        r#"","status":"running","endpoints":{"#,
        r#""publish":"POST /publish","events":"GET /events","event":"GET /events/{topic}/{event_id}","#,
        r#""histogram":"GET /histogram","fields":"GET /fields","#,
        r#""topics":"GET /topics","rejected":"GET /rejected","subscribe":"GET /subscribe","#,
        r#""subscriptions":"GET /subscriptions","#,
        r#""stats":"GET /stats","health":"GET /health","metrics":"GET /metrics","#,
        r#""openapi":"GET /openapi.json","docs":"GET /docs","redoc":"GET /redoc"}}"#,
        "\n"
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
    use super::{health, uptime_human};

    #[test]
    fn health_is_one_json_object_in_every_state() {
        let text = |reason, queue_size| {
            let answer = health(reason, queue_size, &[], &[], b"2026-01-02T03:04:05.678901Z");
            let text = String::from_utf8(answer.body.into_owned()).unwrap();
            (answer.status, text)
        };
        let healthy = "{\"status\":\"healthy\",\"consumer_running\":true,\"queue_size\":0,\
                       \"timestamp\":\"2026-01-02T03:04:05.678901Z\"}\n";
        assert_eq!(text(None, 0), (200, healthy.to_owned()));

        let reason = "the file \"a\\b\" is\u{1}gone";
        let (status, unhealthy) = text(Some(reason), 70_000);
        let read: serde_json::Value = serde_json::from_str(&unhealthy).unwrap();
        assert_eq!(status, 503);
        let expected = serde_json::json!({
            "status": "unhealthy",
            "consumer_running": false,
            "queue_size": 70_000,
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "reason": reason,
        });
        assert_eq!(read, expected);

        let names = ["a\"b", "c"];
        let answer = health(None, 0, &[], &names, b"2026-01-02T03:04:05.678901Z");
        let read: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(read["damaged_subscriptions"], serde_json::json!(names));
        assert_eq!(answer.status, 200);
    }

    #[test]
    fn uptime_is_written_as_the_original_did() {
        assert_eq!(uptime_human(3_665), "1h 1m 5s");
        assert_eq!(uptime_human(5), "0h 0m 5s");
        assert_eq!(uptime_human(90_000), "25h 0m 0s");
    }
}
