//! The database: the only user of SQLite. Owns the file, its lock, the interned topics and the
//! lifetime counters, and changes what it holds in memory only after the transaction that holds the
//! same change has been committed.
//!
//! Nothing in here waits for another process: a locked database is reported at once, and the caller
//! decides when to try again.

mod append;
mod backlog;
mod connection;
mod definitions;
mod feed;
mod file_kind;
mod files;
mod head;
mod identity;
mod index;
mod load;
mod lock;
mod maintain;
mod offline;
mod open;
mod page;
mod page_checksum;
mod read;
mod repair;
mod retain;
mod schema;
mod settle;
mod slice;
mod subscriptions;
mod temporary;
mod topics;
mod wal_file;
mod work;
mod write;

use std::path::PathBuf;
use std::rc::Rc;

pub use backlog::{Backlog, Help};
use connection::Connection;
pub use connection::LogCopied;
pub use feed::FeedQuery;
pub use identity::{Identity, Origin};
use index::fingerprint::Fingerprinter;
use index::pages::is_damaged_page;
pub(crate) use index::DamagedPage;
pub use index::IndexMemory;
pub use offline::backup::{backup, restore, Copied, CopyOptions};
pub use offline::check::{check, CheckOptions, Progress, Report};
pub use offline::convert::{convert, Converted};
pub use open::{Dedup, Durability, OpenError, OpenOptions};
pub use page::{Page, PageQuery, PageSearch};
pub use read::{Bound, StoredEvent};
pub use retain::{Limit, Retention};
pub use schema::create_tables;
pub use subscriptions::{Change, Changed, Position};
pub use topics::{Topic, TopicId, Topics};

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored under this seq.
    Accepted(u64),
    /// Its key was stored before, under this seq, with the same content.
    Duplicate(u64),
    /// Its key was stored before, under this seq, with other content. Counts as a duplicate.
    Conflict(u64),
}

/// Counts over the life of the database. `received = unique_processed + duplicate_dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub unique_processed: u64,
    pub duplicate_dropped: u64,
    /// Those of `duplicate_dropped` whose content differed.
    pub conflicts: u64,
}

impl Counters {
    /// Events that were answered.
    pub fn received(&self) -> u64 {
        self.unique_processed + self.duplicate_dropped
    }
}

/// The store could not do what was asked; nothing was changed, unless it says so.
#[derive(Debug)]
pub enum StoreError {
    /// Another program holds the lock; trying again soon may succeed.
    Locked,
    /// A page of the key index that has to be read is damaged. It is made again, where that is possible.
    Repairing,
    /// SQLite's own words: disk full, I/O error, damaged file.
    Failed(String),
    /// A name leads to another file than the one that is open. What a commit brought may be in that one.
    Replaced(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Locked => f.write_str("the database is locked by another program"),
            StoreError::Repairing => {
                f.write_str("a page of the key index is damaged, and is made again")
            }
            StoreError::Failed(why) | StoreError::Replaced(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                StoreError::Locked
            }
            _ if is_damaged_page(&error) => StoreError::Repairing,
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

/// What the file says cannot be; `what` is for the person who reads the log.
fn damaged(what: impl Into<String>) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(what.into()))
}

/// Makes sure that a statement has changed as many rows as it must. Where it has not, another program has
/// changed the tables or what is on them, and the transaction must fail.
fn expect_changed(changed: usize, expected: usize, table: &str) -> rusqlite::Result<()> {
    if changed == expected {
        return Ok(());
    }
    Err(damaged(format!(
        "{changed} rows of {table} were written, not {expected}: another program has changed the database"
    )))
}

/// The key index names an event that the table does not have.
fn no_event(seq: u64) -> rusqlite::Error {
    damaged(format!(
        "the index has an event with seq {seq}, but the table has none"
    ))
}

/// A count or a seq from a column of SQLite's signed integers.
fn unsigned(row: &rusqlite::Row, column: usize) -> rusqlite::Result<u64> {
    let value = row.get::<_, i64>(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The open database. All that is read from the file is made together by [`Store::load`], at the start and
/// after a fault, and replaces what was there before as a whole.
pub struct Store {
    db: Connection,
    /// Which history of events it is.
    identity: Identity,
    /// What it was opened with.
    options: OpenOptions,
    /// The file itself, without links on the way.
    path: PathBuf,
    /// Held for the life of the store: a second server on the same file fails to take it. Stands after
    /// the connection, because it must be dropped after it.
    lock: Rc<lock::Lock>,
    /// What SQLite has open, to be compared with what its names lead to.
    files: files::OpenedFiles,
    /// What the lock file is to say of them.
    head: Option<head::Head>,
    topics: Topics,
    counters: Counters,
    /// The greatest seq in use; 0 in an empty database.
    last_seq: u64,
    /// The named subscriptions, as the table has them.
    positions: subscriptions::Positions,
    /// What retention has let go.
    horizons: retain::Horizons,
    retainer: retain::Retainer,
    /// Makes the fingerprints of this database.
    fingerprinter: Fingerprinter,
    /// Every event up to this seq is counted in the table `topics`.
    topics_mark: u64,
    checkpoint_plan: maintain::CheckpointPlan,
    /// The log is to be copied by another process.
    needs_help: bool,
    /// What became of the last call for that, until it has been looked what is left.
    last_help: Option<Help>,
    sweep: Option<maintain::TopicSweep>,
    /// The topic of each event of the batch in hand; kept for its memory.
    batch_topics: Vec<TopicId>,
    /// The duplicate check `index`; none where SQLite's constraint decides.
    keys: Option<index::KeyIndex>,
    /// What has to be made sure of before anything is committed or copied.
    doubt: settle::Doubt,
    /// What has been read since it was last asked.
    work: work::Work,
}

impl Store {
    /// Counts over the life of the database.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// By which clients tell this history of events from others.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The greatest seq in use; 0 in an empty database.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The seq of the oldest event that has not been removed; the one behind `last_seq` where there is
    /// none. What lies in front of it is gone for good.
    pub fn first_seq(&self) -> u64 {
        self.horizons.events + 1
    }

    /// How many events retention has removed, over the life of the database.
    pub fn events_removed(&self) -> u64 {
        self.horizons.removed
    }

    /// The topics that have had events.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// How much has been read since the last call, in units ([`crate::limits::READ_UNITS_PER_SLICE`]).
    pub fn take_work(&self) -> u64 {
        self.work.take()
    }

    /// What the key index takes of memory; none where SQLite's constraint tells duplicates.
    pub fn index_memory(&self) -> Option<IndexMemory> {
        self.keys.as_ref().map(index::KeyIndex::memory)
    }

    /// Gives the generations of the key index so few slots, a power of two, until the database is opened
    /// anew: for tests that want many segments of few events. Nothing where there is no key index.
    pub fn set_generation_slots(&mut self, slots: usize) {
        if let Some(keys) = &mut self.keys {
            keys.set_generation_slots(slots);
        }
    }

    /// Bytes of the database file and of its write-ahead log.
    pub fn file_sizes(&self) -> (u64, u64) {
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |m| m.len());
        (size(&self.path), size(&open::beside(&self.path, "-wal")))
    }

    /// Bytes that this process may still write to the disk of the database; none where the system does not
    /// say.
    pub fn disk_available_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
