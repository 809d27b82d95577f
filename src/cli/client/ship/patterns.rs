//! Patterns that `ship` watches itself: which files match, and which of them are followed by their own names.
//!
//! A folder is listed once a second, and only names that are new, or lead to another inode, are checked. A file with
//! the name of a rotated file of another match is left to that one, which takes it up if it is one of its own
//! (`rotated.rs`). With a number before the extension it may be another log: then it is followed once the other log has
//! been checked, does not know it, and does not hold the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use glob::{MatchOptions, Pattern};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use super::arguments::ShipArgs;
use super::folders::{stray, RotatedFile};
use super::names;
use super::state::{Memory, State};
use crate::cli::failure::Failure;
use crate::limits::SHIP_PATTERN_FILES_MAX;

/// Stars match no leading dot, as in a shell.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Descriptors that each followed file takes: its own, that of its state, and one for rotated files.
const DESCRIPTORS_PER_FILE: u64 = 3;

/// The patterns of one command.
#[derive(Default)]
pub(super) struct Patterns {
    pub(super) watched: Vec<Watched>,
    pub(super) due: Option<Instant>,
    /// The inodes that names led to when they were looked at.
    pub(super) known: BTreeMap<PathBuf, u64>,
    /// Files that may be open at once.
    pub(super) most_open: usize,
    /// The turn in which all of these were open and none could be closed. There is no room before the next turn, so it
    /// is not tried for each file that waits.
    pub(super) full_in: u64,
    /// Whether files wait for others to be closed.
    pub(super) has_waiting: bool,
    pub(super) reported: BTreeSet<String>,
}

/// One pattern.
pub(super) struct Watched {
    pub(super) text: PathBuf,
    /// The folder before the first part with a wildcard.
    pub(super) folder: PathBuf,
    parts: Vec<Part>,
    /// None until the folder is there.
    pub(super) state: Option<State>,
    /// The paths that are followed; as far as they are UTF-8 the state has them.
    pub(super) names: BTreeSet<String>,
    /// Whether it was watched before this turn, perhaps in another run.
    pub(super) is_old: bool,
    pub(super) has_changed: bool,
}

enum Part {
    Name(OsString),
    Pattern(Pattern),
}

/// Whether an argument is a pattern and not the name of a file.
pub(super) fn is_pattern(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.iter().any(|byte| b"*?[".contains(byte)) && fs::symlink_metadata(path).is_err()
}

impl Patterns {
    /// # Errors
    /// A pattern is malformed, or cannot be watched.
    pub(super) fn new(arguments: &ShipArgs) -> Result<Patterns, Failure> {
        let paths = arguments.files.iter().filter(|path| is_pattern(path));
        let watched: Vec<Watched> = paths
            .map(|path| Watched::new(path))
            .collect::<Result<_, _>>()?;
        for (number, pattern) in watched.iter().enumerate() {
            if watched[..number]
                .iter()
                .any(|other| other.text == pattern.text)
            {
                let text = pattern.text.display();
                return Err(Failure::Setting(format!("{text} is named twice")));
            }
        }
        let most_open = match watched.is_empty() {
            true => 0,
            false => files_max(),
        };
        Ok(Patterns {
            watched,
            most_open,
            ..Patterns::default()
        })
    }

    /// Opens the states, and returns the files that match and that none of them knows.
    ///
    /// # Errors
    /// A state cannot be used.
    pub(super) fn strays(&mut self, arguments: &ShipArgs) -> Result<Vec<RotatedFile>, Failure> {
        for pattern in &mut self.watched {
            pattern.open_state(arguments)?;
        }
        let is_known = |path: &Path| {
            let name = path.to_str().unwrap_or_default();
            let mut patterns = self.watched.iter();
            patterns.any(|pattern| pattern.names.contains(name))
        };
        let matches = self.watched.iter().flat_map(Watched::matches);
        let unknown = matches.filter(|(path, _)| !is_known(path));
        Ok(unknown.filter_map(|(path, _)| stray(path)).collect())
    }

    /// Names that led to the same inodes are checked again.
    pub(super) fn recheck_names(&mut self) {
        self.known.clear();
    }
}

/// The number of files that there are descriptors for, after raising their number as far as it goes.
fn files_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = current.map_or(u64::MAX, |count| count / DESCRIPTORS_PER_FILE);
    usize::try_from(files).map_or(SHIP_PATTERN_FILES_MAX, |files| {
        files.min(SHIP_PATTERN_FILES_MAX)
    })
}

