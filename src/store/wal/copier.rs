//! A write-ahead log that has grown long because of another program's snapshot. SQLite copies it in one go,
//! and with gigabytes of it that takes many seconds; so another process does it, beside the server, and
//! the server goes on.

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::OPEN_BUSY_MS;
use crate::store::connection::Connection;
use crate::store::error::{explain, OpenError};
use crate::store::lock::file_at;
use crate::store::options::Durability;
use crate::store::wal::position::{position, CheckpointProgress};

/// The log of a database that a server has open.
pub struct WalCopier {
    db: Connection,
    /// The database, for syncs. SQLite's connection ends first: closing any descriptor of a file releases all locks
    /// that the process has on it (fcntl(2)).
    file: File,
    path: PathBuf,
}

impl WalCopier {
    /// Opens the log of a database, which must exist.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_file() {
            return Err(fail(path, "it is not a file"));
        }
        file_at(path).map_err(|error| fail(path, error))?;
        let busy_timeout = Duration::from_millis(OPEN_BUSY_MS);
        let file = File::open(path).map_err(|error| fail(path, error))?;
        Ok(Self {
            db: Connection::open(path, Durability::Full, false, busy_timeout)
                .map_err(|error| fail(path, error))?,
            file,
            path: path.to_owned(),
        })
    }

    /// Copies what it may, in one pass. This does not shorten the WAL; the next writer restarts it if all of it has
    /// been copied.
    pub fn copy(&self) -> Result<(), OpenError> {
        let pragma = "PRAGMA wal_checkpoint(PASSIVE)";
        let done = self.db.query_row(pragma, [], |_| Ok(()));
        done.map_err(|error| fail(&self.path, explain(&error)))
    }

    /// How far it has been copied.
    pub fn copied(&self) -> Result<CheckpointProgress, OpenError> {
        position(&self.db).map_err(|error| fail(&self.path, explain(&error)))
    }

    /// Syncs what any process has copied so far.
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

/// What became of a request to copy the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyResult {
    Copied,
    Failed,
    /// No process could be started for it.
    Unavailable,
}
