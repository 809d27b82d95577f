//! `simulate`: a publisher that delivers at least once, as a demonstration and as a test of a server.

pub(crate) mod arguments;
mod event;
mod expected;
mod load;
mod scenarios;

use std::io::{stdout, Write};
use std::sync::Arc;
use std::time::Instant;

use super::connect::interrupt;
use super::transfer::GIVE_UP;
use crate::cli::failure::Failure;
use crate::client::Client;
use arguments::SimulateArgs;
use event::Run;
use expected::{Alone, Comparison, Expected};

/// Runs the scenarios and the load, compares, and prints all of it.
pub(crate) fn run(arguments: SimulateArgs) -> Result<(), Failure> {
    let interrupt = interrupt()?;
    let client = Client::new(&arguments.client, GIVE_UP, Arc::clone(&interrupt));
    let client = client.map_err(Failure::Setting)?;
    let run = Run::new(arguments.seed, arguments.topics, arguments.duplicates.0);
    // If nobody reads what is printed, the exit code still says it.
    let mut out = stdout();
    let _ = writeln!(
        out,
        "At {}: topics {}*, --seed {}\n",
        client.address(),
        run.prefix,
        run.seed
    );
    let mut expected = Expected::default();
    let before = client.persist(|| client.json("/stats"))?;
    scenarios::play(&client, &run, &mut expected, &mut out)?;

    let start = Instant::now();
    let retries = load::send(&arguments, &run, &interrupt, &mut expected)?;
    let seconds = start.elapsed().as_secs_f64();
    let _ = writeln!(
        out,
        "\nLoad: {} events, {} of them different, in {seconds:.2} s\nIn all {}\n",
        arguments.events,
        expected.load_distinct,
        expected.summary(retries + client.retries())
    );

    let alone = arguments.alone.then(|| Alone {
        retries: retries + client.retries(),
        batch: arguments.batch.max(scenarios::MAX_EVENTS),
    });
    let comparison = Comparison::make(&client, &run, &mut expected, &before, alone)?;
    let _ = write!(out, "{comparison}");
    match comparison.differing() {
        0 => Ok(()),
        1 => Err(Failure::Failed("one comparison differs".to_owned())),
        count => Err(Failure::Failed(format!("{count} comparisons differ"))),
    }
}
