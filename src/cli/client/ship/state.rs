//! What is remembered of a log file between two runs: a small file beside it. It need not be up to date: what was
//! published after it was written is published again, and the server drops it as a duplicate.
//!
//! The file is locked while a shipper uses it. Each writing replaces it, so the new file is locked before it takes the
//! old one's name: the process that gets the lock of a file that still has the name is the only one.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::folders::{open, RotatedFile};
use super::names::Shape;
use super::position::{Identity, Position, Tail};
use super::prefix::Prefix;

/// The version of the form. Version 1 could be after NULs at the end of a file.
pub(super) const VERSION: u32 = 2;

/// One file that is being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub identity: Identity,
    /// How often it has been truncated.
    pub generation: u64,
    /// Up to here the server has stored it.
    #[serde(rename = "mark")]
    pub position: Position,
    /// What has been read, and perhaps published, after the position.
    pub pending: Option<Pending>,
    /// How it began when its first lines were read, which identifies copies of it when it is gone.
    #[serde(default)]
    pub head: Vec<Tail>,
    /// Where it was seen last; none if that is not UTF-8.
    #[serde(default)]
    pub path: Option<String>,
    /// It was rotated away and read to its end. It is checked as long as it exists.
    #[serde(default)]
    pub is_done: bool,
    /// The path named another file, and all of this one had been read, when this was written.
    #[serde(default)]
    pub is_all_read: bool,
    /// When it was last written to, where all of it had been read then. In nanoseconds since 1970.
    #[serde(default)]
    pub modified: Option<u64>,
    /// How it begins, as far as it was read.
    #[serde(default)]
    pub prefix: Prefix,
}

/// Lines that have no time of their own must get the same one when they are published again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The offset after the last of them.
    pub until: u64,
    pub read_at: String,
    /// The bytes before it. They show whether the file was truncated since, and that the last of the lines ends there,
    /// whatever was written after it. States of the first version do not have it.
    #[serde(default)]
    pub tail: Option<Tail>,
}

impl Entry {
    /// Whether anything was read of it, so that [`Entry::fits`] can decide.
    pub(super) fn has_been_read(&self) -> bool {
        let pending = self.pending.as_ref();
        self.position.offset > 0 || pending.is_some_and(|pending| pending.tail.is_some())
    }

    /// Whether a file holds what was read of this one. True if nothing was read.
    pub(super) fn fits(&self, file: &File) -> io::Result<bool> {
        let pending = self.pending.as_ref();
        let pending = pending.and_then(|pending| Some((pending.tail?, pending.until)));
        match (self.position.offset, pending) {
            (0, Some((tail, until))) => tail.is_in(file, until),
            (0, None) => Ok(false),
            (offset, _) => self.position.tail().is_in(file, offset),
        }
    }

    /// Whether a file holds all that was read of this one, as far as that is remembered.
    pub(super) fn is_held_by(&self, file: &File) -> io::Result<bool> {
        let is_begun_like = self.head.is_empty() || self.is_begun_like(file)?;
        Ok(is_begun_like && self.fits(file)? && self.prefix.is_of(file)?)
    }

    /// Whether a file under any name may be this one. One with its identity must hold what was read.
    pub(super) fn may_be(&self, stray: &RotatedFile) -> bool {
        stray.identity != self.identity || {
            let opened = open(&stray.path);
            !self.has_been_read()
                || opened
                    .and_then(|(file, _)| self.fits(&file))
                    .unwrap_or(false)
        }
    }

    /// Whether another file begins as this one did.
    pub(super) fn is_begun_like(&self, file: &File) -> io::Result<bool> {
        let length = file.metadata()?.len();
        let mut heads = self.head.iter().rev();
        match heads.find(|head| head.length() <= length) {
            Some(head) => head.is_in(file, head.length()),
            None => Ok(false),
        }
    }

    /// The entry of a copy, which goes on where this one is. What was read of this one may not have come into
    /// the copy.
    pub(super) fn of_copy(&self, copy: &File, identity: Identity) -> Entry {
        let mut entry = Entry {
            identity,
            path: None,
            ..self.clone()
        };
        if let Some(pending) = &mut entry.pending {
            let until = pending.until;
            let is_whole = |tail: &Tail| tail.is_in(copy, until).unwrap_or(false);
            pending.tail = pending.tail.filter(is_whole);
        }
        entry
    }

    /// Whether the numbers are consistent, which they need not be in a file that was edited.
    fn is_sound(&self) -> bool {
        let is_sound = |pending: &Pending| {
            let tail = pending.tail;
            tail.is_none_or(|tail| tail.is_sound(pending.until))
        };
        self.position.is_sound() && self.pending.as_ref().is_none_or(is_sound)
    }

    /// Forgets what was pending once the position is after it; true where it was.
    pub(super) fn drop_pending(&mut self) -> bool {
        let offset = self.position.offset;
        let is_done = |pending: &mut Pending| pending.until <= offset;
        self.pending.take_if(is_done).is_some()
    }
}

/// What is remembered of a log file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The files that it was and is, as far as they exist; the oldest first.
    pub files: Vec<Entry>,
    /// When the youngest of its files was made.
    #[serde(default)]
    pub newest: Option<u64>,
    /// Files beside it that are not its own.
    #[serde(default)]
    pub others: Vec<Identity>,
    /// When the rotated and compressed files beside it were last written to, in nanoseconds since 1970; none
    /// before they were looked at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<BTreeSet<u64>>,
    /// The id of the database that the lines went to last.
    #[serde(default)]
    pub database_id: Option<String>,
    /// The place that its path led to; none if that is not UTF-8.
    #[serde(default)]
    pub place: Option<String>,
    /// Its name after its last rotation.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// The paths that are followed for a pattern; none if it was not watched, and for a log file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<BTreeSet<String>>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    #[serde(flatten)]
    memory: Memory,
}

