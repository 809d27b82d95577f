//! `check`: verifies a database and reports on standard output.

use std::fmt;
use std::io::{stdout, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::progress::StepProgress;
use crate::store::{self, CheckOptions, Report};
use crate::text::escaped;

/// Verify a database, or report what is wrong with it
///
/// Reads all of it, also while a server runs on it, and changes nothing. Until it is done, the server's
/// write-ahead log grows. The exit code is 0 if nothing is wrong.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Skip SQLite's integrity check of the file
    #[arg(long)]
    quick: bool,

    /// File that holds the database
    #[arg(value_name = "DATABASE")]
    database: PathBuf,
}

/// Checks. The error is one sentence: why the database cannot be called right.
pub(crate) fn run(arguments: CheckArgs) -> Result<(), String> {
    let options = CheckOptions {
        path: arguments.database,
        quick: arguments.quick,
    };
    let bar = StepProgress::new();
    let report = store::check(&options, &mut |progress| bar.show(progress))
        .map_err(|error| error.to_string())?;
    drop(bar);
    let is_right = report.problems.is_empty();
    // A reader that is gone still has the exit code.
    let _ = write!(stdout(), "{}", Text(&report));
    if is_right {
        Ok(())
    } else {
        let path = options.path.display();
        Err(format!("the database {path} is damaged"))
    }
}

/// A report as it is printed.
struct Text<'a>(&'a Report);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "duplicate check: {}", report.dedup.name())?;
        writeln!(f, "events: {}", report.events)?;
        if report.removed > 0 {
            writeln!(f, "removed events: {}", report.removed)?;
        }
        writeln!(f, "topics: {}", report.topics)?;
        writeln!(f, "segments: {}", report.segments)?;
        if report.garbage_pages > 0 {
            writeln!(f, "pages to be deleted: {}", report.garbage_pages)?;
        }
        if report.lost_keys > 0 {
            writeln!(
                f,
                "keys of removed events lost to damage: {}",
                report.lost_keys
            )?;
        }
        if report.has_unused_parts {
            let rerun = "`logagg convert` finishes or removes it";
            writeln!(f, "unused: an interrupted conversion; {rerun}")?;
        }
        for sentence in &report.proven {
            writeln!(f, "proven: {sentence}")?;
        }
        for line in &report.problems {
            // A damaged or foreign file may hold any text.
            writeln!(f, "problem: {}", escaped(line))?;
        }
        Ok(())
    }
}
