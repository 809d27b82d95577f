//! Making certain that what was committed is on the disk, after a sync that may have failed, and reopening the database
//! where only that helps.

use std::time::Duration;

use super::connection::{checkpoint_on_close, Connection};
use super::error::StoreError;
use super::files::OpenedFiles;
use super::load::Loaded;
use super::parts_load::PartsLoad;
use super::state::{Reload, Store};
use super::wal::file::rewrite_log;
use super::wal::position::position;
use super::wal::recovery::{may_have_lost_pages, Closed};
use super::work::LoadBudget;
use crate::limits;

impl Store {
    /// Notes what an error of a transaction or of a checkpoint may have left.
    pub(super) fn note_io_error(&mut self, error: &rusqlite::Error, is_checkpoint: bool) {
        if error.sqlite_error_code() != Some(rusqlite::ErrorCode::SystemIoFailure) {
            return;
        }
        match is_checkpoint {
            true => self.wal.checkpoint_failed(),
            false => self.wal.sync_failed(),
        }
        // Closing must not copy what may not be on the disk.
        if let Err(error) = checkpoint_on_close(&self.db, false) {
            log::error!("the checkpoint on closing could not be turned off: {error}");
        }
    }

    /// Makes certain that what has been committed is on the disk. An error means that nothing may be committed
    /// yet. Must be called before anything is planned: the database may be opened again in here.
    pub(super) fn require_synced_wal(&mut self) -> Result<(), StoreError> {
        self.readable()?;
        if !self.wal.may_have_holes() {
            return Ok(());
        }
        if !rewrite_log(&self.db, self.files.path(), self.db.synced_frames())? {
            log::error!("the disk has lost the end of the write-ahead log");
            return self.reopen();
        }
        self.wal.wal_synced();
        self.copy_on_close_if_certain()
    }

    /// The same, and that SQLite will copy again what a checkpoint may not have brought to the disk. An
    /// error means that nothing may be copied yet.
    pub(super) fn require_synced_database(&mut self) -> Result<(), StoreError> {
        self.require_synced_wal()?;
        if !self.wal.may_lack_pages() {
            return Ok(());
        }
        if !may_have_lost_pages(&self.db)? {
            self.wal.database_synced();
            return self.copy_on_close_if_certain();
        }
        self.reopen()?;
        if may_have_lost_pages(&self.db)? {
            self.wal.back_off_checkpoint();
            return Err(held("a checkpoint failed and cannot be done again"));
        }
        Ok(())
    }

    fn copy_on_close_if_certain(&mut self) -> Result<(), StoreError> {
        if self.wal.is_certain() {
            checkpoint_on_close(&self.db, true)?;
        }
        Ok(())
    }

