//! Patterns that `ship` watches itself: which files match, and which of them are followed by their own names.
//!
//! A folder is listed once a second, and only names that are new, or lead to another inode, are looked at. A file
//! that is called as a rotated file of another match is left to that one, which takes it up if it was one of its own
//! (`rotated.rs`). With a number before the extension it may be another log: then it is followed once the other log
//! was looked at meanwhile, does not know it, and does not hold the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use glob::{MatchOptions, Pattern};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use super::folders::{open, place};
use super::follow::{Around, Follower};
use super::mark::Identity;
use super::names;
use super::state::{Memory, State};
use super::{needed, state_path, ShipArgs, Shipper};
use crate::cli::failure::Failure;
use crate::limits::{SHIP_PATTERN_FILES_MAX, SHIP_PATTERN_LOOK_MS};
use crate::text::escaped;

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
    watched: Vec<Watched>,
    due: Option<Instant>,
    /// The inodes that names led to when they were looked at.
    known: BTreeMap<PathBuf, u64>,
    /// Files that may be followed at once.
    most: usize,
    told: BTreeSet<String>,
}

/// One pattern.
struct Watched {
    text: PathBuf,
    /// The folder before the first part with a wildcard.
    folder: PathBuf,
    parts: Vec<Part>,
    /// None until the folder is there.
    state: Option<State>,
    /// The paths that are followed; as far as they are UTF-8 the state has them.
    names: BTreeSet<String>,
    /// Whether it was watched before this look, be it in another run.
    is_old: bool,
    has_changed: bool,
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
    /// A pattern is none, or cannot be watched.
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
        let most = match watched.is_empty() {
            true => 0,
            false => files_max(),
        };
        Ok(Patterns {
            watched,
            most,
            ..Patterns::default()
        })
    }

    /// Looks at names again that led to the same inodes.
    pub(super) fn look_at_all(&mut self) {
        self.known.clear();
    }
}

