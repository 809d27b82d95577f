//! The command line as a whole: which subcommands there are, and what becomes of arguments that are
//! wrong. It must never write outside standard output and standard error, and never panic on them.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod checkpoint;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod export;
mod fill;
pub(crate) mod healthcheck;
pub(crate) mod import;
mod input;
pub(crate) mod manual;
mod meter;
mod numbers;
mod progress;
pub(crate) mod publish;
pub(crate) mod serve;
mod settings;
pub mod ship;
pub mod signals;
pub(crate) mod simulate;
pub(crate) mod stats;
pub(crate) mod tail;
mod terminal;
pub(crate) mod topics;
mod transfer;

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use backup::{BackupArgs, RestoreArgs};
use bench::BenchArgs;
use check::CheckArgs;
use checkpoint::CheckpointArgs;
use completions::CompletionsArgs;
use convert::ConvertArgs;
use export::ExportArgs;
use healthcheck::HealthcheckArgs;
use import::ImportArgs;
use manual::ManArgs;
use publish::PublishArgs;
use ship::ShipArgs;
use simulate::SimulateArgs;
use stats::StatsArgs;
use tail::TailArgs;
use topics::TopicsArgs;

use crate::client::{self, Client, ClientArgs, GiveUp, Interrupt};
use crate::config::ServeArgs;
use crate::net::Inherited;
use crate::store::OpenError;
use crate::text::escaped;

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
    Topics(TopicsArgs),
    Stats(StatsArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    Ship(ShipArgs),
    Simulate(SimulateArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Why there is nothing to do: help or the version was asked for, or an argument or a variable is wrong.
#[derive(Debug)]
pub struct Refusal {
    error: clap::Error,
    /// The flag whose value is wrong.
    flag: Option<String>,
    /// The environment variable that the wrong value came from.
    variable: Option<String>,
}

/// Why a subcommand could not do what it was asked to: one sentence.
#[derive(Debug)]
pub enum Failure {
    /// What an argument or a variable names is wrong, which only using it could tell.
    Setting(String),
    /// Anything else.
    Failed(String),
    /// Standard output was closed by its reader before all was written.
    ReaderGone,
    /// What ended it needs no sentence: only the exit code.
    Ended(u8),
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        match error {
            client::Error::Stopped(stop) => Failure::from(stop),
            error => Failure::Failed(error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<client::Stop> for Failure {
    fn from(stop: client::Stop) -> Failure {
        match stop {
            // As a shell tells it.
            client::Stop::Signal(number) => Failure::Ended(128 + number),
            client::Stop::ReaderGone => Failure::ReaderGone,
        }
    }
}

/// Does what the arguments ask, the program's name first, and returns the exit code: 0 for done, 1 for what
/// could not be done, 2 for an argument or a variable that is wrong.
pub fn main(arguments: impl IntoIterator<Item = OsString>, inherited: Inherited) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = match parse(&arguments) {
        Ok(command) => command,
        Err(refusal) => return refusal.report(),
    };
    let done = match command {
        Command::Serve(serve) => match serve.into_config() {
            Ok(config) => serve::run(config, inherited),
            Err(error) => return Refusal::new(error, &arguments).report(),
        },
        Command::Check(arguments) => check::run(arguments).map_err(Failure::Failed),
        Command::Checkpoint(arguments) => checkpoint::run(&arguments),
        Command::Convert(arguments) => convert::run(arguments).map_err(Failure::Failed),
        Command::Healthcheck(arguments) => healthcheck::run(arguments).map_err(Failure::Failed),
        Command::Backup(arguments) => backup::back_up(arguments).map_err(Failure::Failed),
        Command::Restore(arguments) => backup::restore(arguments).map_err(Failure::Failed),
        Command::Publish(arguments) => publish::run(arguments),
        Command::Tail(arguments) => tail::run(arguments),
        Command::Topics(arguments) => topics::run(arguments),
        Command::Stats(arguments) => stats::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Ship(arguments) => ship::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Completions(arguments) => completions::run(arguments),
        Command::Man(arguments) => manual::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Reads the arguments, the program's name first, and the environment. A flag beats a variable, a
/// variable beats the default, and an empty variable counts as not set: those that this program knows
/// are removed from the process's environment, so call this before any thread is started.
pub fn parse(arguments: &[OsString]) -> Result<Command, Refusal> {
    remove_empty_variables();
    command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| cli.command)
        .map_err(|error| Refusal::new(error, arguments))
}

/// The command line; help names the variables and does not show what they hold.
fn command() -> clap::Command {
    Cli::command().mut_subcommands(|subcommand| {
        subcommand.mut_args(|argument| settings::with_hyphens(argument.hide_env_values(true)))
    })
}

impl Refusal {
    fn new(error: clap::Error, arguments: &[OsString]) -> Refusal {
        let flag = settings::flag_of(&error, arguments);
        let variable = flag
            .as_ref()
            .and_then(|flag| settings::variable_of(flag, arguments));
        Refusal {
            error,
            flag,
            variable,
        }
    }

    /// Says it, on standard error where something is wrong, and returns the exit code: 2 where something
    /// is wrong, else 0.
    pub fn report(&self) -> ExitCode {
        // Where nobody can read the sentence the exit code still tells.
        let _ = match (&self.flag, self.error.kind()) {
            // The library does not say where.
            (Some(flag), ErrorKind::InvalidUtf8) => {
                writeln!(
                    std::io::stderr(),
                    "error: the value of '{flag}' is not UTF-8"
                )
            }
            _ => self.error.print(),
        };
        if let Some(variable) = &self.variable {
            let _ = writeln!(
                std::io::stderr(),
                "The value came from the environment variable {variable}."
            );
        }
        ExitCode::from(u8::try_from(self.error.exit_code()).unwrap_or(2))
    }
}

impl Failure {
    /// Says it on standard error and returns the exit code: 2 where a setting is wrong, else 1 or what it
    /// ended with.
    pub fn report(&self) -> ExitCode {
        let (code, sentence) = match self {
            Failure::Setting(sentence) => (2, sentence.as_str()),
            Failure::Failed(sentence) => (1, sentence.as_str()),
            Failure::ReaderGone => (1, "standard output was closed before all was written"),
            Failure::Ended(code) => return ExitCode::from(*code),
        };
        // Where nobody can read the sentence the exit code still tells.
        let _ = writeln!(std::io::stderr(), "logagg: {}", escaped(sentence));
        ExitCode::from(code)
    }
}

/// The client of a command that has one, and the signals taken over. Once a process.
fn client_of(arguments: &ClientArgs, give_up: GiveUp) -> Result<Client, Failure> {
    Client::new(arguments, give_up, interrupt()?)
        .map_err(|sentence| settings::token_failure(arguments, &sentence))
}

/// Takes the signals over. Once a process.
fn interrupt() -> Result<Arc<Interrupt>, Failure> {
    Interrupt::install()
        .map(Arc::new)
        .map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))
}

/// Removes the variables of the subcommands' flags that are set to nothing.
fn remove_empty_variables() {
    // The command that names the variables reads them as it is built, so this one is built for the names.
    let command = command();
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
