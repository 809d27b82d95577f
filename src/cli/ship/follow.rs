//! One log file by its name: which files it has been, how far each has been read, and what comes next.
//!
//! The files are looked at again and again. That costs a system call or two a look, works on every file
//! system and for files that are yet to be made, and misses nothing: what a notification would say is
//! there to be seen.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::mark::{Identity, Mark};
use super::siblings::{open, siblings};
use super::state::{Entry, Pending, State};
use super::tracked::{without_nuls, Look, Reading, Source, Tracked};
use crate::client::Batch;
use crate::limits::{SHIP_DONE_MS, SHIP_FILES_MAX, SHIP_READ_BYTES, SHIP_SAVE_MS};

/// How much older than a look a copy may claim to be that was made behind it: clocks of files are coarse.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// A log file by its name.
pub struct Follower {
    path: PathBuf,
    source: String,
    /// Begin at the end of the file that is there first.
    from_end: bool,
    state: State,
    /// What the state holds on the disk, and since when.
    saved: Vec<Entry>,
    saved_at: Instant,
    /// Whether it must be written before anything else is published: else a file could be missed that is
    /// renamed, and what is published could get other ids or times when it is read again.
    must_save: bool,
    /// The files that are still read, the oldest first.
    files: Vec<Tracked>,
    /// When the newest file was born that has been read.
    newest: Option<u64>,
}