/// As many files as there are descriptors for, after raising their number as far as it goes.
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
            Failure::Setting(format!("{} is no pattern: {what}", path.display()))
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
    fn open_state(&mut self, arguments: &ShipArgs) -> Result<(), Failure> {
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
        let mut state = State::open(match_state(&path, arguments)?).map_err(Failure::Failed)?;
        let known = state.load().map_err(Failure::Failed)?.memory.names;
        self.is_old |= known.is_some();
        self.has_changed = known.is_none();
        self.names = known.unwrap_or_default();
        self.state = Some(state);
        Ok(())
    }

    fn save(&mut self) -> io::Result<()> {
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
        }
        self.has_changed = false;
        Ok(())
    }

    /// The names that match, and their inodes.
    fn matches(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        expand(&self.folder, &self.parts, &mut found);
        found
    }

    fn is_match(&self, path: &Path) -> bool {
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

fn match_state(path: &Path, arguments: &ShipArgs) -> Result<PathBuf, Failure> {
    let topic = needed(&arguments.topic, "--topic")?;
    let source = needed(&arguments.source, "--source")?;
    state_path(path, topic, source, arguments)
}

/// The log files that a file of this name may be a rotated one of, and whether the name alone says so.
fn bases(path: &Path) -> Vec<(PathBuf, bool)> {
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

impl Shipper {
    /// Follows what matches and is not followed yet, and forgets what is gone.
    pub(super) fn look_at_patterns(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.patterns.watched.is_empty() || self.patterns.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let is_first = self.patterns.due.is_none();
        if is_first {
            // A file that is named is known before its other names are looked at.
            for number in 0..self.followers.len() {
                self.refresh(number)?;
            }
        }
        self.forget_what_is_gone();
        let mut watched = std::mem::take(&mut self.patterns.watched);
        let (mut result, mut seen) = (Ok(()), BTreeMap::new());
        for pattern in &mut watched {
            result = result.and(self.look_at_pattern(pattern, &mut seen, is_first));
        }
        self.patterns.watched = watched;
        self.patterns
            .known
            .retain(|path, _| seen.contains_key(path));
        let pause = Duration::from_millis(SHIP_PATTERN_LOOK_MS);
        self.patterns.due = Some(Instant::now() + pause);
        match result {
            Err(Failure::Failed(sentence)) if !is_first && !self.once => {
                self.tell_once(sentence);
                Ok(())
            }
            result => result,
        }
    }

    fn look_at_pattern(
        &mut self,
        pattern: &mut Watched,
        seen: &mut BTreeMap<PathBuf, u64>,
        is_first: bool,
    ) -> Result<(), Failure> {
        let is_new = pattern.state.is_none();
        pattern.open_state(&self.arguments)?;
        let mut matches = pattern.matches();
        if is_new && pattern.state.is_some() {
            let gone = pattern.names.iter().map(PathBuf::from);
            let gone: Vec<PathBuf> = gone
                .filter(|path| fs::symlink_metadata(path).is_err())
                .collect();
            for path in gone {
                self.follow_match(pattern, &path)?;
            }
        }
        if is_first && matches.is_empty() && self.followers.is_empty() {
            let sentence = format!("no file matches {} yet", pattern.text.display());
            match self.once {
                true => return Err(Failure::Failed(escaped(&sentence).into_owned())),
                false => self.tell_once(sentence),
            }
        }
        // A log file is known before its rotated files.
        matches.sort_by(|(path, _), (other, _)| {
            (path.as_os_str().len(), path).cmp(&(other.as_os_str().len(), other))
        });
        for (path, inode) in matches {
            if self.patterns.known.get(&path) != Some(&inode)
                && self.look_at_match(pattern, &path)?
            {
                self.patterns.known.insert(path.clone(), inode);
            }
            seen.insert(path, inode);
        }
        let saved = pattern.save();
        saved.map_err(|error| Failure::Failed(format!("cannot write the state: {error}")))
    }

    /// Looks at a name that matches. False where it is to be looked at again.
    fn look_at_match(&mut self, pattern: &mut Watched, path: &Path) -> Result<bool, Failure> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        if names::uncompressed(name).is_some() {
            let text = pattern.text.display();
            self.tell_once(format!("compressed files that match {text} are not read"));
            return Ok(true);
        }
        if self.followers.len() >= self.patterns.most {
            self.tell_once(format!(
                "{} files are followed, no more of those that match are until some of them are gone",
                self.followers.len()
            ));
            return Ok(false);
        }
        let place = place(path);
        let mut bases = bases(&place).into_iter();
        let is_rotated = bases.any(|(base, is_sure)| is_sure && self.followed.contains(&base));
        if is_rotated || self.followed.contains(&place) {
            return Ok(true);
        }
        let about = match fs::metadata(path) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(Failure::Failed(
                    escaped(&format!("{}: {error}", path.display())).into(),
                ));
            }
        };
        let identity = Identity::of(&about);
        if !about.is_file() {
            return Ok(true);
        }
        let owner = self.followers.iter().position(|it| it.knows(identity));
        if let Some(owner) = owner {
            let is_named = |path| fs::metadata(path).is_ok_and(|it| Identity::of(&it) == identity);
            if is_named(self.followers[owner].path()) || !self.followers[owner].is_of_pattern() {
                return Ok(true);
            }
            // It has another name now, which is none of a rotated file.
            self.follow_match(pattern, path)?;
            if let Some(entry) = self.followers[owner].release(identity) {
                let last = self.followers.len() - 1;
                let adopted = self.followers[last].adopt(entry);
                self.complain(last, adopted.err())?;
            }
            return Ok(true);
        }
        self.follow_match(pattern, path)?;
        self.refresh(self.followers.len() - 1)?;
        Ok(true)
    }

    fn follow_match(&mut self, pattern: &mut Watched, path: &Path) -> Result<(), Failure> {
        let state = State::open(match_state(path, &self.arguments)?).map_err(Failure::Failed)?;
        let mut around = Around {
            folders: &mut self.folders,
            followed: &self.followed,
            tell: &|text| self.client.tell(&escaped(text)),
            others: [&[], &[]],
            turn: self.turn,
        };
        let from_end = self.arguments.from_end && !pattern.is_old;
        let is_match = |path: &Path| !from_end && pattern.is_match(path);
        let source = needed(&self.arguments.source, "--source")?;
        let follower = Follower::of_match(
            path.to_owned(),
            source,
            from_end,
            state,
            &is_match,
            &mut around,
        );
        self.followers.push(follower.map_err(Failure::Failed)?);
        self.told.push(String::new());
        self.followed.insert(place(path));
        pattern.has_changed |= path
            .to_str()
            .is_some_and(|path| pattern.names.insert(path.to_owned()));
        Ok(())
    }

    /// Forgets the files that are gone and have been read to their ends.
    fn forget_what_is_gone(&mut self) {
        let mut number = 0;
        while number < self.followers.len() {
            if !self.followers[number].is_over() {
                number += 1;
                continue;
            }
            let follower = self.followers.remove(number);
            self.told.remove(number);
            self.followed.remove(&place(follower.path()));
            let path = follower.path().to_str();
            for pattern in &mut self.patterns.watched {
                pattern.has_changed |= path.is_some_and(|path| pattern.names.remove(path));
            }
            // Where it stays the file is one that was there before.
            let _ = fs::remove_file(follower.state_path());
        }
    }

    fn tell_once(&mut self, sentence: String) {
        if !self.patterns.told.contains(&sentence)
            && self.patterns.told.len() < SHIP_PATTERN_FILES_MAX
        {
            self.client.tell(&escaped(&sentence));
            self.patterns.told.insert(sentence);
        }
    }
}

