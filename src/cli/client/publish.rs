//! `publish`: events from files and standard input to a server, or one event from the command line.

use std::path::PathBuf;

use clap::Args;

use super::defaults::Defaults;
use super::one_event::{self, OneEvent};
use super::transfer::{self, Pace, Rules};
use crate::cli::failure::Failure;
use crate::client::ClientArgs;

/// Publish events from files or standard input, one JSON object a line, or one event with --message
///
/// Retries through lost connections and a server that cannot store for a while; each event is stored
/// exactly once. A line with none of an event's members is the payload, to which --topic, --source, --now and
/// --ids give the rest. A line that cannot be published is reported and does not keep the others from being
/// published; then the exit code is 1.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Files to read; none or - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    one_event: OneEvent,

    #[command(flatten)]
    defaults: Defaults,

    #[command(flatten)]
    pace: Pace,

    #[command(flatten)]
    client: ClientArgs,
}

/// Publishes, and prints the sums.
pub(crate) fn run(arguments: PublishArgs) -> Result<(), Failure> {
    if let Some(event) = arguments.one_event.event(&arguments.defaults)? {
        return one_event::run(&event, &arguments.client);
    }
    let rules = Rules {
        defaults: arguments.defaults,
        conflicts_fail: false,
    };
    transfer::run(&arguments.files, rules, &arguments.pace, &arguments.client)
}
