//! `backup` and `restore`: copy a database whole, and say on standard output what was copied.

use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::Args;

use crate::cli::progress::StepProgress;
use crate::config::check_database;
use crate::store::{self, Copied, CopyOptions, OpenError, Progress};

/// Copy a database to a file, also beside a running server
///
/// The copy is the database of the moment when the command began. It is proven right as by `logagg check`,
/// and has its name only when it is complete and on the disk; until then it is FILE.partial. While pages
/// are copied, the server's write-ahead log grows by what is published.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File that holds the database
    #[arg(long, value_name = "DATABASE")]
    from: PathBuf,

    /// File that is to hold the copy
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(check_database))]
    to: PathBuf,

    #[command(flatten)]
    flags: Flags,
}

/// Put a copy of a database in its place, where no server may run
///
/// The copy is proven right before it takes the database's name; until then it is DATABASE.partial.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// File that holds the copy
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// File that is to hold the database; folders that are missing are made
    #[arg(long, value_name = "DATABASE", value_parser = PathBufValueParser::new().try_map(check_database))]
    to: PathBuf,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct Flags {
    /// Replace what is there
    #[arg(long)]
    force: bool,

    /// Leave out the check of the copy
    #[arg(long)]
    unverified: bool,
}

/// Backs up. The error is one sentence: why it could not be done.
pub(crate) fn back_up(arguments: BackupArgs) -> Result<(), String> {
    let BackupArgs { from, to, flags } = arguments;
    run(store::backup, from, to, flags)
}

/// Restores. The error is one sentence: why it could not be done.
pub(crate) fn restore(arguments: RestoreArgs) -> Result<(), String> {
    let RestoreArgs { from, to, flags } = arguments;
    run(store::restore, from, to, flags)
}

type Copying = fn(&CopyOptions, &mut dyn FnMut(Progress)) -> Result<Copied, OpenError>;

fn run(copying: Copying, from: PathBuf, to: PathBuf, flags: Flags) -> Result<(), String> {
    let options = CopyOptions {
        from,
        to,
        force: flags.force,
        unverified: flags.unverified,
    };
    let bar = StepProgress::new();
    let copied = copying(&options, &mut |progress| bar.show(progress));
    drop(bar);
    let Copied { bytes, events } = copied.map_err(|error| error.to_string())?;
    let name = options.to.display();
    // Where nobody can read the sentence the exit code still tells.
    let _ = match events {
        Some(events) => writeln!(stdout(), "copied and checked {events} events: {name}"),
        None => writeln!(stdout(), "copied {bytes} bytes, unchecked: {name}"),
    };
    Ok(())
}