impl Follower {
    /// Goes on where the state says, or begins.
    ///
    /// # Errors
    /// One sentence: the state cannot be used.
    pub fn new(
        path: PathBuf,
        source: &str,
        from_end: bool,
        mut state: State,
        tell: &dyn Fn(&str),
    ) -> Result<Follower, String> {
        let known = state.load()?;
        let mut follower = Follower {
            path,
            source: source.to_owned(),
            from_end: from_end && known.files.is_empty(),
            state,
            saved: Vec::new(),
            saved_at: Instant::now(),
            must_save: false,
            files: Vec::new(),
            newest: None,
        };
        for entry in known.files {
            follower.resume(entry, (known.version, known.written), tell);
        }
        Ok(follower)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of files that are still read.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Finds a file again that was being read.
    fn resume(
        &mut self,
        mut entry: Entry,
        (version, written): (u32, SystemTime),
        tell: &dyn Fn(&str),
    ) {
        self.newest = self.newest.max(entry.identity.born);
        let is_it = |path: &Path| -> Option<File> {
            let (file, about) = open(path).ok()?;
            (Identity::of(&about) == entry.identity).then_some(file)
        };
        let current = is_it(&self.path).map(|file| (file, true));
        let found = current.or_else(|| {
            let siblings = siblings(&self.path);
            let file = siblings.iter().find_map(|sibling| is_it(&sibling.path));
            file.map(|file| (file, false))
        });
        match found {
            Some((file, is_current)) => {
                if version == 1 {
                    // Where it cannot be read that shows when it is read on.
                    let mark = without_nuls(&file, &entry, &self.source).ok().flatten();
                    entry.mark = mark.unwrap_or(entry.mark);
                }
                let tracked = Tracked::new(file, entry, is_current, written);
                self.files.push(tracked);
            }
            None => tell(&format!(
                "a file that {} was is gone; what it held behind byte {} is not shipped",
                self.path.display(),
                entry.mark.offset
            )),
        }
    }

    /// Looks which file the path names, and takes up those that it has named meanwhile. False where there
    /// is none.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let about = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.from_end = false;
                return Ok(false);
            }
            about => about?,
        };
        if !self.is_read(Identity::of(&about)) {
            let (file, about) = open(&self.path)?;
            self.take_up_missed(Identity::of(&about))?;
            let (identity, from_end) = (Identity::of(&about), self.from_end);
            let mark = match from_end {
                true => self.mark_at_end(&file, &about)?,
                false => Mark::start(identity, 0, &self.source, 0),
            };
            self.take_up(file, identity, mark);
        }
        self.from_end = false;
        let current = fs::metadata(&self.path).map(|about| Identity::of(&about));
        for tracked in &mut self.files {
            tracked.is_current = current
                .as_ref()
                .is_ok_and(|it| *it == tracked.entry.identity);
        }
        Ok(true)
    }

    fn is_read(&self, identity: Identity) -> bool {
        let mut files = self.files.iter();
        files.any(|tracked| tracked.entry.identity == identity)
    }

    fn take_up(&mut self, file: File, identity: Identity, mark: Mark) {
        self.newest = self.newest.max(identity.born);
        let entry = Entry {
            identity,
            generation: 0,
            mark,
            pending: None,
        };
        let mut tracked = Tracked::new(file, entry, false, SystemTime::now());
        tracked.is_begun_at_end = self.from_end;
        self.files.push(tracked);
        self.must_save = true;
    }

    /// Takes up the files that the path named, behind the newest that is known, while nobody looked.
    fn take_up_missed(&mut self, current: Identity) -> io::Result<()> {
        let Some(newest) = self.newest else {
            return Ok(());
        };
        for sibling in siblings(&self.path) {
            let is_newer = sibling.identity.born.is_some_and(|born| born > newest);
            if !is_newer || sibling.identity == current || self.is_read(sibling.identity) {
                continue;
            }
            let (file, about) = open(&sibling.path)?;
            let identity = Identity::of(&about);
            // It may have been renamed in this very moment; then it is there under its next name.
            if identity == sibling.identity {
                let mark = Mark::start(identity, 0, &self.source, 0);
                self.take_up(file, identity, mark);
            }
        }
        Ok(())
    }

    /// A mark behind the last line end of a file.
    fn mark_at_end(&self, file: &File, about: &Metadata) -> io::Result<Mark> {
        let mut end = about.len();
        let mut piece = vec![0; SHIP_READ_BYTES];
        while end > 0 {
            let length = end.min(SHIP_READ_BYTES as u64) as usize;
            let piece = &mut piece[..length];
            file.read_exact_at(piece, end - length as u64)?;
            if let Some(at) = memchr::memrchr(b'\n', piece) {
                end -= (length - at - 1) as u64;
                break;
            }
            end -= length as u64;
        }
        let mut mark = Mark::start(Identity::of(about), 0, &self.source, end);
        mark.read_tail(file)?;
        Ok(mark)
    }

    /// Reads lines of one of the files into a batch.
    pub fn read(
        &mut self,
        index: usize,
        source: &Source,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> io::Result<Look> {
        let is_complete = source.is_complete && !self.files[index].is_begun_at_end;
        let source = Source {
            is_complete: is_complete || self.is_complete(index)?,
            ..*source
        };
        let look = self.files[index].read(&source, buffer, batch)?;
        if matches!(look, Look::Truncated) {
            self.truncated(index);
        }
        Ok(look)
    }

    /// Whether nobody will write to a file any more, as far as can be told.
    fn is_complete(&self, index: usize) -> io::Result<bool> {
        let tracked = &self.files[index];
        if tracked.is_current || index + 1 == self.files.len() {
            return Ok(false);
        }
        let age = tracked.file.metadata()?.modified()?.elapsed();
        let is_old = age.is_ok_and(|age| age >= Duration::from_millis(SHIP_DONE_MS));
        Ok(is_old || index + SHIP_FILES_MAX < self.files.len())
    }

    /// A file does not hold what was read of it any more. What it held beyond that may be in a copy that
    /// was made before.
    fn truncated(&mut self, index: usize) {
        let tracked = &self.files[index];
        let since = tracked.known_at - CLOCK_SLACK;
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let copy = siblings(&self.path).into_iter().rev().find_map(|sibling| {
            let born = Duration::from_nanos(sibling.identity.born?);
            if born < since || self.is_read(sibling.identity) {
                return None;
            }
            let (file, about) = open(&sibling.path).ok()?;
            let is_copy = tracked.entry.fits(&file).unwrap_or(false);
            is_copy.then(|| (file, Identity::of(&about)))
        });
        let copy = copy.map(|(file, identity)| {
            let entry = tracked.entry.of_copy(&file, identity);
            Tracked::new(file, entry, false, tracked.known_at)
        });
        self.files[index].restart(&self.source);
        self.must_save = true;
        if let Some(copy) = copy {
            self.files.insert(index, copy);
        }
    }

    /// What has been read is about to be published.
    pub fn announce(&mut self, index: usize, reading: &Reading) -> io::Result<()> {
        let entry = &mut self.files[index].entry;
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
    pub fn commit(&mut self, index: usize, reading: Reading) {
        let entry = &mut self.files[index].entry;
        entry.mark = reading.mark;
        entry.drop_pending();
    }

    /// Forgets the files that are done with.
    pub fn forget(&mut self) -> io::Result<()> {
        for index in (0..self.files.len()).rev() {
            let tracked = &self.files[index];
            let is_read = tracked.file.metadata()?.len() == tracked.entry.mark.offset;
            if is_read && self.is_complete(index)? {
                self.files.remove(index);
            }
        }
        Ok(())
    }

    /// Sentences about what the files hold that is not shipped.
    pub fn leftovers(&self) -> Vec<String> {
        let rests = self.files.iter().filter_map(Tracked::rest);
        rests
            .map(|rest| format!("{}: {rest}", self.path.display()))
            .collect()
    }

    /// Writes the state if it has changed; unless `now`, at most once a second.
    pub fn save(&mut self, now: bool) -> io::Result<()> {
        let is_due = self.saved_at.elapsed() >= Duration::from_millis(SHIP_SAVE_MS);
        let entries = self.files.iter().map(|tracked| tracked.entry.clone());
        let entries: Vec<Entry> = entries.collect();
        if entries != self.saved && (now || is_due) {
            self.state.save(entries.clone())?;
            self.saved = entries;
            self.saved_at = Instant::now();
            self.must_save = false;
        }
        Ok(())
    }
}
