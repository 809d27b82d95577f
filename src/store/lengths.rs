//! Whether the database and its write-ahead log are as long as what SQLite has committed needs. Another program may
//! truncate them in place (`truncate -s 0 events.db`): SQLite reads zeros where a file ends, and the next checkpoint
//! makes it as long as it was, with a hole.
//!
//! A file may become shorter for good reasons too: a checkpoint cuts off pages that were given back, and starts
//! a long log over. So one that has become shorter is compared with what SQLite says.
//!
//! Opens no database: opening and closing the database would drop SQLite's locks.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection as Sqlite;

use super::error::SHORT;
use super::paths::beside;
use super::wal::file::{salts, FRAME_HEADER, LOG_HEADER};
use super::wal::position::{position, CheckpointProgress};

/// SQLite's page that is never written contains this byte (SQLite file format §1.4).
const LOCK_BYTE: u64 = 1 << 30;

/// Which file lacks what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truncated {
    Database,
    Log,
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LengthCheck {
    Whole,
    /// The database lacks pages that the log has: copying the log restores them.
    WantsCheckpoint,
    Truncated(Truncated),
}

/// What is known of both files since they were last checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    database_bytes: u64,
    page_bytes: u64,
}

impl Lengths {
    /// Those of a database that has been found whole.
    pub(super) fn of(db: &Sqlite, database: &File) -> io::Result<Self> {
        Ok(Self {
            database_bytes: database.metadata()?.len(),
            page_bytes: page_bytes(db).map_err(io::Error::other)?,
        })
    }

    /// Checks both files; the log has `frames` frames as far as is known. Costs two calls of the system, and a
    /// third to read where the log begins.
    pub(super) fn check(
        &mut self,
        db: &Sqlite,
        (database, log): (&File, &File),
        frames: u32,
    ) -> io::Result<LengthCheck> {
        let bytes = || Ok(database.metadata()?.len());
        let found = bytes()?;
        let is_suspect =
            found < self.database_bytes || !is_log_whole(log, frames.into(), self.page_bytes)?;
        let result = match is_suspect {
            true => compare(db, bytes, log).map_err(io::Error::other)?,
            false => LengthCheck::Whole,
        };
        if !matches!(result, LengthCheck::Truncated(_)) {
            self.database_bytes = found;
        }
        Ok(result)
    }
}

/// Refuses a database that is empty beside a log that is not: SQLite would make a new one of it, and remove the
/// log. Must be called before SQLite opens them. The error is a clause of a sentence.
pub(super) fn require_not_emptied(path: &Path) -> Result<(), String> {
    let log = beside(path, "-wal");
    let has_bytes = |path: &Path| fs::metadata(path).map(|about| about.len() > 0);
    if matches!(has_bytes(path), Ok(false)) && matches!(has_bytes(&log), Ok(true)) {
        return Err(format!(
            "the file is empty, and it was not: beside it is its write-ahead log {}; restore a backup, or, to \
             begin an empty database, move the log away",
            log.display()
        ));
    }
    Ok(())
}

/// Refuses an open database that lacks pages. The error is a clause of a sentence.
pub(super) fn require_whole(db: &Sqlite, path: &Path) -> Result<(), String> {
    let bytes = || Ok(fs::metadata(path)?.len());
    let result = match File::open(beside(path, "-wal")) {
        Ok(log) => compare(db, bytes, &log),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(LengthCheck::Truncated(Truncated::Database)) => Err(SHORT.into()),
        // What cannot be read is found when it is needed; what a log lacks is not known after a crash.
        _ => Ok(()),
    }
}

/// Why it is not known whether a file was truncated.
type Unknown = Box<dyn std::error::Error + Send + Sync>;

/// Compares both files with what SQLite has committed. Finds nothing where another program changes them meanwhile.
fn compare(
    db: &Sqlite,
    database_bytes: impl Fn() -> io::Result<u64>,
    log: &File,
) -> Result<LengthCheck, Unknown> {
    let committed = || -> rusqlite::Result<(u64, CheckpointProgress)> {
        let pages = db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?;
        Ok((pages as u64, position(db)?))
    };
    let page_bytes = page_bytes(db)?;
    let before = committed()?;
    let (pages, CheckpointProgress { frames, copied }) = before;
    let result = if !is_log_whole(log, frames, page_bytes)? {
        LengthCheck::Truncated(Truncated::Log)
    } else if database_bytes()? / page_bytes >= pages {
        LengthCheck::Whole
    } else {
        // Copying goes on meanwhile, perhaps in another process: what it has taken is in the file by now.
        let in_log = pages_in(log, copied..frames, page_bytes)?;
        let there = database_bytes()? / page_bytes;
        let is_missing = |page: u64| page != LOCK_BYTE / page_bytes + 1 && !in_log.contains(&page);
        match (there + 1..=pages).any(is_missing) {
            true => LengthCheck::Truncated(Truncated::Database),
            false => LengthCheck::WantsCheckpoint,
        }
    };
    let is_quiet = committed()? == before;
    Ok(if is_quiet { result } else { LengthCheck::Whole })
}

fn page_bytes(db: &Sqlite) -> rusqlite::Result<u64> {
    db.query_row("PRAGMA page_size", [], |row| {
        Ok(row.get::<_, i64>(0)?.max(1) as u64)
    })
}

/// Whether the log can have `frames` frames: it is as long, and does not begin with a hole.
fn is_log_whole(log: &File, frames: u64, page_bytes: u64) -> io::Result<bool> {
    if frames == 0 {
        return Ok(true);
    }
    let needed = LOG_HEADER as u64 + frames * (FRAME_HEADER as u64 + page_bytes);
    let has_header = salts(log).is_some_and(|salts| salts != [0; 8]);
    Ok(has_header && log.metadata()?.len() >= needed)
}

/// The pages that these frames of the log hold, as many as there are frames at most.
fn pages_in(
    log: &File,
    frames: std::ops::Range<u64>,
    page_bytes: u64,
) -> io::Result<BTreeSet<u64>> {
    let mut number = [0; 4];
    let frame_bytes = FRAME_HEADER as u64 + page_bytes;
    frames
        .map(|frame| {
            log.read_exact_at(&mut number, LOG_HEADER as u64 + frame * frame_bytes)?;
            Ok(u32::from_be_bytes(number).into())
        })
        .collect()
}
