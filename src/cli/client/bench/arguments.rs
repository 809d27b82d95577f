//! The arguments of `bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::numbers::{share, within, Share};
use crate::client::{time, ClientArgs};
use crate::limits;

/// Load test: send as many events as the server takes, and measure it
///
/// One thread keeps many connections busy, each with one request at a time; with --rate it sends at a steady rate,
/// whether the server is as fast or not. Latencies are measured here, so a load generator on the server's own machine
/// takes processor time from it. The exit code is 1 if a request failed, or if the answers do not count each event
/// once. The events stay on the server.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Connections at the same time
    #[arg(long, value_name = "NUMBER", default_value = "64")]
    #[arg(value_parser = within(1..=limits::LOAD_MAX_CONNECTIONS))]
    pub(super) connections: usize,

    /// How long to send
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(super) duration: Duration,

    /// Requests a second of all connections together, instead of as many as are answered
    ///
    /// The latency of a request counts from the time at which it was due, also where no connection was free then.
    #[arg(long, value_name = "REQUESTS")]
    #[arg(value_parser = within(1..=limits::LOAD_MAX_RATE))]
    pub(super) rate: Option<usize>,

    /// Events in one request
    #[arg(long, value_name = "EVENTS", default_value = "1")]
    #[arg(value_parser = within(1..=limits::RING_CAPACITY_MAX))]
    pub(super) batch: usize,

    /// How many events repeat one of the last few thousand, as 0.3 or 30%
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(super) duplicates: Share,

    /// Topics that the events are spread over
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    #[arg(value_parser = within(1..=limits::LOAD_MAX_TOPICS))]
    pub(super) topics: usize,

    /// Size of each event's payload
    #[arg(long, value_name = "BYTES", default_value = "150")]
    #[arg(value_parser = within(2..=limits::LOAD_MAX_PAYLOAD_BYTES))]
    pub(super) payload: usize,

    /// How event ids follow each other
    #[arg(long, value_name = "ORDER", default_value = "random")]
    pub(super) order: Order,

    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) client: ClientArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// Like UUIDs of version 4
    Random,
    /// Each greater than the one before
    Ordered,
}