    /// Opens the database again, so that SQLite builds its index of the log from the log itself and forgets how much of
    /// it has been copied. What memory holds of the database stays as it is, unused, until the new state is complete.
    /// Where that has to be read, one call reads one slice of it.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.verify_before_reopening()?;
        if self.reload.is_some() {
            return self.reload_slice();
        }
        let closed = self.close_connection()?;
        let (durability, triggers) = (self.options.durability, self.options.triggers);
        let path = self.files.path();
        let mut db = Connection::open(path, durability, triggers, Duration::ZERO)
            .map_err(StoreError::Failed)?;
        if self.wal.may_have_holes() && !rewrite_log(&db, path, closed.synced)? {
            return Err(held("the disk has lost the end of the write-ahead log"));
        }
        let opened = self.files.take_down(&self.options.path);
        let opened = opened.map_err(StoreError::Failed)?;
        if closed.frames == Some(position(&db)?.frames) {
            // The log is the one that it was, so nothing that was read from the database has changed.
            db.count_wal_frames()?;
            db.watch_syncs(path)
                .map_err(|error| StoreError::Failed(error.to_string()))?;
            return self.reopened(db, opened);
        }
        let load = PartsLoad::begin(&db, &self.options)?;
        self.reload = Some(Box::new(Reload { db, opened, load }));
        self.reload_slice()
    }

    /// Whether the database is being read again, and goes on being read with the next [`Store::probe`].
    pub fn is_reloading(&self) -> bool {
        self.reload.is_some()
    }

    /// Reads one slice of a database that was opened again. An error says that there is more.
    fn reload_slice(&mut self) -> Result<(), StoreError> {
        let Some(mut reload) = self.reload.take() else {
            return Ok(());
        };
        let mut budget = LoadBudget::of(limits::READ_UNITS_PER_SLICE);
        let (db, load) = (&reload.db, &mut reload.load);
        let is_over = load.step(db, &self.options, &mut budget)?;
        self.work.add(budget.spent());
        if !is_over {
            self.reload = Some(reload);
            let why = "it is being read again after an I/O error";
            return Err(StoreError::Failed(why.into()));
        }
        let Reload {
            mut db,
            opened,
            load,
        } = *reload;
        let path = self.files.path();
        let Loaded { identity, parts } = Loaded::finish(load, &mut db, &self.options, path)?;
        // Seqs that were shown to a reader are not given again, also where the disk has lost their
        // events.
        let (last_seq, last_rejected) = (self.last_seq(), self.last_rejected_seq());
        (self.identity, self.parts) = (identity, parts);
        self.parts.counters.never_give_again(last_seq);
        self.parts.rejected.never_give_again(last_rejected);
        self.wal.plan_again();
        self.reopened(db, opened)
    }

    /// The database is open again, and memory holds what it says.
    fn reopened(&mut self, db: Connection, opened: OpenedFiles) -> Result<(), StoreError> {
        self.files.reopened(opened);
        self.db = db;
        log::info!("the database has been opened again");
        self.wal.connection_opened();
        if !may_have_lost_pages(&self.db)? {
            self.wal.database_synced();
        }
        self.copy_on_close_if_certain()
    }

    /// Makes sure that opening the database again finds what is open now.
    fn verify_before_reopening(&mut self) -> Result<(), StoreError> {
        // While there is no connection, a program that reads the database may remove an empty log.
        let looked = match self.wal.closed() {
            Some(_) => self.files.verify_database(),
            None => self.files.verify_each(0),
        };
        looked.map_err(StoreError::Replaced)
    }

    /// Opens the database again where the connection was closed and could not be rebuilt since.
    pub(super) fn reopen_if_closed(&mut self) -> Result<(), StoreError> {
        match self.wal.closed() {
            Some(_) => self.reopen(),
            None => Ok(()),
        }
    }

    /// Closes the connection, if that has not been done: SQLite keeps its index of the log as long as any
    /// connection is open.
    fn close_connection(&mut self) -> Result<Closed, StoreError> {
        if let Some(closed) = self.wal.closed() {
            return Ok(closed);
        }
        checkpoint_on_close(&self.db, false)?;
        let is_whole = !self.wal.may_have_holes();
        let closed = Closed {
            frames: is_whole.then_some(position(&self.db)?.frames),
            synced: self.db.synced_frames(),
        };
        self.wal.connection_closed(closed);
        self.db = Connection::placeholder()?;
        Ok(closed)
    }

    /// Whether what the store knows can be relied on. While the database is being opened again after a
    /// fault there is no connection, and what memory holds may be what the disk has lost. Where a file was truncated,
    /// SQLite reads zeros.
    pub fn readable(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.files.reason_if_truncated() {
            return Err(StoreError::Replaced(reason));
        }
        if self.wal.closed().is_some() {
            let why = "it has to be opened again after an I/O error";
            return Err(StoreError::Failed(why.into()));
        }
        Ok(())
    }
}

