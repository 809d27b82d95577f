//! What the server reports about itself: `GET /health`, `/stats` and `/metrics`.

use super::App;
use crate::api::detail::unprocessable;
use crate::api::watch::Figures;
use crate::api::{query, read, watch};
use crate::clock::Now;
use crate::http::{Request, Response};
use crate::limits;
use crate::metrics::Facts;

impl App {
    pub(super) fn health(&mut self, now: Now) -> Response {
        let reason = if self.gate.draining {
            Some("shutting down")
        } else {
            self.health.fault()
        };
        let damage = self.store.first_damaged_pages(limits::DAMAGED_PAGES_NAMED);
        let subscriptions = self.store.damaged_subscriptions();
        let subscriptions: Vec<_> = subscriptions.take(limits::DAMAGED_PAGES_NAMED).collect();
        let timestamp = self.health_stamp.at(now.unix_us);
        let waiting = self.queue.ring().len();
        watch::health(reason, waiting, &damage, &subscriptions, timestamp)
            .header(read::DATABASE_FIELD, &self.store.identity().database_id)
    }

    pub(super) fn stats(&mut self, query: Option<&str>, now: Now) -> Response {
        let with_hour = match query::flag(query, "last_hour") {
            Ok(is) => is,
            Err(details) => return unprocessable(&details),
        };
        self.note_last_hour(now);
        let current = &self.counters.commit_times;
        let last_hour = with_hour.then(|| self.counters.last_hour.figures(current));
        let mut stats: watch::Stats<'_> = self.statistics(now);
        stats.last_hour = last_hour;
        let topics = self.store.topics();
        stats.topics = topics.names().take(limits::STATS_TOPICS_MAX).collect();
        let units = limits::PAGE_UNITS + stats.topics.len() as u64 / limits::NAMES_PER_UNIT;
        let response = watch::stats(&stats);
        self.charge(units);
        response
    }

    /// Notes what has come, if an interval has ended. A turn calls this before its own work is counted.
    pub(super) fn note_last_hour(&mut self, now: Now) {
        if !self.counters.last_hour.is_over(now) {
            return;
        }
        let stored = self.store.counters();
        let times = std::mem::take(&mut self.counters.commit_times);
        let counts = Figures {
            accepted: stored.unique_processed,
            duplicates: stored.duplicate_dropped,
            conflicts: stored.conflicts,
            rejected: self.counters.rejected,
            commits: self.counters.batches,
            commit_us: self.counters.commit_us,
            commit_p50_us: times.percentile_us(50),
            commit_p99_us: times.percentile_us(99),
            commit_slowest_us: times.slowest_us(),
        };
        self.counters.last_hour.pass(now.mono_ms, counts, &times);
    }

    pub(super) fn page_of_metrics(&mut self, request: &Request, now: Now) -> Response {
        let stats = self.statistics(now);
        let facts = Facts {
            stats: &stats,
            is_healthy: self.health.fault().is_none(),
            damaged_pages: self.store.damaged_pages(),
            damaged_pages_found: self.store.damaged_pages_found(),
            searches: self.counters.searches,
            searches_at_work: self.counters.searches_at_work,
            seqs_scanned: self.counters.seqs_scanned,
            seqs_skipped: self.counters.seqs_skipped,
            disk_available_bytes: self.store.disk_available_bytes(),
            started: self.counters.started.unix_us,
        };
        let page = self.counters.metrics.answer(request, &facts);
        self.charge(limits::PAGE_UNITS);
        page
    }

    /// All statistics but the names of the topics.
    fn statistics(&mut self, now: Now) -> watch::Stats<'static> {
        let counters = self.store.counters();
        let (database_bytes, wal_bytes) = self.store.file_sizes();
        let uptime_seconds = (now.mono_ms - self.counters.started.mono_ms) / 1_000;
        watch::Stats {
            received: counters.received(),
            unique_processed: counters.unique_processed,
            duplicate_dropped: counters.duplicate_dropped,
            topics: Vec::new(),
            uptime_seconds,
            uptime_human: watch::uptime_human(uptime_seconds),
            topic_count: self.store.topics().len(),
            conflicts: counters.conflicts,
            rejected: self.counters.rejected,
            queue_size: self.queue.ring().len(),
            queue_capacity: self.queue.ring().capacity(),
            batches: self.counters.batches,
            connections: self.counters.connections,
            subscribers: self.live.subscribers(),
            database_bytes,
            wal_bytes,
            last_seq: self.store.last_seq(),
            first_seq: self.store.first_seq(),
            events_removed: self.store.events_removed(),
            search_index: self.store.search_index().name(),
            search_index_through: self.store.search_index_through(),
            search_index_bytes: self.store.search_index_bytes(),
            version: env!("CARGO_PKG_VERSION"),
            identity: self.store.identity().into(),
            last_hour: None,
        }
    }
}
