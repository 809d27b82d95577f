//! The server's connection to SQLite. One function makes it, for the start and for every recovery, so that a later
//! connection lacks nothing that the first one had: flags, settings, the hook that counts the frames of the write-ahead
//! log, SQL functions.
//!
//! Knows nothing of what the tables hold, except whether they are ours.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::OpenFlags;

use super::error::explain;
use super::events::held_event::HeldEvent;
use super::events::scan::BatchScan;
use super::lengths::{LengthCheck, Lengths};
use super::options::Durability;
use super::paths::beside;
use super::schema::identify;
use super::wal::file::{salts, SyncedFrames};
use super::wal::position::position;
use crate::limits;

/// A connection that is ready for use. Dereferences to SQLite's own.
pub(super) struct Connection {
    db: rusqlite::Connection,
    /// Frames in the write-ahead log, as SQLite said at the last commit.
    wal_frames: Arc<AtomicU32>,
    /// SQLite's setting as it is now.
    synchronous: Synchronous,
    /// The function `take_row` of this connection.
    batch_scan: BatchScan,
    held_event: RefCell<HeldEvent>,
    /// How much of the write-ahead log the last commits have brought to the disk.
    synced: Cell<SyncedFrames>,
    /// Declared after `db`, so that they are closed after it.
    witnesses: Option<Witnesses>,
}

/// Descriptors of the database and of its log that stay open as long as the connection. The kernel tells each
/// descriptor of every page that could not be written since it was opened (errseq in the kernel's documentation),
/// whichever process wrote it, so a sync of these that succeeds proves that nothing is missing. They must not be closed
/// before SQLite's own: that would release its locks (fcntl(2)).
struct Witnesses {
    database: File,
    log: File,
    lengths: Lengths,
}

impl Deref for Connection {
    type Target = rusqlite::Connection;

    fn deref(&self) -> &rusqlite::Connection {
        &self.db
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut rusqlite::Connection {
        &mut self.db
    }
}

impl Connection {
    /// Connects to a file that is there, and that is a database of ours or empty. Waits up to `busy_timeout` for
    /// another program's lock. Triggers that others have made run only with `triggers`. Until [`checkpoint_on_close`]
    /// allows it, closing the connection copies nothing. The error is a clause of a sentence.
    pub(super) fn open(
        path: &Path,
        durability: Durability,
        triggers: bool,
        busy_timeout: Duration,
    ) -> Result<Self, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = rusqlite::Connection::open_with_flags(path, flags).map_err(|e| explain(&e))?;
        db.busy_timeout(busy_timeout).map_err(|e| explain(&e))?;
        checkpoint_on_close(&db, false).map_err(|e| explain(&e))?;
        // Nothing is set in a database of another program: the journal's mode is kept in the file.
        identify(&db)?;
        Self::prepare(db, durability, triggers).map_err(|e| explain(&e))
    }

