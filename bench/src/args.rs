//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::kind::Kind;
use crate::results;

/// Measures logagg against nginx and against SQLite alone, in one run
#[derive(Debug, Parser)]
#[command(name = "logagg-bench", args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub suite: SuiteArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the load generator alone
    Load(LoadArgs),
    /// Send the same loads to Redis and PostgreSQL, each in its durable setting
    Peers(PeersArgs),
    /// Fill a database to a hundred million events; goes on where it stopped
    Scale(ScaleArgs),
    /// Look for stalls under half load
    Stalls(StallsArgs),
    /// What subscribers cost the publishers, and what they get
    Subscribers(SubscribersArgs),
    /// Write the figures that tests print, from standard input, into docs/RELIABILITY.md
    Reliability(ReliabilityArgs),
    /// Publish while thousands of clients do not behave
    Overload(OverloadArgs),
    /// Put the same loads on two builds of the server, round by round
    Builds(BuildsArgs),
    /// Search with summaries, without, with FTS5 and with grep
    Search(SearchArgs),
}

#[derive(Debug, clap::Args)]
pub struct SuiteArgs {
    /// Only scenarios whose name contains this; may be repeated. The page of results stays as it is
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Seconds that each round measures
    #[arg(long, default_value_t = 1.5, value_parser = parse_time)]
    pub seconds: f64,
    /// Rounds of each scenario, alternating with those of its baselines
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// The file for the results as JSON [default: bench.json in the build folder]
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Drive a server that runs already, as http://HOST:PORT
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    pub server_url: Option<String>,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The server's binary [default: built in release mode beside this program]
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct ResultsArgs {
    /// The page whose section is written [default: bench/RESULTS.md of the project]
    #[arg(long, value_name = "PATH")]
    results: Option<PathBuf>,
}

impl ResultsArgs {
    pub fn path(&self) -> PathBuf {
        self.results.clone().unwrap_or_else(results::default_page)
    }
}

#[derive(Debug, clap::Args)]
pub struct PeersArgs {
    /// Seconds that each round measures
    #[arg(long, default_value_t = 3.0, value_parser = parse_time)]
    pub seconds: f64,
    /// Rounds of each load, alternating between the contenders
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct ScaleArgs {
    /// Events to fill, as 100000000 or 100M
    #[arg(long, default_value = "100M", value_parser = parse_events)]
    pub up_to: u64,
    /// The folder that keeps the database between runs [default: bench-scale in the build folder]
    #[arg(long, value_name = "PATH")]
    pub folder: Option<PathBuf>,
    /// Start with an empty database
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct StallsArgs {
    /// Minutes of half load altogether
    #[arg(long, default_value_t = 10.0, value_parser = parse_time)]
    pub minutes: f64,
    /// Events in a request
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct SubscribersArgs {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0, value_parser = parse_time)]
    pub seconds: f64,
    /// Rounds of those that are compared
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct OverloadArgs {
    /// Seconds that each phase measures
    #[arg(long, default_value_t = 4.0, value_parser = parse_time)]
    pub seconds: f64,
    /// Rounds of each kind of trouble, alternating with none
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Publishers that behave
    #[arg(long, default_value_t = 64)]
    pub publishers: usize,
    /// Clients that say nothing
    #[arg(long, default_value_t = 10_000)]
    pub idle: usize,
    /// Clients that send a byte a second
    #[arg(long, default_value_t = 2_000)]
    pub slow: usize,
    /// Clients that ask for large pages and never read
    #[arg(long, default_value_t = 500)]
    pub deaf: usize,
    /// Clients that send bombs
    #[arg(long, default_value_t = 32)]
    pub bombers: usize,
    /// Clients that send bodies of 16 MiB
    #[arg(long, default_value_t = 64)]
    pub large: usize,
    /// Only the kinds of trouble whose name contains this. The page of results stays as it is
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct BuildsArgs {
    /// The binary to compare with, as a release before has it
    #[arg(long, value_name = "PATH")]
    pub before: PathBuf,
    /// Only scenarios whose name contains this; may be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Seconds that each round measures
    #[arg(long, default_value_t = 1.0, value_parser = parse_time)]
    pub seconds: f64,
    /// Rounds of each scenario, alternating between the builds
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub struct SearchArgs {
    /// Events to search, as 1000000 or 10M
    #[arg(long, default_value = "1M", value_parser = parse_events)]
    pub events: u64,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub results: ResultsArgs,
}

#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// The server, as http://HOST:PORT
    #[arg(long)]
    pub url: String,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Seconds to measure, after one second of warm-up
    #[arg(long, default_value_t = 5.0, value_parser = parse_time)]
    pub seconds: f64,
    #[arg(long, value_enum, default_value = "single-ordered")]
    pub kind: Kind,
    /// Events in a request [default: as the kind says]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Events to store first, for those that repeat stored ones
    #[arg(long, default_value_t = 0)]
    pub fill: u64,
    /// Check statuses only, for a server that answers with a constant
    #[arg(long)]
    pub constant: bool,
}

#[derive(Debug, clap::Args)]
pub struct ReliabilityArgs {
    /// The page [default: docs/RELIABILITY.md of the project]
    #[arg(long, value_name = "PATH")]
    pub page: Option<PathBuf>,
}

/// Seconds or minutes: a number above 0 and at most a million.
fn parse_time(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|time| *time > 0.0 && *time <= 1e6)
        .ok_or_else(|| format!("{text} is not a number above 0"))
}

/// A whole number of events; a final `M` stands for a million.
fn parse_events(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix('M') {
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|events| *events > 0)
        .ok_or_else(|| format!("{text} is not a number of events, as 10000000 or 10M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn times_are_above_zero() {
        assert_eq!(parse_time("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "inf", "1e9", "1s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_are_counted_in_ones_or_in_millions() {
        assert_eq!(parse_events("100M"), Ok(100_000_000));
        assert_eq!(parse_events("2500000"), Ok(2_500_000));
        for wrong in ["", "M", "0", "1.5M", "1G", "-1", "99999999999999999999M"] {
            assert!(parse_events(wrong).is_err(), "{wrong}");
        }
    }
}
