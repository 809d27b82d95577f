//! What is measured against what: a server under load or a loop in this process, one round at a
//! time, so that rounds of two contenders can alternate.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cores::Cores;
use crate::inprocess::Table;
use crate::load::syslog::Target;
use crate::load::{self, Checks, LoadResult, Plan, Stop, Traffic};
use crate::process;

/// The share of a round that precedes it as warm-up.
const WARM_UP: f64 = 0.2;
/// Messages of syslog that are compared with a request.
const SYSLOG_REQUEST: u64 = 1_000;

/// One side of a comparison.
pub enum Contender {
    /// A server and what it is sent.
    Remote(Box<Remote>),
    /// A server that is sent syslog, and its process.
    Syslog { target: Target, process: u32 },
    /// A loop on the measured core.
    Loop { table: Box<Table>, cores: Cores },
    /// Both for each event, one after the other.
    Serial(Box<[Contender; 2]>),
}

pub struct Remote {
    pub address: SocketAddr,
    /// The server's process, where it is one that was started here.
    pub process: Option<u32>,
    pub connections: usize,
    pub traffic: Traffic,
    pub checks: Checks,
}

/// What the rounds of one contender add up to.
#[derive(Default)]
pub struct Rounds {
    /// Events (requests, where they hold none) a second, for each round.
    pub rates: Vec<f64>,
    /// Microseconds of the server's processor time for each request, for each round.
    pub cpu_micros: Vec<f64>,
    /// Nanoseconds.
    pub latency: Option<Histogram<u64>>,
    pub requests: u64,
    /// Allocations of the load generator.
    pub allocations: u64,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Contender {
    /// Runs one round of `duration` after its warm-up and adds its result to `rounds`.
    ///
    /// # Errors
    /// The round could not be run at all; failing requests are counted in `rounds`.
    pub fn round(&mut self, duration: Duration, rounds: &mut Rounds) -> io::Result<()> {
        match self {
            Contender::Remote(remote) => {
                let cpu = || remote.process.map(process::cpu_time).transpose();
                let before = cpu()?;
                let plan = Plan {
                    address: remote.address,
                    connections: remote.connections,
                    warm_up: duration.mul_f64(WARM_UP),
                    stop: Stop::After(duration),
                    pace: None,
                    checks: remote.checks,
                };
                let (result, allocations) = load::run_counted(&plan, &mut remote.traffic)?;
                if let Some((before, after)) = before.zip(cpu()?) {
                    let micros = (after - before).as_secs_f64() * 1e6;
                    rounds
                        .cpu_micros
                        .push(micros / result.answers.max(1) as f64);
                }
                rounds.allocations += allocations;
                rounds.add(result);
            }
            Contender::Syslog { target, process } => {
                let before = process::cpu_time(*process)?;
                let measured = target.measure(duration.mul_f64(WARM_UP), duration)?;
                let requests = measured.sent.div_ceil(SYSLOG_REQUEST);
                let micros = (process::cpu_time(*process)? - before).as_secs_f64() * 1e6;
                rounds.cpu_micros.push(micros / requests.max(1) as f64);
                let rate = measured.stored as f64 / measured.elapsed.as_secs_f64();
                rounds.rates.push(rate);
            }
            Contender::Loop { table, cores } => {
                cores.on_measured(|| table.measure(duration.mul_f64(WARM_UP)))??;
                rounds
                    .rates
                    .push(cores.on_measured(|| table.measure(duration))??);
            }
            Contender::Serial(parts) => {
                let mut seconds = 0.0;
                for part in parts.iter_mut() {
                    let mut of_part = Rounds::default();
                    part.round(duration / 2, &mut of_part)?;
                    seconds += 1.0 / of_part.rate();
                    rounds.errors += of_part.errors;
                    rounds.first_error = rounds.first_error.take().or(of_part.first_error);
                }
                rounds.rates.push(1.0 / seconds);
            }
        }
        Ok(())
    }
}

impl Rounds {
    fn add(&mut self, result: LoadResult) {
        self.rates.push(result.rate());
        self.requests += result.answers;
        self.errors += result.errors;
        self.first_error = self.first_error.take().or(result.first_error);
        match &mut self.latency {
            Some(latency) => *latency += result.latency,
            None => self.latency = Some(result.latency),
        }
    }

    /// Events a second.
    pub fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// Microseconds, where a process could be observed.
    pub fn cpu_micros(&self) -> Option<f64> {
        (!self.cpu_micros.is_empty()).then(|| median(&self.cpu_micros))
    }

    /// The median of the ratios of rounds that ran one after the other.
    pub fn ratio_to(&self, baseline: &Rounds) -> f64 {
        let ratios: Vec<f64> = self
            .rates
            .iter()
            .zip(&baseline.rates)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        median(&ratios)
    }

    /// The latency in microseconds below which `quantile` of the requests lie.
    pub fn latency_micros(&self, quantile: f64) -> Option<f64> {
        let latency = self.latency.as_ref()?;
        Some(latency.value_at_quantile(quantile) as f64 / 1e3)
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let lower = sorted
        .get(sorted.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0);
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[9.0, 1.0]), 5.0);
    }

    #[test]
    fn a_ratio_compares_round_with_round() {
        let ours = Rounds {
            rates: vec![10.0, 100.0, 30.0],
            ..Rounds::default()
        };
        let theirs = Rounds {
            rates: vec![10.0, 200.0, 10.0],
            ..Rounds::default()
        };
        assert_eq!(ours.ratio_to(&theirs), 1.0);
    }
}
