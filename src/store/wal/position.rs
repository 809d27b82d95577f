//! How much of the write-ahead log SQLite takes for copied.

/// SQLite's position in the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointProgress {
    /// Frames up to the last commit.
    pub frames: u64,
    /// Those of them that it takes for copied.
    pub copied: u64,
}

impl CheckpointProgress {
    /// Frames that have still to be copied.
    pub fn left(&self) -> u64 {
        self.frames.saturating_sub(self.copied)
    }
}

/// Asks SQLite for its position; copies nothing.
pub(crate) fn position(db: &rusqlite::Connection) -> rusqlite::Result<CheckpointProgress> {
    db.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
        Ok(CheckpointProgress {
            frames: row.get::<_, i64>(1)?.max(0) as u64,
            copied: row.get::<_, i64>(2)?.max(0) as u64,
        })
    })
}

/// A number that changes when another connection commits.
pub(crate) fn data_version(db: &rusqlite::Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA data_version", [], |row| row.get(0))
}
