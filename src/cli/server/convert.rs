//! `convert`: gives a database the other duplicate check.

use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::StepProgress;
use crate::store::{self, Converted, Dedup};

/// Give a database the other duplicate check, in place
///
/// No server may run on it. It can be interrupted at any moment: the database then has the check that it
/// had, and the same command goes on. Needs room on the disk for the new index beside the old one.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The duplicate check that it is to have
    #[arg(long, ignore_case = true)]
    dedup: Dedup,

    /// File that holds the database
    #[arg(value_name = "DATABASE")]
    database: PathBuf,
}

/// Converts. The error is one sentence: why it could not be done.
pub(crate) fn run(arguments: ConvertArgs) -> Result<(), String> {
    let bar = StepProgress::new();
    let converted = store::convert(&arguments.database, arguments.dedup, &mut |progress| {
        bar.show(progress);
    })
    .map_err(|error| error.to_string())?;
    drop(bar);
    let name = arguments.dedup.name();
    let sentence = match converted {
        Converted::Done => format!("the database now has the duplicate check {name}"),
        Converted::Already => format!("the database has the duplicate check {name} already"),
    };
    // Where nobody can read the sentence the exit code still tells.
    let _ = writeln!(stdout(), "{sentence}");
    Ok(())
}
