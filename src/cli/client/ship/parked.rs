//! Files that were rotated away and read to their ends. They are closed, and looked at by their names as long as
//! they lie there: some writers go on with them for a while.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::folders::open;
use super::mark::Identity;
use super::state::Entry;
use crate::limits::SHIP_PARKED_MAX;

/// The files of one log file, those that were closed last at the end.
#[derive(Default)]
pub(super) struct Parked {
    pub files: Vec<Closed>,
    pub looked_at: Option<Instant>,
}

pub(super) struct Closed {
    pub entry: Entry,
    length: u64,
    modified: Option<SystemTime>,
}

impl Parked {
    /// Adds a file. Beyond the bound the one that was added first is forgotten.
    pub(super) fn add(&mut self, mut entry: Entry, about: &Metadata) {
        entry.is_done = true;
        // Without a path it cannot be looked at.
        if entry.path.is_none() {
            return;
        }
        self.files.push(Closed {
            entry,
            length: about.len(),
            modified: about.modified().ok(),
        });
        if self.files.len() > SHIP_PARKED_MAX {
            self.files.remove(0);
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.files.iter().map(|closed| &closed.entry)
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.files.iter_mut().map(|closed| &mut closed.entry)
    }

    /// Takes a file out.
    pub(super) fn take(&mut self, identity: Identity) -> Option<Entry> {
        let at = self.entries().position(|entry| entry.identity == identity);
        at.map(|at| self.files.remove(at).entry)
    }

    pub(super) fn holds(&self, identity: Identity) -> bool {
        self.entries().any(|entry| entry.identity == identity)
    }
}

impl Closed {
    /// Opens it if it still lies where it was.
    pub(super) fn open(&self) -> io::Result<(File, Metadata)> {
        let (file, about) = open(Path::new(self.entry.path.as_deref().unwrap_or_default()))?;
        match Identity::of(&about) == self.entry.identity {
            true => Ok((file, about)),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn is_as_it_was(&self, about: &Metadata) -> bool {
        (self.length, self.modified) == (about.len(), about.modified().ok())
    }
}
