//! How far a file has been read, in a form that survives the process and the name of the file.
//!
//! An event's id is made of the text of its line and of all lines before it in the same file, of the file's inode and
//! time of birth and of how often it has been truncated: so a line that is read again gets the id that it had, under
//! any name of the file, and no other line ever gets it, even if an inode is reused or two files begin alike.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::decoding::Encoding;
use super::lines::Line;
use crate::limits::SHIP_TAIL_BYTES;

/// What tells a file from others, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub inode: u64,
    /// When the inode was made, in nanoseconds since 1970; none if the file system does not say.
    pub born: Option<u64>,
}

impl Identity {
    pub(super) fn of(about: &Metadata) -> Identity {
        let born = about.created().ok();
        let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Identity {
            inode: about.ino(),
            born: born.and_then(|since| u64::try_from(since.as_nanos()).ok()),
        }
    }
}

/// How far a file has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Where the next line begins, or the next piece of one.
    pub offset: u64,
    /// The piece of a line that is before it; 0 where a line begins.
    pub part: u32,
    /// The line before it counted without its line end, which may come yet.
    #[serde(default)]
    is_unended: bool,
    /// A hash of all lines before.
    chain: Hash,
    tail: Tail,
}

/// The bytes before a position, by which a file is known again: a file that was truncated and has grown
/// beyond the position has others there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    length: usize,
    hash: Hash,
}

impl Tail {
    /// Of bytes that end at the position.
    fn of(bytes: &[u8]) -> Tail {
        let bytes = &bytes[bytes.len().saturating_sub(SHIP_TAIL_BYTES)..];
        Tail {
            length: bytes.len(),
            hash: Hash::of(&[bytes]),
        }
    }

    /// Of the beginning of a file: that of its first line and that of more, as far as it was read.
    pub(super) fn heads(bytes: &[u8]) -> Vec<Tail> {
        let bytes = &bytes[..bytes.len().min(SHIP_TAIL_BYTES)];
        let line = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        let mut heads = vec![Tail::of(&bytes[..line])];
        if line < bytes.len() {
            heads.push(Tail::of(bytes));
        }
        heads
    }

    /// The number of bytes.
    pub(super) fn length(&self) -> u64 {
        self.length as u64
    }

    /// Whether bytes end with it.
    pub(super) fn is_end_of(&self, bytes: &[u8]) -> bool {
        let tail = bytes.len().checked_sub(self.length);
        tail.is_some_and(|at| Hash::of(&[&bytes[at..]]) == self.hash)
    }

    /// Whether a file has it before `offset`.
    pub(super) fn is_in(&self, file: &File, offset: u64) -> io::Result<bool> {
        let mut tail = vec![0; self.length];
        let Some(from) = offset.checked_sub(self.length as u64) else {
            return Ok(false);
        };
        match file.read_exact_at(&mut tail, from) {
            Ok(()) => Ok(self.is_end_of(&tail) && file.metadata()?.len() >= offset),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it can have been made at an offset.
    pub(super) fn is_sound(&self, offset: u64) -> bool {
        self.length <= SHIP_TAIL_BYTES && self.length as u64 <= offset
    }
}

/// The first half of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hash(u128);

impl Hash {
    fn of(parts: &[&[u8]]) -> Hash {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let half = digest.first_chunk().expect("a SHA-256 has 32 bytes");
        Hash(u128::from_be_bytes(*half))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        format!("{:032x}", hash.0)
    }
}

impl TryFrom<String> for Hash {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Hash, Self::Error> {
        u128::from_str_radix(&text, 16).map(Hash)
    }
}

/// A few letters that stand for texts, to name files by.
pub(super) fn short_hash(texts: &[&[u8]]) -> String {
    let lengths = texts.iter().map(|text| text.len().to_be_bytes());
    let mut parts: Vec<u8> = lengths.flatten().collect();
    parts.extend(texts.concat());
    String::from(Hash::of(&[&parts]))[..10].to_owned()
}

impl Position {
    /// Where a file is read from that has been truncated `generation` times. What is before `offset` is
    /// not read.
    pub(super) fn start(
        identity: Identity,
        generation: u64,
        source: &str,
        offset: u64,
    ) -> Position {
        let Identity { inode, born } = identity;
        let numbers = [inode, born.unwrap_or(0), generation, offset].map(u64::to_be_bytes);
        Position {
            offset,
            part: 0,
            is_unended: false,
            chain: Hash::of(&[&numbers.concat(), source.as_bytes()]),
            tail: Tail::of(&[]),
        }
    }

    /// Moves past a line and returns its event id.
    pub(super) fn pass(&mut self, line: &Line) -> String {
        let before = self.chain.0.to_be_bytes();
        self.chain = Hash::of(&[&before, line.text]);
        let event_id = format!("{}-{}", String::from(self.chain), self.offset);
        self.offset += line.length as u64;
        self.part = line.part_before_next();
        self.is_unended = !line.has_more && !line.has_end;
        event_id
    }

    /// Moves past the end of a line that was taken without it, if `bytes` begin with it: it is not a line of its own.
    /// Returns its length.
    pub(super) fn pass_late_end(&mut self, bytes: &[u8], encoding: Encoding) -> usize {
        if !self.is_unended {
            return 0;
        }
        let end = encoding.line_end(&bytes[..bytes.len().min(2 * encoding.width())]);
        let length = match end {
            Some(end)
                if encoding
                    .strip_suffix(&bytes[..end], b'\r')
                    .unwrap_or(&bytes[..end])
                    .is_empty() =>
            {
                end + encoding.width()
            }
            _ => return 0,
        };
        self.is_unended = false;
        self.skip(length);
        length
    }

    /// Moves past bytes that are not a line.
    pub(super) fn skip(&mut self, length: usize) {
        self.offset += length as u64;
    }

    /// Where to read from, so that the tail comes first.
    pub(super) fn read_from(&self) -> u64 {
        self.offset - self.tail.length as u64
    }

    /// Removes the tail from bytes that were read from [`Position::read_from`] on; `None` if it differs from the one
    /// that is remembered.
    pub(super) fn after_tail<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (tail, rest) = bytes.split_at_checked(self.tail.length)?;
        self.tail.is_end_of(tail).then_some(rest)
    }

    /// Takes the tail from bytes that end at the position.
    pub(super) fn remember_tail(&mut self, bytes: &[u8]) {
        self.tail = Tail::of(bytes);
    }

    /// The bytes before the position.
    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// Takes the tail from a file that holds what was read of it.
    pub(super) fn read_tail(&mut self, file: &File) -> io::Result<()> {
        let length = self.offset.min(SHIP_TAIL_BYTES as u64);
        let mut tail = vec![0; length as usize];
        file.read_exact_at(&mut tail, self.offset - length)?;
        self.remember_tail(&tail);
        Ok(())
    }

    /// Whether what is before the position is nothing but NULs, as far as it is remembered.
    pub(super) fn has_tail_of_nuls(&self) -> bool {
        let nuls = vec![0; self.tail.length];
        self.tail.length > 0 && self.after_tail(&nuls).is_some()
    }

    /// Whether the same lines were read before both positions.
    pub(super) fn has_read_the_same(&self, other: &Position) -> bool {
        self.chain == other.chain
    }

    /// Whether the numbers are consistent, which they need not be in a file that was edited.
    pub(super) fn is_sound(&self) -> bool {
        self.tail.is_sound(self.offset)
    }
}
