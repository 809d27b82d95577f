//! `GET /metrics`: what is counted for it and how the page is written.
//!
//! Counting is done for every request and every commit, so it costs an addition in a fixed array: nothing
//! is looked up by a name and nothing grows with what clients send. The statistics of `/stats` are not
//! counted a second time; they come in when the page is asked for.

mod exposition;
mod histogram;
mod ingest;
mod process;

use std::time::Duration;

use exposition::{Exposition, Kind, Unit};
use histogram::{place, Histogram};
use ingest::Ingest;

use crate::api::accept;
use crate::api::endpoint::Endpoint;
use crate::api::watch::Stats;
use crate::event::{IdentityCounts, Protocol};
use crate::http::{Request, Response};
use crate::store::{Outcome, SearchIndex};

pub(crate) use exposition::Format;

/// Microseconds, up to 10 s: from an answer out of memory to a disk that hangs.
const TIMES: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
/// Events, up to the greatest ring.
const SIZES: [u64; 14] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000,
];
/// The classes of status codes that an answer may have (RFC 9110 §15), from 2xx on.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

type Times = Histogram<{ TIMES.len() }>;

/// What has been counted since the process started.
pub struct Metrics {
    requests: [[Times; CLASSES.len()]; Endpoint::COUNT],
    commits: Times,
    batches: Histogram<{ SIZES.len() }>,
    ingest: Ingest,
    log_lines_dropped: u64,
    datagrams_dropped: u64,
}

/// How long a request took. Most requests of a turn have the same time, so it is computed once for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Elapsed {
    micros: u64,
    place: usize,
}

impl Elapsed {
    pub fn from_micros(micros: u64) -> Elapsed {
        Elapsed {
            micros,
            place: place(&TIMES, micros),
        }
    }

    pub fn micros(self) -> u64 {
        self.micros
    }
}

/// What else the page shows.
pub struct Facts<'a> {
    /// The names of topics in it are not shown: their number has no bound.
    pub stats: &'a Stats<'a>,
    pub is_healthy: bool,
    /// Pages of the key index that are damaged and not repaired yet.
    pub damaged_pages: usize,
    /// How many have been found since the start.
    pub damaged_pages_found: u64,
    /// Searches that have begun since the start, those at work, and seqs that searches have decided.
    pub searches: u64,
    pub searches_at_work: usize,
    pub seqs_scanned: u64,
    /// Of these, those that summaries have ruled out.
    pub seqs_skipped: u64,
    /// Bytes that may still be written to the disk of the database.
    pub disk_available_bytes: Option<u64>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub started: i64,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            requests: [[Histogram::new(&TIMES); CLASSES.len()]; Endpoint::COUNT],
            commits: Histogram::new(&TIMES),
            batches: Histogram::new(&SIZES),
            ingest: Ingest::default(),
            log_lines_dropped: 0,
            datagrams_dropped: 0,
        }
    }
}

impl Metrics {
    /// A request was answered with this status, this long after its complete head.
    pub fn answered(&mut self, endpoint: Endpoint, status: u16, elapsed: Elapsed) {
        let class = usize::from(status / 100).clamp(2, CLASSES.len() + 1) - 2;
        self.requests[endpoint.place()][class].observe_at(elapsed.place, elapsed.micros);
    }

