//! One log file by its name: which files it has been, how far each has been read, and what comes next.
//!
//! The files are polled. That costs a system call or two each time, works on every file system and for files that do
//! not exist yet, and misses nothing that a notification would report.

mod adopted;
mod compressed;
mod current;
mod reopened;
mod rotated;
mod sleep;

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folders::{listings, places, rotated_files, Folders, Kind, RotatedFile};
use super::parked::{Asleep, Parked};
use super::position::Identity;
use super::records::Source;
use super::state::{Entry, Memory, Pending, State};
use super::tracked::{FileRead, Reading, Tracked};
use crate::client::{Batch, Client};
use crate::limits::{SHIP_DONE_MS, SHIP_FILES_MAX, SHIP_SAVE_MS};
use crate::text::escaped;

/// What the log files of one command share.
pub(super) struct Around<'a> {
    pub folders: &'a mut Folders,
    /// The places of the log files that are followed by their own names.
    pub followed: &'a BTreeSet<PathBuf>,
    pub client: &'a Client,
    /// The other log files, where one of them may own what this one is about to take up.
    pub others: [&'a [Follower]; 2],
    /// Files that match a pattern and that no state knows: one of them may be a file that is known, under
    /// another name.
    pub strays: &'a [RotatedFile],
    /// The number of the current turn.
    pub turn: u64,
}

impl Around<'_> {
    /// Shows a sentence on standard error. It may hold any text.
    pub(super) fn report(&self, sentence: &str) {
        self.client.report(&escaped(sentence));
    }
}

/// The file that the path names, while its earlier files are looked for.
pub(super) struct Current<'a> {
    pub identity: Identity,
    /// None if it is among those that are read.
    pub file: Option<&'a File>,
    /// Whether it is certain that it was another file or was truncated. Otherwise a date before the extension is no
    /// proof.
    pub is_other: bool,
    /// A file beside it that the path named earlier was renamed before this.
    pub since: Instant,
}

/// A log file by its name.
pub(super) struct Follower {
    path: PathBuf,
    source: String,
    /// It matches a pattern, and is forgotten when it is gone.
    is_of_pattern: bool,
    /// Its name does not exist any more, for one of a pattern.
    pub(super) is_gone: bool,
    /// The file that waits until others have been checked, and since which turn.
    pub(super) held: Option<(Identity, u64)>,
    pub(super) is_held: bool,
    /// Begin at the end of the file that is there first.
    from_end: bool,
    state: State,
    /// What the state holds on the disk, and since when.
    saved: Memory,
    saved_at: Instant,
    /// Whether it must be written before anything else is published: otherwise a renamed file could be missed, and what
    /// is published could get other ids or times when it is read again.
    pub(super) must_save: bool,
    /// The files that are still read, the oldest first.
    pub(super) files: Vec<Tracked>,
    /// Those that have been read, and exist.
    pub(super) parked: Parked,
    /// The file that the path names, while it is closed because nobody writes to it. The state is closed then.
    asleep: Option<Asleep>,
    /// The file of a name that has just been found, and when it was opened.
    opened: Option<(File, Metadata, Instant)>,
    /// What is gone of the log file in this run, the youngest last.
    pub(super) gone: Vec<Entry>,
    /// What is remembered besides the files.
    pub(super) memory: Memory,
    /// The places where the path leads.
    places: Vec<PathBuf>,
    /// Whether compressed files could not be judged yet.
    must_check_compressed: bool,
    /// Files of which a part was read, which have been compressed since, as was reported.
    partly_read: usize,
    /// The listings in which the files beside it were last checked.
    pub(super) listed: Vec<u64>,
}

impl Follower {
    /// Goes on where the state says, or begins.
    ///
    /// # Errors
    /// One sentence: the state cannot be used.
    pub(super) fn new(
        path: PathBuf,
        source: &str,
        from_end: bool,
        state: State,
        around: &mut Around,
    ) -> Result<Follower, String> {
        Follower::begin(path, source, from_end, state, None, around)
    }

    /// As [`Follower::new`], for a file that matches a pattern. What it was before counts as far as `is_match`
    /// says so.
    ///
    /// # Errors
    /// One sentence: the state cannot be used.
    pub(super) fn of_match(
        path: PathBuf,
        source: &str,
        from_end: bool,
        state: State,
        is_match: &dyn Fn(&Path) -> bool,
        around: &mut Around,
    ) -> Result<Follower, String> {
        Follower::begin(path, source, from_end, state, Some(is_match), around)
    }

