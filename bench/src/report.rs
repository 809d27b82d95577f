//! The results as one table for people and as JSON for programs.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::allocations::Allocations;
use crate::contender::Rounds;
use crate::disk::DiskBytes;

/// Everything that one invocation measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Which core ran what.
    pub cores: String,
    pub rounds: u32,
    /// Seconds of each round, its warm-up left out.
    pub seconds: f64,
    /// Why something was left out, one sentence each.
    pub notes: Vec<String>,
    pub server: Option<AtRest>,
    /// Of the server, driven in this process.
    pub allocations: Vec<Allocations>,
    /// Of the server, with the processes that it starts.
    pub disk: Vec<DiskBytes>,
    pub scenarios: Vec<Row>,
}

/// The server without load, on an empty database.
#[derive(Debug, Serialize)]
pub struct AtRest {
    pub binary_bytes: u64,
    /// Milliseconds from the start of the process to the first 200 of `/health`.
    pub ready_ms: f64,
    pub resident_kib: u64,
}

/// A scenario's result.
#[derive(Debug, Serialize)]
pub struct Row {
    pub scenario: String,
    /// What was measured: the server, or which loop.
    pub subject: String,
    /// Events a second; requests where they hold none.
    pub rate: f64,
    /// The rate of each round.
    pub rates: Vec<f64>,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// Processor time of the server for each request.
    pub cpu_us_per_request: Option<f64>,
    /// Of the server, after the last round.
    pub resident_kib: Option<u64>,
    pub requests: u64,
    /// Allocations of the load generator for each request: what it costs itself.
    pub generator_allocations_per_request: Option<f64>,
    pub errors: u64,
    pub first_error: Option<String>,
    pub baselines: Vec<Comparison>,
}

/// A scenario's result beside a baseline's.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub baseline: String,
    pub rate: f64,
    pub rates: Vec<f64>,
    pub cpu_us_per_request: Option<f64>,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// The median over the rounds of our rate divided by the baseline's.
    pub ratio: f64,
    /// The least ratio that is expected, where one is.
    pub target: Option<f64>,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Row {
    pub fn new(scenario: &str, subject: String, rounds: &Rounds) -> Row {
        Row {
            scenario: scenario.into(),
            subject,
            rate: rounds.rate(),
            rates: rounds.rates.clone(),
            p50_us: rounds.latency_micros(0.50),
            p99_us: rounds.latency_micros(0.99),
            cpu_us_per_request: rounds.cpu_micros(),
            resident_kib: None,
            requests: rounds.requests,
            generator_allocations_per_request: (rounds.requests > 0)
                .then(|| rounds.allocations as f64 / rounds.requests as f64),
            errors: rounds.errors,
            first_error: rounds.first_error.clone(),
            baselines: Vec::new(),
        }
    }

    pub fn compare(
        &mut self,
        baseline: String,
        target: Option<f64>,
        ours: &Rounds,
        theirs: &Rounds,
    ) {
        self.baselines.push(Comparison {
            baseline,
            rate: theirs.rate(),
            rates: theirs.rates.clone(),
            cpu_us_per_request: theirs.cpu_micros(),
            p50_us: theirs.latency_micros(0.50),
            p99_us: theirs.latency_micros(0.99),
            ratio: ours.ratio_to(theirs),
            target,
            errors: theirs.errors,
            first_error: theirs.first_error.clone(),
        });
    }
}

impl Report {
    /// Whether a request failed, a count was wrong, or a process did not end as it should.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }

    /// The table, ratios first, with what must be known to read it above and below.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.cores);
        if let Some(server) = &self.server {
            let _ = writeln!(
                text,
                "binary {:.2} MB, ready after {:.1} ms, {:.1} MB resident at rest",
                server.binary_bytes as f64 / 1e6,
                server.ready_ms,
                megabytes(server.resident_kib),
            );
        }
        let _ = writeln!(
            text,
            "{} rounds of {} s, alternating; rates are events (health: requests) a second, medians\n",
            self.rounds, self.seconds
        );
        if !self.scenarios.is_empty() {
            text.push_str(&aligned(&self.lines(), &[0, 11]));
        }
        if !self.allocations.is_empty() {
            let _ = writeln!(text, "\n{}", aligned(&self.allocation_lines(), &[0]));
        }
        if !self.disk.is_empty() {
            let _ = writeln!(text, "\n{}", aligned(&self.disk_lines(), &[0]));
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        for (scenario, errors, first) in self.errors() {
            let _ = writeln!(text, "! {scenario}: {errors} errors, the first: {first}");
        }
        text
    }

    fn allocation_lines(&self) -> Vec<Vec<String>> {
        let titles = ["allocations of the server", "a request", "an event"];
        let mut lines = vec![titles.map(String::from).to_vec()];
        lines.extend(self.allocations.iter().map(|row| {
            vec![
                row.traffic.into(),
                format!("{:.2}", row.per_request),
                format!("{:.4}", row.per_event),
            ]
        }));
        lines
    }

