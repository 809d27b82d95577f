//! The results of the overload measurement as tables with verdicts, and as figures for a page.

use std::fmt::Write;

use super::Finding;
use crate::contender::median;
use crate::load::{new_latency, LoadResult};
use crate::report::{aligned, grouped};

/// The most memory that the server may hold, in MiB.
const RESIDENT_MAX_MIB: f64 = 256.0;

impl Finding {
    /// The rate within the trouble divided by the mean of the rates before and after it; the median over the
    /// rounds.
    fn ratio(&self) -> f64 {
        let rounds = self.within.iter().zip(self.alone.windows(2));
        let ratio = |(within, alone): (&LoadResult, &[LoadResult])| {
            within.request_rate() * 2.0 / (alone[0].request_rate() + alone[1].request_rate())
        };
        median(&rounds.map(ratio).collect::<Vec<f64>>())
    }

    fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }

    /// Whether as many descriptors are open as before, but for one that is just being closed.
    fn has_recovered(&self) -> bool {
        let [before, _, after] = self.descriptors;
        after <= before + 1
    }

    fn is_met(&self) -> bool {
        self.target.is_none_or(|target| self.ratio() >= target)
            && self.peak_mib() <= RESIDENT_MAX_MIB
            && self.has_recovered()
            && self.errors().next().is_none()
    }

    fn errors(&self) -> impl Iterator<Item = &str> {
        let results = self.alone.iter().chain(&self.within);
        results.filter_map(|result| result.first_error.as_deref())
    }
}

/// Writes the tables; returns whether every target is met.
pub fn describe(findings: &[Finding], note: &str, text: &mut String) -> bool {
    let _ = write!(text, "{note}\n{}\n", aligned(&rates(findings), &[0]));
    text.push_str(&aligned(&resources(findings), &[0]));
    for finding in findings {
        for error in finding.errors() {
            let _ = writeln!(text, "! {}: {error}", finding.name);
        }
    }
    findings.iter().all(Finding::is_met)
}

/// What the publishers keep of their rate and latency.
fn rates(findings: &[Finding]) -> Vec<Vec<String>> {
    let titles = [
        "trouble",
        "connected",
        "rate/s alone",
        "within",
        "ratio",
        "target",
        "",
        "p50 us alone",
        "within",
        "p99 us alone",
        "within",
        "max us within",
    ];
    let mut lines = vec![titles.map(String::from).to_vec()];
    for finding in findings {
        let ratio = finding.ratio();
        let (target, verdict) = match finding.target {
            None => (String::new(), ""),
            Some(target) => (format!(">= {target:.2}"), verdict(ratio >= target)),
        };
        lines.push(vec![
            finding.name.clone(),
            format!("{} of {}", finding.connected, finding.members),
            grouped(rate(&finding.alone)),
            grouped(rate(&finding.within)),
            format!("{ratio:.2}"),
            target,
            verdict.into(),
            latency_us(&finding.alone, 0.5),
            latency_us(&finding.within, 0.5),
            latency_us(&finding.alone, 0.99),
            latency_us(&finding.within, 0.99),
            latency_us(&finding.within, 1.0),
        ]);
    }
    lines
}

fn latency_us(results: &[LoadResult], quantile: f64) -> String {
    let mut latency = new_latency();
    for result in results {
        latency += &result.latency;
    }
    grouped(latency.value_at_quantile(quantile) as f64 / 1e3)
}

fn verdict(is_met: bool) -> &'static str {
    if is_met {
        "met"
    } else {
        "MISSED"
    }
}

/// What the server holds during and after the trouble, and what became of the crowd.
fn resources(findings: &[Finding]) -> Vec<Vec<String>> {
    let titles = [
        "trouble",
        "RSS peak MiB",
        "",
        "descriptors before",
        "with",
        "after",
        "",
        "sent away",
        "answered",
        "503",
    ];
    let mut lines = vec![titles.map(String::from).to_vec()];
    for finding in findings {
        let mut cells = vec![
            finding.name.clone(),
            format!("{:.0}", finding.peak_mib()),
            verdict(finding.peak_mib() <= RESIDENT_MAX_MIB).into(),
        ];
        cells.extend(finding.descriptors.map(|count| grouped(count as f64)));
        cells.push(verdict(finding.has_recovered()).into());
        cells.extend(finding.counts.map(|count| grouped(count as f64)));
        lines.push(cells);
    }
    lines
}

/// A line for each kind of trouble.
pub fn figures(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        format!(
            "FIGURE overload: beside {} ({} connected at least) good publishers keep {:.2} of their rate, \
             RSS peaks at {:.0} MiB, {} descriptors are open before and {} after",
            finding.name,
            finding.connected,
            finding.ratio(),
            finding.peak_mib(),
            finding.descriptors[0],
            finding.descriptors[2],
        )
    };
    findings.iter().map(line).collect()
}

fn rate(results: &[LoadResult]) -> f64 {
    let rates: Vec<f64> = results.iter().map(LoadResult::request_rate).collect();
    median(&rates)
}
