//! After a sync that failed. The kernel may then have marked pages clean that never reached the disk
//! (fsync(2), NOTES), and the next sync succeeds without them. A commit that trusts it could be cut off
//! from the log by a hole in front of it.
//!
//! So whenever a sync may have failed, this program's or that of one that ran before it, what the
//! write-ahead log holds is read, its checksums are compared, and it is written again and synced before
//! anything relies on it. Where it cannot be read back whole, or where SQLite has taken pages of the
//! database for synced, the database is opened again, so that SQLite recovers from what there is and
//! copies all of it again.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::store::connection::{checkpoint_on_close, Connection};
use crate::store::error::{explain, StoreError};
use crate::store::files::OpenedFiles;
use crate::store::state::Store;
use crate::store::wal::file::{rewrite_log, SyncedFrames};
use crate::store::wal::position::{position, LogCopied};

/// What cannot be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The write-ahead log on the disk may have holes: nothing may be committed or copied.
    pub log: bool,
    /// Pages may be missing in the database that SQLite takes for synced: nothing may be copied.
    pub database: bool,
    /// The connection is gone. What memory holds of the database may be what the disk has lost.
    pub connection: Option<Closed>,
}

/// How things stood when a connection was closed to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Frames in the log, where the log was whole: what memory holds is the database as of them.
    frames: Option<u64>,
    synced: SyncedFrames,
}

impl Store {
    /// Notes what an error of a transaction or of a checkpoint may have left behind.
    pub(crate) fn doubt(&mut self, error: &rusqlite::Error, is_checkpoint: bool) {
        if error.sqlite_error_code() != Some(rusqlite::ErrorCode::SystemIoFailure) {
            return;
        }
        self.doubt.log = true;
        self.doubt.database |= is_checkpoint;
        // Closing must not copy what is in doubt.
        if let Err(error) = checkpoint_on_close(&self.db, false) {
            log::error!("the checkpoint on closing could not be turned off: {error}");
        }
    }

    /// Makes sure that what has been committed is on the disk, where that is in doubt. An error means
    /// that nothing may be committed yet.
    pub(crate) fn settle_log(&mut self) -> Result<(), StoreError> {
        self.readable()?;
        if self.doubt.log {
            if !rewrite_log(&self.db, &self.path, self.db.synced_frames())? {
                log::error!("the disk has lost the end of the write-ahead log");
                return self.reopen();
            }
            self.doubt.log = false;
            return self.settled();
        }
        Ok(())
    }

    /// The same, and that SQLite will copy again what a checkpoint may not have brought to the disk. An
    /// error means that nothing may be copied yet.
    pub(crate) fn settle_database(&mut self) -> Result<(), StoreError> {
        self.settle_log()?;
        if self.doubt.database {
            if !may_have_lost_pages(&self.db)? {
                self.doubt.database = false;
                return self.settled();
            }
            self.reopen()?;
            if may_have_lost_pages(&self.db)? {
                self.checkpoint_plan.put_off();
                return Err(held("a checkpoint failed and cannot be done again"));
            }
        }
        Ok(())
    }

    fn settled(&mut self) -> Result<(), StoreError> {
        if self.doubt == Doubt::default() {
            checkpoint_on_close(&self.db, true)?;
        }
        Ok(())
    }