    /// A transaction with this many events was committed; `took` is how long that took, if it was measured.
    pub fn committed(&mut self, events: usize, took: Option<Duration>) {
        if let Some(took) = took {
            self.commits
                .observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        self.batches.observe(events as u64);
    }

    /// A publication of this protocol was committed, with these outcomes of its events.
    pub(crate) fn ingested(&mut self, protocol: Protocol, outcomes: &[Outcome]) {
        self.ingest.committed(protocol, outcomes);
    }

    /// Records of this protocol did not become events.
    pub(crate) fn rejected(&mut self, protocol: Protocol, records: u64) {
        self.ingest.rejected(protocol, records);
    }

    /// The records of a committed publication got their identities from there.
    pub(crate) fn identified(&mut self, protocol: Protocol, identities: IdentityCounts) {
        self.ingest.identified(protocol, identities);
    }

    /// This many lines of the log were lost since the start.
    pub fn set_log_lines_dropped(&mut self, lines: u64) {
        self.log_lines_dropped = lines;
    }

    /// The kernel has dropped this many more datagrams.
    pub fn datagrams_dropped(&mut self, datagrams: u64) {
        self.datagrams_dropped += datagrams;
    }

    /// The whole answer.
    pub fn answer(&self, request: &Request, facts: &Facts) -> Response {
        self.page(format_for(request), facts)
    }

    fn page(&self, format: Format, facts: &Facts) -> Response {
        let page = self.begin_page(format, facts);
        Response::new(200, format.content_type(), page.finish())
    }

    /// The page of a server over a store that many share. `nodes` are those that forward to it, each with the seconds
    /// since its last commit.
    #[cfg(feature = "fleet")]
    pub(crate) fn page_of_front(
        &self,
        format: Format,
        facts: &Facts,
        nodes: &[(String, f64)],
    ) -> Response {
        let mut page = self.begin_page(format, facts);
        let name = "log_aggregator_store_commit_duration_seconds";
        let help = "Time that a transaction of the store took, the engine's confirmation included.";
        page.family(name, Kind::Histogram, help);
        page.histogram(name, "", Unit::Microseconds, &self.commits);
        let name = "log_aggregator_node_lag_seconds";
        page.family(
            name,
            Kind::Gauge,
            "Time since a node's last commit in the store.",
        );
        for (node, seconds) in nodes {
            page.labelled(name, "node", node, seconds);
        }
        Response::new(200, format.content_type(), page.finish())
    }

    fn begin_page(&self, format: Format, facts: &Facts) -> Exposition {
        let mut page = Exposition::new(format);
        self.expose(&mut page);
        self.ingest.expose(&mut page);
        self.expose_dropped(&mut page);
        expose_counters(&mut page, facts);
        expose_gauges(&mut page, facts);
        expose_summaries(&mut page, facts);
        process::expose(&mut page, facts.started);
        page
    }

    /// What was lost outside of requests.
    fn expose_dropped(&self, page: &mut Exposition) {
        page.counter(
            "log_aggregator_log_lines_dropped",
            "Lines of the log that were dropped because standard error did not take them in time, since the start.",
            self.log_lines_dropped,
        );
        page.counter(
            "log_aggregator_datagrams_dropped",
            "Datagrams that the kernel dropped because they came faster than they could be stored, since the start.",
            self.datagrams_dropped,
        );
    }

    fn expose(&self, page: &mut Exposition) {
        let name = "log_aggregator_http_request_duration_seconds";
        page.family(
            name,
            Kind::Histogram,
            "Time from a request's complete head to its answer, the commit of a publication included.",
        );
        for endpoint in Endpoint::all() {
            for (class, times) in CLASSES.iter().zip(&self.requests[endpoint.place()]) {
                // Counts that are 0, most of which cannot occur, would be four fifths of the page.
                if times.count() > 0 {
                    let labels = format!("route=\"{}\",status=\"{class}\",", endpoint.pattern());
                    page.histogram(name, &labels, Unit::Microseconds, times);
                }
            }
        }
        let name = "log_aggregator_commit_duration_seconds";
        let help = "Time that a transaction with events took, the disk's confirmation included.";
        page.family(name, Kind::Histogram, help);
        page.histogram(name, "", Unit::Microseconds, &self.commits);
        let name = "log_aggregator_batch_events";
        page.family(name, Kind::Histogram, "Events in one transaction.");
        page.histogram(name, "", Unit::One, &self.batches);
    }
}

/// What only grows, by the names of `/stats`.
fn expose_counters(page: &mut Exposition, facts: &Facts) {
    let stats = facts.stats;
    for (name, help, value) in [
        (
            "received",
            "Events answered, over the life of the database.",
            stats.received,
        ),
        (
            "unique_processed",
            "Events stored, over the life of the database.",
            stats.unique_processed,
        ),
        (
            "duplicate_dropped",
            "Events dropped as duplicates, over the life of the database.",
            stats.duplicate_dropped,
        ),
        (
            "conflicts",
            "Duplicates that differed from what is stored, over the life of the database.",
            stats.conflicts,
        ),
        (
            "events_removed",
            "Events removed by retention, over the life of the database.",
            stats.events_removed,
        ),
        (
            "rejected",
            "Events refused by validation since the start.",
            stats.rejected,
        ),
        (
            "batches",
            "Transactions with events since the start.",
            stats.batches,
        ),
        (
            "damaged_pages_found",
            "Damaged pages of the key index that have been found since the start.",
            facts.damaged_pages_found,
        ),
        (
            "search_seqs_scanned",
            "Events that searches have looked at or ruled out since the start.",
            facts.seqs_scanned,
        ),
    ] {
        page.counter(&format!("log_aggregator_{name}"), help, value);
    }
    let help = "Searches that have begun since the start.";
    page.total_beside_gauge("log_aggregator_searches", help, facts.searches);
}

/// How far the summaries for searches are.
fn expose_summaries(page: &mut Exposition, facts: &Facts) {
    let stats = facts.stats;
    page.counter(
        "log_aggregator_search_seqs_skipped",
        "Events that searches have not looked at because summaries rule them out, since the start.",
        facts.seqs_skipped,
    );
    for (name, help, value) in [
        (
            "search_index",
            "Whether summaries are made for searches (1) or not (0).",
            u64::from(stats.search_index != SearchIndex::Off.name()),
        ),
        (
            "search_index_through",
            "The events up to this seq have summaries for searches.",
            stats.search_index_through,
        ),
        (
            "search_index_bytes",
            "Size of the summaries for searches, about.",
            stats.search_index_bytes,
        ),
    ] {
        page.gauge(&format!("log_aggregator_{name}"), help, value);
    }
}

/// What goes up and down, by the names of `/stats`.
fn expose_gauges(page: &mut Exposition, facts: &Facts) {
    let stats = facts.stats;
    for (name, help, value) in [
        (
            "healthy",
            "Whether events can be stored (1) or not (0).",
            u64::from(facts.is_healthy),
        ),
        (
            "damaged_pages",
            "Pages of the key index that are damaged and not repaired yet.",
            facts.damaged_pages as u64,
        ),
        (
            "topics",
            "Topics that have events.",
            stats.topic_count as u64,
        ),
        ("last_seq", "The greatest seq in use.", stats.last_seq),
        (
            "first_seq",
            "The seq of the oldest event that is stored, or of the next one.",
            stats.first_seq,
        ),
        (
            "queue_size",
            "Events that wait for a commit.",
            stats.queue_size as u64,
        ),
        (
            "queue_capacity",
            "Events that may wait for a commit.",
            stats.queue_capacity as u64,
        ),
        ("connections", "Open connections.", stats.connections as u64),
        (
            "subscribers",
            "Connections to which events are streamed.",
            stats.subscribers as u64,
        ),
        (
            "searches",
            "Searches at work.",
            facts.searches_at_work as u64,
        ),
        (
            "database_bytes",
            "Size of the database file.",
            stats.database_bytes,
        ),
        (
            "wal_bytes",
            "Size of the write-ahead log beside it.",
            stats.wal_bytes,
        ),
        (
            "uptime_seconds",
            "Time since the start.",
            stats.uptime_seconds,
        ),
    ] {
        page.gauge(&format!("log_aggregator_{name}"), help, value);
    }
    if let Some(bytes) = facts.disk_available_bytes {
        let help = "Room on the disk of the database.";
        page.gauge("log_aggregator_disk_available_bytes", help, bytes);
    }
    let version = format!("version=\"{}\"", stats.version);
    page.info("log_aggregator_build", "The program's version.", &version);
}

/// The format that a client likes best: OpenMetrics where the request names it and does not prefer the other one.
pub(crate) fn format_for(request: &Request) -> Format {
    let openmetrics = accept::welcome(request, "application/openmetrics-text", |name, value| {
        name != "version" || value == "1.0.0"
    });
    let prometheus = accept::welcome(request, "text/plain", |name, value| {
        name != "version" || value == "0.0.4"
    });
    if openmetrics > prometheus && openmetrics.weight > 0 {
        Format::OpenMetrics
    } else {
        Format::Prometheus
    }
}
