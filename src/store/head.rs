//! How far a database had come, kept in its lock file: outside of the database and its write-ahead log,
//! where a log of an older run shows. SQLite takes any log that is whole, and replays old pages over newer
//! ones.
//!
//! What is written here was on the disk before, so a loss of power leaves the database at least as far. The record is
//! of one file and not of a name: a copy that takes its place, or is moved elsewhere with the lock file, is not judged
//! by it. The record is written without a sync and may be missing, old or cut off: then nothing is known. It never
//! refuses a database without a log, which someone has put there.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{statx, AtFlags, StatxFlags, CWD};

use super::lock::Lock;
use super::paths::{beside, immutable};
use super::rows::unsigned;

/// Bytes of a record: all have the same length, so that one overwrites all of another.
const RECORD_BYTES: usize = 134;

/// One file, also after its name and its number have been used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Born {
    inode: u64,
    /// In nanoseconds since the epoch; 0 where the file system does not say.
    at: u64,
}

impl Born {
    fn of(path: &Path) -> Option<Self> {
        let about = statx(
            CWD,
            path,
            AtFlags::empty(),
            StatxFlags::BASIC_STATS | StatxFlags::BTIME,
        );
        let about = about.ok()?;
        let has_birth = about.stx_mask & StatxFlags::BTIME.bits() != 0;
        let at = match has_birth {
            true => u64::try_from(about.stx_btime.tv_sec)
                .unwrap_or(0)
                .saturating_mul(1_000_000_000)
                .saturating_add(about.stx_btime.tv_nsec.into()),
            false => 0,
        };
        Some(Self {
            inode: about.stx_ino,
            at,
        })
    }
}

/// What the lock file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Events up to this seq were in the file, without its log and on the disk.
    seq: u64,
    database: Born,
    log: Born,
}

impl Head {
    /// The record of a database; none if nothing is known.
    pub(super) fn read(path: &Path) -> Option<Head> {
        let file = File::open(beside(path, ".lock")).ok()?;
        let mut text = [0; RECORD_BYTES];
        file.read_exact_at(&mut text, 0).ok()?;
        Head::parse(std::str::from_utf8(&text).ok()?)
    }

    fn parse(text: &str) -> Option<Head> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let mut number = |name: &str| {
            let word = words.next().filter(|word| *word == name);
            word.and_then(|_| words.next()?.parse().ok())
        };
        let head = Head {
            seq: number("last_seq")?,
            database: Born {
                inode: number("inode")?,
                at: number("born")?,
            },
            log: Born {
                inode: number("log")?,
                at: number("born")?,
            },
        };
        (head.text() == text).then_some(head)
    }

    fn text(&self) -> String {
        let Head { seq, database, log } = self;
        format!(
            "last_seq {seq:020} inode {:020} born {:020} log {:020} born {:020}\n",
            database.inode, database.at, log.inode, log.at
        )
    }

    /// What is to be recorded of an open database, which must have a log. Only an older record of the same file says
    /// how far the file is without its log.
    pub(super) fn of(path: &Path) -> Option<Head> {
        let database = Born::of(path)?;
        let older = Head::read(path).filter(|older| older.database == database);
        Some(Head {
            seq: older.map_or(0, |older| older.seq),
            database,
            log: Born::of(&beside(path, "-wal"))?,
        })
    }

    /// Records that all events up to `seq` are in the file, without its log and on the disk.
    pub(super) fn record(&mut self, seq: u64, lock: &Lock) {
        self.seq = seq;
        self.write(lock);
    }

    /// Writes the record. Costs one write.
    pub(super) fn write(&self, lock: &Lock) {
        // A record that cannot be written leaves an older one, which still holds.
        let _ = lock.name().write_all_at(self.text().as_bytes(), 0);
    }

    /// Makes sure that the log beside a database is its own, before SQLite opens them. The error is a clause
    /// of a sentence.
    pub(super) fn require_own_log(&self, path: &Path) -> Result<(), String> {
        let log = beside(path, "-wal");
        if !fs::metadata(&log).is_ok_and(|about| about.len() > 0) {
            return Ok(());
        }
        let is_same_file = Born::of(path) == Some(self.database);
        let is_same_log = self.log.at != 0 && Born::of(&log) == Some(self.log);
        if is_same_log && !is_same_file {
            return Err(refusal(path, "belongs to another file that had this name"));
        }
        // The file alone: what is newer is in the log, and may be missing, but nothing older may be here.
        if is_same_file && seq_without_log(path).is_some_and(|seq| seq < self.seq) {
            let found = "does not belong to what was copied over the database";
            return Err(refusal(path, found));
        }
        Ok(())
    }

    /// Makes sure that a database with a log, as SQLite shows it, is as far as it was.
    pub(super) fn require_newest(&self, path: &Path, db: &Connection) -> Result<(), String> {
        let log = beside(path, "-wal");
        let has_log = fs::metadata(log).is_ok_and(|about| about.len() > 0);
        if !has_log || Born::of(path) != Some(self.database) {
            return Ok(());
        }
        // A database without the table is refused for that.
        match last_seq(db) {
            Ok(seq) if seq < self.seq => {
                let (before, found) = (self.seq, "is of an older run");
                Err(refusal(
                    path,
                    &format!("{found}: with it the last seq is {seq}, and it was {before}"),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn refusal(path: &Path, why: &str) -> String {
    let (log, lock) = (beside(path, "-wal"), beside(path, ".lock"));
    format!(
        "the write-ahead log {} {why}; move it away, or, to use it anyway, remove {}",
        log.display(),
        lock.display()
    )
}

/// The last seq as the tables have it.
pub(super) fn last_seq(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT last_seq FROM counters", [], |row| unsigned(row, 0))
}

/// The last seq of the file alone, as far as it can be read: a checkpoint may have been cut off in it.
fn seq_without_log(path: &Path) -> Option<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(immutable(path), flags).ok()?;
    last_seq(&db).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_or_not_at_all() {
        let head = Head {
            seq: 42,
            database: Born {
                inode: 7,
                at: u64::MAX,
            },
            log: Born { inode: 8, at: 1 },
        };
        let text = head.text();
        assert_eq!(text.len(), RECORD_BYTES);
        assert_eq!(Head::parse(&text), Some(head));
        for at in 0..text.len() {
            let mut cut = text.clone().into_bytes();
            cut[at] ^= 0x80;
            let cut = String::from_utf8_lossy(&cut).into_owned();
            assert_eq!(Head::parse(&cut), None);
        }
        assert_eq!(Head::parse(&"\0".repeat(RECORD_BYTES)), None);
    }
}
