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

use super::event::Template;
use super::lines::{self, Next};
use super::mark::{Identity, Mark};
use super::siblings::{open, siblings};
use super::state::{Entry, Pending, State};
use crate::client::Batch;
use crate::limits::{
    CLIENT_BATCH_BYTES, SHIP_BATCH_EVENTS, SHIP_DONE_MS, SHIP_FILES_MAX, SHIP_LINE_MAX_BYTES,
    SHIP_READ_BYTES, SHIP_SAVE_MS, SHIP_TAIL_BYTES,
};

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

/// A file that is read.
struct Tracked {
    file: File,
    entry: Entry,
    /// Whether the path names it.
    is_current: bool,
    /// Its length and time of change when all of it had been read.
    read_at: Option<(u64, SystemTime)>,
    /// When it was last found to hold what was read of it.
    known_at: SystemTime,
}

/// What a look at a file came to.
pub enum Look {
    /// There is nothing new.
    Nothing,
    /// It was truncated, and is to be looked at again.
    Truncated,
    Lines(Reading),
}

/// Lines that have been read and are to be published.
pub struct Reading {
    mark: Mark,
    /// The time of reading, where events have it.
    time: Option<String>,
}

impl Tracked {
    fn new(file: File, entry: Entry, is_current: bool, known_at: SystemTime) -> Tracked {
        Tracked {
            file,
            entry,
            is_current,
            read_at: None,
            known_at,
        }
    }

    /// Reads into `buffer` from the tail of the mark on; true where it comes to the file's end.
    fn read(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        buffer.resize(SHIP_TAIL_BYTES + most, 0);
        let from = self.entry.mark.read_from();
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], from + filled as u64)
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let is_end = filled < buffer.len();
        buffer.truncate(filled);
        Ok(is_end)
    }
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
        state: State,
        tell: &dyn Fn(&str),
    ) -> Result<Follower, String> {
        let known = state.load()?;
        let is_begun = known
            .as_ref()
            .is_some_and(|(entries, _)| !entries.is_empty());
        let mut follower = Follower {
            path,
            source: source.to_owned(),
            from_end: from_end && !is_begun,
            state,
            saved: Vec::new(),
            saved_at: Instant::now(),
            must_save: false,
            files: Vec::new(),
            newest: None,
        };
        match known {
            None => {
                // That it can be kept is found out before anything is shipped.
                let save = follower.state.save(Vec::new());
                let path = follower.state.path().display();
                save.map_err(|error| {
                    format!("cannot write the state {path}: {error}; --state keeps it elsewhere")
                })?;
            }
            Some((entries, written)) => {
                for entry in entries {
                    follower.resume(entry, written, tell);
                }
            }
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
    fn resume(&mut self, entry: Entry, written: SystemTime, tell: &dyn Fn(&str)) {
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
        let tracked = Tracked::new(file, entry, false, SystemTime::now());
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
        let length = end.min(SHIP_TAIL_BYTES as u64);
        let mut tail = vec![0; length as usize];
        file.read_exact_at(&mut tail, end - length)?;
        mark.remember_tail(&tail);
        Ok(mark)
    }

    /// Reads lines of one of the files into a batch.
    pub fn read(
        &mut self,
        index: usize,
        template: &Template,
        now: &str,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> io::Result<Look> {
        let is_complete = self.is_complete(index)?;
        let tracked = &mut self.files[index];
        let about = tracked.file.metadata()?;
        let state = (about.len(), about.modified()?);
        let rest = about.len().checked_sub(tracked.entry.mark.offset);
        if tracked.read_at == Some(state) && (!is_complete || rest == Some(0)) {
            tracked.known_at = SystemTime::now();
            return Ok(Look::Nothing);
        }
        let mut most = SHIP_READ_BYTES;
        loop {
            let is_end = tracked.read(buffer, most)?;
            let mut mark = tracked.entry.mark.clone();
            let Some(bytes) = mark.behind_tail(buffer).filter(|_| rest.is_some()) else {
                self.truncated(index);
                return Ok(Look::Truncated);
            };
            tracked.known_at = SystemTime::now();
            let tail = buffer.len() - bytes.len();
            let pending = tracked.entry.pending.as_ref();
            let pending = pending.filter(|pending| mark.offset < pending.until);
            let time = pending.map_or(now, |pending| &pending.read_at).to_owned();
            let until = pending.map_or(u64::MAX, |pending| pending.until);
            let (mut at, mut has_read_time, mut is_unfinished) = (0, false, false);
            while mark.offset < until
                && batch.len() < SHIP_BATCH_EVENTS
                && batch.size() < CLIENT_BATCH_BYTES
                && !is_unfinished
            {
                match lines::next(&bytes[at..], mark.part, is_complete && is_end) {
                    Next::Hole(length) => {
                        at += length;
                        mark.skip(length);
                    }
                    Next::Line(line) => {
                        let event_id = mark.pass(&line);
                        let event = template.event(&event_id, &line, &time);
                        has_read_time |= event.has_read_time;
                        batch.push(event.json.as_bytes());
                        at += line.length;
                    }
                    Next::Unfinished => is_unfinished = true,
                }
            }
            if is_unfinished && is_end {
                tracked.read_at = Some(state);
            }
            mark.remember_tail(&buffer[..tail + at]);
            if batch.is_empty() {
                tracked.entry.mark = mark;
                if is_end {
                    return Ok(Look::Nothing);
                }
                // A hole, or the beginning of a line that is longer than what was read.
                if at == 0 {
                    most = SHIP_LINE_MAX_BYTES + 1;
                }
                continue;
            }
            return Ok(Look::Lines(Reading {
                mark,
                time: has_read_time.then_some(time),
            }));
        }
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
            let is_copy = tracked.entry.mark.fits(&file).unwrap_or(false);
            is_copy.then(|| (file, Identity::of(&about)))
        });
        let copy = copy.map(|(file, identity)| {
            let entry = Entry {
                identity,
                ..tracked.entry.clone()
            };
            Tracked::new(file, entry, false, tracked.known_at)
        });
        let tracked = &mut self.files[index];
        tracked.read_at = None;
        tracked.known_at = SystemTime::now();
        let entry = &mut tracked.entry;
        entry.generation += 1;
        entry.mark = Mark::start(entry.identity, entry.generation, &self.source, 0);
        entry.pending = None;
        self.must_save = true;
        if let Some(copy) = copy {
            self.files.insert(index, copy);
        }
    }

    /// What has been read is about to be published.
    pub fn announce(&mut self, index: usize, reading: &Reading) -> io::Result<()> {
        let entry = &mut self.files[index].entry;
        if let Some(time) = &reading.time {
            let until = reading.mark.offset;
            let is_known = |pending: &Pending| pending.until >= until && pending.read_at == *time;
            if !entry.pending.as_ref().is_some_and(is_known) {
                entry.pending = Some(Pending {
                    until,
                    read_at: time.clone(),
                });
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
        let offset = entry.mark.offset;
        entry.pending = entry
            .pending
            .take()
            .filter(|pending| pending.until > offset);
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