    fn prepare(
        mut db: rusqlite::Connection,
        durability: Durability,
        triggers: bool,
    ) -> rusqlite::Result<Self> {
        db.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED);
        // Nothing that other programs have added to the schema changes what is written here: the start
        // refuses triggers, and those that are made later do not run.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, triggers)?;
        db.pragma_update(None, "foreign_keys", false)?;
        configure(&db, durability)?;
        let wal_frames = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&wal_frames);
        // Replaces SQLite's own checkpoint inside a commit: ours runs when no client waits for an answer.
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, frames| {
            counter.store(frames as u32, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            wal_frames,
            synchronous: durability.into(),
            batch_scan: BatchScan::attach(&db)?,
            held_event: RefCell::default(),
            synced: Cell::default(),
            witnesses: None,
            db,
        })
    }

    /// A connection to a database in memory that has no tables, so that nothing is read from it or
    /// written to it. It takes the place of one that has to be closed first.
    pub(super) fn placeholder() -> rusqlite::Result<Self> {
        Self::prepare(
            rusqlite::Connection::open_in_memory()?,
            Durability::Full,
            false,
        )
    }

    /// Frames in the write-ahead log, as SQLite said at the last commit.
    pub(super) fn wal_frames(&self) -> u32 {
        self.wal_frames.load(Ordering::Relaxed)
    }

    /// All of the write-ahead log has been copied, and the next commit restarts it.
    pub(super) fn clear_wal_frames(&self) {
        self.wal_frames.store(0, Ordering::Relaxed);
        self.clear_synced_frames();
    }

    /// Another process may have copied all of the log, and then the next commit restarts it.
    pub(super) fn clear_synced_frames(&self) {
        self.synced.take();
    }

    /// Opens the descriptors that [`Connection::prove_synced`] needs. The log must be there, as it is after
    /// the first transaction.
    pub(super) fn watch_syncs(&mut self, path: &Path) -> std::io::Result<()> {
        let (database, log) = (File::open(path)?, File::open(beside(path, "-wal"))?);
        self.witnesses = Some(Witnesses {
            lengths: Lengths::of(&self.db, &database)?,
            database,
            log,
        });
        Ok(())
    }

    /// Whether the files are as long as they must be.
    pub(super) fn check_lengths(&mut self) -> std::io::Result<LengthCheck> {
        let frames = self.wal_frames();
        match &mut self.witnesses {
            Some(open) => open
                .lengths
                .check(&self.db, (&open.database, &open.log), frames),
            None => Ok(LengthCheck::Whole),
        }
    }

    /// Syncs what any process has written to the log and to the database. Where that succeeds, nothing has
    /// been lost since the connection was made.
    pub(super) fn prove_synced(&self) -> std::io::Result<()> {
        let witnesses = self.witnesses.as_ref();
        let Witnesses { database, log, .. } = witnesses.ok_or(std::io::ErrorKind::NotFound)?;
        log.sync_data()?;
        database.sync_data()
    }

    /// How much of the log is certainly on the disk.
    pub(super) fn synced_frames(&self) -> SyncedFrames {
        self.synced.get()
    }

    /// Begins a transaction that may write.
    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])
            .map(|_| ())
    }

    /// Ends a transaction that has written nothing.
    pub(super) fn rollback(&self) -> rusqlite::Result<()> {
        self.db.prepare_cached("ROLLBACK")?.execute([]).map(|_| ())
    }

    /// Ends a failed transaction. SQLite may have ended it already; then its error is ignored.
    pub(super) fn roll_back_failed(&self) {
        if !self.db.is_autocommit() {
            if let Err(error) = self.db.execute_batch("ROLLBACK") {
                log::error!("rolling back failed: {error}");
            }
        }
    }

    /// Commits the open transaction.
    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        let before = self.wal_frames();
        self.db.prepare_cached("COMMIT")?.execute([])?;
        let frames = self.wal_frames();
        // A commit that has written nothing has synced nothing either.
        if self.synchronous == Synchronous::Full && frames != before {
            self.log_is_synced(frames);
        }
        Ok(())
    }

    /// Syncs the log, where commits do not: so that not all of it has to be written again after a fault
    /// while a reader holds checkpoints back.
    pub(super) fn sync_log(&self) -> std::io::Result<()> {
        if let Some(Witnesses { log, .. }) = &self.witnesses {
            log.sync_data()?;
            self.log_is_synced(self.wal_frames());
        }
        Ok(())
    }

    fn log_is_synced(&self, frames: u32) {
        let log = self.witnesses.as_ref().map(|witnesses| &witnesses.log);
        let known = self.synced.get().salts;
        self.synced.set(SyncedFrames {
            salts: known.or_else(|| log.and_then(salts)),
            frames: u64::from(frames),
        });
    }

    /// Counts the frames that the log has now, where no commit has said so yet.
    pub(super) fn count_wal_frames(&self) -> rusqlite::Result<()> {
        let frames = u32::try_from(position(&self.db)?.frames).unwrap_or(u32::MAX);
        self.wal_frames.store(frames, Ordering::Relaxed);
        Ok(())
    }

    /// Reads rows of `events` in batches.
    /// The event that a walk looks at in several slices.
    pub(super) fn held_event(&self) -> &RefCell<HeldEvent> {
        &self.held_event
    }

    pub(super) fn batch_scan(&self) -> &BatchScan {
        &self.batch_scan
    }

    /// Whether the next commits wait for the disk. SQLite takes a change only between transactions.
    pub(super) fn set_synchronous(&mut self, wanted: Synchronous) -> rusqlite::Result<()> {
        if self.synchronous != wanted {
            wanted.apply(&self.db)?;
            self.synchronous = wanted;
        }
        Ok(())
    }

    /// Closes it, and returns the error, which dropping it does not.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.db.close().map_err(|(_, error)| error)
    }
}

fn configure(db: &rusqlite::Connection, durability: Durability) -> rusqlite::Result<()> {
    let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    if pages == 0 {
        // Only a file that is still empty can get the map of its pages without which none can be given
        // back. The journal's mode makes the first page.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    Synchronous::from(durability).apply(db)?;
    db.pragma_update(None, "cache_size", -(limits::PAGE_CACHE_KIB as i64))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    set_wal_limit(db, limits::WAL_KEPT_BYTES as u64)
}

/// Has SQLite truncate the WAL to this many bytes when it restarts it.
pub(super) fn set_wal_limit(db: &rusqlite::Connection, bytes: u64) -> rusqlite::Result<()> {
    db.pragma_update_and_check(None, "journal_size_limit", bytes as i64, |_| Ok(()))
}

/// Whether closing the last connection copies the log into the database and removes it.
pub(super) fn checkpoint_on_close(
    db: &rusqlite::Connection,
    is_wanted: bool,
) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted)
        .map(|_| ())
}

/// SQLite's `synchronous`, as far as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synchronous {
    Full,
    Normal,
}

impl Synchronous {
    /// Makes it the connection's setting. SQLite does this when it prepares the statement and not when
    /// it runs it (PRAGMA statements in its documentation), so a kept statement would do nothing.
    fn apply(self, db: &rusqlite::Connection) -> rusqlite::Result<()> {
        let level = match self {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        db.pragma_update(None, "synchronous", level)
    }
}

impl From<Durability> for Synchronous {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Full => Synchronous::Full,
            Durability::Normal => Synchronous::Normal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept statements did this once and never again, so every batch of duplicates waited for the disk.
    #[test]
    fn the_durability_of_commits_changes_each_time() {
        let mut db = Connection::placeholder().unwrap();
        for _ in 0..3 {
            for (setting, number) in [(Synchronous::Normal, 1), (Synchronous::Full, 2)] {
                db.set_synchronous(setting).unwrap();
                let level: i64 = db
                    .query_row("PRAGMA synchronous", [], |row| row.get(0))
                    .unwrap();
                assert_eq!(level, number);
            }
        }
    }
}
