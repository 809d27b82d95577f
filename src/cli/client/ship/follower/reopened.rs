//! How a log file reopens those of its files that were closed.

use std::fs::{self, File};
use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::super::folders::{open, RotatedFile};
use super::super::position::Identity;
use super::super::state::Entry;
use super::super::tracked::Tracked;
use super::{Around, Follower};
use crate::limits::{SHIP_FILES_MAX, SHIP_PARKED_MS};

impl Follower {
    /// Reopens the files that have changed, and forgets those that are gone. `beside` are the files beside the log
    /// file, if they have changed.
    pub(super) fn check_parked(
        &mut self,
        beside: Option<&[RotatedFile]>,
        around: &mut Around,
    ) -> io::Result<()> {
        if let Some(beside) = beside {
            self.find_names(beside);
        }
        let pause = Duration::from_millis(SHIP_PARKED_MS);
        let checked_at = self.parked.checked_at;
        if checked_at.is_some_and(|at| at.elapsed() < pause) || self.parked.files.is_empty() {
            return Ok(());
        }
        self.parked.checked_at = Some(Instant::now());
        let mut index = 0;
        while index < self.parked.files.len() {
            let closed = &self.parked.files[index];
            let path = closed.entry.path.as_deref().unwrap_or_default();
            match fs::metadata(path) {
                Ok(about) if Identity::of(&about) == closed.entry.identity => {
                    if closed.is_as_it_was(&about) || self.files.len() >= SHIP_FILES_MAX {
                        index += 1;
                    } else {
                        self.reopen(index)?;
                    }
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => index += 1,
                _ => {
                    let identity = closed.entry.identity;
                    let beside = self.rotated_files(around, Some(Instant::now()));
                    self.find_names(&beside);
                    if !beside.iter().any(|rotated| rotated.identity == identity) {
                        let closed = self.parked.files.remove(index);
                        self.note_gone(closed.entry);
                    } else {
                        index += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens a file again that was closed, if it is one; false where it is not.
    pub(super) fn revive(&mut self, identity: Identity) -> io::Result<bool> {
        let mut entries = self.parked.entries();
        let Some(index) = entries.position(|entry| entry.identity == identity) else {
            return Ok(false);
        };
        drop(entries);
        let closed = self.parked.files.remove(index);
        let (file, _) = open(self.path())?;
        self.reopened(file, closed.entry);
        Ok(true)
    }

    fn reopen(&mut self, index: usize) -> io::Result<()> {
        let (file, _) = self.parked.files[index].open()?;
        let closed = self.parked.files.remove(index);
        self.reopened(file, closed.entry);
        Ok(())
    }

    pub(super) fn reopened(&mut self, file: File, mut entry: Entry) {
        entry.is_done = false;
        let tracked = Tracked::new(file, entry, false, SystemTime::now());
        self.files.insert(0, tracked);
    }
}
