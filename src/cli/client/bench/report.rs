//! What a load has shown, for people and for programs.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde_json::{json, Map, Value};

use super::arguments::BenchArgs;
use crate::cli::terminal::{grouped, width};
use crate::client::load::LoadResult;
use crate::text::escaped;

/// Quantiles that are reported, by their names.
const QUANTILES: [(&str, f64); 4] = [
    ("median", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
];
/// Columns of a line of the histogram besides its bar.
const COLUMNS_BESIDE_BAR: usize = 48;
/// The longest bar.
const BAR_MAX_COLUMNS: usize = 60;

/// A run's arguments and its result.
pub(super) struct Report<'a> {
    arguments: &'a BenchArgs,
    result: &'a LoadResult,
}

/// A part of the histogram.
#[derive(Debug, PartialEq, Eq)]
struct Bucket {
    /// Nanoseconds; the end is not included.
    from: u64,
    to: u64,
    requests: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(arguments: &'a BenchArgs, result: &'a LoadResult) -> Report<'a> {
        Report { arguments, result }
    }

    /// Answers by status, in order.
    fn statuses(&self) -> Vec<(u16, u64)> {
        let mut statuses = self.result.statuses.clone();
        statuses.sort_unstable();
        statuses
    }

    /// With a rate: how many requests were due and have not been sent.
    fn unsent(&self) -> Option<u64> {
        let due = self.arguments.rate? as f64 * self.result.elapsed.as_secs_f64();
        Some((due as u64).saturating_sub(self.result.requests_sent))
    }

    fn rate(&self, count: u64) -> f64 {
        let seconds = self.result.elapsed.as_secs_f64();
        count as f64 / seconds.max(0.001)
    }

    /// Lines for people, with a histogram as wide as the terminal.
    pub(super) fn text(&self) -> String {
        let (arguments, result) = (self.arguments, self.result);
        let mut text = format!(
            "{}: {} connections, {} a request, {} bytes of payload, {} topics, ids {}, {:.1} % repeated\n\n",
            arguments.client.server,
            arguments.connections,
            match arguments.batch {
                1 => "1 event".to_owned(),
                batch => format!("{batch} events"),
            },
            arguments.payload,
            arguments.topics,
            arguments.order.name(),
            f64::from(arguments.duplicates.0) / 10.0
        );
        let mut line = |name: &str, value: String| {
            // Writing to a `String` does not fail.
            let _ = writeln!(text, "{name:<11}{value}");
        };
        line("time", format!("{:.2} s", result.elapsed.as_secs_f64()));
        for (name, count) in [("requests", result.requests), ("events", result.events)] {
            let rate = grouped(self.rate(count) as u64);
            line(name, format!("{}, {rate}/s", grouped(count)));
        }
        if let (Some(rate), Some(unsent)) = (arguments.rate, self.unsent()) {
            let (rate, unsent) = (grouped(rate as u64), grouped(unsent));
            line(
                "rate",
                format!("{rate} requests/s wanted, {unsent} requests not sent in time"),
            );
        }
        line("accepted", grouped(result.accepted));
        line("duplicates", grouped(result.duplicates));
        let statuses: Vec<String> = self
            .statuses()
            .into_iter()
            .map(|(status, count)| format!("{status}: {}", grouped(count)))
            .collect();
        line("answers", statuses.join(", "));
        line("errors", grouped(result.errors));
        if let Some(error) = &result.first_error {
            line("the first", escaped(error).into_owned());
        }
        let latency = &result.latency;
        if !latency.is_empty() {
            let mut values = vec![format!("min {}", duration(latency.min()))];
            for (name, quantile) in QUANTILES {
                values.push(format!(
                    "{name} {}",
                    duration(latency.value_at_quantile(quantile))
                ));
            }
            values.push(format!("max {}", duration(latency.max())));
            line("latency", values.join(", "));
            text.push('\n');
            text += &drawn(&buckets(latency), width());
        }
        text
    }

    /// One object, with latencies in microseconds.
    pub(super) fn json(&self) -> String {
        let (arguments, result) = (self.arguments, self.result);
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let latency = &result.latency;
        let mut latencies = Map::new();
        let mut add = |name: &str, nanos| latencies.insert(name.to_owned(), json!(micros(nanos)));
        if !latency.is_empty() {
            add("min", latency.min());
            for (name, quantile) in QUANTILES {
                add(name, latency.value_at_quantile(quantile));
            }
            add("max", latency.max());
        }
        let histogram: Vec<Value> = buckets(latency)
            .iter()
            .map(|bucket| {
                let (from, to) = (micros(bucket.from), micros(bucket.to));
                json!({"from_us": from, "to_us": to, "requests": bucket.requests})
            })
            .collect();
        let statuses: Map<String, Value> = self
            .statuses()
            .into_iter()
            .map(|(status, count)| (status.to_string(), json!(count)))
            .collect();
        let report = json!({
            "server": arguments.client.server.to_string(),
            "connections": arguments.connections,
            "batch": arguments.batch,
            "payload_bytes": arguments.payload,
            "rate": arguments.rate,
            "requests_unsent": self.unsent(),
            "topics": arguments.topics,
            "order": arguments.order.name(),
            "duplicates_share": f64::from(arguments.duplicates.0) / 1e3,
            "seconds": result.elapsed.as_secs_f64(),
            "requests_sent": result.requests_sent,
            "requests": result.requests,
            "events": result.events,
            "requests_per_second": self.rate(result.requests),
            "events_per_second": self.rate(result.events),
            "answers": statuses,
            "accepted": result.accepted,
            "duplicates": result.duplicates,
            "errors": result.errors,
            "first_error": result.first_error,
            "latency_us": latencies,
            "histogram": histogram,
        });
        format!("{report}\n")
    }
}

