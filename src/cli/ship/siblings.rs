//! The files that a log file has become: those beside it whose names are its own and a number or a date.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::mark::Identity;

/// A file beside a log file.
pub struct Sibling {
    pub path: PathBuf,
    pub identity: Identity,
}

/// Opens a file to read, if it is one.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    // Opening a pipe would wait for somebody to write to it.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = options.read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    match about.is_file() {
        true => Ok((file, about)),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a file",
        )),
    }
}

/// The files that this log file has become, the oldest first where the file system tells their birth.
pub fn siblings(path: &Path) -> Vec<Sibling> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    let Some(name) = path.file_name() else {
        return Vec::new();
    };
    let name = name.as_encoded_bytes();
    // A folder that cannot be listed has none that could be read.
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let sibling = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        if !is_rotated(entry.file_name().as_encoded_bytes(), name) {
            return None;
        }
        let about = entry.metadata().ok()?;
        about.is_file().then(|| Sibling {
            path: entry.path(),
            identity: Identity::of(&about),
        })
    };
    let mut found: Vec<Sibling> = entries.filter_map(sibling).collect();
    found.sort_by_key(|sibling| (sibling.identity.born, sibling.path.clone()));
    found
}

/// Whether a name is that of a log file with a number or a date behind it, or in front of its extension.
fn is_rotated(name: &[u8], log: &[u8]) -> bool {
    let (stem, extension) = match log.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => log.split_at(dot),
        _ => (log, &b""[..]),
    };
    let behind = name.strip_prefix(log);
    let between = name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(extension));
    [behind, between]
        .into_iter()
        .flatten()
        .any(|mark| match mark {
            [b'.' | b'-' | b'_', rest @ ..] => {
                let is_legal = |byte: &u8| {
                    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'T' | b'Z')
                };
                rest.iter().any(u8::is_ascii_digit) && rest.iter().all(is_legal)
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::is_rotated;

    #[test]
    fn numbers_and_dates_are_marks_of_rotation() {
        for name in [
            "app.log.1",
            "app.log.12",
            "app.log-20260102",
            "app.log-2026-01-02T03:04:05Z",
            "app.log.2026-01-02_3",
            "app.1.log",
            "app-2026-01-02.log",
        ] {
            assert!(is_rotated(name.as_bytes(), b"app.log"), "{name}");
        }
        for name in [
            "app.log",
            "app.log.1.gz",
            "app.log.bak",
            "app.log.",
            "app.log1",
            "app-old.log",
            "app.log.partial",
            ".app.log.ship-0123456789",
            "other.log.1",
        ] {
            assert!(!is_rotated(name.as_bytes(), b"app.log"), "{name}");
        }
        assert!(is_rotated(b"log.1", b"log"));
        assert!(is_rotated(b".log.1", b".log"));
    }
}
