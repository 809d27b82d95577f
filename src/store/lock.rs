//! The lock that excludes every other server, `convert` and `restore` from a database.
//!
//! It has two parts. `NAME.lock` is locked before the database is opened or made: it belongs to a name,
//! and is all that older versions of this program know. One byte of the database itself is locked as
//! well: it belongs to the file, so a hard link or a mount of the file under another name leads to it.
//!
//! That byte has an open file description lock (fcntl(2)): it conflicts with those of other processes and
//! not with SQLite's own locks, which belong to the process and are on other bytes. Unlike flock(2) it is
//! one byte on network file systems too. Never close a descriptor of a database that SQLite has open in
//! this process: the kernel then drops SQLite's locks. So a [`Lock`] must outlive the connection.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg};
use nix::libc;

use super::file_kind::require_ordinary;
use super::paths::beside;
use crate::limits;

/// The locked byte. SQLite locks the 512 bytes from 2^30 on and keeps content off the page that they are
/// on (SQLite file format §1.4); this one is on that page, after them.
const LOCKED_BYTE: libc::off_t = 0x4000_0400;

const IN_USE: &str = "it is in use by another logagg";

/// A lock that is held until this value is dropped, which must be after SQLite's connection.
///
/// It is unlocked, and not only closed: a process that another thread forks has copies of the descriptors until
/// it executes its program, and a lock is held while any copy is open.
pub(super) struct Lock {
    /// None if there was no database to lock.
    database: Option<File>,
    name: File,
}

impl Lock {
    /// Takes the lock of a database, or of the name under which there will be one. `path` has no links on
    /// its way. The error is a clause of a sentence.
    pub(super) fn take(path: &Path) -> Result<Lock, String> {
        require_ordinary(path)?;
        // First, so that a second try in one process does not open the database, whose closing would
        // drop the locks of the first.
        let name = lock_name(path)?;
        let database = match File::options().read(true).write(true).open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(format!("it cannot be written: {error}")),
        };
        if let Some(file) = &database {
            refuse_many_names(file)?;
            lock_file(file)?;
        }
        Ok(Lock { database, name })
    }

    /// Clears what the lock file says about the database: another one has taken its place.
    pub(super) fn clear(&self) {
        // If that fails, what stays is of another file, and so has no effect.
        let _ = self.name.set_len(0);
    }

    /// The lock file. What it holds is [`super::head`]'s.
    pub(super) fn name(&self) -> &File {
        &self.name
    }

    /// The database; none if there was none yet.
    pub(super) fn database(&self) -> Option<&File> {
        self.database.as_ref()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An error would leave what closing does.
        if let Some(file) = &self.database {
            let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&locked_byte(libc::F_UNLCK)));
        }
        let _ = self.name.unlock();
    }
}

fn lock_name(path: &Path) -> Result<File, String> {
    let path = beside(path, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        // It may have become a FIFO since that was looked at, and opening that would wait.
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(|e| format!("its lock file {} cannot be opened: {e}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(IN_USE.into()),
        Err(TryLockError::Error(e)) => Err(format!(
            "its lock file {} cannot be locked: {e}",
            path.display()
        )),
    }
}

/// A hard link has a write-ahead log of its own name, so each name shows another database.
fn refuse_many_names(file: &File) -> Result<(), String> {
    match file.metadata().map(|about| about.nlink()) {
        Ok(names @ 2..) => Err(format!(
            "the file has {names} names (hard links), and its write-ahead log belongs to only one of \
             them; remove the others, or copy the file with: logagg backup"
        )),
        _ => Ok(()),
    }
}

/// One byte of a file, to be tested or locked.
fn locked_byte(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: LOCKED_BYTE,
        l_len: 1,
        l_pid: 0,
    }
}

fn lock_file(file: &File) -> Result<(), String> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&locked_byte(libc::F_WRLCK))) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(format!("{IN_USE}, under another name")),
        Err(error) => Err(format!("it cannot be locked: {}", error.desc())),
    }
}

/// Refuses to read a database that a server has open under another name: its write-ahead log would be
/// missed. A server that has it open under this name is right. Must not be called while SQLite has it
/// open in this process.
pub(super) fn refuse_other_name(path: &Path) -> Result<(), String> {
    let pause = Duration::from_millis(limits::LOCKED_PAUSE_MS);
    for _ in 0..limits::OTHER_NAME_TRIES {
        if !is_open_under_another_name(path) {
            return Ok(());
        }
        // A server that is ending releases one part of its lock before the other.
        thread::sleep(pause);
    }
    Err(format!("{IN_USE}, under another name"))
}

fn is_open_under_another_name(path: &Path) -> bool {
    // A file that cannot be opened is refused later, by the function that reads it.
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut byte = locked_byte(libc::F_RDLCK);
    let asked = fcntl(&file, FcntlArg::F_OFD_GETLK(&mut byte));
    if asked.is_err() || byte.l_type == libc::F_UNLCK as libc::c_short {
        return false;
    }
    // The file is locked, but not under this name.
    match File::open(beside(path, ".lock")) {
        Ok(name) => {
            let is_free = name.try_lock_shared().is_ok();
            if is_free {
                // See `Lock`. An error would leave what closing does.
                let _ = name.unlock();
            }
            is_free
        }
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// The file itself, without links on the way. It is a file, and no server has it open under another name.
pub(super) fn file_at(path: &Path) -> Result<PathBuf, String> {
    let path = fs::canonicalize(path).map_err(|error| error.to_string())?;
    require_ordinary(&path)?;
    refuse_other_name(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that another thread has forked keeps its copies of the descriptors for a moment.
    #[test]
    fn a_copy_of_the_descriptors_does_not_keep_the_lock() {
        let path = std::env::temp_dir().join(format!("logagg-lock-{}.db", std::process::id()));
        fs::write(&path, b"x").expect("a file in the temporary folder");
        let lock = Lock::take(&path).expect("nobody has it");
        let name = lock.name.try_clone().expect("a descriptor");
        let database = lock.database.as_ref().map(File::try_clone);
        let database = database.expect("the file is there");
        assert!(Lock::take(&path).is_err());
        drop(lock);
        let again = Lock::take(&path).expect("it has been unlocked");
        assert!(Lock::take(&path).is_err());
        drop((again, name, database));
        for path in [&path, &beside(&path, ".lock")] {
            fs::remove_file(path).expect("it is ours");
        }
    }
}
