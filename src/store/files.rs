//! Whether the names of a database still lead to the files that SQLite has open. Replacing or removing one of them (`mv
//! copy.db events.db`, `rm events.db-wal`) leaves the server with a file that no restart will find, and SQLite goes on
//! committing into it. So the names are checked before the answers of a commit go out, and once a second.
//!
//! Opens and closes nothing: that would drop SQLite's locks.

use std::path::{Path, PathBuf};

use rustix::fs::{stat, Stat};
use rustix::io::Errno;

use super::head::{last_seq, Head};
use super::lengths::Truncated;
use super::lock::Lock;
use super::paths::beside;
use crate::limits;

/// A file, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl From<&Stat> for FileId {
    fn from(about: &Stat) -> Self {
        Self {
            device: about.st_dev,
            inode: about.st_ino,
        }
    }
}

/// The folder of a database. Each name that is made, removed or replaced in it changes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FolderState {
    id: FileId,
    /// In microseconds since the epoch; the rest is enough to tell two changes apart.
    changed_us: i64,
    changed_ns: i64,
}

impl FolderState {
    fn of(path: &Path) -> Option<Self> {
        let about = stat(path).ok()?;
        let (seconds, ns) = (about.st_ctime as i64, about.st_ctime_nsec as i64);
        Some(Self {
            id: FileId::from(&about),
            changed_us: seconds.saturating_mul(1_000_000).saturating_add(ns / 1_000),
            changed_ns: ns,
        })
    }
}

/// What is under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The file that SQLite has open.
    Opened,
    /// That file, but it lacks what was committed.
    Truncated,
    Missing,
    Other {
        is_empty: bool,
    },
    Unknown(Errno),
}

impl Found {
    fn at(path: &Path, opened: FileId) -> Self {
        match stat(path) {
            Ok(about) if FileId::from(&about) == opened => Found::Opened,
            Ok(about) => Found::Other {
                is_empty: about.st_size == 0,
            },
            Err(Errno::NOENT | Errno::NOTDIR) => Found::Missing,
            Err(error) => Found::Unknown(error),
        }
    }
}

/// The files that SQLite has open, and the names under which it opened them.
pub(super) struct OpenedFiles {
    /// The database's name in the settings; links in its path may be changed to another file.
    given: PathBuf,
    folder: PathBuf,
    /// Database, write-ahead log and its index, without links on the way.
    names: [PathBuf; 3],
    opened: [FileId; 3],
    found: [Found; 3],
    /// The folder when all names were right, where equal times prove that no name has changed since.
    folder_seen: Option<FolderState>,
    /// The log has been copied into the file that is open, since a name was found wrong.
    is_rescued: bool,
    /// Which file was truncated. Only opening the database again helps.
    truncated: Option<Truncated>,
}

