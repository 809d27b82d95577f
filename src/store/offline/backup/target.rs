//! Where a copy goes: it is written under a name of its own beside the final one, and takes that name when it is
//! complete and on the disk. A process that is killed in between leaves the final name as it was, and leaves the
//! unfinished file to the next one, which overwrites it.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits;
use crate::store::connection::Connection;
use crate::store::file_kind::special_kind;
use crate::store::lock::{refuse_other_name, Lock};
use crate::store::options::Durability;
use crate::store::paths::{beside, make_folder, sync_folder};
use crate::store::wal::recovery::recover_wal;

/// What a copy is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A server may run on the source and should not be slowed much.
    Backup,
    /// The target becomes a server's database, and no other program may have it open.
    Restore,
}

/// What SQLite may have left beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// A file that is being written; it is removed with this value unless it has been installed.
pub(super) struct Target {
    /// The final name.
    path: PathBuf,
    partial: PathBuf,
    file: File,
    /// Keeps servers away from the final name.
    lock: Option<Lock>,
    is_installed: bool,
}

impl Target {
    /// Makes sure that the final name may be taken, and makes the file.
    pub(super) fn prepare(
        from: &Path,
        to: &Path,
        force: bool,
        purpose: Purpose,
    ) -> Result<Target, String> {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let (Purpose::Restore, Some(folder)) = (purpose, folder) {
            make_folder(folder).map_err(|e| format!("the folder cannot be made: {e}"))?;
        }
        let path = final_name(to)?;
        if let Ok(there) = fs::metadata(&path) {
            if !there.is_file() {
                return Err(format!("{} is not a file", path.display()));
            }
            if fs::metadata(from).is_ok_and(|from| is_same(&from, &there)) {
                return Err("they are the same file".into());
            }
        }
        let lock = lock(&path, purpose).map_err(|what| format!("{}: {what}", path.display()))?;
        // A log without its database would be taken for the log of the copy.
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let names = ["", "-wal", "-journal"].map(|suffix| beside(&path, suffix));
        if let Some(there) = names.iter().find(|name| !force && is_there(name)) {
            let name = there.display();
            return Err(format!("{name} is there already; --force replaces it"));
        }
        let partial = beside(&path, ".partial");
        let file = make_file(&partial)?;
        Ok(Target {
            path,
            partial,
            file,
            lock,
            is_installed: false,
        })
    }

    /// The name under which the file is written.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Makes the file empty.
    pub(super) fn clear(&self) -> std::io::Result<()> {
        self.file.set_len(0)
    }

    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file its final name, durably, and returns its size in bytes. Its owner and mode are those of the file
    /// that it replaces, or else of its source.
    pub(super) fn install(mut self, from: &Path) -> Result<u64, String> {
        let work = || {
            let replaced = fs::metadata(&self.path).ok();
            let like = match &replaced {
                Some(replaced) => replaced,
                None => &fs::metadata(from)?,
            };
            self.file.set_permissions(like.permissions())?;
            if replaced.is_some() {
                // Only root can change the owner; for others the file is theirs already.
                let _ = fchown(&self.file, Some(like.uid()), Some(like.gid()));
            }
            self.sync()?;
            remove_companions(&self.path)?;
            fs::rename(&self.partial, &self.path)?;
            self.lock.iter().for_each(Lock::clear);
            sync_folder(&self.path)?;
            Ok(self.file.metadata()?.len())
        };
        let result: std::io::Result<u64> = work();
        let name = self.path.display();
        let bytes = result.map_err(|e| format!("{name} cannot be put in place: {e}"))?;
        self.is_installed = true;
        Ok(bytes)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_installed {
            // What cannot be removed does no harm: the next copy starts it again.
            let _ = fs::remove_file(&self.partial);
            let _ = fs::remove_file(beside(&self.partial, "-wal"));
        }
    }
}

/// Makes sure that no server has the target open. A server locks before it opens; where there is no lock
/// file yet, only a restored database needs to be protected from the first one, and a backup leaves none.
fn lock(path: &Path, purpose: Purpose) -> Result<Option<Lock>, String> {
    if purpose == Purpose::Restore || beside(path, ".lock").exists() {
        return Lock::take(path).map(Some);
    }
    refuse_other_name(path).map(|()| None)
}

/// The file's own name, without links on the way where there is one already.
fn final_name(to: &Path) -> Result<PathBuf, String> {
    match fs::canonicalize(to) {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{}: {error}", to.display())),
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = to.file_name();
    let name = name.ok_or_else(|| format!("{} names no file", to.display()))?;
    let folder = fs::canonicalize(folder);
    let folder = folder.map_err(|error| format!("the folder of {}: {error}", to.display()))?;
    Ok(folder.join(name))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Makes the file, or takes over one that a killed process has left.
fn make_file(path: &Path) -> Result<File, String> {
    if let Some(kind) = special_kind(path) {
        return Err(format!("{} is {kind}, not a file", path.display()));
    }
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|e| format!("{} cannot be made: {e}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let name = path.display();
                return Err(format!("{name} is being written by another logagg"));
            }
            Err(TryLockError::Error(e)) => {
                return Err(format!("{} cannot be locked: {e}", path.display()));
            }
        }
        // The process that held the lock may have given the file its final name meanwhile.
        let is_ours = |there: Metadata| file.metadata().is_ok_and(|ours| is_same(&ours, &there));
        if fs::metadata(path).is_ok_and(is_ours) {
            return Ok(file);
        }
    }
}

/// Removes what SQLite has left beside the file that is about to be replaced: the copy must never meet the log of
/// another database. A log that can be copied into the old file is copied, so that a process that is killed in between
/// leaves that file as it was.
fn remove_companions(path: &Path) -> std::io::Result<()> {
    if path.exists() && beside(path, "-wal").exists() {
        let busy_timeout = Duration::from_millis(limits::OPEN_BUSY_MS);
        // Closing copies the log. A file that is damaged or another program's is replaced together with its log.
        let _ = Connection::open(path, Durability::Full, false, busy_timeout)
            .and_then(|db| recover_wal(&db, path));
    }
    for companion in COMPANIONS {
        match fs::remove_file(beside(path, companion)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_folder(path)
}