/// SQLite builds its index again only when no other program has the database open.
fn held(what: &str) -> StoreError {
    let advice = "as long as another program has the database open";
    StoreError::Failed(format!("{what} {advice}"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::super::counters::Outcome;
    use super::super::options::{Durability, OpenOptions, Retention, SearchIndex};
    use super::super::paths::beside;
    use super::*;
    use crate::event::{EventSpans, Publication, Span};

    /// One event whose members are all `text`, but for its payload.
    fn publication(text: &str) -> Publication {
        let len = text.len() as u32;
        let (start, payload) = (0, Span { start: len, len: 2 });
        let name = Span { start, len };
        Publication {
            body: format!("{text}{{}}").into_bytes(),
            events: vec![EventSpans {
                topic: name,
                event_id: name,
                timestamp: name,
                source: name,
                payload,
            }],
            ..Publication::default()
        }
    }

    fn commit(store: &mut Store, text: &str) -> Result<Outcome, StoreError> {
        let mut outcomes = Vec::new();
        store
            .commit([publication(text)].iter(), 1, &mut outcomes)
            .map(|()| outcomes[0])
    }

    /// A store in a folder of its own, and what it is opened with.
    fn store(name: &str) -> (Store, OpenOptions) {
        let folder = std::env::temp_dir().join(format!("logagg-{name}-{}", std::process::id()));
        let options = OpenOptions {
            path: folder.join("events.db"),
            durability: Durability::Full,
            dedup: None,
            filter_memory_bytes: 1 << 20,
            fingerprint_bits: 128,
            triggers: false,
            retention: Retention::default(),
            search_index: SearchIndex::default(),
        };
        let store = Store::open(&options).expect("the folder can be made");
        (store, options)
    }

    /// Closes a store and removes its folder.
    fn remove(store: Store, options: &OpenOptions) {
        store.close().expect("it can be closed");
        let folder = options.path.parent().expect("the file is in one");
        std::fs::remove_dir_all(folder).expect("the folder is ours");
    }

    /// Overwrites a frame of the log, as if the kernel had dropped it, and lets the store know that a sync failed.
    fn lose_frame(store: &mut Store, frame: u64) {
        let log = File::options()
            .write(true)
            .open(beside(store.files.path(), "-wal"));
        log.expect("the log is there")
            .write_all_at(&[0; 4_096], 32 + frame * (24 + 4_096))
            .expect("it can be written");
        store.wal.sync_failed();
    }

    /// Reading everything again is divided over turns, in none of which much is read, and nothing is answered from half
    /// of it.
    #[test]
    fn a_database_is_read_again_in_slices() {
        const TOPICS: u64 = 3_000;
        let (mut store, options) = store("slices");
        let all: Vec<_> = (0..TOPICS).map(|n| publication(&format!("t{n}"))).collect();
        let mut outcomes = Vec::new();
        store.commit(all.iter(), 1, &mut outcomes).expect("stored");
        // Closing writes the counts and their checksums.
        store.close().expect("it can be closed");
        let mut store = Store::open(&options).expect("it was closed");
        let other = rusqlite::Connection::open(store.files.path()).expect("it is there");
        let damage = "UPDATE topics SET events = 77 WHERE id = 5";
        assert_eq!(other.execute(damage, []).expect("a row"), 1);
        drop(other);
        assert_eq!(
            commit(&mut store, "new").expect("stored"),
            Outcome::Accepted(TOPICS + 1)
        );
        let synced = position(&store.db).expect("a position").frames;
        assert_eq!(
            commit(&mut store, "t7").expect("counted"),
            Outcome::Duplicate(8)
        );
        lose_frame(&mut store, synced);
        assert!(commit(&mut store, "b").is_err());
        let (mut slices, mut most) = (0, 0);
        while store.is_reloading() {
            assert!(store.readable().is_err());
            store.take_work();
            let probed = store.probe(2);
            assert_eq!(probed.is_ok(), !store.is_reloading());
            most = most.max(store.take_work());
            slices += 1;
        }
        let bound = limits::READ_UNITS_PER_SLICE + limits::EVENT_UNITS + limits::LOOK_UP_UNITS;
        assert!(
            most <= bound && slices > 10,
            "{most} units in one of {slices}"
        );
        assert!(store.readable().is_ok() && store.wal.is_certain());
        assert_eq!(store.counters().duplicate_dropped, 0);
        assert_eq!(store.topics().len() as u64, TOPICS + 1);
        assert!(store.topics().names().is_sorted());
        let topics = || (1..=TOPICS as u32).map(|id| store.topics().get(id));
        assert!(topics().all(|topic| topic.events == 1));
        for (name, outcome) in [
            ("t7", Outcome::Duplicate(8)),
            ("b", Outcome::Accepted(TOPICS + 2)),
        ] {
            assert_eq!(commit(&mut store, name).expect("answered"), outcome);
        }
        remove(store, &options);
    }

    #[test]
    fn what_the_disk_has_lost_is_forgotten_and_nothing_else() {
        let (mut store, options) = store("reopen");
        assert_eq!(
            commit(&mut store, "a").expect("stored"),
            Outcome::Accepted(1)
        );
        let synced = position(&store.db).expect("a position").frames;
        assert_eq!(
            commit(&mut store, "a").expect("counted"),
            Outcome::Duplicate(1)
        );
        assert_eq!(store.counters().duplicate_dropped, 1);
        assert!(
            rewrite_log(&store.db, store.files.path(), store.db.synced_frames())
                .expect("it can be written")
        );

        // The kernel has dropped what was not synced.
        lose_frame(&mut store, synced);
        assert!(
            !rewrite_log(&store.db, store.files.path(), store.db.synced_frames())
                .expect("it can be read")
        );
        assert_eq!(
            commit(&mut store, "b").expect("stored"),
            Outcome::Accepted(2)
        );
        assert!(store.wal.is_certain());
        assert_eq!(store.counters().duplicate_dropped, 0);
        assert_eq!(
            commit(&mut store, "a").expect("counted"),
            Outcome::Duplicate(1)
        );
        assert_eq!(store.topics().len(), 2);
        remove(store, &options);
    }
}
