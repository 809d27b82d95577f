//! What the library wrote down.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::fault::File;

/// One thing that happened, in the order in which the server did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Write {
        file: File,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        file: File,
        length: u64,
    },
    Sync(File),
    SyncFailed(File),
    Create(File),
    Unlink(File),
    /// Bytes that the server handed to a socket; the number is the descriptor's.
    Sent {
        socket: u64,
        bytes: Vec<u8>,
    },
}

const HEAD: usize = 24;

/// Takes the last entry of a killed server out of its record if it was killed before it did that. What comes after it
/// would be applied to a disk that never was: a sync would make the write durable. `database` is as the server left
/// it.
pub fn forget_undone(record: &Path, database: &Path) {
    let bytes = fs::read(record).expect("the server was started with the library");
    let (entries, ends) = parse(&bytes);
    let path_of = |file: &File| {
        let suffix = match file {
            File::Database => "",
            File::Log => "-wal",
            File::Journal => "-journal",
            _ => return None,
        };
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        Some(path)
    };
    let is_done = match entries.last() {
        Some(Entry::Write {
            file,
            offset,
            bytes,
        }) => path_of(file).is_none_or(|path| {
            let mut there = vec![0; bytes.len()];
            let read =
                fs::File::open(path).and_then(|file| file.read_exact_at(&mut there, *offset));
            read.is_ok() && there == *bytes
        }),
        Some(Entry::Truncate { file, length }) => path_of(file)
            .is_none_or(|path| fs::metadata(path).is_ok_and(|about| about.len() == *length)),
        Some(Entry::Unlink(file)) => path_of(file).is_none_or(|path| fs::metadata(path).is_err()),
        _ => true,
    };
    // Also what the kill has left of an entry.
    let whole = ends.len() - usize::from(!is_done);
    let end = whole.checked_sub(1).map_or(0, |at| ends[at]);
    let file = fs::File::options().write(true).open(record);
    file.and_then(|file| file.set_len(end as u64))
        .expect("the record is the test's");
}

/// Reads the record of one server, without a last entry that its end cut off.
pub fn read_record(path: &Path) -> Vec<Entry> {
    let bytes = fs::read(path).expect("the server was started with the library");
    parse(&bytes).0
}

/// The entries, and where in `bytes` each ends.
fn parse(bytes: &[u8]) -> (Vec<Entry>, Vec<usize>) {
    let all = bytes.len();
    let mut rest = bytes;
    let (mut entries, mut ends) = (Vec::new(), Vec::new());
    while rest.len() >= HEAD {
        let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(rest[at..at + 8].try_into().unwrap());
        let (kind, file, offset, length) = (word(0), word(4), long(8), long(16) as usize);
        let Some(bytes) = rest[HEAD..].get(..length) else {
            break;
        };
        rest = &rest[HEAD + length..];
        ends.push(all - rest.len());
        let file = match file {
            1 => File::Database,
            2 => File::Log,
            3 => File::Folder,
            4 => File::Parent,
            5 => File::Journal,
            _ => File::Other,
        };
        entries.push(match kind {
            1 => Entry::Write {
                file,
                offset,
                bytes: bytes.to_vec(),
            },
            2 => Entry::Truncate {
                file,
                length: offset,
            },
            3 => Entry::Sync(file),
            4 => Entry::SyncFailed(file),
            5 => Entry::Create(file),
            6 => Entry::Unlink(file),
            7 => Entry::Sent {
                socket: offset,
                bytes: bytes.to_vec(),
            },
            _ => panic!("an entry of kind {kind}"),
        });
    }
    (entries, ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::TemporaryDirectory;

    /// A write of `bytes` at offset 2 of the log, as the library writes it down.
    fn entry(bytes: &[u8]) -> Vec<u8> {
        let head = [2 << 32 | 1, 2, bytes.len() as u64].map(u64::to_ne_bytes);
        [head.concat(), bytes.to_vec()].concat()
    }

    #[test]
    fn only_a_write_that_was_not_done_is_taken_out() {
        let folder = TemporaryDirectory::new();
        let (record, database) = (folder.join("record"), folder.join("events.db"));
        let done = entry(b"abc");
        for (log, last, is_kept) in [
            (&b"..abcd"[..], entry(b"abcd"), true),
            (b"..abcd", entry(b"abcX"), false),
            (b"..abc", entry(b"abcd"), false),
            (b"..abc", entry(b"ab"), true),
            (b"..abcd", entry(b"abcd")[..25].to_vec(), false),
        ] {
            fs::write(folder.join("events.db-wal"), log).unwrap();
            fs::write(&record, [done.clone(), last.clone()].concat()).unwrap();
            forget_undone(&record, &database);
            let left = fs::read(&record).unwrap();
            assert_eq!(
                left.len(),
                done.len() + if is_kept { last.len() } else { 0 }
            );
        }
    }
}