impl Watched {
    fn new(path: &Path) -> Result<Watched, Failure> {
        let fail = |what: &dyn std::fmt::Display| {
            Failure::Setting(format!("{} is not a pattern: {what}", path.display()))
        };
        let (mut folder, mut parts) = (PathBuf::new(), Vec::new());
        for component in path.components() {
            let text = component.as_os_str();
            let is_wild = text.as_bytes().iter().any(|byte| b"*?[".contains(byte));
            match (component, is_wild) {
                (Component::Normal(_), true) => {
                    let text = text.to_str().ok_or_else(|| fail(&"it is not UTF-8"))?;
                    if text == "**" {
                        return Err(fail(
                            &"** is not supported, name each folder's depth by a *",
                        ));
                    }
                    parts.push(Part::Pattern(
                        Pattern::new(text).map_err(|error| fail(&error))?,
                    ));
                }
                _ if parts.is_empty() => folder.push(component),
                _ => parts.push(Part::Name(text.to_owned())),
            }
        }
        if folder.as_os_str().is_empty() {
            folder.push(".");
        }
        Ok(Watched {
            text: path.to_owned(),
            folder,
            parts,
            state: None,
            names: BTreeSet::new(),
            is_old: false,
            has_changed: false,
        })
    }

    /// Takes the state, once the folder is there. What it names is followed again.
    pub(super) fn open_state(&mut self, arguments: &ShipArgs) -> Result<(), Failure> {
        if self.state.is_some() || !self.folder.is_dir() {
            return Ok(());
        }
        let text = self.text.as_os_str().as_bytes();
        let mut name = b"pattern-".to_vec();
        name.extend(
            text.iter()
                .map(|byte| if *byte == b'/' { b'_' } else { *byte }),
        );
        let path = self.folder.join(OsString::from_vec(name));
        let mut state = State::open(arguments.state_path(&path)?).map_err(Failure::Failed)?;
        let known = state.load().map_err(Failure::Failed)?.memory.names;
        self.is_old |= known.is_some();
        self.has_changed = known.is_none();
        self.names = known.unwrap_or_default();
        self.state = Some(state);
        Ok(())
    }

    pub(super) fn save(&mut self) -> io::Result<()> {
        self.is_old = true;
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        if self.has_changed {
            let memory = Memory {
                names: Some(self.names.clone()),
                ..Memory::default()
            };
            state.save(&memory)?;
            state.make_durable()?;
        }
        self.has_changed = false;
        Ok(())
    }

    /// The names that match, and their inodes.
    pub(super) fn matches(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        expand(&self.folder, &self.parts, &mut found);
        found
    }

    pub(super) fn is_match(&self, path: &Path) -> bool {
        let Ok(rest) = path.strip_prefix(&self.folder) else {
            return false;
        };
        let mut names = rest.components();
        let is_each = self.parts.iter().all(|part| {
            let name = names.next().map(Component::as_os_str);
            name.is_some_and(|name| part.is_match(name))
        });
        is_each && names.next().is_none()
    }
}

impl Part {
    fn is_match(&self, name: &OsStr) -> bool {
        match self {
            Part::Name(text) => name == text,
            Part::Pattern(pattern) => {
                let text = name.to_string_lossy();
                pattern.matches_with(&text, OPTIONS) && !is_state(name.as_bytes())
            }
        }
    }
}

/// Whether a name is that of a state, as there are in a folder that is watched.
fn is_state(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".partial").unwrap_or(name);
    let mark = b".ship-";
    let at = name.windows(mark.len()).rposition(|bytes| bytes == mark);
    let hash = at.map(|at| &name[at + mark.len()..]);
    hash.is_some_and(|hash| hash.len() >= 8 && hash.iter().all(u8::is_ascii_hexdigit))
}

/// Folders that cannot be listed have no matches yet.
fn expand(folder: &Path, parts: &[Part], found: &mut Vec<(PathBuf, u64)>) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    let entries = match part {
        Part::Name(name) => {
            let path = folder.join(name);
            match fs::symlink_metadata(&path) {
                Ok(about) if rest.is_empty() => found.push((path, about.ino())),
                Ok(_) => expand(&path, rest, found),
                Err(_) => {}
            }
            return;
        }
        Part::Pattern(_) => fs::read_dir(folder).into_iter().flatten().flatten(),
    };
    for entry in entries {
        let name = entry.file_name();
        if !part.is_match(&name) {
            continue;
        }
        let path = match folder == Path::new(".") {
            true => PathBuf::from(name),
            false => folder.join(name),
        };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        match rest.is_empty() {
            true => found.push((path, entry.ino())),
            false if is_file => {}
            false => expand(&path, rest, found),
        }
    }
}

/// The log files that a file of this name may be a rotated one of, and whether the name alone says so.
pub(super) fn bases(path: &Path) -> Vec<(PathBuf, bool)> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let ends =
        |from| (from + 1..=name.len()).filter(|end| *end == name.len() || name[*end] == b'.');
    let starts = (1..name.len()).filter(|at| b".-_".contains(&name[*at]));
    let mut bases = Vec::new();
    for start in starts {
        for end in ends(start) {
            let log = [&name[..start], &name[end..]].concat();
            if let Some(shape) = names::rotation(name, &log) {
                let is_sure = !shape.is_infix || shape.is_dated;
                bases.push((path.with_file_name(OsString::from_vec(log)), is_sure));
            }
        }
    }
    bases
}
