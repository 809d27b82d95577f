//! A checksum of how a file begins, as far as it was read, up to a bound. It notices a file that was truncated and
//! written again with the same bytes before the position, which the tail alone does not show.

use std::fs::File;
use std::io;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use super::folders::read_at;
use crate::limits::{SHIP_PREFIX_BYTES, SHIP_READ_BYTES};

/// The checksum of the first bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Prefix {
    length: u64,
    crc: u32,
}

impl Prefix {
    /// With bytes that were read at `offset`, if it goes up to there and is not long enough yet.
    pub(super) fn with(self, offset: u64, bytes: &[u8]) -> Prefix {
        if self.length != offset {
            return self;
        }
        let left = SHIP_PREFIX_BYTES.saturating_sub(offset);
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut hasher = Hasher::new_with_initial_len(self.crc, self.length);
        hasher.update(&bytes[..count]);
        Prefix {
            length: self.length + count as u64,
            crc: hasher.finalize(),
        }
    }

    /// Whether a file begins with these bytes. Reads all of them.
    pub(super) fn is_of(self, file: &File) -> io::Result<bool> {
        let mut found = Prefix::default();
        let mut piece = vec![0; SHIP_READ_BYTES];
        while found.length < self.length {
            let most = (self.length - found.length).min(SHIP_READ_BYTES as u64) as usize;
            let count = read_at(file, &mut piece[..most], found.length)?;
            if count == 0 {
                return Ok(false);
            }
            found = found.with(found.length, &piece[..count]);
        }
        Ok(found == self)
    }
}
