//! Files that were rotated away and read to their ends. They are closed, and checked by their names as long as they
//! exist: some writers go on with them for a while.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::folders::open;
use super::position::Identity;
use super::state::Entry;
use crate::limits::SHIP_PARKED_MAX;

/// The files of one log file, those that were closed last at the end.
#[derive(Default)]
pub(super) struct Parked {
    pub files: Vec<Closed>,
    pub checked_at: Option<Instant>,
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
        // Without a path it cannot be checked.
        if entry.path.is_none() {
            return;
        }
        self.files.push(Closed::new(entry, about));
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

    /// Removes a file.
    pub(super) fn take(&mut self, identity: Identity) -> Option<Entry> {
        let at = self.entries().position(|entry| entry.identity == identity);
        at.map(|at| self.files.remove(at).entry)
    }

    /// Whether each of them is where it was, unchanged.
    pub(super) fn are_in_place(&self) -> bool {
        let path = |closed: &Closed| closed.entry.path.clone().unwrap_or_default();
        let mut files = self.files.iter();
        files.all(|closed| closed.is_in_place(Path::new(&path(closed))))
    }

    pub(super) fn holds(&self, identity: Identity) -> bool {
        self.entries().any(|entry| entry.identity == identity)
    }
}

impl Closed {
    /// `about` is that of the file of the entry.
    pub(super) fn new(entry: Entry, about: &Metadata) -> Closed {
        Closed {
            entry,
            length: about.len(),
            modified: about.modified().ok(),
        }
    }

    /// Whether it is where it was, unchanged.
    pub(super) fn is_in_place(&self, path: &Path) -> bool {
        let about = fs::metadata(path);
        about.is_ok_and(|it| Identity::of(&it) == self.entry.identity && self.is_as_it_was(&it))
    }

    /// Opens it if it is still where it was.
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

/// The file that the path names while it is closed.
pub(super) struct Asleep {
    pub closed: Closed,
    /// When it was last found unchanged.
    pub known_at: SystemTime,
    /// When its earlier files were last checked.
    pub parked_at: Instant,
    pub must_wake: bool,
}

impl Asleep {
    pub(super) fn is(&self, identity: Identity) -> bool {
        self.closed.entry.identity == identity
    }
}
