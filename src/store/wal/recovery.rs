//! After a sync that failed. The kernel may then have marked pages clean that never reached the disk (fsync(2), NOTES),
//! and the next sync succeeds without them. A commit that trusts it could be cut off by a hole before it in the log.
//!
//! So whenever a sync may have failed, this program's or that of one that ran before it, what the write-ahead log holds
//! is read, its checksums are compared, and it is written again and synced before anything relies on it. If it cannot
//! be read back whole, or if SQLite takes unsynced pages of the database for synced, the database is reopened, so that
//! SQLite recovers from what there is and copies all of it again.

use std::path::Path;

use rusqlite::Connection;

use super::file::{rewrite_log, SyncedFrames};
use super::position::{position, CheckpointProgress};
use crate::store::connection::checkpoint_on_close;
use crate::store::error::{explain, StoreError};

/// What cannot be relied on, because it may not be on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UnsyncedState {
    /// The write-ahead log on the disk may have holes: nothing may be committed or copied.
    pub wal: bool,
    /// Pages may be missing in the database that SQLite takes for synced: nothing may be copied.
    pub database: bool,
    /// The connection is closed. Memory may hold what the disk has lost.
    pub closed: Option<Closed>,
}

/// The state of the log when a connection was closed to be reopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Frames in the log, if it was whole: memory holds the database as of them.
    pub frames: Option<u64>,
    pub synced: SyncedFrames,
}

/// The process that wrote the log may have ended after a sync that failed, and what memory still shows of it need not
/// be on the disk. Makes sure that it is; from now on closing may copy it into the database.
pub(crate) fn recover_wal(db: &Connection, path: &Path) -> Result<(), String> {
    match rewrite_log(db, path, SyncedFrames::default()) {
        Ok(true) => checkpoint_on_close(db, true).map_err(|e| explain(&e)),
        Ok(false) => Err("its write-ahead log is damaged".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether pages that SQLite takes for copied may be missing on the disk, where a sync has failed. It syncs
/// the database when it has copied all of the log, and not before.
pub(crate) fn may_have_lost_pages(db: &Connection) -> Result<bool, StoreError> {
    let CheckpointProgress { frames, copied } = position(db)?;
    Ok(0 < copied && copied < frames)
}
