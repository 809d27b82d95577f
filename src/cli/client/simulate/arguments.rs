//! The arguments of `simulate`.

use clap::builder::RangedU64ValueParser;
use clap::Args;

use crate::cli::numbers::{share, Share};
use crate::client::ClientArgs;
use crate::limits;

/// Self-test: publish with duplicates and lost answers, then verify what the server has
///
/// Runs five scenarios, then sends a load in which events repeat, and answers are lost because their
/// connections are closed on purpose, so that it is sent again. A table at the end compares what was sent with
/// what /events and /stats say; if they differ the exit code is 1. Each run has its own topics, so it
/// can be repeated, also beside other publishers. Its events stay.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Events of the load, repeated ones included
    #[arg(long, value_name = "EVENTS", default_value = "10000")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(..=limits::SIMULATED_MAX_EVENTS))]
    pub(super) events: u64,

    /// How many of them repeat an earlier one, as 0.3 or 30%
    #[arg(long, value_name = "SHARE", default_value = "0.3", value_parser = share)]
    pub(super) duplicates: Share,

    /// How many requests lose their answer and are sent again
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    pub(super) lost_answers: Share,

    /// Events in one request
    #[arg(long, value_name = "EVENTS", default_value = "100")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=limits::RING_CAPACITY_MAX))]
    pub(super) batch: u64,

    /// Connections that publish at the same time
    #[arg(long, value_name = "NUMBER", default_value = "4")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=limits::SIMULATED_MAX_CONNECTIONS))]
    pub(super) connections: u64,

    /// Topics of the load
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=limits::LOAD_MAX_TOPICS))]
    pub(super) topics: u64,

    /// Seed of the events and their order [default: random]
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,

    /// No other client publishes meanwhile: /stats must not have grown by more than was sent
    #[arg(long)]
    pub(super) alone: bool,

    #[command(flatten)]
    pub(super) client: ClientArgs,
}
