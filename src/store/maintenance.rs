//! Maintenance: the counts of topics, the segments of the key index, retention, checkpoints.
//!
//! While events come, everything but checkpoints is done in their commits, in proportion, so that it costs no extra
//! fsync and keeps pace; quiet turns do the rest. A checkpoint always waits until the answers of its turn are out.

use std::time::Duration;

use super::connection::set_wal_limit;
use super::error::StoreError;
use super::head::last_seq;
use super::index::KeyIndex;
use super::options::Durability;
use super::retention::{Pruner, QuietStep};
use super::schema::SCHEMA_VERSION;
use super::state::Store;
use super::wal::copier::CopyResult;
use super::wal::position::position;
use crate::limits;

/// Maintenance that failed.
#[derive(Debug)]
pub struct IdleError {
    /// What it was, for the log.
    pub task: &'static str,
    pub error: StoreError,
}

fn in_task(task: &'static str) -> impl FnOnce(StoreError) -> IdleError {
    move |error| IdleError { task, error }
}

impl Store {
    /// One slice, of a few milliseconds, of what waits. With `quiet`, when the turn has committed nothing, that is all
    /// of it; otherwise only what cannot be done in a commit. Returns whether there is more for a quiet turn.
    pub fn idle_work(&mut self, quiet: bool) -> Result<bool, IdleError> {
        let frames = self.db.wal_frames();
        if self.wal.is_checkpoint_due(frames, quiet) {
            return self
                .checkpoint()
                .map(|()| true)
                .map_err(in_task("the checkpoint"));
        }
        // Also under load: what needs a damaged page waits for it.
        if self.needs_repair() {
            return self
                .repair_index()
                .map(|()| true)
                .map_err(in_task("the repair of damaged pages"));
        }
        if self.index_has(KeyIndex::needs_checksums_now) {
            return self
                .seal_index()
                .map(|()| true)
                .map_err(in_task("adding checksums to the key index"));
        }
        // Also under load: until then each look-up reads pages.
        if self.index_has(KeyIndex::has_unread_filters) {
            return self
                .read_filters()
                .map(|()| true)
                .map_err(in_task("reading the filters of the key index"));
        }
        let has_compaction = self.index_has(KeyIndex::has_work);
        if !quiet {
            let is_sweeping = self.parts.topics.is_sweeping();
            return Ok(has_compaction || is_sweeping || self.wal.is_truncating());
        }
        if has_compaction {
            return self
                .compact_index()
                .map(|()| true)
                .map_err(in_task("the compaction of the key index"));
        }
        if self.index_has(KeyIndex::needs_checksums) {
            return self
                .seal_index()
                .map(|()| true)
                .map_err(in_task("adding checksums to the key index"));
        }
        if self
            .check_removed_keys()
            .map_err(in_task("the check of the keys of removed events"))?
        {
            return Ok(true);
        }
        self.write_topic_counts()
            .map_err(in_task("the counts of topics"))
    }

    fn write_topic_counts(&mut self) -> Result<bool, StoreError> {
        self.require_synced_wal()?;
        let last_seq = self.last_seq();
        if !self.parts.topics.begin_sweep_if_due(last_seq) {
            return Ok(false);
        }
        self.transaction(|db, parts| parts.topics.write_due(db, limits::TOPICS_WRITTEN_AT_ONCE))?;
        Ok(self.parts.topics.is_sweeping())
    }

    fn index_has(&self, question: impl FnOnce(&KeyIndex) -> bool) -> bool {
        self.parts.index.as_ref().is_some_and(question)
    }

    fn read_filters(&mut self) -> Result<(), StoreError> {
        if let Some(index) = &mut self.parts.index {
            index.read_filters(&self.db, limits::FILTER_PAGES_READ_AT_ONCE)?;
        }
        Ok(())
    }

    fn compact_index(&mut self) -> Result<(), StoreError> {
        self.require_synced_wal()?;
        let result = self.transaction(|db, parts| match &mut parts.index {
            Some(index) => index.compact(db, limits::SEGMENT_RECORDS_PER_SLICE),
            None => Ok(()),
        });
        match result {
            // The next slice begins to rebuild it.
            Err(StoreError::Repairing) => Ok(()),
            result => result,
        }
    }