impl OpenedFiles {
    /// Notes what SQLite has just opened; `path` is `given` without links. The error is a clause of a sentence.
    pub(super) fn take_down(given: &Path, path: &Path, lock: &Lock) -> Result<Self, String> {
        let names = [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")];
        let mut opened = Vec::with_capacity(names.len());
        for name in &names {
            let about = stat(name).map_err(|error| format!("{}: {error}", name.display()))?;
            opened.push(FileId::from(&about));
        }
        let locked = lock.database().map(rustix::fs::fstat);
        if !matches!(locked, Some(Ok(about)) if FileId::from(&about) == opened[0]) {
            return Err("it was replaced while it was opened".into());
        }
        Ok(Self {
            given: std::path::absolute(given).unwrap_or_else(|_| given.to_owned()),
            folder: path.parent().unwrap_or(Path::new("/")).to_owned(),
            names,
            opened: [opened[0], opened[1], opened[2]],
            found: [Found::Opened; 3],
            folder_seen: None,
            is_rescued: false,
            truncated: None,
        })
    }

    /// Whether a name was wrong at the last check.
    fn is_replaced(&self) -> bool {
        self.found != [Found::Opened; 3]
    }

    /// Makes sure that all names are right. One `stat`, of the folder, where that shows that no name in it
    /// has changed since they were.
    fn verify(&mut self, now_us: i64) -> Result<(), String> {
        if self.folder_seen.is_some() && FolderState::of(&self.folder) == self.folder_seen {
            return Ok(());
        }
        self.verify_each(now_us)
    }

    /// The same by looking at each name. That also finds what is mounted over one, and links on the way that
    /// lead elsewhere.
    fn verify_each(&mut self, now_us: i64) -> Result<(), String> {
        // Before the names, so that a change from here on is found the next time.
        let folder = FolderState::of(&self.folder);
        for ((found, name), opened) in self.found.iter_mut().zip(&self.names).zip(self.opened) {
            *found = Found::at(name, opened);
        }
        if self.found[0] == Found::Opened && self.given != self.names[0] {
            self.found[0] = Found::at(&self.given, self.opened[0]);
        }
        self.keep_truncated();
        // Two changes within what the file system counts as one moment leave one time.
        let is_proof = |folder: &FolderState| {
            folder.changed_us.saturating_add(limits::FOLDER_TIME_US) < now_us
        };
        self.folder_seen = folder.filter(|folder| {
            !self.is_replaced() && self.given == self.names[0] && is_proof(folder)
        });
        self.is_rescued &= self.is_replaced();
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(reason),
        }
    }

    /// Whether the database alone is right.
    fn verify_database(&mut self) -> Result<(), String> {
        self.found = [Found::Opened; 3];
        self.found[0] = Found::at(&self.given, self.opened[0]);
        self.keep_truncated();
        self.reason().map_or(Ok(()), Err)
    }

    /// A file that was truncated is not whole again when it is made longer.
    fn keep_truncated(&mut self) {
        let at = match self.truncated {
            None => return,
            Some(Truncated::Database) => 0,
            Some(Truncated::Log) => 1,
        };
        if self.found[at] == Found::Opened {
            self.found[at] = Found::Truncated;
        }
    }

    /// What is wrong, as a sentence that names the file.
    fn reason(&self) -> Option<String> {
        let wrong = self.names.iter().zip(self.found);
        let (name, found) = wrong
            .into_iter()
            .find(|(_, found)| *found != Found::Opened)?;
        let name = name.file_name().unwrap_or(name.as_os_str());
        let name = name.to_string_lossy();
        let way_back = "put it back, or restart the server";
        Some(match found {
            Found::Unknown(error) => format!("the file {name} cannot be looked at: {error}"),
            Found::Truncated => {
                format!("the file {name} was truncated: stop the server, and restore a backup")
            }
            Found::Missing => format!("the file {name} was removed or renamed: {way_back}"),
            _ => format!("the file {name} was replaced by another one: {way_back}"),
        })
    }

    /// Whether another program works on the database with a log of its own: then nothing may be copied.
    fn has_other_log(&self) -> bool {
        let [database, log, _] = self.found;
        database == Found::Opened && matches!(log, Found::Other { is_empty: false })
    }

    /// Whether what was committed could no longer be found if this process ended now.
    fn needs_rescue(&self) -> bool {
        let [database, log, _] = self.found;
        let is_moved = database != Found::Opened || log != Found::Opened;
        !self.is_rescued && is_moved && self.truncated.is_none()
    }

    /// Whether SQLite, which removes log and index by their names when it closes the database, would remove those of
    /// another program.
    fn are_companions_ours(&self) -> bool {
        self.found[1..]
            .iter()
            .all(|found| matches!(found, Found::Opened | Found::Missing))
    }
}

/// The files of a database that is open, its lock included.
pub(super) struct Files {
    /// The database, without links on the way.
    path: PathBuf,
    opened: OpenedFiles,
    /// What the lock file has to say about the database.
    head: Option<Head>,
    /// A second server on the same file fails to take it. Must be dropped after the connection.
    lock: Lock,
}