    fn begin(
        path: PathBuf,
        source: &str,
        from_end: bool,
        mut state: State,
        is_match: Option<&dyn Fn(&Path) -> bool>,
        around: &mut Around,
    ) -> Result<Follower, String> {
        let known = state.load()?;
        let entries = known.memory.files.clone();
        let mut follower = Follower {
            source: source.to_owned(),
            is_of_pattern: is_match.is_some(),
            is_gone: false,
            held: None,
            is_held: false,
            from_end: from_end && entries.is_empty(),
            state,
            saved: known.memory.clone(),
            saved_at: Instant::now(),
            must_save: false,
            files: Vec::new(),
            parked: Parked::default(),
            asleep: None,
            opened: None,
            gone: Vec::new(),
            memory: Memory {
                files: Vec::new(),
                ..known.memory
            },
            places: places(&path),
            must_check_compressed: false,
            partly_read: 0,
            listed: Vec::new(),
            path,
        };
        // Only files that are not where they were must be looked for.
        let is_unplaced = !entries.iter().all(|entry| follower.is_in_place(entry));
        let beside = follower.rotated_files(around, is_unplaced.then(Instant::now));
        let is_ours = |rotated: &RotatedFile| {
            let is_called_so = match rotated.kind {
                Kind::Rotated(shape) => !shape.is_infix || shape.is_dated,
                Kind::LinkTarget => false,
            };
            is_called_so && is_match.is_some_and(|is_match| is_match(&rotated.path))
        };
        if entries.is_empty() {
            // What was there before the log file was followed is no part of it.
            let before: Vec<RotatedFile> = beside
                .iter()
                .filter(|rotated| !is_ours(rotated))
                .cloned()
                .collect();
            follower.note_others(&before);
        }
        let births = entries.iter().map(|entry| entry.identity.born);
        follower.memory.newest = births.fold(follower.memory.newest, Option::max);
        let identities: Vec<Identity> = entries.iter().map(|entry| entry.identity).collect();
        for entry in entries {
            let written = (known.version, known.written);
            let strays = around.strays.iter().filter(|stray| entry.may_be(stray));
            let beside: Vec<RotatedFile> = beside.iter().chain(strays).cloned().collect();
            follower.resume(entry, written, &beside, &identities, around);
        }
        follower.check_compressed(&beside, around);
        Ok(follower)
    }

    /// Whether a file is where the path leads, or where it was seen last.
    fn is_in_place(&self, entry: &Entry) -> bool {
        let seen = entry.path.as_deref().map(Path::new);
        let mut about = [Some(&*self.path), seen]
            .into_iter()
            .flatten()
            .map(fs::metadata);
        about.any(|about| about.is_ok_and(|about| Identity::of(&about) == entry.identity))
    }

    pub(super) fn is_of_pattern(&self) -> bool {
        self.is_of_pattern
    }

    /// Whether it is gone and all that it was has been read.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone
            && self.files.is_empty()
            && self.asleep.is_none()
            && self.parked.entries().next().is_none()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn state_path(&self) -> &Path {
        self.state.path()
    }

