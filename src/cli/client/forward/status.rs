//! What a forwarder reports about itself, for another thread to show.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts since the start, and its state.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// The node's greatest seq, and the position, when they were last seen.
    pub last_seq: AtomicU64,
    pub position: AtomicU64,
    pub is_active: AtomicBool,
    pub stored: AtomicU64,
    pub duplicates: AtomicU64,
    pub conflicts: AtomicU64,
    pub gap_events: AtomicU64,
    pub errors: AtomicU64,
    /// Milliseconds since the epoch of the last commit; 0 for none.
    pub committed_at_ms: AtomicU64,
    /// Whether each answered the last request.
    pub has_engine: AtomicBool,
    pub has_node: AtomicBool,
}

impl Status {
    /// Events that are still to be forwarded.
    pub(super) fn lag(&self) -> u64 {
        let position = self.position.load(Relaxed);
        self.last_seq.load(Relaxed).saturating_sub(position)
    }

    /// The page `/health`.
    pub(super) fn health(&self) -> String {
        let [engine, node, active] =
            [&self.has_engine, &self.has_node, &self.is_active].map(|flag| flag.load(Relaxed));
        format!(
            "{{\"status\":\"healthy\",\"engine\":{engine},\"node\":{node},\"active\":{active}}}"
        )
    }

    /// The page `/metrics`.
    pub(super) fn metrics(&self) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, f64)]| {
            let name = format!("logagg_forward_{name}");
            let mut text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (labels, value) in samples {
                writeln!(text, "{name}{labels} {value}").expect("a string takes all text");
            }
            out.push_str(&text);
        };
        let number = |count: &AtomicU64| count.load(Relaxed) as f64;
        let lag = self.lag() as f64;
        family(
            "lag_events",
            "gauge",
            "Events that are still to be forwarded.",
            &[("", lag)],
        );
        let position = number(&self.position);
        family(
            "position",
            "gauge",
            "Seq of the node's last event that is in the store.",
            &[("", position)],
        );
        let active = f64::from(u8::from(self.is_active.load(Relaxed)));
        family(
            "active",
            "gauge",
            "1 if active, 0 as standby.",
            &[("", active)],
        );
        // A conflict is a duplicate, and counted once here.
        let conflicts = number(&self.conflicts);
        let outcomes = [
            ("{outcome=\"stored\"}", number(&self.stored)),
            (
                "{outcome=\"duplicate\"}",
                number(&self.duplicates) - conflicts,
            ),
            ("{outcome=\"conflict\"}", conflicts),
        ];
        family(
            "events_total",
            "counter",
            "Events forwarded, by outcome.",
            &outcomes,
        );
        let gaps = number(&self.gap_events);
        let help = "Events that the node had removed before they were forwarded.";
        family("gap_events_total", "counter", help, &[("", gaps)]);
        let errors = number(&self.errors);
        family(
            "errors_total",
            "counter",
            "Failures that were tried again.",
            &[("", errors)],
        );
        let at = number(&self.committed_at_ms) / 1_000.0;
        family(
            "last_commit_timestamp_seconds",
            "gauge",
            "Time of the last commit.",
            &[("", at)],
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_say_how_it_stands() {
        let status = Status::default();
        status.last_seq.store(12, Relaxed);
        status.position.store(5, Relaxed);
        status.duplicates.store(3, Relaxed);
        status.conflicts.store(1, Relaxed);
        status.has_node.store(true, Relaxed);
        let page = status.metrics();
        for line in [
            "logagg_forward_lag_events 7",
            "logagg_forward_active 0",
            "logagg_forward_events_total{outcome=\"duplicate\"} 2",
            "logagg_forward_events_total{outcome=\"conflict\"} 1",
            "# TYPE logagg_forward_gap_events_total counter",
            "logagg_forward_last_commit_timestamp_seconds 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        assert!(status.health().contains("\"engine\":false,\"node\":true"));
    }
}