/// What a state says.
pub(super) struct Loaded {
    pub memory: Memory,
    pub version: u32,
    /// When it was written.
    pub written: SystemTime,
}

/// Tells the file of one writing from that of the next, which may get the inode again that became free.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    identity: Identity,
    /// Where the file system does not say when it was made.
    modified: Option<SystemTime>,
}

impl Seen {
    fn of(file: &File) -> io::Result<Seen> {
        let about = file.metadata()?;
        let identity = Identity::of(&about);
        Ok(Seen {
            device: about.dev(),
            identity,
            modified: match identity.born {
                Some(_) => None,
                None => Some(about.modified()?),
            },
        })
    }
}

/// The file.
pub(super) struct State {
    path: PathBuf,
    /// The open file, with the lock; `None` while it is closed.
    locked: Option<File>,
    /// Which file it was when it was read or written last.
    seen: Seen,
    /// Its name is known to be on disk.
    is_durable: bool,
}

impl State {
    /// Takes the lock, and makes the file where there is none.
    ///
    /// # Errors
    /// One sentence: it cannot be written, or another shipper uses it.
    pub(super) fn open(path: PathBuf) -> Result<State, String> {
        let locked = lock(&path).and_then(|file| Ok((Seen::of(&file)?, file)));
        let (seen, file) = locked.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => is_used(&path),
            _ => format!(
                "cannot write the state {}: {error}; --state keeps it elsewhere",
                path.display()
            ),
        })?;
        Ok(State {
            path,
            locked: Some(file),
            seen,
            is_durable: false,
        })
    }

    /// Closes it, and returns the lock up.
    pub(super) fn close(&mut self) {
        self.locked = None;
    }

    /// Takes the lock again.
    ///
    /// # Errors
    /// Another shipper uses it, or has used it meanwhile.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if self.locked.is_some() {
            return Ok(());
        }
        let was_removed = !self.path.try_exists()?;
        let file = match lock(&self.path) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(io::Error::other(is_used(&self.path)));
            }
            locked => locked?,
        };
        let seen = Seen::of(&file)?;
        if !was_removed && seen != self.seen {
            return Err(io::Error::other(is_used(&self.path)));
        }
        (self.locked, self.seen) = (Some(file), seen);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn load(&mut self) -> Result<Loaded, String> {
        let path = self.path.display().to_string();
        let fail = |what: &dyn std::fmt::Display| format!("cannot use the state {path}: {what}");
        let mut text = Vec::new();
        self.reopen().map_err(|error| fail(&error))?;
        let file = self.locked.as_mut().expect("it has been opened");
        let read = file.read_to_end(&mut text);
        read.map_err(|error| fail(&error))?;
        // A new one is empty: nothing has been remembered yet, so nothing had to be made durable.
        let content = match text.is_empty() {
            true => Content {
                version: VERSION,
                memory: Memory::default(),
            },
            false => serde_json::from_slice(&text).map_err(|error| fail(&error))?,
        };
        if !(1..=VERSION).contains(&content.version) {
            return Err(fail(&"it was written by another version of this program"));
        }
        if !content.memory.files.iter().all(Entry::is_sound) {
            return Err(fail(&"its numbers are inconsistent"));
        }
        let written = file.metadata().and_then(|about| about.modified());
        Ok(Loaded {
            memory: content.memory,
            version: content.version,
            written: written.map_err(|error| fail(&error))?,
        })
    }

    /// Writes it as a new file: a crash leaves the old one or this one. Until [`State::make_durable`] a power failure
    /// may bring the old one back.
    pub(super) fn save(&mut self, memory: &Memory) -> io::Result<()> {
        self.reopen()?;
        self.is_durable = false;
        let file = replace(&self.path, memory)?;
        (self.seen, self.locked) = (Seen::of(&file)?, Some(file));
        Ok(())
    }

    /// What has been saved is not lost in a power failure.
    pub(super) fn make_durable(&mut self) -> io::Result<()> {
        if !self.is_durable {
            let folder = self.path.parent();
            let folder = folder.filter(|path| !path.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            self.is_durable = true;
        }
        Ok(())
    }
}

fn is_used(path: &Path) -> String {
    format!(
        "cannot use the state {}: another shipper uses it, for the same file, topic, source and server",
        path.display()
    )
}

/// Opens the file and locks it, after making it where there is none.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let mut options = File::options();
        // Opening a pipe of this name would block.
        options
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not an ordinary file"));
        }
        try_lock(&file)?;
        if is_named(&file, path)? {
            return Ok(file);
        }
    }
}

/// Replaces the old file by a new one, with the lock. Its content is on disk before it gets its name.
fn replace(path: &Path, memory: &Memory) -> io::Result<File> {
    let content = Content {
        version: VERSION,
        memory: memory.clone(),
    };
    let mut text = serde_json::to_vec(&content)?;
    text.push(b'\n');
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let mut file = options.open(partial)?;
    try_lock(&file)?;
    // Between opening and locking another one may have put it in place.
    if !is_named(&file, partial)? {
        return Err(ErrorKind::WouldBlock.into());
    }
    file.set_len(0)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(partial, path)?;
    Ok(file)
}

/// Locks a file. On a file system without locks it does nothing.
fn try_lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Whether a path names this file.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let (file, named) = match fs::metadata(path) {
        Ok(named) => (file.metadata()?, named),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok((file.dev(), file.ino()) == (named.dev(), named.ino()))
}
