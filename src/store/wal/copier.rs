//! A write-ahead log that has grown long behind another program's snapshot. SQLite copies it in one go,
//! and with gigabytes of it that takes many seconds; so another process does it, beside the server, and
//! the server goes on.

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::{CHECKPOINT_LAST_FRAMES, CHECKPOINT_MAX_FRAMES, OPEN_BUSY_MS};
use crate::store::connection::Connection;
use crate::store::error::{explain, OpenError};
use crate::store::maintenance::CheckpointPlan;
use crate::store::offline::snapshot::file_at;
use crate::store::options::Durability;
use crate::store::state::Store;
use crate::store::wal::position::{position, LogCopied};
use crate::store::wal::recovery::Doubt;

/// The log of a database that a server has open.
pub struct Backlog {
    db: Connection,
    /// The database, for syncs. SQLite's connection ends first: closing any descriptor of a file lets go of
    /// all locks that the process has on it (fcntl(2)).
    file: File,
    path: PathBuf,
}

impl Backlog {
    /// Opens the log of a database, which must be there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_file() {
            return Err(fail(path, "it is not a file"));
        }
        file_at(path).map_err(|error| fail(path, error))?;
        let patience = Duration::from_millis(OPEN_BUSY_MS);
        let file = File::open(path).map_err(|error| fail(path, error))?;
        Ok(Self {
            db: Connection::open(path, Durability::Full, false, patience)
                .map_err(|error| fail(path, error))?,
            file,
            path: path.to_owned(),
        })
    }

    /// Copies what it may, in one go. The log is not shortened by it; whoever writes next begins it anew
    /// where all of it has been copied.
    pub fn copy(&self) -> Result<(), OpenError> {
        let pragma = "PRAGMA wal_checkpoint(PASSIVE)";
        let done = self.db.query_row(pragma, [], |_| Ok(()));
        done.map_err(|error| fail(&self.path, explain(&error)))
    }

    /// How far it has been copied.
    pub fn copied(&self) -> Result<LogCopied, OpenError> {
        position(&self.db).map_err(|error| fail(&self.path, explain(&error)))
    }

    /// Brings what anyone has copied so far to the disk.
    pub fn sync(&self) -> Result<(), OpenError> {
        let synced = self.file.sync_data();
        synced.map_err(|error| fail(&self.path, error))
    }
}

fn fail(path: &Path, why: impl Display) -> OpenError {
    let shown = path.display();
    OpenError(format!(
        "cannot copy the log of the database {shown}: {why}"
    ))
}

impl Store {
    /// Whether so much of the log is still to be copied that another process should copy it ([`Backlog`]).
    /// Until [`Store::helped`], nothing is copied here.
    pub fn wants_help(&self) -> bool {
        self.needs_help
    }

    /// The file whose log it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Decides who copies the log next.
    pub(crate) fn wants_to_be_helped(&mut self) -> rusqlite::Result<bool> {
        let copied_here = match self.last_help.take() {
            None | Some(Help::Failed) => CHECKPOINT_MAX_FRAMES,
            Some(Help::Given) => CHECKPOINT_LAST_FRAMES,
            Some(Help::None) => u64::MAX,
        };
        let is_long = position(&self.db)?.left() > copied_here;
        self.needs_help = is_long && self.doubt == Doubt::default();
        Ok(self.needs_help)
    }

    /// What was asked for has been tried. Where a process has failed, and may have been killed before it could
    /// say why, nothing more is copied before it is certain that the disk has what it wrote; where there was
    /// nobody to do it, it is done here, however long that takes.
    pub fn helped(&mut self, help: Help) {
        self.needs_help = false;
        self.checkpoint_plan = CheckpointPlan::default();
        self.last_help = Some(help);
        self.db.forget_synced_frames();
        if help == Help::Failed {
            if let Err(error) = self.db.prove_synced() {
                log::warn!("what was copied of the write-ahead log is in doubt: {error}");
                self.doubt.log = true;
                self.doubt.database = true;
            }
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