    /// Opens the database again, so that SQLite builds its index of the log from the log itself and
    /// forgets how much of it has been copied. What memory holds of the database stays as it is, unread,
    /// until all of the new state is there.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.verify_before_reopening()?;
        let closed = self.close_connection()?;
        let (durability, triggers) = (self.options.durability, self.options.triggers);
        let mut db = Connection::open(&self.path, durability, triggers, Duration::ZERO)
            .map_err(StoreError::Failed)?;
        if self.doubt.log && !rewrite_log(&db, &self.path, closed.synced)? {
            return Err(held("the disk has lost the end of the write-ahead log"));
        }
        let now = position(&db)?;
        if closed.frames == Some(now.frames) {
            // The log is the one that it was, so nothing that was read from the database has changed.
            db.count_wal_frames()?;
            db.watch_syncs(&self.path)
                .map_err(|error| StoreError::Failed(error.to_string()))?;
            self.files = OpenedFiles::take_down(&self.options.path, &self.path, &self.lock)
                .map_err(StoreError::Failed)?;
            self.db = db;
        } else {
            let (options, path) = (self.options.clone(), self.path.clone());
            let mut fresh = Store::load(Rc::clone(&self.lock), db, options, path)?;
            // Seqs that were shown to a reader are not given again, also where the disk has lost their
            // events.
            fresh.last_seq = fresh.last_seq.max(self.last_seq);
            fresh.needs_help = self.needs_help;
            fresh.doubt.database = self.doubt.database;
            *self = fresh;
        }
        log::info!("the database has been opened again");
        self.doubt.log = false;
        self.doubt.connection = None;
        self.doubt.database &= may_have_lost_pages(&self.db)?;
        self.settled()
    }

    /// The same where the connection has been closed and could not be made again since.
    pub(crate) fn reopen_if_closed(&mut self) -> Result<(), StoreError> {
        match self.doubt.connection {
            Some(_) => self.reopen(),
            None => Ok(()),
        }
    }

    /// Closes the connection, if that has not been done: SQLite keeps its index of the log as long as any
    /// connection is open.
    fn close_connection(&mut self) -> Result<Closed, StoreError> {
        if let Some(closed) = self.doubt.connection {
            return Ok(closed);
        }
        checkpoint_on_close(&self.db, false)?;
        let is_whole = !self.doubt.log;
        let closed = Closed {
            frames: is_whole.then_some(position(&self.db)?.frames),
            synced: self.db.synced_frames(),
        };
        self.doubt.connection = Some(closed);
        self.db = Connection::placeholder()?;
        Ok(closed)
    }

    /// Whether what the store knows can be relied on. While the database is being opened again after a
    /// fault there is no connection, and what memory holds may be what the disk has lost.
    pub fn readable(&self) -> Result<(), StoreError> {
        if self.doubt.connection.is_some() {
            let why = "it has to be opened again after an I/O error";
            return Err(StoreError::Failed(why.into()));
        }
        Ok(())
    }
}

/// Whoever wrote the log may have ended after a sync that failed, and what memory still shows of it need
/// not be on the disk. Makes sure that it is; from now on closing may copy it into the database.
pub(crate) fn trust_log(db: &Connection, path: &Path) -> Result<(), String> {
    match rewrite_log(db, path, SyncedFrames::default()) {
        Ok(true) => checkpoint_on_close(db, true).map_err(|e| explain(&e)),
        Ok(false) => Err("its write-ahead log is damaged".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// SQLite builds its index again only when no other program has the database open.
fn held(what: &str) -> StoreError {
    let advice = "as long as another program has the database open";
    StoreError::Failed(format!("{what} {advice}"))
}

/// Whether pages that SQLite takes for copied may be missing on the disk, where a sync has failed. It syncs
/// the database when it has copied all of the log, and not before.
fn may_have_lost_pages(db: &Connection) -> Result<bool, StoreError> {
    let LogCopied { frames, copied } = position(db)?;
    Ok(0 < copied && copied < frames)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::event::{EventSpans, Publication, Span};
    use crate::store::counters::Outcome;
    use crate::store::options::{Durability, OpenOptions, Retention};
    use crate::store::paths::beside;

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
        }
    }

    fn commit(store: &mut Store, text: &str) -> Result<Outcome, StoreError> {
        let mut outcomes = Vec::new();
        store
            .commit([publication(text)].iter(), 1, &mut outcomes)
            .map(|()| outcomes[0])
    }

    #[test]
    fn what_the_disk_has_lost_is_forgotten_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("logagg-settle-{}", std::process::id()));
        let options = OpenOptions {
            path: folder.join("events.db"),
            durability: Durability::Full,
            dedup: None,
            filter_memory_bytes: 1 << 20,
            fingerprint_bits: 128,
            triggers: false,
            retention: Retention::default(),
        };
        let mut store = Store::open(&options).expect("the folder can be made");
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
            rewrite_log(&store.db, &store.path, store.db.synced_frames())
                .expect("it can be written")
        );

        // The kernel has dropped what was not synced.
        let log = File::options()
            .write(true)
            .open(beside(&store.path, "-wal"));
        let lost = 32 + synced * (24 + 4_096);
        let log = log.expect("the log is there");
        log.write_all_at(&[0; 4_096], lost)
            .expect("it can be written");
        assert!(
            !rewrite_log(&store.db, &store.path, store.db.synced_frames()).expect("it can be read")
        );
        store.doubt.log = true;
        assert_eq!(
            commit(&mut store, "b").expect("stored"),
            Outcome::Accepted(2)
        );
        assert_eq!(store.doubt, Doubt::default());
        assert_eq!(store.counters().duplicate_dropped, 0);
        assert_eq!(
            commit(&mut store, "a").expect("counted"),
            Outcome::Duplicate(1)
        );
        assert_eq!(store.topics().len(), 2);
        store.close().expect("it can be closed");
        std::fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
