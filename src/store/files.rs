//! Whether the names of a database still lead to the files that SQLite has open. Whoever replaces or removes
//! one of them (`mv copy.db events.db`, `rm events.db-wal`) leaves the server with a file that no restart will
//! find, and SQLite goes on to commit into it. So the names are looked at before the answers of a commit go
//! out, and once a second.
//!
//! Opens and closes nothing: that would drop SQLite's locks.

use std::path::{Path, PathBuf};

use rustix::fs::{stat, Stat};
use rustix::io::Errno;

use super::connection::checkpoint_on_close;
use super::error::StoreError;
use super::lock::Lock;
use super::paths::beside;
use super::state::Store;
use super::wal::recovery::Doubt;
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
    /// The database's name in the settings; the links on its way may be turned to another file.
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
}

impl OpenedFiles {
    /// Takes down what SQLite has opened a moment ago, `path` being `given` without links on the way. The
    /// error is a clause of a sentence.
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
        })
    }

    /// Whether a name was wrong when they were last looked at.
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
        self.reason().map_or(Ok(()), Err)
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
        !self.is_rescued && (database != Found::Opened || log != Found::Opened)
    }

    /// Whether SQLite, which removes log and index by their names when it closes the database, would remove
    /// those of somebody else.
    fn are_companions_ours(&self) -> bool {
        self.found[1..]
            .iter()
            .all(|found| matches!(found, Found::Opened | Found::Missing))
    }
}

impl Store {
    /// Makes sure that the names of the database lead to the files that are open, each of them. Where they
    /// do not, nothing more is promised until they do again or the server is restarted.
    pub fn look_at_files(&mut self, now_us: i64) -> Result<(), StoreError> {
        let looked = self.files.verify_each(now_us);
        self.judge(looked)
    }

    /// The same, as it is done for each commit.
    pub(super) fn verify_files(&mut self, now_us: i64) -> Result<(), StoreError> {
        let looked = self.files.verify(now_us);
        self.judge(looked)
    }

    fn judge(&mut self, looked: Result<(), String>) -> Result<(), StoreError> {
        looked.map_err(|reason| {
            self.rescue_log();
            StoreError::Replaced(reason)
        })
    }

    /// Refuses what is to be committed into files that were found replaced, unless that is over.
    pub(super) fn require_files(&mut self, now_us: i64) -> Result<(), StoreError> {
        // Without a connection there is only the database to be looked at, before it is opened again.
        if !self.is_replaced() || self.doubt.connection.is_some() {
            return Ok(());
        }
        self.look_at_files(now_us)
    }

    /// Makes sure that what closing writes will be found.
    pub(super) fn require_files_to_close(&mut self) -> Result<(), StoreError> {
        if self.doubt.connection.is_some() {
            return Ok(());
        }
        self.look_at_files(0)
    }

    /// Whether the names led elsewhere when they were last looked at.
    pub fn is_replaced(&self) -> bool {
        self.files.is_replaced()
    }

    /// Makes sure that opening the database again finds what is open now.
    pub(super) fn verify_before_reopening(&mut self) -> Result<(), StoreError> {
        // While there is no connection, a program that reads the database may remove an empty log.
        let looked = match self.doubt.connection {
            Some(_) => self.files.verify_database(),
            None => self.files.verify_each(0),
        };
        looked.map_err(StoreError::Replaced)
    }

    /// Copies all of the log into the database that is open, and empties it. So the file is complete without
    /// its log, wherever it is now, and a log that still has its name does no harm to another file.
    fn rescue_log(&mut self) {
        let is_safe = !self.files.has_other_log() && self.doubt == Doubt::default();
        if !is_safe || !self.files.needs_rescue() {
            return;
        }
        let copied = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, bool>(0).map(|is_refused| !is_refused)
            });
        match copied {
            Ok(is_done) => self.files.is_rescued = is_done,
            Err(error) => {
                self.doubt(&error, true);
                log::error!(
                    "the write-ahead log cannot be copied into the file that is open: {error}"
                );
            }
        }
        if self.files.is_rescued {
            self.db.forget_wal_frames();
        }
    }

    /// Closes a database whose names lead elsewhere: what they lead to is left as it is.
    pub(super) fn close_replaced(self) -> Result<(), StoreError> {
        let copies = self.files.are_companions_ours() && self.doubt == Doubt::default();
        checkpoint_on_close(&self.db, copies)?;
        let Store { db, .. } = self;
        db.close().map_err(StoreError::from)
    }
}
