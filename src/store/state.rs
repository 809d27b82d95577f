//! The open database as a value, and what is known of it without reading.

use std::path::PathBuf;
use std::rc::Rc;

use super::connection::Connection;
use super::counters::Counters;
use super::files::OpenedFiles;
use super::head::Head;
use super::identity::Identity;
use super::index::fingerprint::Fingerprinter;
use super::index::{IndexMemory, KeyIndex};
use super::lock::Lock;
use super::maintenance::{CheckpointPlan, TopicSweep};
use super::options::OpenOptions;
use super::paths::beside;
use super::retention::horizons::Horizons;
use super::retention::Retainer;
use super::subscriptions::Positions;
use super::topics::topic::TopicId;
use super::topics::Topics;
use super::wal::copier::Help;
use super::wal::recovery::Doubt;
use super::work::Work;

/// The open database. All that is read from the file is made together by [`Store::load`], at the start and
/// after a fault, and replaces what was there before as a whole.
pub struct Store {
    pub(super) db: Connection,
    /// Which history of events it is.
    pub(super) identity: Identity,
    /// What it was opened with.
    pub(super) options: OpenOptions,
    /// The file itself, without links on the way.
    pub(super) path: PathBuf,
    /// Held for the life of the store: a second server on the same file fails to take it. Stands after
    /// the connection, because it must be dropped after it.
    pub(super) lock: Rc<Lock>,
    /// What SQLite has open, to be compared with what its names lead to.
    pub(super) files: OpenedFiles,
    /// What the lock file is to say of them.
    pub(super) head: Option<Head>,
    pub(super) topics: Topics,
    pub(super) counters: Counters,
    /// The greatest seq in use; 0 in an empty database.
    pub(super) last_seq: u64,
    /// The named subscriptions, as the table has them.
    pub(super) positions: Positions,
    /// What retention has let go.
    pub(super) horizons: Horizons,
    pub(super) retainer: Retainer,
    /// Makes the fingerprints of this database.
    pub(super) fingerprinter: Fingerprinter,
    /// Every event up to this seq is counted in the table `topics`.
    pub(super) topics_mark: u64,
    pub(super) checkpoint_plan: CheckpointPlan,
    /// The log is to be copied by another process.
    pub(super) needs_help: bool,
    /// What became of the last call for that, until it has been looked what is left.
    pub(super) last_help: Option<Help>,
    pub(super) sweep: Option<TopicSweep>,
    /// The topic of each event of the batch in hand; kept for its memory.
    pub(super) batch_topics: Vec<TopicId>,
    /// The duplicate check `index`; none where SQLite's constraint decides.
    pub(super) keys: Option<KeyIndex>,
    /// What has to be made sure of before anything is committed or copied.
    pub(super) doubt: Doubt,
    /// What has been read since it was last asked.
    pub(super) work: Work,
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
        self.keys.as_ref().map(KeyIndex::memory)
    }

    /// Gives the memtables of the key index so few slots, a power of two, until the database is opened
    /// anew: for tests that want many segments of few events. Nothing where there is no key index.
    pub fn set_memtable_slots(&mut self, slots: usize) {
        if let Some(keys) = &mut self.keys {
            keys.set_memtable_slots(slots);
        }
    }

    /// Bytes of the database file and of its write-ahead log.
    pub fn file_sizes(&self) -> (u64, u64) {
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |m| m.len());
        (size(&self.path), size(&beside(&self.path, "-wal")))
    }

    /// Bytes that this process may still write to the disk of the database; none where the system does not
    /// say.
    pub fn disk_available_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
