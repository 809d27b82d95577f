//! What is remembered of a log file between two runs: a small file beside it. It is an order of reading and
//! not the truth: what was published after it was written is published again, and the server knows it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::mark::{Identity, Mark, Tail};

/// The version of the form. Version 1 could stand after NULs at the end of a file.
const VERSION: u32 = 2;

/// One file that is being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub identity: Identity,
    /// How often it has been truncated.
    pub generation: u64,
    /// Up to here the server has stored it.
    pub mark: Mark,
    /// What has been read, and perhaps published, behind the mark.
    pub pending: Option<Pending>,
}

/// Lines that have no time of their own must get the same one when they are published again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The offset after the last of them.
    pub until: u64,
    pub read_at: String,
    /// The bytes before it. They tell whether the file was truncated since, and that the last of the lines
    /// ends there, whatever was written after it. States of the first version do not have it.
    #[serde(default)]
    pub tail: Option<Tail>,
}

impl Entry {
    /// Whether a file holds what was read of this one. Nothing tells where nothing was read.
    pub fn fits(&self, file: &File) -> io::Result<bool> {
        let pending = self.pending.as_ref();
        let pending = pending.and_then(|pending| Some((pending.tail?, pending.until)));
        match (self.mark.offset, pending) {
            (0, Some((tail, until))) => tail.is_in(file, until),
            (0, None) => Ok(false),
            (offset, _) => self.mark.tail().is_in(file, offset),
        }
    }

    /// The entry of a copy, which goes on where this one is. What was read of this one may not have come into
    /// the copy.
    pub fn of_copy(&self, copy: &File, identity: Identity) -> Entry {
        let mut entry = Entry {
            identity,
            ..self.clone()
        };
        if let Some(pending) = &mut entry.pending {
            let until = pending.until;
            let is_whole = |tail: &Tail| tail.is_in(copy, until).unwrap_or(false);
            pending.tail = pending.tail.filter(is_whole);
        }
        entry
    }

    /// Whether the numbers go together, which a file that somebody wrote need not say.
    fn is_sound(&self) -> bool {
        let is_sound = |pending: &Pending| {
            let tail = pending.tail;
            tail.is_none_or(|tail| tail.is_sound(pending.until))
        };
        self.mark.is_sound() && self.pending.as_ref().is_none_or(is_sound)
    }

    /// Forgets what was pending once the mark is after it; true where it was.
    pub fn drop_pending(&mut self) -> bool {
        let offset = self.mark.offset;
        let is_done = |pending: &mut Pending| pending.until <= offset;
        self.pending.take_if(is_done).is_some()
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    /// The files that are being read, oldest first.
    files: Vec<Entry>,
}

/// What a state says.
pub struct Loaded {
    pub files: Vec<Entry>,
    pub version: u32,
    /// When it was written.
    pub written: SystemTime,
}

/// The file.
pub struct State {
    path: PathBuf,
}

impl State {
    pub fn new(path: PathBuf) -> State {
        State { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; none where there is no file yet.
    ///
    /// # Errors
    /// One sentence.
    pub fn load(&self) -> Result<Option<Loaded>, String> {
        let fail = |what: &dyn std::fmt::Display| {
            let path = self.path.display();
            format!("cannot use the state {path}: {what}")
        };
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(&error)),
        };
        let content: Content = serde_json::from_slice(&text).map_err(|error| fail(&error))?;
        if !(1..=VERSION).contains(&content.version) {
            return Err(fail(&"it was written by another version of this program"));
        }
        if !content.files.iter().all(Entry::is_sound) {
            return Err(fail(&"its numbers do not go together"));
        }
        let written = fs::metadata(&self.path).and_then(|about| about.modified());
        Ok(Some(Loaded {
            files: content.files,
            version: content.version,
            written: written.map_err(|error| fail(&error))?,
        }))
    }

    /// Writes it anew: whoever is interrupted leaves the old one.
    pub fn save(&self, files: Vec<Entry>) -> io::Result<()> {
        let content = Content {
            version: VERSION,
            files,
        };
        let mut text = serde_json::to_vec(&content)?;
        text.push(b'\n');
        let mut partial = self.path.as_os_str().to_owned();
        partial.push(".partial");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&partial)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)?;
        let folder = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}
