//! What the library wrote down.

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

/// Reads the record of one server, without a last entry that its end cut off.
pub fn read_record(path: &Path) -> Vec<Entry> {
    let bytes = std::fs::read(path).expect("the server was started with the library");
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while rest.len() >= HEAD {
        let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(rest[at..at + 8].try_into().unwrap());
        let (kind, file, offset, length) = (word(0), word(4), long(8), long(16) as usize);
        let Some(bytes) = rest[HEAD..].get(..length) else {
            break;
        };
        rest = &rest[HEAD + length..];
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
    entries
}
