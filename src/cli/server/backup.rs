//! `backup` and `restore`: copy a database whole, and say on standard output what was copied.

use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::Args;

use crate::cli::progress::StepProgress;
use crate::config::check_database;
use crate::store::{self, Copied, CopyOptions, OpenError, Progress};

/// Copy a database to a file, also while a server runs
///
/// The copy is the database as it was when the command began. It is verified as by `logagg check`,
/// and gets its name only when it is complete and synced; until then it is FILE.partial. While pages
/// are copied, the server's write-ahead log grows by what is published.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File that holds the database
    #[arg(long, value_name = "DATABASE")]
    from: PathBuf,

    /// File for the copy
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(check_database))]
    to: PathBuf,

    #[command(flatten)]
    flags: Flags,
}

/// Restore a database from a copy; no server may be running on it
///
/// The copy is verified before it takes the database's name; until then it is DATABASE.partial.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// File that holds the copy
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// File for the database; missing folders are created
    #[arg(long, value_name = "DATABASE", value_parser = PathBufValueParser::new().try_map(check_database))]
    to: PathBuf,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
struct Flags {
    /// Replace an existing file
    #[arg(long)]
    force: bool,

    /// Do not verify the copy
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
    // If nobody can read the sentence, the exit code still says it.
    let _ = match events {
        Some(events) => writeln!(stdout(), "copied and checked {events} events: {name}"),
        None => writeln!(stdout(), "copied {bytes} bytes, unchecked: {name}"),
    };
    Ok(())
}
