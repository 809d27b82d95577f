//! Arguments to one subcommand to an exit code; nothing else.

use std::process::ExitCode;

use logagg::cli::{self, Command, Failure};
use logagg::net::Inherited;

/// 0 for done, 1 for what could not be done, 2 for arguments or variables that are wrong.
fn main() -> ExitCode {
    cli::signals::block_file_size_signal();
    let inherited = Inherited::take();
    let done = match cli::parse(std::env::args_os()) {
        Ok(Command::Serve(config)) => cli::serve::run(config, inherited),
        Ok(Command::Check(arguments)) => cli::check::run(arguments).map_err(Failure::Failed),
        Ok(Command::Checkpoint(arguments)) => cli::checkpoint::run(&arguments),
        Ok(Command::Convert(arguments)) => cli::convert::run(arguments).map_err(Failure::Failed),
        Ok(Command::Healthcheck(arguments)) => {
            cli::healthcheck::run(arguments).map_err(Failure::Failed)
        }
        Ok(Command::Backup(arguments)) => cli::backup::back_up(arguments).map_err(Failure::Failed),
        Ok(Command::Restore(arguments)) => cli::backup::restore(arguments).map_err(Failure::Failed),
        Ok(Command::Publish(arguments)) => cli::publish::run(arguments),
        Ok(Command::Tail(arguments)) => cli::tail::run(arguments),
        Ok(Command::Topics(arguments)) => cli::topics::run(arguments),
        Ok(Command::Stats(arguments)) => cli::stats::run(arguments),
        Ok(Command::Export(arguments)) => cli::export::run(arguments),
        Ok(Command::Import(arguments)) => cli::import::run(arguments),
        Ok(Command::Ship(arguments)) => cli::ship::run(arguments),
        Ok(Command::Simulate(arguments)) => cli::simulate::run(arguments),
        Ok(Command::Bench(arguments)) => cli::bench::run(arguments),
        Ok(Command::Completions(arguments)) => cli::completions::run(arguments),
        Ok(Command::Man(arguments)) => cli::manual::run(arguments),
        Err(refusal) => return refusal.report(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