    /// One slice, of a few milliseconds, of what retention has to do in a quiet turn. Returns whether there
    /// may be more.
    pub fn retain(&mut self, unix_us: i64) -> Result<bool, StoreError> {
        if self.parts.rejected.due().is_some_and(|due| unix_us >= due) {
            self.require_synced_wal()?;
            self.lazy_transaction(|db, parts| {
                parts.rejected.prune(db, unix_us)?;
                parts.rejected.write(db)
            })?;
            return Ok(true);
        }
        if !self.retains() {
            return Ok(false);
        }
        self.require_synced_wal()?;
        let standing = self.parts.standing(unix_us);
        let (retention, index) = (&mut self.parts.retention, self.parts.index.as_ref());
        match retention.next_step(&self.db, index, standing)? {
            QuietStep::Nothing => return Ok(false),
            QuietStep::Checkpoint => self.wal.checkpoint_soon(),
            QuietStep::Shrink => self.lazy_transaction(|db, _| Pruner::shrink(db))?,
            QuietStep::Remove => self.lazy_transaction(|db, parts| {
                let (topics, index) = (&mut parts.topics, &mut parts.index);
                let retention = &mut parts.retention;
                retention.prune(db, topics, index, standing)?;
                topics.write_removed(db)?;
                retention.write(db)
            })?,
        }
        Ok(true)
    }

    /// The next time, in `mono_ms`, to warn of a subscription that holds more events than retention is to keep; none
    /// where none does.
    pub fn hold_warning_due_ms(&self) -> Option<u64> {
        self.parts
            .retention
            .is_held()
            .then_some(self.hold_warning_at)
    }

    /// Warns of a subscription that holds more events than retention is to keep, once a minute.
    pub fn warn_of_hold(&mut self, mono_ms: u64) {
        if self.hold_warning_due_ms().is_none_or(|due| mono_ms < due) {
            return;
        }
        self.hold_warning_at = mono_ms + limits::HOLD_WARNING_INTERVAL_MS;
        let subscriptions = &self.parts.subscriptions;
        let held = subscriptions
            .held_after()
            .and_then(|after| Some((after, subscriptions.holder(after)?)));
        if let (Some((after, name)), Some(limit)) = (held, self.parts.retention.events_limit()) {
            log::warn!(
                "the subscription {name:?} holds the events after seq {after}: --retain-events {limit} is exceeded, \
                 and the database grows until its consumer moves on"
            );
        }
    }

