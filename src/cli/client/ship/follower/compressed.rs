//! Compressed files beside a log file. They are never read, so one that was compressed before it was read is missing on
//! the server, which is reported once.
//!
//! A program that compresses a file gives the new one the time at which the old one was last written to. So a
//! compressed file with a time that no known file had holds lines that were never read.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::super::folders::{compressed, listings, nanos, read_at, RotatedFile};
use super::super::state::Entry;
use super::{Around, Follower};
use crate::limits::SHIP_OTHERS_MAX;

const SECOND: u64 = 1_000_000_000;

impl Follower {
    /// Reports which of the new compressed files were never read. `beside` are the uncompressed files beside the log
    /// file.
    pub(super) fn check_compressed(&mut self, beside: &[RotatedFile], around: &mut Around) {
        let mut rotated = self.files.iter().filter(|tracked| !tracked.is_current);
        if rotated.any(|tracked| tracked.modified_at_end().is_none()) {
            // It may be the one that has been compressed.
            self.must_check_compressed = true;
            return;
        }
        self.must_check_compressed = false;
        let files = self.compressed(around);
        let rotated_files = beside
            .iter()
            .filter_map(|it| u64::try_from(it.modified).ok());
        let times = rotated_files.chain(files.iter().map(|(_, time)| *time));
        let times: BTreeSet<u64> = times.take(SHIP_OTHERS_MAX).collect();
        let Some(seen) = self.memory.seen.replace(times) else {
            return;
        };
        let mut unread: Vec<(PathBuf, u64)> = files
            .into_iter()
            .filter(|(path, time)| !is_among(*time, &seen) && !self.has_read(path, *time))
            .collect();
        // The oldest are those of which a part was read, and that has been reported.
        unread.sort_by_key(|(_, time)| *time);
        let reported = unread.len().min(self.partly_read);
        self.partly_read -= reported;
        for (path, _) in &unread[reported..] {
            around.report(&format!(
                "{} was compressed before it was read, and is not shipped (logrotate has delaycompress)",
                path.display()
            ));
        }
    }

    /// Whether a compressed file is one of which all was read.
    fn has_read(&self, path: &Path, time: u64) -> bool {
        let files = self.files.iter().map(|tracked| &tracked.entry);
        let mut known = files.chain(self.parked.entries()).chain(&self.gone);
        known.any(|entry: &Entry| {
            let has_time = entry.modified.is_some_and(|it| is_same(time, it));
            has_time || was_length(path, entry.position.offset)
        })
    }

    /// The compressed files that are complete and called as rotated files of this log file are, and when what
    /// they hold was last written to.
    fn compressed(&self, around: &mut Around) -> Vec<(PathBuf, u64)> {
        let listings = listings(&self.places, around.folders, None);
        let files = compressed(&self.places, &listings, self.memory.shape);
        // While it is made, the file that is compressed is still there.
        let complete = files
            .into_iter()
            .filter(|path| !path.with_extension("").exists());
        let times = complete.filter_map(|path| {
            let modified = fs::metadata(&path).and_then(|about| about.modified());
            Some((path, nanos(modified.ok()?)?))
        });
        times.collect()
    }

    /// Reports that a file is gone whose lines after `offset` may not have been read.
    pub(super) fn report_gone(&mut self, offset: u64, around: &mut Around) {
        let compressed = self.compressed(around);
        if compressed.iter().any(|(file, _)| was_length(file, offset)) {
            return;
        }
        let what = match compressed.is_empty() {
            true => "is gone",
            false => "was compressed before it was read to its end (logrotate has delaycompress)",
        };
        self.partly_read += usize::from(!compressed.is_empty());
        around.report(&format!(
            "a file that {} was {what}; what it held after byte {offset} is not shipped",
            self.path().display()
        ));
    }
}

fn is_among(time: u64, seen: &BTreeSet<u64>) -> bool {
    seen.contains(&time) || seen.iter().any(|known| is_same(time, *known))
}

/// Whether a compressed file has the time of another one. Some programs keep whole seconds.
fn is_same(compressed: u64, known: u64) -> bool {
    match compressed % SECOND {
        0 => compressed / SECOND == known / SECOND,
        _ => compressed == known,
    }
}

/// Whether a compressed file was as long as this. Those of gzip end with their length, modulo 2^32.
fn was_length(compressed: &Path, length: u64) -> bool {
    let end = File::open(compressed).and_then(|file| {
        let mut end = [0; 4];
        let from = file.metadata()?.len().saturating_sub(4);
        read_at(&file, &mut end, from)?;
        io::Result::Ok(u32::from_le_bytes(end))
    });
    let is_gzip = compressed.extension().is_some_and(|suffix| suffix == "gz");
    is_gzip && end.is_ok_and(|end| end == length as u32)
}
