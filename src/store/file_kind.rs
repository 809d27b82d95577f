//! Whether the names of a database lead to ordinary files. Opening a FIFO waits for its other end, and reading a device
//! may never end, so this is asked before anything is opened. It opens nothing itself.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{statx, AtFlags, StatxAttributes, StatxFlags, CWD};

use super::paths::beside;

/// What is opened beside a database.
const COMPANIONS: [&str; 4] = ["-wal", "-shm", "-journal", ".lock"];

/// Refuses a database that is there and not an ordinary file, or has such a thing beside it where SQLite
/// or the lock would open it. What is missing is right. The error is a clause of a sentence.
pub(super) fn require_ordinary(path: &Path) -> Result<(), String> {
    if let Some(kind) = special_kind(path) {
        return Err(format!("it is {kind}"));
    }
    for suffix in COMPANIONS {
        let companion = beside(path, suffix);
        if let Some(kind) = special_kind(&companion) {
            return Err(format!("{} is {kind}, not a file", companion.display()));
        }
    }
    Ok(())
}

/// Whether a file is mounted by itself, as `docker run -v ./events.db:/data/events.db` does it. What SQLite
/// keeps beside it is then not beside the file that was meant, and goes with the container.
pub(super) fn is_mounted_alone(path: &Path) -> bool {
    let about = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    about.is_ok_and(|about| about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The kind of file that a name leads to, links followed; `None` for an ordinary file and for none.
pub(super) fn special_kind(path: &Path) -> Option<&'static str> {
    let kind = fs::metadata(path).ok()?.file_type();
    let kinds = [
        (kind.is_dir(), "a folder"),
        (kind.is_fifo(), "a FIFO"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device(), "a device"),
        (kind.is_block_device(), "a device"),
    ];
    kinds.into_iter().find(|(is, _)| *is).map(|(_, name)| name)
}
