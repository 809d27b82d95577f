//! The write-ahead log as a file: reading back what SQLite has committed, and writing it again.
//!
//! Needed after a sync that may have failed: the kernel may have dropped what it could not write, and only a
//! page that is written again is synced again. Frames that are known to be on the disk are left alone, so
//! this costs what came after the last sync and not the whole log.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection as Sqlite;

use crate::store::error::StoreError;
use crate::store::paths::beside;
use crate::store::wal::position::{data_version, position};

/// Bytes of the log's header, and of a frame's (SQLite file format §4.1).
pub(crate) const LOG_HEADER: usize = 32;
pub(crate) const FRAME_HEADER: usize = 24;

/// How much of a log is known to be on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SyncedFrames {
    /// Which log: its salts, which change whenever SQLite restarts it. None if it is not known.
    pub salts: Option<[u8; 8]>,
    /// The frames at its start.
    pub frames: u64,
}

/// The salts of the log that the file holds now; none if it holds none.
pub(crate) fn salts(file: &File) -> Option<[u8; 8]> {
    let mut salts = [0; 8];
    file.read_exact_at(&mut salts, 16).ok()?;
    Some(salts)
}

/// Writes the log of a database again from the last of the `synced` frames to its last commit, and syncs
/// it. What a refused transaction has left after that is made invalid. Returns whether the log was whole;
/// where it was not, it is left as it was.
pub(crate) fn rewrite_log(
    db: &Sqlite,
    path: &Path,
    synced: SyncedFrames,
) -> Result<bool, StoreError> {
    let version = data_version(db)?;
    let frames = position(db)?.frames;
    // The write lock keeps other programs from restarting the log meanwhile.
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let result = if data_version(db)? == version {
        rewrite_frames(&beside(path, "-wal"), synced, frames)
            .map_err(|error| StoreError::Failed(format!("the write-ahead log: {error}")))
    } else {
        Err(StoreError::Locked)
    };
    db.prepare_cached("ROLLBACK")?.execute([])?;
    result
}

fn rewrite_frames(path: &Path, synced: SyncedFrames, frames: u64) -> std::io::Result<bool> {
    if frames == 0 {
        return Ok(true);
    }
    let file = File::options().read(true).write(true).open(path)?;
    let mut header = [0; LOG_HEADER];
    file.read_exact_at(&mut header, 0)?;
    let Some(sum) = Checksum::of_header(&header) else {
        return Ok(false);
    };
    let log = LogFile {
        file: &file,
        header,
    };
    let is_this_log = synced.salts.is_some_and(|salts| header[16..24] == salts);
    // The last frame that was synced shares a page of the kernel's with the first that was not.
    let first = match is_this_log {
        true => synced.frames.min(frames).saturating_sub(1),
        false => 0,
    };
    let Some(sum) = log.sum_before(first, sum)? else {
        return Ok(false);
    };
    // All of it is read before any of it is written: a damaged log is left to SQLite's recovery.
    if !log.are_whole(first..frames, sum)? {
        return Ok(false);
    }
    log.write_again(first..frames)?;
    file.sync_data()?;
    log::debug!(
        "frames {} to {frames} of the write-ahead log have been written again",
        first + 1
    );
    Ok(true)
}

struct LogFile<'f> {
    file: &'f File,
    header: [u8; LOG_HEADER],
}

impl LogFile<'_> {
    fn frame_bytes(&self) -> usize {
        FRAME_HEADER + word(&self.header, 8) as usize
    }

    /// Where a frame begins; the first has the number 0.
    fn offset(&self, frame: u64) -> u64 {
        LOG_HEADER as u64 + frame * self.frame_bytes() as u64
    }

    /// The running checksum before a frame, where `at_start` is that of the header. A frame holds the one
    /// after itself. None if it cannot be read.
    fn sum_before(&self, frame: u64, at_start: Checksum) -> std::io::Result<Option<Checksum>> {
        let Some(before) = frame.checked_sub(1) else {
            return Ok(Some(at_start));
        };
        let mut header = [0; FRAME_HEADER];
        let is_there = self.read(&mut header, self.offset(before))?;
        Ok(is_there.then(|| Checksum {
            sums: (word(&header, 16), word(&header, 20)),
            ..at_start
        }))
    }

    fn are_whole(&self, frames: std::ops::Range<u64>, mut sum: Checksum) -> std::io::Result<bool> {
        let mut frame = vec![0; self.frame_bytes()];
        for number in frames {
            let is_whole =
                self.read(&mut frame, self.offset(number))? && sum.matches(&self.header, &frame);
            if !is_whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_again(&self, frames: std::ops::Range<u64>) -> std::io::Result<()> {
        let mut frame = vec![0; self.frame_bytes()];
        if frames.start == 0 {
            self.file.write_all_at(&self.header, 0)?;
        }
        for number in frames.clone() {
            self.file.read_exact_at(&mut frame, self.offset(number))?;
            self.file.write_all_at(&frame, self.offset(number))?;
        }
        let end = self.offset(frames.end);
        if self.file.metadata()?.len() > end {
            self.file.write_all_at(&[0; FRAME_HEADER], end)?;
        }
        Ok(())
    }

    /// Reads all of `bytes`; false where the file ends before them.
    fn read(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<bool> {
        match self.file.read_exact_at(bytes, offset) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| true),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The log's running checksum (SQLite file format §4.2).
#[derive(Clone, Copy)]
struct Checksum {
    big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    /// The sum of a log's header; none if that is not one.
    fn of_header(header: &[u8; LOG_HEADER]) -> Option<Self> {
        const MAGIC: u32 = 0x377f_0682;
        let magic = word(header, 0);
        let mut sum = Self {
            big_endian: magic & 1 == 1,
            sums: (0, 0),
        };
        sum.add(&header[..24]);
        let is_header = magic & !1 == MAGIC && sum.sums == (word(header, 24), word(header, 28));
        (is_header && (512..=65_536).contains(&word(header, 8))).then_some(sum)
    }

    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.sums;
        for pair in bytes.chunks_exact(8) {
            let (mut left, mut right) = (word(pair, 0), word(pair, 4));
            if !self.big_endian {
                (left, right) = (left.swap_bytes(), right.swap_bytes());
            }
            first = first.wrapping_add(left).wrapping_add(second);
            second = second.wrapping_add(right).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    /// Whether `frame` is the next one of the log with this header.
    fn matches(&mut self, header: &[u8; LOG_HEADER], frame: &[u8]) -> bool {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER..]);
        frame[8..16] == header[16..24] && self.sums == (word(frame, 16), word(frame, 20))
    }
}
