//! `backup` and `restore`: a database copied whole, page by page, with SQLite's backup interface
//! (<https://www.sqlite.org/backup.html>).
//!
//! That interface begins again whenever another process writes to the source, and so beside a busy server
//! it would never end. Here the source is one moment of the database ([`super::snapshot`]): a read
//! transaction is open from the first page to the last, and what the server commits meanwhile goes to its
//! write-ahead log, which grows by that until the copy is complete.

mod target;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::check::{check, CheckOptions, Progress};
use crate::limits;
use crate::store::error::explain;
use crate::store::error::OpenError;
use crate::store::identity;
use crate::store::lock::file_at;
use crate::store::offline::snapshot;
use target::{Purpose, Target};

/// What is to be copied, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    pub from: PathBuf,
    pub to: PathBuf,
    /// Replaces what is there.
    pub force: bool,
    /// Leaves out the check of the copy.
    pub unverified: bool,
}

/// A copy that is complete and on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    /// Events in it; none if it was not verified.
    pub events: Option<u64>,
}

/// Copies a database to a file, also beside a running server. An error leaves the target as it was.
pub fn backup(
    options: &CopyOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, OpenError> {
    let result = copy(options, Purpose::Backup, progress);
    result.map_err(|what| failed("back up", options, &what))
}

/// Puts the copy of a database in its place, where no server may run. An error leaves the target as it
/// was.
pub fn restore(
    options: &CopyOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, OpenError> {
    let result = copy(options, Purpose::Restore, progress);
    result.map_err(|what| failed("restore", options, &what))
}

fn failed(verb: &str, options: &CopyOptions, what: &str) -> OpenError {
    let (from, to) = (options.from.display(), options.to.display());
    OpenError(format!("cannot {verb} {from} to {to}: {what}"))
}

fn copy(
    options: &CopyOptions,
    purpose: Purpose,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, String> {
    let from = file_at(&options.from)?;
    // A file that is not a database of ours is refused before anything is made.
    snapshot::read(&from, |_| Ok(()))?;
    let target = Target::prepare(&from, &options.to, options.force, purpose)?;
    snapshot::read(&from, |db| {
        copy_pages(db, &target, purpose, progress).map_err(|error| explain(&error))
    })?;
    if purpose == Purpose::Restore {
        identity::renew(target.partial()).map_err(|error| explain(&error))?;
    }
    target.sync().map_err(|error| error.to_string())?;
    let events = match options.unverified {
        true => None,
        false => Some(verify(target.partial(), progress)?),
    };
    let bytes = target.install(&from)?;
    Ok(Copied { bytes, events })
}

/// Copies all pages of the source as its open transaction sees them.
fn copy_pages(
    source: &Connection,
    target: &Target,
    purpose: Purpose,
    progress: &mut dyn FnMut(Progress),
) -> rusqlite::Result<()> {
    target.clear().map_err(io_error)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(target.partial(), flags)?;
    // An incomplete copy is thrown away, so it needs no journal; this program syncs it itself.
    db.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(source, &mut db)?;
    for step in 1_u64.. {
        let begun = Instant::now();
        match backup.step(limits::BACKUP_STEP_PAGES)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(busy, None));
            }
        }
        let (total, left) = (backup.progress().pagecount, backup.progress().remaining);
        progress(Progress {
            step: "copying pages",
            done: (total - left).max(0) as u64,
            total: total.max(0) as u64,
        });
        if purpose == Purpose::Backup {
            // Otherwise the system would collect the pages and write them at once, and the server's next sync would
            // wait for them.
            if step.is_multiple_of(limits::BACKUP_STEPS_PER_SYNC) {
                target.sync().map_err(io_error)?;
            }
            // For half of the time the server has the disk for itself.
            let rest = Duration::from_millis(limits::BACKUP_REST_MAX_MS);
            thread::sleep(rest.min(begun.elapsed()));
        }
    }
    drop(backup);
    db.close().map_err(|(_, error)| error)
}

fn io_error(error: std::io::Error) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}

/// Checks the copy, and so its source; returns the number of events.
fn verify(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<u64, String> {
    let options = CheckOptions {
        path: path.to_owned(),
        quick: false,
    };
    let report = check(&options, progress).map_err(|error| error.to_string())?;
    match report.problems.first() {
        None => Ok(report.events),
        Some(problem) => Err(format!("the database is damaged: {problem}")),
    }
}