    fn disk_lines(&self) -> Vec<Vec<String>> {
        let titles = [
            "bytes for an event",
            "written",
            "target",
            "",
            "in the database",
        ];
        let mut lines = vec![titles.map(String::from).to_vec()];
        lines.extend(self.disk.iter().map(|row| {
            let verdict = if row.written <= row.target {
                "met"
            } else {
                "MISSED"
            };
            vec![
                row.traffic.into(),
                grouped(row.written),
                format!("<= {}", grouped(row.target)),
                verdict.into(),
                grouped(row.database),
            ]
        }));
        lines
    }

    fn errors(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        self.scenarios.iter().flat_map(|row| {
            let own = (row.errors, row.first_error.as_deref());
            let others = row
                .baselines
                .iter()
                .map(|other| (other.errors, other.first_error.as_deref()));
            let all = std::iter::once(own).chain(others);
            all.filter(|(errors, _)| *errors > 0)
                .map(|(errors, first)| (row.scenario.as_str(), errors, first.unwrap_or("unknown")))
        })
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let titles = [
            "scenario",
            "ratio",
            "target",
            "",
            "rate/s",
            "baseline's",
            "p50 us",
            "p99 us",
            "cpu us/req",
            "baseline's",
            "RSS MB",
            "baseline",
        ];
        let mut lines = vec![titles.map(String::from).to_vec()];
        for row in &self.scenarios {
            let has_errors = row.errors > 0 || row.baselines.iter().any(|other| other.errors > 0);
            let mark = if has_errors { " !" } else { "" };
            let name = format!("{}{mark}", row.scenario);
            let mut add = |ratio: [String; 3], other: Option<&Comparison>| {
                let theirs = other.and_then(|other| other.cpu_us_per_request);
                let rates = [
                    grouped(row.rate),
                    other.map_or_else(String::new, |other| grouped(other.rate)),
                ];
                let costs = [
                    number(row.p50_us, 0),
                    number(row.p99_us, 0),
                    number(row.cpu_us_per_request, 2),
                    number(theirs, 2),
                    number(row.resident_kib.map(megabytes), 1),
                ];
                let baseline = match other {
                    Some(other) => other.baseline.clone(),
                    None if row.subject == "server" => String::new(),
                    None => format!("({})", row.subject),
                };
                let cells = [name.clone()].into_iter().chain(ratio).chain(rates);
                lines.push(cells.chain(costs).chain([baseline]).collect());
            };
            if row.baselines.is_empty() {
                add(["", "", ""].map(String::from), None);
            }
            for other in &row.baselines {
                let (target, verdict) = match other.target {
                    None => (String::new(), ""),
                    Some(target) if other.ratio >= target => (format!(">= {target:.2}"), "met"),
                    Some(target) => (format!(">= {target:.2}"), "MISSED"),
                };
                let ratio = [format!("{:.2}", other.ratio), target, verdict.into()];
                add(ratio, Some(other));
            }
        }
        lines
    }
}

/// Lines of equal length, the titles first: the columns `names` to the left, the others, which are
/// numbers, to the right.
pub fn aligned(lines: &[Vec<String>], names: &[usize]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let mut padded = String::new();
        for ((column, cell), width) in line.iter().enumerate().zip(&widths) {
            let _ = if names.contains(&column) {
                write!(padded, "{cell:<width$}  ")
            } else {
                write!(padded, "{cell:>width$}  ")
            };
        }
        let _ = writeln!(text, "{}", padded.trim_end());
        if number == 0 {
            let _ = writeln!(
                text,
                "{}",
                "-".repeat(widths.iter().sum::<usize>() + 2 * (columns - 1))
            );
        }
    }
    text
}

/// A whole number with a comma between thousands.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
}

pub fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let values = [0.4, 999.0, 1_000.0, 1_234_567.8].map(grouped);
        assert_eq!(values, ["0", "999", "1,000", "1,234,568"]);
    }

    #[test]
    fn a_row_with_errors_is_marked_and_explained() {
        let ours = Rounds {
            rates: vec![50.0],
            errors: 3,
            first_error: Some("status 503".into()),
            ..Rounds::default()
        };
        let theirs = Rounds {
            rates: vec![100.0],
            ..Rounds::default()
        };
        let mut row = Row::new("single", "server".into(), &ours);
        row.compare("nginx".into(), Some(0.6), &ours, &theirs);
        let report = Report {
            scenarios: vec![row],
            ..Report::default()
        };
        assert!(report.has_errors());
        let table = report.table();
        assert!(table.contains("single !"), "{table}");
        assert!(table.contains("0.50  >= 0.60  MISSED"), "{table}");
        assert!(
            table.contains("! single: 3 errors, the first: status 503"),
            "{table}"
        );
    }
}
