//! `completions`: what a shell needs to complete the command line.

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::Failure;
use super::terminal::print;

/// Print a shell's completion script for the commands and their options
///
/// For this session of bash: source <(logagg completions bash)
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script for the command line `command`.
pub(super) fn run(mut command: Command, arguments: CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "logagg", &mut script);
    print(&script)
}
