//! The open database as a value, and what is known of it without reading.

use std::path::Path;

use super::connection::{Connection, Synchronous};
use super::counters::Counters;
use super::error::StoreError;
use super::files::{Files, OpenedFiles};
use super::identity::Identity;
use super::index::{IndexMemory, KeyIndex};
use super::options::OpenOptions;
use super::parts::Parts;
use super::parts_load::PartsLoad;
use super::subscription_row::Position;
use super::topics::Topics;
use super::transaction::{self, Transaction};
use super::wal::Wal;
use super::work::Work;

/// A database that has been opened again and is being read.
pub(super) struct Reload {
    pub(super) db: Connection,
    pub(super) opened: OpenedFiles,
    pub(super) load: PartsLoad,
}

/// The open database.
pub struct Store {
    pub(super) db: Connection,
    /// What memory holds of the tables. Changes in transactions only.
    pub(super) parts: Parts,
    pub(super) wal: Wal,
    /// Which history of events it is.
    pub(super) identity: Identity,
    /// What it was opened with.
    pub(super) options: OpenOptions,
    /// What has been read since it was last asked.
    pub(super) work: Work,
    /// The earliest time of the next warning of a subscription that holds events, in `mono_ms`.
    pub(super) hold_warning_at: u64,
    /// The database that is being read again, while there is no connection.
    pub(super) reload: Option<Box<Reload>>,
    /// Last, because the lock must be dropped after the connections.
    pub(super) files: Files,
}

impl Store {
    /// Counts over the life of the database.
    pub fn counters(&self) -> Counters {
        self.parts.counters.counters()
    }

    /// By which clients tell this history of events from others.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The greatest seq in use; 0 in an empty database.
    pub fn last_seq(&self) -> u64 {
        self.parts.counters.last_seq()
    }

    /// The seq of the oldest event that has not been removed; the one after `last_seq` where there is none. What was
    /// before it is gone for good.
    pub fn first_seq(&self) -> u64 {
        self.parts.retention.horizons().events + 1
    }

    /// The events up to this seq have been removed.
    pub(super) fn horizon(&self) -> u64 {
        self.parts.retention.horizons().events
    }

    /// How many events retention has removed, over the life of the database.
    pub fn events_removed(&self) -> u64 {
        self.parts.retention.horizons().removed
    }

    /// The topics that have had events.
    pub fn topics(&self) -> &Topics {
        &self.parts.topics
    }

    /// How much has been read since the last call, in units ([`crate::limits::READ_UNITS_PER_SLICE`]).
    pub fn take_work(&self) -> u64 {
        self.work.take()
    }

    /// What the key index takes of memory; `None` if SQLite's constraint finds duplicates.
    pub fn index_memory(&self) -> Option<IndexMemory> {
        self.parts.index.as_ref().map(KeyIndex::memory)
    }

    /// Gives the memtables of the key index this number of slots, a power of two, until the database is opened
    /// again: for tests that want many segments of few events. Does nothing if there is no key index.
    pub fn set_memtable_slots(&mut self, slots: usize) {
        if let Some(keys) = &mut self.parts.index {
            keys.set_memtable_slots(slots);
        }
    }

    /// The database, without links on the way.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// Bytes of the database file and of its write-ahead log.
    pub fn file_sizes(&self) -> (u64, u64) {
        self.files.sizes()
    }

    /// Bytes that this process may still write to the disk of the database; none if the system does not
    /// say.
    pub fn disk_available_bytes(&self) -> Option<u64> {
        self.files.disk_available_bytes()
    }

    /// The named subscriptions that have a position, in the order of their names' bytes.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&str, Position)> {
        self.parts.subscriptions.all()
    }

    /// How many there are of them.
    pub fn subscription_count(&self) -> usize {
        self.parts.subscriptions.len()
    }

    /// The names of the subscriptions whose rows are damaged, in the order of their bytes.
    pub fn damaged_subscriptions(&self) -> impl Iterator<Item = &str> {
        self.parts.subscriptions.damaged()
    }

    /// Whether the row of a subscription is damaged, so that it has no position.
    pub fn is_subscription_damaged(&self, name: &str) -> bool {
        self.parts.subscriptions.is_damaged(name)
    }

    /// The position of a subscription, if there is one of this name.
    pub fn subscription(&self, name: &str) -> Option<Position> {
        self.parts.subscriptions.get(name)
    }

    /// The number of stored events that a subscription at `after` has still to get.
    pub fn lag(&self, after: u64) -> u64 {
        self.last_seq()
            .saturating_sub(after.max(self.first_seq() - 1))
    }

    /// Whether retention ever removes events or keys.
    pub fn retains(&self) -> bool {
        self.parts.retention.retains()
    }

    /// When something becomes too old, in microseconds since the epoch; none if age does not count.
    pub fn retention_due(&self) -> Option<i64> {
        let of_events = self.parts.retention.due(self.last_seq());
        let of_rejected = self.parts.rejected.due();
        of_events.into_iter().chain(of_rejected).min()
    }

    /// Lets a transaction remove as many events with the check `constraint` as with `index`, until the
    /// database is opened again: for tests that compare the two.
    pub fn remove_at_one_pace(&mut self) {
        self.parts.retention.remove_at_one_pace();
    }

    /// Runs `body` in a transaction whose commit is as durable as the configuration says. All parts are told how it
    /// ended.
    pub(super) fn transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Transaction, &mut Parts) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run(self.options.durability.into(), body)
    }

    /// The same for what has not been promised, so that it need not wait for the disk.
    pub(super) fn lazy_transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Transaction, &mut Parts) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run(Synchronous::Normal, body)
    }

    fn run<T>(
        &mut self,
        wait: Synchronous,
        body: impl FnOnce(&mut Transaction, &mut Parts) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        transaction::run(&mut self.db, &mut self.parts, wait, body).map_err(|error| {
            self.note_io_error(&error, false);
            error.into()
        })
    }
}