/// Buckets whose bounds are 1, 2 and 5 times the powers of ten, from the first with a request to the last.
fn buckets(latency: &Histogram<u64>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut from = 0;
    let mut bounds = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let mut to = 1;
    for value in latency.iter_recorded() {
        while value.value_iterated_to() >= to {
            from = to;
            to = bounds
                .find(|bound| *bound > from)
                .expect("there is no last bound");
            if !buckets.is_empty() {
                buckets.push(Bucket {
                    from,
                    to,
                    requests: 0,
                });
            }
        }
        match buckets.last_mut() {
            Some(bucket) if bucket.from == from => bucket.requests += value.count_at_value(),
            _ => buckets.push(Bucket {
                from,
                to,
                requests: value.count_at_value(),
            }),
        }
    }
    buckets
}

/// A line for each bucket, with a bar.
fn drawn(buckets: &[Bucket], columns: usize) -> String {
    let most = buckets
        .iter()
        .map(|bucket| bucket.requests)
        .max()
        .unwrap_or(0);
    let all: u64 = buckets.iter().map(|bucket| bucket.requests).sum();
    let room = columns
        .saturating_sub(COLUMNS_BESIDE_BAR)
        .clamp(8, BAR_MAX_COLUMNS);
    let mut text = String::new();
    for Bucket { from, to, requests } in buckets {
        let bar = bar(*requests, most, room);
        let bounds = format!("{:>8} to {:>8}", duration(*from), duration(*to));
        let percent = *requests as f64 * 100.0 / all as f64;
        // Writing to a `String` does not fail.
        let _ = writeln!(
            text,
            "{bounds} {:>14} {percent:>6.2} %  {bar}",
            grouped(*requests)
        );
    }
    text
}

/// A bar as long as its part of the whole, in eighths of a column. Anything but 0 is visible.
fn bar(part: u64, whole: u64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part as f64 / whole.max(1) as f64 * columns as f64 * 8.0).round() as usize;
    let eighths = eighths.max(usize::from(part > 0));
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Nanoseconds with a unit that suits them.
fn duration(nanos: u64) -> String {
    let (unit, size) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => ("µs", 1e3),
        1_000_000..1_000_000_000 => ("ms", 1e6),
        _ => ("s", 1e9),
    };
    let value = nanos as f64 / size;
    let decimals = match value {
        ..10.0 if value.fract() != 0.0 => 2,
        ..100.0 if value.fract() != 0.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(values: &[u64]) -> Histogram<u64> {
        let mut latency = crate::client::load::new_latency();
        for value in values {
            latency.saturating_record(*value);
        }
        latency
    }

    #[test]
    fn buckets_reach_from_the_first_request_to_the_last() {
        let found = buckets(&latency(&[150_000, 199_000, 600_000, 600_000]));
        let found: Vec<_> = found.iter().map(|b| (b.from, b.to, b.requests)).collect();
        let expected = [
            (100_000, 200_000, 2),
            (200_000, 500_000, 0),
            (500_000, 1_000_000, 2),
        ];
        assert_eq!(found, expected);
        assert_eq!(buckets(&latency(&[])), []);
    }

    #[test]
    fn a_bucket_is_a_line_with_a_bar() {
        let buckets = buckets(&latency(&[150_000, 150_000, 300_000]));
        let expected = "  100 µs to   200 µs              2  66.67 %  ████████\n\
                        \x20 200 µs to   500 µs              1  33.33 %  ████\n";
        assert_eq!(drawn(&buckets, 56), expected);
        assert_eq!(
            [0, 1, 500, 1_000].map(|part| bar(part, 1_000, 1)),
            ["", "▏", "▌", "█"]
        );
    }

    #[test]
    fn durations_have_units() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (1_430, "1.43 µs"),
            (14_300, "14.3 µs"),
            (143_000_000, "143 ms"),
            (2_500_000_000, "2.50 s"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }
}
