//! `import`: an export back into a server.

use std::path::PathBuf;

use clap::Args;

use super::defaults::Defaults;
use super::transfer::{self, Pace, Rules};
use crate::cli::failure::Failure;
use crate::client::ClientArgs;

/// Import the events of an export into a server
///
/// Importing twice stores once, so an interrupted import is simply run again. An event whose key the
/// server has with another content is reported and not changed, and the exit code is 1.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files to read; none or - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    pace: Pace,

    #[command(flatten)]
    client: ClientArgs,
}

/// Imports, and prints the sums.
pub(crate) fn run(arguments: ImportArgs) -> Result<(), Failure> {
    let rules = Rules {
        defaults: Defaults::default(),
        conflicts_fail: true,
    };
    transfer::run(&arguments.files, rules, &arguments.pace, &arguments.client)
}