    /// Copies what it may of the write-ahead log into the database. A reader in another process can
    /// hold some of it back, and another process can be copying it; then the next try waits until the log
    /// has grown on.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        // Copying would lengthen a database that has been truncated.
        self.check_lengths()?;
        if self.options.durability == Durability::Normal && self.wal.is_certain() {
            if let Err(error) = self.db.sync_log() {
                self.wal.sync_failed();
                return Err(StoreError::Failed(format!("the write-ahead log: {error}")));
            }
        }
        if self.wal.decide_offload(position(&self.db)?.left()) {
            return Ok(());
        }
        self.require_synced_database()?;
        let done = self
            .db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                let is_refused = row.get::<_, bool>(0)?;
                Ok(!is_refused && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
            });
        let is_all_copied = done.inspect_err(|error| self.note_io_error(error, true))?;
        self.check_lengths()?;
        if is_all_copied {
            self.db.clear_wal_frames();
            self.wal.checkpointed();
            self.files.record_head(&self.db);
            self.truncate_wal()?;
        }
        Ok(())
    }

    /// Shortens a log that has grown beyond what is kept, and of which all has been copied, by a piece: to free
    /// gigabytes at once takes a file system a second. SQLite does it when a commit restarts the log, so an empty
    /// commit is made; as long as that helps, the next checkpoint or quiet turn goes on.
    fn truncate_wal(&mut self) -> Result<(), StoreError> {
        let (_, size) = self.file_sizes();
        let kept = limits::WAL_KEPT_BYTES as u64;
        if size <= kept {
            return Ok(());
        }
        let limit = kept.max(size.saturating_sub(limits::WAL_TRUNCATE_STEP_BYTES));
        set_wal_limit(&self.db, limit)?;
        self.commit_nothing()?;
        let (_, left) = self.file_sizes();
        self.wal.set_truncating(kept < left && left < size);
        Ok(())
    }

    /// Commits an empty change. A row that is set to its own value would not be written; the header's page is.
    fn commit_nothing(&mut self) -> Result<(), StoreError> {
        self.transaction(|db, _| db.pragma_update(None, "user_version", SCHEMA_VERSION))
    }

    /// Whether so much of the log is still to be copied that another process should copy it
    /// ([`super::WalCopier`]). Until [`Store::offloaded`], nothing is copied here.
    pub fn needs_offload(&self) -> bool {
        self.wal.needs_offload()
    }

    /// Another process has copied the log, or tried to. If it has failed, perhaps killed before it could report why,
    /// nothing more is copied until what it wrote is certainly on the disk; if no process could be started, the copy is
    /// made here, however long that takes.
    pub fn offloaded(&mut self, result: CopyResult) {
        self.wal.offloaded(result);
        self.db.clear_synced_frames();
        if result == CopyResult::Failed {
            if let Err(error) = self.db.prove_synced() {
                log::warn!("what was copied of the write-ahead log may be lost: {error}");
                self.wal.checkpoint_failed();
            }
        }
    }

    /// Probes whether the store can commit. Opens the database again where a fault has closed it; nothing else does, so
    /// that this is not tried with each publication.
    pub fn probe(&mut self, now_us: i64) -> Result<(), StoreError> {
        self.require_files(now_us)?;
        self.reopen_if_closed()?;
        self.require_synced_wal()?;
        self.commit_nothing()?;
        self.check_files(now_us)
    }

    /// Copies the write-ahead log and empties it, also where other programs have the database open: closing the last
    /// connection does that, and only the last. This is done for any length of the log, so that a copy of a stopped
    /// server's file has all events. Killed meanwhile, the server loses nothing, as the log is still there.
    ///
    /// Not every file system makes a file empty in one step: a loss of power may leave the front of the log, and SQLite
    /// would copy its transactions over the database that has those after them too. So the log is begun anew first, and
    /// what is emptied holds one transaction: all of it comes back, or nothing.
    fn empty_wal(&mut self) -> Result<(), StoreError> {
        let (_, size) = self.file_sizes();
        if size > 0 {
            if !self.copy_wal("PASSIVE")? {
                return Ok(());
            }
            let before = position(&self.db)?.frames;
            self.commit_nothing()?;
            let after = position(&self.db)?.frames;
            // A reader has kept the log from being begun anew.
            if 0 < before && before < after {
                return Ok(());
            }
        }
        if self.copy_wal("TRUNCATE")? {
            self.files.record_head(&self.db);
        }
        Ok(())
    }

    /// A checkpoint for [`Store::empty_wal`]. Returns whether it has done all that its mode is for, with all of the log
    /// copied.
    fn copy_wal(&mut self, mode: &str) -> Result<bool, StoreError> {
        let pragma = format!("PRAGMA wal_checkpoint({mode})");
        for _ in 0..limits::CLOSE_COPY_TRIES {
            let done = self.db.query_row(&pragma, [], |row| {
                let (frames, copied) = (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
                Ok((row.get::<_, bool>(0)?, frames, copied))
            });
            match done {
                // Another process copies it, perhaps one of ours that is about to end.
                Ok((true, -1, _)) => {
                    std::thread::sleep(Duration::from_millis(limits::CLOSE_COPY_PAUSE_MS));
                }
                // A reader may hold it back.
                Ok((is_refused, frames, copied)) => return Ok(!is_refused && frames == copied),
                Err(error) => {
                    self.note_io_error(&error, true);
                    return Err(error.into());
                }
            }
        }
        Ok(false)
    }

    /// Brings the table of topics up to date and closes the file; SQLite then empties its log.
    pub fn close(mut self) -> Result<(), StoreError> {
        if let Err(error) = self.require_files_to_close() {
            self.close_replaced()?;
            return Err(error);
        }
        if self.needs_offload() {
            // The other process has been killed, perhaps before it could report an error.
            self.offloaded(CopyResult::Failed);
        }
        self.reopen_if_closed()
            .or_else(|error| match self.is_reloading() {
                // The next start reads it, so nothing is lost.
                true => Ok(()),
                false => Err(error),
            })?;
        if self.is_reloading() {
            return Ok(());
        }
        self.require_synced_database()?;
        let greatest = self.last_seq();
        self.transaction(|db, parts| parts.topics.write_all(db, greatest))?;
        self.empty_wal()?;
        let last_seq = last_seq(&self.db)?;
        let Store { db, mut files, .. } = self;
        db.close()?;
        files.record_closed(last_seq);
        Ok(())
    }
}
