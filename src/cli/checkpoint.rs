//! `checkpoint`: copies a write-ahead log beside a running server.

use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::Args;

use crate::store;

/// Copy the write-ahead log into the database, beside a running server
///
/// A server does this by itself, and starts this command where another program has held the log back for
/// so long that copying it would keep its clients waiting.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// File that holds the database
    #[arg(value_name = "DATABASE")]
    database: PathBuf,
}

/// Copies. The error is one sentence.
pub fn run(arguments: &CheckpointArgs) -> Result<(), String> {
    let done = store::copy_log(&arguments.database).map_err(|error| error.to_string())?;
    // A reader that has gone away still has the exit code.
    let _ = writeln!(stdout(), "copied: {} of {} pages", done.copied, done.frames);
    Ok(())
}
