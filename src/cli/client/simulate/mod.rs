//! `simulate`: a publisher that delivers at least once, as a demonstration and as a test of a server.

mod event;
mod ledger;
mod load;
mod scenarios;

use std::io::{stdout, Write};
use std::sync::Arc;
use std::time::Instant;

use clap::builder::RangedU64ValueParser;
use clap::Args;

use super::connect::interrupt;
use super::transfer::GIVE_UP;
use crate::cli::failure::Failure;
use crate::cli::numbers::{share, Share};
use crate::client::{Client, ClientArgs};
use crate::limits;
use event::Run;
use ledger::{Alone, Comparison, Ledger, Stats};

/// Publish as one who delivers at least once, and compare what was sent with what the server has
///
/// Plays five scenarios, then sends a load in which events repeat, and answers are lost because their
/// connections are closed on purpose, so that it is sent again. A table at the end compares what was sent with
/// what /events and /stats say; where they differ the exit code is 1. Each run has topics of its own, so it
/// can be made again, and beside other publishers. Its events stay.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Events of the load, repeated ones included
    #[arg(long, value_name = "EVENTS", default_value = "10000")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(..=limits::SIMULATED_MAX_EVENTS))]
    events: u64,

    /// How many of them repeat an earlier one, as 0.3 or 30%
    #[arg(long, value_name = "SHARE", default_value = "0.3", value_parser = share)]
    duplicates: Share,

    /// How many requests lose their answer and are sent again
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    lost_answers: Share,

    /// Events in one request
    #[arg(long, value_name = "EVENTS", default_value = "100")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=limits::RING_CAPACITY_MAX))]
    batch: u64,

    /// Connections that publish at the same time
    #[arg(long, value_name = "NUMBER", default_value = "4")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=limits::SIMULATED_MAX_CONNECTIONS))]
    connections: u64,

    /// Topics of the load
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=limits::LOAD_MAX_TOPICS))]
    topics: u64,

    /// Number that the events and their order follow from; random where none is given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Nobody else publishes meanwhile: /stats must not have grown by more than was sent
    #[arg(long)]
    alone: bool,

    #[command(flatten)]
    client: ClientArgs,
}

/// Plays, sends, compares, and prints all of it.
pub(crate) fn run(arguments: SimulateArgs) -> Result<(), Failure> {
    let interrupt = interrupt()?;
    let client = Client::new(&arguments.client, GIVE_UP, Arc::clone(&interrupt));
    let client = client.map_err(Failure::Setting)?;
    let run = Run::new(arguments.seed, arguments.topics, arguments.duplicates.0);
    // Where nobody reads what is printed, the exit code still tells.
    let mut out = stdout();
    let _ = writeln!(
        out,
        "At {}: topics {}*, --seed {}\n",
        client.address(),
        run.prefix,
        run.seed
    );
    let mut ledger = Ledger::default();
    let before = Stats::look(&client)?;
    scenarios::play(&client, &run, &mut ledger, &mut out)?;

    let start = Instant::now();
    let retries = load::send(&arguments, &run, &interrupt, &mut ledger)?;
    let seconds = start.elapsed().as_secs_f64();
    let _ = writeln!(
        out,
        "\nLoad: {} events, {} of them different, in {seconds:.2} s\nIn all {}\n",
        arguments.events,
        ledger.load_distinct,
        ledger.summary(retries + client.retries())
    );

    let alone = arguments.alone.then(|| Alone {
        retries: retries + client.retries(),
        batch: arguments.batch.max(scenarios::MAX_EVENTS),
    });
    let comparison = Comparison::make(&client, &run, &mut ledger, &before, alone)?;
    let _ = write!(out, "{comparison}");
    match comparison.differing() {
        0 => Ok(()),
        1 => Err(Failure::Failed("one comparison differs".to_owned())),
        count => Err(Failure::Failed(format!("{count} comparisons differ"))),
    }
}