impl Follower {
    /// Whether the file that its name leads to now is, or may be, one of another log file.
    pub(super) fn is_left_to_others(
        &mut self,
        identity: Identity,
        file: &File,
        around: &Around,
    ) -> io::Result<bool> {
        self.is_held = false;
        let others = || around.others.iter().copied().flatten();
        if !self.is_of_pattern() {
            return Ok(false);
        }
        if others().any(|other| other.knows(identity)) {
            return Ok(true);
        }
        let bases = bases(&place(self.path()));
        let bases = bases
            .iter()
            .filter(|(base, _)| around.followed.contains(base));
        let mut has_base = false;
        for (base, is_sure) in bases {
            has_base = true;
            // The first bytes tell whether it is a copy.
            if *is_sure || file.metadata()?.len() == 0 {
                return Ok(true);
            }
            let mut bases = others().filter(|other| place(other.path()) == *base);
            if bases.any(|other| other.holds_copy(file)) {
                return Ok(true);
            }
        }
        // The other log file may have been truncated after it was looked at: then this is its copy.
        let since = match self.held {
            Some((held, since)) if held == identity => since,
            _ => around.turn,
        };
        self.held = Some((identity, since));
        self.is_held = has_base && around.turn < since + 2;
        Ok(self.is_held)
    }

    /// Gives a file away that has another name now.
    fn release(&mut self, identity: Identity) -> Option<super::state::Entry> {
        let at = self
            .files
            .iter()
            .position(|it| it.entry.identity == identity);
        self.must_save = true;
        at.map(|at| self.files.remove(at).entry)
            .or_else(|| self.parked.take(identity))
    }

    /// Goes on with a file where another log file has come to.
    fn adopt(&mut self, entry: super::state::Entry) -> io::Result<()> {
        let (file, about) = open(self.path())?;
        if Identity::of(&about) == entry.identity && !self.is_read(entry.identity) {
            self.reopened(file, entry);
            self.must_save = true;
        }
        self.save(true)
    }
}