impl Files {
    pub(super) fn new(path: PathBuf, opened: OpenedFiles, lock: Lock) -> Self {
        Self {
            head: Head::of(&path),
            path,
            opened,
            lock,
        }
    }

    /// The database, without links on the way.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what SQLite has just opened; `given` is the name in the settings. The error is a clause of a sentence.
    pub(super) fn take_down(&self, given: &Path) -> Result<OpenedFiles, String> {
        OpenedFiles::take_down(given, &self.path, &self.lock)
    }

    /// SQLite has opened these again.
    pub(super) fn reopened(&mut self, opened: OpenedFiles) {
        self.opened = opened;
        self.head = Head::of(&self.path);
    }

    /// Makes sure that all names are right. One `stat`, of the folder, where that shows that no name in it
    /// has changed since they were.
    pub(super) fn verify(&mut self, now_us: i64) -> Result<(), String> {
        self.opened.verify(now_us)
    }

    /// The same by looking at each name. That also finds what is mounted over one, and links on the way that
    /// lead elsewhere.
    pub(super) fn verify_each(&mut self, now_us: i64) -> Result<(), String> {
        self.opened.verify_each(now_us)
    }

    /// Whether the name of the database alone is right.
    pub(super) fn verify_database(&mut self) -> Result<(), String> {
        self.opened.verify_database()
    }

    /// Whether a name was wrong at the last check.
    pub(super) fn is_replaced(&self) -> bool {
        self.opened.is_replaced()
    }

    /// Whether the log has to be copied into the file that is open, so that nothing is lost if this process
    /// ends, and may be.
    pub(super) fn can_rescue(&self) -> bool {
        self.opened.needs_rescue() && !self.opened.has_other_log()
    }

    /// One of the files was truncated.
    pub(super) fn truncated(&mut self, which: Truncated) {
        self.opened.truncated = Some(which);
        self.opened.keep_truncated();
    }

    /// Why nothing can be read, where one of the files was truncated.
    pub(super) fn reason_if_truncated(&self) -> Option<String> {
        self.opened.truncated.and_then(|_| self.opened.reason())
    }

    /// The log has been copied into the file that is open.
    pub(super) fn rescued(&mut self) {
        self.opened.is_rescued = true;
    }

    /// Whether closing may copy the log and remove it: it is SQLite's own, which removes it by its name, and
    /// both files are whole.
    pub(super) fn may_copy_on_close(&self) -> bool {
        self.opened.truncated.is_none() && self.opened.are_companions_ours()
    }

    /// Bytes of the database and of its write-ahead log.
    pub(super) fn sizes(&self) -> (u64, u64) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
        (size(&self.path), size(&beside(&self.path, "-wal")))
    }

    /// Bytes that this process may still write to the disk of the database; none if the system does not
    /// say.
    pub(super) fn disk_available_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Writes what is known of the database into the lock file.
    pub(super) fn write_head(&self) {
        if let Some(head) = &self.head {
            head.write(&self.lock);
        }
    }

    /// Records how far the database is, whose log must have been copied whole and synced.
    pub(super) fn record_head(&mut self, db: &rusqlite::Connection) {
        // Memory may be ahead: it gives no seq again, also where the disk has lost the event.
        if let Ok(seq) = last_seq(db) {
            self.record_seq(seq);
        }
    }

    /// Records how far a database is that has been closed, whose greatest seq is `seq`. The last connection
    /// that closes copies the write-ahead log and removes it; as long as there is one, the database may lack
    /// what it holds.
    pub(super) fn record_closed(&mut self, seq: u64) {
        let is_copied = std::fs::symlink_metadata(beside(&self.path, "-wal"))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        if is_copied {
            self.record_seq(seq);
        }
    }

    fn record_seq(&mut self, seq: u64) {
        if let Some(head) = &mut self.head {
            head.record(seq, &self.lock);
        }
    }
}
