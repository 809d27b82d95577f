//! After a sync that failed. The kernel may then have marked pages clean that never reached the disk
//! (fsync(2), NOTES), and the next sync succeeds without them. A commit that trusts it could be cut off
//! from the log by a hole in front of it.
//!
//! So whenever a sync may have failed, this program's or that of one that ran before it, what the
//! write-ahead log holds is read, its checksums are compared, and it is written again and synced before
//! anything relies on it. Where it cannot be read back whole, or where SQLite has taken pages of the
//! database for synced, the database is opened anew, so that SQLite recovers from what there is and
//! copies all of it again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rusqlite::Connection as Sqlite;

use super::connection::{checkpoint_on_close, data_version, position, Connection};
use super::open::beside;
use super::{Store, StoreError};

/// What cannot be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The write-ahead log on the disk may have holes: nothing may be committed or copied.
    pub log: bool,
    /// Pages may be missing in the database that SQLite takes for synced: nothing may be copied.
    pub database: bool,
    /// The connection is gone, and with it what memory holds.
    pub connection: bool,
}

/// Bytes of the log's header, and of a frame's (SQLite file format §4.1).
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

impl Store {
    /// Notes what an error of a transaction or of a checkpoint may have left behind.
    pub(super) fn doubt(&mut self, error: &rusqlite::Error, is_checkpoint: bool) {
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
    pub(super) fn settle_log(&mut self) -> Result<(), StoreError> {
        if self.doubt.connection {
            return self.reopen();
        }
        if self.doubt.log {
            if !rewrite_log(&self.db, &self.path)? {
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
    pub(super) fn settle_database(&mut self) -> Result<(), StoreError> {
        self.settle_log()?;
        if self.doubt.database {
            if position(&self.db)?.copied > 0 {
                return self.reopen();
            }
            self.doubt.database = false;
            return self.settled();
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
        checkpoint_on_close(&self.db, false)?;
        self.doubt.connection = true;
        // SQLite keeps its index as long as any connection of this process is open.
        self.db = Connection::placeholder()?;
        let db = Connection::open(&self.path, self.options.durability, Duration::ZERO)
            .map_err(StoreError::Failed)?;
        if !rewrite_log(&db, &self.path)? {
            return Err(held("the disk has lost the end of the write-ahead log"));
        }
        let (options, path) = (self.options.clone(), self.path.clone());
        let mut fresh = Store::load(Rc::clone(&self.lock), db, options, path)?;
        // Seqs that were shown to a reader are not given again, also where the disk has lost their events.
        fresh.last_seq = fresh.last_seq.max(self.last_seq);
        fresh.needs_help = self.needs_help;
        fresh.doubt.database = self.doubt.database;
        *self = fresh;
        log::info!("the database has been opened again");
        if position(&self.db)?.copied > 0 {
            return Err(held("a checkpoint failed and cannot be done again"));
        }
        self.doubt.database = false;
        self.settled()
    }

    /// Whether what the store knows can be relied on. While the database is being opened again after a
    /// fault there is no connection, and what memory holds may be what the disk has lost.
    pub fn readable(&self) -> Result<(), StoreError> {
        if self.doubt.connection {
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

/// Writes the log of a database again as it is, up to its last commit, and syncs it. What a refused
/// transaction has left behind that is made invalid. Says whether the log was whole; where it was not,
/// it is as before.
pub(super) fn rewrite_log(db: &Sqlite, path: &Path) -> Result<bool, StoreError> {
    let version = data_version(db)?;
    let frames = position(db)?.frames;
    // The write lock keeps other programs from beginning the log anew meanwhile.
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let result = if data_version(db)? == version {
        rewrite_frames(&beside(path, "-wal"), frames)
            .map_err(|error| StoreError::Failed(format!("the write-ahead log: {error}")))
    } else {
        Err(StoreError::Locked)
    };
    db.prepare_cached("ROLLBACK")?.execute([])?;
    result
}

fn rewrite_frames(path: &Path, frames: u64) -> std::io::Result<bool> {
    if frames == 0 {
        return Ok(true);
    }
    let file = File::options().read(true).write(true).open(path)?;
    let mut header = [0; LOG_HEADER];
    file.read_exact_at(&mut header, 0)?;
    let Some(mut sum) = Checksum::of_header(&header) else {
        return Ok(false);
    };
    let mut frame = vec![0; FRAME_HEADER + word(&header, 8) as usize];
    let offset = |number: u64| LOG_HEADER as u64 + number * frame_length(&header);
    // All of it is read before any of it is written: what is broken is left to SQLite's recovery.
    for writes in [false, true] {
        if writes {
            file.write_all_at(&header, 0)?;
        }
        for number in 0..frames {
            match file.read_exact_at(&mut frame, offset(number)) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(false)
                }
                result => result?,
            }
            if writes {
                file.write_all_at(&frame, offset(number))?;
            } else if !sum.matches(&header, &frame) {
                return Ok(false);
            }
        }
    }
    if file.metadata()?.len() > offset(frames) {
        file.write_all_at(&[0; FRAME_HEADER], offset(frames))?;
    }
    file.sync_data()?;
    Ok(true)
}

fn frame_length(header: &[u8; LOG_HEADER]) -> u64 {
    FRAME_HEADER as u64 + u64::from(word(header, 8))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The log's running checksum (SQLite file format §4.2).
struct Checksum {
    big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    /// The sum of a log's header; none if that is not one.
    fn of_header(header: &[u8; LOG_HEADER]) -> Option<Self> {
        const MAGIC: u32 = 0x377f_0682;
        let magic = word(header, 0);
        let mut sum = Self {
            big_endian: magic & 1 == 1,
            sums: (0, 0),
        };
        sum.add(&header[..24]);
        let is_header = magic & !1 == MAGIC && sum.sums == (word(header, 24), word(header, 28));
        (is_header && (512..=65_536).contains(&word(header, 8))).then_some(sum)
    }

    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.sums;
        for pair in bytes.chunks_exact(8) {
            let (mut left, mut right) = (word(pair, 0), word(pair, 4));
            if !self.big_endian {
                (left, right) = (left.swap_bytes(), right.swap_bytes());
            }
            first = first.wrapping_add(left).wrapping_add(second);
            second = second.wrapping_add(right).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    /// Whether `frame` is the next one of the log with this header.
    fn matches(&mut self, header: &[u8; LOG_HEADER], frame: &[u8]) -> bool {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER..]);
        frame[8..16] == header[16..24] && self.sums == (word(frame, 16), word(frame, 20))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, OpenOptions, Outcome, Retention};
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
        assert!(rewrite_log(&store.db, &store.path).expect("it can be written"));

        // The kernel has dropped what was not synced.
        let log = File::options()
            .write(true)
            .open(beside(&store.path, "-wal"));
        let lost = LOG_HEADER as u64 + synced * (FRAME_HEADER as u64 + 4_096);
        let log = log.expect("the log is there");
        log.write_all_at(&[0; 4_096], lost)
            .expect("it can be written");
        assert!(!rewrite_log(&store.db, &store.path).expect("it can be read"));
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
