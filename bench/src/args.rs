//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::kind::Kind;

/// Measures the log aggregator against nginx and against SQLite alone, in one run
#[derive(Debug, Parser)]
#[command(name = "logagg-bench", args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Only scenarios whose name contains this; may be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Seconds that each round measures
    #[arg(long, default_value_t = 1.7)]
    pub seconds: f64,
    /// Rounds of each scenario, alternating with those of its baselines
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Where the results go as JSON [default: bench.json in the build folder]
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// The server's binary [default: built in release mode beside this program]
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Drive a server that runs already, as http://HOST:PORT
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    pub server_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the load generator alone
    Load(LoadArgs),
}

#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// The server, as http://HOST:PORT
    #[arg(long)]
    pub url: String,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Seconds to measure, behind one second of warm-up
    #[arg(long, default_value_t = 5.0)]
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
