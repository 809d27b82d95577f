//! Reading what memory holds of a database: at the start, and after a fault.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connection::Connection;
use super::files::{Files, OpenedFiles};
use super::identity::{self, Identity};
use super::lock::Lock;
use super::options::OpenOptions;
use super::parts::Parts;
use super::parts_load::PartsLoad;
use super::state::Store;
use super::wal::Wal;
use super::work::{LoadBudget, Work};

/// What memory holds of a database, complete.
pub(super) struct Loaded {
    pub identity: Identity,
    pub parts: Parts,
}

impl Loaded {
    /// Reads a database whose tables are there and whose log is on the disk.
    fn read(db: &mut Connection, options: &OpenOptions, path: &Path) -> rusqlite::Result<Self> {
        let mut load = PartsLoad::begin(db, options)?;
        load.step(db, options, &mut LoadBudget::unlimited())?;
        Self::finish(load, db, options, path)
    }

    /// What has been read replaces what memory holds of the database.
    pub(super) fn finish(
        load: PartsLoad,
        db: &mut Connection,
        options: &OpenOptions,
        path: &Path,
    ) -> rusqlite::Result<Self> {
        let loaded = Self {
            identity: identity::read(db)?,
            parts: load.finish(db, options)?,
        };
        db.count_wal_frames()?;
        let watched = db.watch_syncs(path);
        watched.map_err(|error| cannot_open(error.to_string()))?;
        // After this nothing waits for another program: the caller decides when to try again.
        db.busy_timeout(Duration::ZERO)?;
        Ok(loaded)
    }
}

impl Store {
    /// Makes the store of a connection whose tables are there and whose log is on the disk.
    pub(super) fn load(
        // First, so that it is dropped last.
        lock: Lock,
        mut db: Connection,
        options: OpenOptions,
        path: PathBuf,
    ) -> rusqlite::Result<Store> {
        let opened = OpenedFiles::take_down(&options.path, &path, &lock).map_err(cannot_open)?;
        let Loaded { identity, parts } = Loaded::read(&mut db, &options, &path)?;
        Ok(Store {
            db,
            parts,
            wal: Wal::new(),
            identity,
            options,
            work: Work::default(),
            hold_warning_at: 0,
            reload: None,
            files: Files::new(path, opened, lock),
        })
    }
}

/// The files are not what they must be to be opened.
fn cannot_open(why: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(why))
}
