//! `completions`: what a shell needs to complete the command line.

use std::io::{stdout, Write};

use clap::Args;
use clap_complete::Shell;

use super::terminal::cannot_write;
use super::{command, Failure};

/// Print what a shell needs to complete the commands and their options
///
/// For this session of bash: source <(logagg completions bash)
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(arguments: CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "logagg", &mut script);
    stdout().write_all(&script).map_err(cannot_write)
}
