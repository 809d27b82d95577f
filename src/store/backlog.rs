//! A write-ahead log that has grown long behind another program's snapshot. SQLite copies it in one go,
//! and with gigabytes of it that takes many seconds; so another process does it, beside the server, and
//! the server goes on.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::Arc;
use std::time::Duration;

use super::maintain::CheckpointPlan;
use super::open::{connect, explain, OpenError};
use super::settle::{position, Doubt};
use super::{Durability, Store};
use crate::limits::{CHECKPOINT_MAX_FRAMES, OPEN_BUSY_MS};

/// How far the log has been copied, in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCopied {
    /// In the log, up to the last commit.
    pub frames: u64,
    /// Those of them that are in the database.
    pub copied: u64,
}

/// Copies what it may of the log of a database, beside the server that has it open. The log is not
/// shortened by it; whoever writes next begins it anew where all of it has been copied.
pub fn copy_log(path: &Path) -> Result<LogCopied, OpenError> {
    let fail = |what: String| {
        let shown = path.display();
        OpenError(format!(
            "cannot copy the log of the database {shown}: {what}"
        ))
    };
    if !path.is_file() {
        return Err(fail("it is not a file".into()));
    }
    let frames = Arc::new(AtomicU32::new(0));
    let patience = Duration::from_millis(OPEN_BUSY_MS);
    let db = connect(path, Durability::Full, patience, &frames).map_err(&fail)?;
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(LogCopied {
            frames: row.get::<_, i64>(1)?.max(0) as u64,
            copied: row.get::<_, i64>(2)?.max(0) as u64,
        })
    })
    .map_err(|error| fail(explain(&error)))
}

impl Store {
    /// Whether so much of the log is still to be copied that [`copy_log`] should do it, in another process.
    /// Until [`Store::helped`], nothing is copied here.
    pub fn wants_help(&self) -> bool {
        self.needs_help
    }

    /// The file whose log it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Decides who copies the log next.
    pub(super) fn wants_to_be_helped(&mut self) -> rusqlite::Result<bool> {
        let position = position(&self.db)?;
        let is_long = position.frames.saturating_sub(position.copied) > CHECKPOINT_MAX_FRAMES;
        let copies_alone = std::mem::take(&mut self.copies_alone);
        self.needs_help = is_long && !copies_alone && self.doubt == Doubt::default();
        Ok(self.needs_help)
    }

    /// What was asked for has been tried. Where it has failed on the disk, nothing more is copied before
    /// that is settled; where there was nobody to do it, it is done here, however long that takes.
    pub fn helped(&mut self, help: Help) {
        self.needs_help = false;
        self.checkpoint_plan = CheckpointPlan::default();
        match help {
            Help::Given => {}
            Help::Failed => {
                self.doubt.log = true;
                self.doubt.database = true;
            }
            Help::None => self.copies_alone = true,
        }
    }
}

/// What became of a call for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    Given,
    Failed,
    None,
}