    /// Notes which database the lines go to from now on. True where those before went to another one.
    pub(super) fn goes_to(&mut self, database_id: &str) -> bool {
        let known = self.memory.database_id.as_deref();
        if known == Some(database_id) {
            return false;
        }
        let had_another = known.is_some();
        self.memory.database_id = Some(database_id.to_owned());
        if let Some(asleep) = &mut self.asleep {
            asleep.must_wake = true;
        }
        had_another
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The number of files that are still read.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// The files that this log file may have been, as they are in this turn or since a time.
    pub(super) fn rotated_files(
        &mut self,
        around: &mut Around,
        since: Option<Instant>,
    ) -> Vec<RotatedFile> {
        let listings = listings(&self.places, around.folders, since);
        self.listed = listings.iter().map(|listing| listing.number).collect();
        let before = self.memory.place.as_deref().map(Path::new);
        // Only a link leads to files of several names.
        let before = before.filter(|_| self.places.len() > 1);
        rotated_files(&self.places, &listings, before)
    }

    pub(super) fn knows(&self, identity: Identity) -> bool {
        let opened = self.opened.as_ref().map(|(_, about, _)| about);
        self.is_read(identity)
            || self.parked.holds(identity)
            || self.asleep.as_ref().is_some_and(|it| it.is(identity))
            || opened.is_some_and(|about| Identity::of(about) == identity)
    }

    pub(super) fn is_read(&self, identity: Identity) -> bool {
        let mut files = self.files.iter();
        files.any(|tracked| tracked.entry.identity == identity)
    }

    /// Reads lines of one of the files into a batch.
    pub(super) fn read(
        &mut self,
        index: usize,
        source: &Source,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
        around: &mut Around,
    ) -> io::Result<FileRead> {
        if self.drop_copy(index)? {
            return Ok(FileRead::Truncated);
        }
        let is_complete = source.is_complete && !self.files[index].is_begun_at_end;
        let source = Source {
            is_complete: is_complete || self.is_complete(index)?,
            ..*source
        };
        let read = self.files[index].read(&source, buffer, batch)?;
        if matches!(read, FileRead::Truncated) {
            self.truncated(index, around)?;
        }
        Ok(read)
    }

    /// Whether nothing will be written to a file any more, as far as can be told.
    fn is_complete(&self, index: usize) -> io::Result<bool> {
        let tracked = &self.files[index];
        let is_last = tracked.is_current || index + 1 == self.files.len();
        if is_last && !self.is_gone {
            return Ok(false);
        }
        let age = tracked.file.metadata()?.modified()?.elapsed();
        let is_old = age.is_ok_and(|age| age >= Duration::from_millis(SHIP_DONE_MS));
        Ok(is_old || index + SHIP_FILES_MAX < self.files.len())
    }

    /// What has been read is about to be published.
    pub(super) fn announce(&mut self, index: usize, reading: &Reading) -> io::Result<()> {
        let entry = &mut self.files[index].entry;
        if !reading.head.is_empty() {
            entry.head.clone_from(&reading.head);
        }
        if let Some(pending) = reading.pending() {
            let is_known =
                |known: &Pending| known.until >= pending.until && known.read_at == pending.read_at;
            if !entry.pending.as_ref().is_some_and(is_known) {
                entry.pending = Some(pending);
                self.must_save = true;
            }
        }
        match self.must_save {
            true => self.save(true),
            false => Ok(()),
        }
    }

    /// What has been read is stored.
    pub(super) fn commit(&mut self, index: usize, reading: Reading) {
        let entry = &mut self.files[index].entry;
        entry.position = reading.position;
        entry.prefix = reading.prefix;
        entry.drop_pending();
    }

    /// Closes the files that are finished. Those that still exist are checked further.
    pub(super) fn park(&mut self) -> io::Result<()> {
        let mut index = 0;
        while index < self.files.len() {
            let tracked = &self.files[index];
            if !self.is_complete(index)? || !tracked.is_exhausted()? {
                index += 1;
                continue;
            }
            let about = tracked.file.metadata()?;
            let mut tracked = self.files.remove(index);
            tracked.entry.modified = tracked.modified_at_end();
            match about.nlink() > 0 {
                true => self.parked.add(tracked.entry, &about),
                false => self.note_gone(tracked.entry),
            }
        }
        Ok(())
    }

    /// Sentences about what in the files has not been shipped.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let rests = self.files.iter().filter_map(Tracked::rest);
        rests
            .map(|rest| format!("{}: {rest}", self.path.display()))
            .collect()
    }

    /// Writes the state if it has changed; unless `now`, at most once a second. Only what must be known before lines
    /// are published is made durable: after a power failure an older state reads the same lines again, with the same
    /// ids.
    pub(super) fn save(&mut self, now: bool) -> io::Result<()> {
        if self.asleep.is_some() {
            return Ok(());
        }
        let is_due = self.saved_at.elapsed() >= Duration::from_millis(SHIP_SAVE_MS);
        if !now && !is_due {
            return Ok(());
        }
        for tracked in &mut self.files {
            tracked.entry.modified = tracked.modified_at_end();
            tracked.entry.is_all_read = !tracked.is_current && tracked.entry.modified.is_some();
        }
        let parked = self.parked.entries().cloned();
        let files = self.files.iter().map(|tracked| tracked.entry.clone());
        self.memory.files = parked.chain(files).collect();
        if self.memory != self.saved {
            self.state.save(&self.memory)?;
            self.saved = self.memory.clone();
            self.saved_at = Instant::now();
        }
        if self.must_save {
            self.state.make_durable()?;
        }
        self.must_save = false;
        Ok(())
    }
}
