//! The command line as a whole: which subcommands there are, and what becomes of arguments that are
//! wrong. It must never write outside standard output and standard error, and never panic on them.

pub mod client;
mod completions;
mod failure;
mod manual;
mod numbers;
mod origin;
mod progress;
mod server;
pub mod signals;
mod similar;
mod terminal;

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use client::bench::{self, arguments::BenchArgs};
use client::export::{self, ExportArgs};
#[cfg(feature = "fleet")]
use client::forward::{self, arguments::ForwardArgs};
use client::get::{self, GetArgs};
use client::import::{self, ImportArgs};
use client::publish::{self, PublishArgs};
use client::search::{self, arguments::SearchArgs};
use client::ship::{self, arguments::ShipArgs};
use client::simulate::{self, arguments::SimulateArgs};
use client::stats::{self, StatsArgs};
#[cfg(feature = "fleet")]
use client::store::{self, StoreArgs};
use client::subscriptions::{self, SubscriptionsArgs};
use client::tail::{self, TailArgs};
use client::topics::{self, TopicsArgs};
use completions::CompletionsArgs;
use failure::Failure;
use manual::ManArgs;
use server::backup::{self, BackupArgs, RestoreArgs};
use server::check::{self, CheckArgs};
use server::checkpoint::{self, CheckpointArgs};
use server::convert::{self, ConvertArgs};
use server::healthcheck::{self, HealthcheckArgs};
use server::serve::Served;

use crate::config::ServeArgs;
use crate::net::Inherited;

/// Every event stored once, on disk before the answer.
#[derive(Parser)]
#[command(name = "logagg", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the program was asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(ServeArgs),
    Check(CheckArgs),
    Checkpoint(CheckpointArgs),
    Convert(ConvertArgs),
    Healthcheck(HealthcheckArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Publish(PublishArgs),
    Tail(TailArgs),
    Search(SearchArgs),
    Get(GetArgs),
    Topics(TopicsArgs),
    Subscriptions(SubscriptionsArgs),
    Stats(StatsArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    Ship(ShipArgs),
    #[cfg(feature = "fleet")]
    Forward(ForwardArgs),
    #[cfg(feature = "fleet")]
    Store(StoreArgs),
    Simulate(SimulateArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Why no command is run: help or the version was asked for, or an argument or a variable is wrong.
#[derive(Debug)]
pub struct UsageError {
    error: clap::Error,
    /// The flag whose value is wrong.
    flag: Option<String>,
    /// The environment variable that the wrong value came from.
    variable: Option<String>,
    /// An existing command, flag or value that is like the wrong one.
    similar: Option<String>,
}

/// Does what the arguments ask, the program's name first, and returns the exit code: 0 for done, 1 for what
/// could not be done, 2 for an argument or a variable that is wrong, 3 for a question that could not be asked.
pub fn main(arguments: impl IntoIterator<Item = OsString>, inherited: Inherited) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = match parse(&arguments) {
        Ok(command) => command,
        Err(error) => return error.report(),
    };
    let done = match command {
        Command::Serve(serve) => match Served::new(serve) {
            Ok(served) => served.and_then(|served| served.run(inherited)),
            Err(error) => return UsageError::new(error, &arguments).report(),
        },
        Command::Check(arguments) => check::run(arguments).map_err(Failure::Failed),
        Command::Checkpoint(arguments) => checkpoint::run(&arguments),
        Command::Convert(arguments) => convert::run(arguments).map_err(Failure::Failed),
        Command::Healthcheck(arguments) => healthcheck::run(arguments).map_err(Failure::Failed),
        Command::Backup(arguments) => backup::back_up(arguments).map_err(Failure::Failed),
        Command::Restore(arguments) => backup::restore(arguments).map_err(Failure::Failed),
        Command::Publish(arguments) => publish::run(arguments),
        Command::Tail(arguments) => tail::run(arguments),
        Command::Search(arguments) => search::run(arguments),
        Command::Get(arguments) => get::run(arguments),
        Command::Topics(arguments) => topics::run(arguments),
        Command::Subscriptions(arguments) => subscriptions::run(arguments),
        Command::Stats(arguments) => stats::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Ship(arguments) => ship::run(arguments),
        #[cfg(feature = "fleet")]
        Command::Forward(arguments) => forward::run(&arguments),
        #[cfg(feature = "fleet")]
        Command::Store(arguments) => store::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Completions(arguments) => completions::run(command_line(), arguments),
        Command::Man(arguments) => manual::run(command_line(), arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Reads the arguments, the program's name first, and the environment. A flag beats a variable, a
/// variable beats the default, and an empty variable counts as not set: those that this program knows
/// are removed from the process's environment, so call this before any thread is started.
pub fn parse(arguments: &[OsString]) -> Result<Command, UsageError> {
    remove_empty_variables();
    let command = command_line();
    let search = command.find_subcommand("search");
    let is_search = arguments.get(1).is_some_and(|name| name == "search");
    let arguments = match search.filter(|_| is_search) {
        Some(search) => &search::with_negations(search, arguments),
        None => arguments,
    };
    command
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| cli.command)
        .map_err(|error| UsageError::new(error, arguments))
}

/// The command line; help names the variables and does not show what they hold.
fn command_line() -> clap::Command {
    Cli::command().mut_subcommands(|subcommand| {
        let has_own = subcommand.has_subcommands();
        subcommand.mut_args(|argument| {
            // Subcommands have the variables of their command.
            let argument = argument.global(has_own);
            origin::with_hyphens(argument.hide_env_values(true))
        })
    })
}

impl UsageError {
    fn new(error: clap::Error, arguments: &[OsString]) -> UsageError {
        let command = command_line();
        let flag = origin::flag_of(&error, &command, arguments);
        let subcommands = command.get_subcommands();
        let options = subcommands.flat_map(clap::Command::get_arguments);
        let variable = flag
            .as_ref()
            .and_then(|flag| origin::variable_of(flag, options, arguments));
        UsageError {
            similar: similar::of(&error, &command, arguments),
            error,
            flag,
            variable,
        }
    }

    /// Prints it, on standard error if something is wrong, and returns the exit code: 2 if something is wrong, else 0.
    pub fn report(&self) -> ExitCode {
        // If nobody can read the sentence, the exit code still says it.
        let _ = match (&self.flag, self.error.kind()) {
            // clap does not say where it came from.
            (Some(flag), ErrorKind::InvalidUtf8) => {
                writeln!(
                    std::io::stderr(),
                    "error: the value of '{flag}' is not UTF-8"
                )
            }
            _ => self.error.print(),
        };
        if let Some(similar) = &self.similar {
            let _ = writeln!(std::io::stderr(), "Did you mean '{similar}'?");
        }
        if let Some(variable) = &self.variable {
            let _ = writeln!(
                std::io::stderr(),
                "The value came from the environment variable {variable}."
            );
        }
        ExitCode::from(u8::try_from(self.error.exit_code()).unwrap_or(2))
    }
}

/// Removes the variables of the subcommands' flags that are set to nothing.
fn remove_empty_variables() {
    // Building the command reads the variables, so this one is built only for the names.
    let command = command_line();
    for argument in command
        .get_subcommands()
        .flat_map(|subcommand| subcommand.get_arguments())
    {
        if let Some(name) = argument.get_env() {
            if env::var_os(name).is_some_and(|value| value.is_empty()) {
                env::remove_var(name);
            }
        }
    }
}
