//! `convert`: gives a database the other duplicate check.

use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::StepProgress;
use crate::store::{self, Converted, Dedup};

/// Convert a database to the other duplicate check, in place
///
/// No server may be running on it. It can be interrupted at any moment: the database then keeps the check it had, and
/// the same command resumes. Needs disk space for the new index beside the old one. With the check that the database
/// has, damaged indexes are rebuilt: the key index, and SQLite's.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The new duplicate check
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
        Converted::Rebuilt => "the key index has been rebuilt from the events".into(),
        Converted::Remade => "SQLite's indexes have been rebuilt from their tables".into(),
        Converted::Already => format!("the database has the duplicate check {name} already"),
    };
    // If nobody can read the sentence, the exit code still says it.
    let _ = writeln!(stdout(), "{sentence}");
    Ok(())
}
