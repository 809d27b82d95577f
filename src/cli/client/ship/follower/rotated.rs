//! Which of the files beside a log file are its own: those that it was, and copies of them.
//!
//! A file that was read is known wherever it is. One that was not seen under the log file's name needs proof, as it may
//! be another log or a copy:
//! - It did not exist when the path was last checked, and is not older than the newest file that is known.
//! - Its bytes are not those of a file that is known.
//! - It has the name of a rotated file. Where the mark is before the extension that is not enough, because other logs
//!   have such names: a known file must have had such a name, or the mark must be a date.
//!
//! What remains is taken for a file that the path named between two checks. A file whose bytes before the position are
//! those that were read continues the file that was truncated or is gone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::folders::{nanos, open, place, read_at, Kind, RotatedFile};
use super::super::position::{Identity, Position};
use super::super::state::Entry;
use super::super::tracked::{without_nuls, Tracked};
use super::{Around, Current, Follower};
use crate::limits::{SHIP_FILES_MAX, SHIP_OTHERS_MAX, SHIP_READ_BYTES, SHIP_TAIL_BYTES};

/// How much older than a check a copy made after it may seem: times of files are coarse.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Tries to open the files beside a log file while they are being renamed.
const TRIES: u32 = 5;

/// Files that may have been missed, and what excludes others.
type Candidates = (Vec<(RotatedFile, File)>, Vec<Identity>, bool);

impl Follower {
    /// Notes where the known files are.
    pub(super) fn find_names(&mut self, beside: &[RotatedFile]) {
        let files = self.files.iter_mut().map(|tracked| &mut tracked.entry);
        for entry in files.chain(self.parked.entries_mut()) {
            let rotated = beside
                .iter()
                .find(|rotated| rotated.identity == entry.identity);
            let Some(rotated) = rotated else {
                continue;
            };
            if entry.path.as_deref().map(Path::new) != Some(&rotated.path) {
                entry.path = rotated.path.to_str().map(str::to_owned);
            }
            if let Kind::Rotated(shape) = rotated.kind {
                self.memory.shape = Some(shape);
            }
        }
    }

    /// Notes the existing files that the path cannot have named since it was last checked.
    pub(super) fn note_others(&mut self, beside: &[RotatedFile]) {
        let others = beside.iter().rev().filter(|rotated| {
            let is_known = self.knows(rotated.identity);
            !is_known && self.is_young(rotated)
        });
        let others = others.map(RotatedFile::key).take(SHIP_OTHERS_MAX);
        self.memory.others = others.collect();
    }

    /// Whether a file is not older than all that are known. Without times of birth the files that existed before
    /// decide.
    fn is_young(&self, rotated: &RotatedFile) -> bool {
        match (rotated.identity.born, self.memory.newest) {
            (Some(born), Some(newest)) => born >= newest,
            _ => true,
        }
    }

    /// Takes up the files that the path named between two checks, before the file at `at`.
    pub(super) fn take_up_missed(
        &mut self,
        mut at: usize,
        current: &Current,
        around: &mut Around,
    ) -> io::Result<()> {
        let mut since = current.since;
        for _ in 0..TRIES {
            let beside = self.rotated_files(around, Some(since));
            since = Instant::now();
            self.find_names(&beside);
            let (candidates, mut others, is_whole) = self.candidates(beside, current.identity)?;
            // What the path names only since then is known after the next look, and what is a copy of it.
            let named = fs::metadata(self.path()).map(|about| Identity::of(&about));
            let is_moved = !named.is_ok_and(|identity| identity == current.identity);
            let mut missed = BTreeMap::new();
            for (number, candidate) in candidates.iter().enumerate() {
                if is_moved && candidate.0.identity.born >= current.identity.born {
                    continue;
                }
                // Before it is compared: of nothing there is no telling.
                let is_empty = written(&candidate.1)? == 0;
                let is_copy = self.is_copy(&candidate.1, current.file)?
                    || is_copy_among(&candidates, number)?;
                if !is_copy && self.is_called_so(&candidate.0, current, around) {
                    missed.insert(number, is_empty);
                } else {
                    others.push(candidate.0.key());
                }
            }
            for (number, (rotated, file)) in candidates.into_iter().enumerate() {
                if let Some(is_empty) = missed.get(&number) {
                    let identity = rotated.identity;
                    let position = Position::start(identity, 0, self.source(), 0);
                    self.take_up(at, file, identity, position);
                    self.files[at].is_unproven = *is_empty;
                    self.files[at].entry.path = rotated.path.to_str().map(str::to_owned);
                    at += 1;
                }
            }
            others.truncate(SHIP_OTHERS_MAX);
            self.memory.others = others;
            if is_whole {
                break;
            }
        }
        Ok(())
    }

    /// The files that may have been missed, those that were not for sure, and whether none was renamed
    /// meanwhile.
    fn candidates(&self, beside: Vec<RotatedFile>, current: Identity) -> io::Result<Candidates> {
        let (mut candidates, mut others, mut is_whole) = (Vec::new(), Vec::new(), true);
        for rotated in beside {
            let identity = rotated.identity;
            if identity == current || self.knows(identity) || !self.is_young(&rotated) {
                continue;
            }
            let is_target = rotated.kind == Kind::LinkTarget;
            if !is_target && self.memory.others.contains(&rotated.key()) {
                others.push(rotated.key());
                continue;
            }
            match open(&rotated.path) {
                Ok((file, about)) if Identity::of(&about) == identity => {
                    candidates.push((rotated, file));
                }
                Ok(_) => is_whole = false,
                Err(error) if error.kind() == io::ErrorKind::NotFound => is_whole = false,
                Err(error) => return Err(error),
            }
        }
        Ok((candidates, others, is_whole))
    }

    /// Whether a file has a name as a file that the path has named.
    fn is_called_so(&self, rotated: &RotatedFile, current: &Current, around: &mut Around) -> bool {
        if around.followed.contains(&place(&rotated.path)) {
            return false;
        }
        let is_ours = match rotated.kind {
            Kind::LinkTarget => true,
            Kind::Rotated(shape) => match self.memory.shape {
                _ if !shape.is_infix => true,
                Some(known) => known == shape,
                None => shape.is_dated && current.is_other,
            },
        };
        if !is_ours && current.is_other {
            around.report(&format!(
                "{} is taken for another log than {}, and not shipped with it",
                rotated.path.display(),
                self.path().display()
            ));
        }
        is_ours
    }

    /// Whether all that a file holds is in one of those that are known.
    pub(super) fn holds_copy(&self, file: &File) -> bool {
        self.is_copy(file, None).unwrap_or(true)
    }

    /// Whether all that a file holds is in another one that is known, or that the path names now.
    fn is_copy(&self, file: &File, current: Option<&File>) -> io::Result<bool> {
        for tracked in &self.files {
            if holds_or_held(&tracked.file, &tracked.entry, file)? {
                return Ok(true);
            }
        }
        if let Some(current) = current {
            if begins_with(current, file)? {
                return Ok(true);
            }
        }
        for known in &self.gone {
            if known.is_begun_like(file)? {
                return Ok(true);
            }
        }
        let asleep = self.asleep.iter().map(|asleep| &asleep.closed);
        for closed in self.parked.files.iter().chain(asleep) {
            let Ok((known, _)) = closed.open() else {
                continue;
            };
            if holds_or_held(&known, &closed.entry, file)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops a file that was empty when it was taken up, and turns out to be a copy that somebody had begun to make.
    pub(super) fn drop_copy(&mut self, index: usize) -> io::Result<bool> {
        if !self.files[index].is_unproven || written(&self.files[index].file)? == 0 {
            return Ok(false);
        }
        let mut tracked = self.files.remove(index);
        let is_copy = self.is_copy(&tracked.file, None);
        if matches!(is_copy, Ok(true)) {
            let identity = tracked.entry.identity;
            let modified = nanos(tracked.file.metadata()?.modified()?);
            let born = identity.born.or(modified);
            self.memory.others.insert(0, Identity { born, ..identity });
            self.memory.others.truncate(SHIP_OTHERS_MAX);
            self.must_save = true;
            return Ok(true);
        }
        tracked.is_unproven = is_copy.is_err();
        self.files.insert(index, tracked);
        is_copy
    }

    /// Checks the new files beside the file that the path still names. Where it holds what was read of it before, it
    /// was not truncated until `beside` was listed, and nothing there is a copy of what it held meanwhile.
    pub(super) fn check_rotated(
        &mut self,
        identity: Identity,
        beside: &[RotatedFile],
        around: &mut Around,
    ) -> io::Result<()> {
        let mut files = self.files.iter();
        let Some(index) = files.position(|tracked| tracked.entry.identity == identity) else {
            return Ok(());
        };
        let Tracked {
            file,
            entry,
            is_placed,
            ..
        } = &mut self.files[index];
        let is_read = entry.has_been_read();
        if is_read && !entry.fits(file)? {
            // That shows when it is read on.
            return Ok(());
        }
        if std::mem::replace(is_placed, is_read) {
            self.note_others(beside);
            return Ok(());
        }
        let is_unread = !is_read && file.metadata()?.len() > 0;
        let others = self.memory.others.clone();
        let current = Current {
            identity,
            file: None,
            is_other: false,
            since: Instant::now(),
        };
        self.take_up_missed(index, &current, around)?;
        if is_unread {
            // What is a copy of it now is to be read if it is truncated before it is read.
            self.memory.others = others;
            self.listed.clear();
        }
        Ok(())
    }

    /// Nothing has come beside the file that the path names.
    pub(super) fn nothing_beside(&mut self, identity: Identity) {
        let mut files = self.files.iter_mut();
        if let Some(tracked) = files.find(|tracked| tracked.entry.identity == identity) {
            tracked.is_placed = tracked.entry.has_been_read();
        }
    }

    /// Finds the files that were truncated before they were renamed, once the path names another one: a copy of
    /// what they held is none that the path has named.
    pub(super) fn find_truncated(&mut self, around: &mut Around) -> io::Result<()> {
        let mut index = 0;
        while index < self.files.len() {
            let Tracked { file, entry, .. } = &self.files[index];
            let identity = entry.identity;
            if entry.has_been_read() && !entry.fits(file)? {
                self.truncated(index, around)?;
                // What it held has been added before it.
                let mut files = self.files.iter();
                let at = files.position(|tracked| tracked.entry.identity == identity);
                index = at.unwrap_or(index);
            }
            index += 1;
        }
        Ok(())
    }

    /// A file does not hold what was read of it any more. What it held beyond that may be in a copy that
    /// was made before, and the files that it was since then in others.
    pub(super) fn truncated(&mut self, index: usize, around: &mut Around) -> io::Result<()> {
        let beside = self.rotated_files(around, Some(Instant::now()));
        self.find_names(&beside);
        let tracked = &self.files[index];
        let since = tracked.known_at - CLOCK_SLACK;
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
        let copies = beside.iter().filter(|rotated| rotated.changed >= since);
        let copy = self.goes_on_in(&tracked.entry, copies, tracked.known_at);
        let identity = tracked.entry.identity;
        let source = self.source().to_owned();
        self.note_gone(tracked.entry.clone());
        self.files[index].restart(&source);
        self.must_save = true;
        let mut at = index;
        if let Some(copy) = copy {
            self.files.insert(at, copy);
            at += 1;
        }
        // What is there could be a copy of another file that the path names now.
        let about = fs::metadata(self.path());
        match about.is_ok_and(|about| Identity::of(&about) == identity) {
            true => {
                let current = Current {
                    identity,
                    file: None,
                    is_other: true,
                    since: Instant::now(),
                };
                self.take_up_missed(at, &current, around)
            }
            false => Ok(()),
        }
    }

    /// Copies of a file that is gone, of which all was read, are known by its beginning.
    pub(super) fn note_gone(&mut self, entry: Entry) {
        self.gone.push(entry);
        if self.gone.len() > SHIP_FILES_MAX {
            self.gone.remove(0);
        }
    }

    /// The longest file that holds what was read of another.
    fn goes_on_in<'a>(
        &self,
        entry: &Entry,
        beside: impl Iterator<Item = &'a RotatedFile>,
        known_at: SystemTime,
    ) -> Option<Tracked> {
        let unknown = beside.filter(|rotated| !self.knows(rotated.identity));
        let fitting = unknown.filter_map(|rotated| {
            let (file, about) = open(&rotated.path).ok()?;
            let is_it = Identity::of(&about) == rotated.identity;
            let is_copy = entry.has_been_read() && entry.is_held_by(&file).unwrap_or(false);
            (is_it && is_copy).then_some((rotated, file))
        });
        let (rotated, file) = fitting.max_by_key(|(rotated, _)| rotated.length)?;
        let mut entry = entry.of_copy(&file, rotated.identity);
        entry.path = rotated.path.to_str().map(str::to_owned);
        Some(Tracked::new(file, entry, false, known_at))
    }

    /// Finds a file again that was being read.
    pub(super) fn resume(
        &mut self,
        mut entry: Entry,
        (version, written): (u32, SystemTime),
        beside: &[RotatedFile],
        known: &[Identity],
        around: &mut Around,
    ) {
        let is_it = |path: &Path| {
            let (file, about) = open(path).ok()?;
            (Identity::of(&about) == entry.identity).then_some((file, about))
        };
        let path = self.path().to_owned();
        let current = is_it(&path);
        let is_current = current.is_some();
        let found = current.or_else(|| {
            let rotated = beside
                .iter()
                .find(|rotated| rotated.identity == entry.identity);
            let path = rotated.map(|rotated| rotated.path.as_path());
            is_it(path.or(entry.path.as_deref().map(Path::new))?)
        });
        let Some((file, about)) = found else {
            return self.resume_without_file(entry, written, beside, known, around);
        };
        if entry.is_done && !is_current && about.len() == entry.position.offset {
            self.parked.add(entry, &about);
            return self.find_names(beside);
        }
        entry.is_done = false;
        if version == 1 {
            // Where it cannot be read that shows when it is read on.
            let position = without_nuls(&file, &entry, self.source()).ok().flatten();
            entry.position = position.unwrap_or(entry.position);
        }
        let tracked = Tracked::new(file, entry, is_current, written);
        self.files.push(tracked);
        self.find_names(beside);
    }

    /// What happens for a file that is gone: a copy continues it, or it is reported.
    fn resume_without_file(
        &mut self,
        entry: Entry,
        written: SystemTime,
        beside: &[RotatedFile],
        known: &[Identity],
        around: &mut Around,
    ) {
        if entry.is_done || entry.is_all_read {
            return self.note_gone(entry);
        }
        let beside = beside.iter();
        let copies = beside.filter(|rotated| !known.contains(&rotated.identity));
        if let Some(copy) = self.goes_on_in(&entry, copies, written) {
            self.files.push(copy);
            self.must_save = true;
            return self.note_gone(entry);
        }
        let offset = entry.position.offset;
        self.note_gone(entry);
        self.report_gone(offset, around);
    }
}

/// Whether all that one of some files holds is in another one of them. Of two that are the same the first one
/// counts.
fn is_copy_among(candidates: &[(RotatedFile, File)], number: usize) -> io::Result<bool> {
    let file = &candidates[number].1;
    for (other, (_, known)) in candidates.iter().enumerate() {
        let is_first = other < number || !begins_with(file, known)?;
        if other != number && is_first && begins_with(known, file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether all that another file holds is in a file that is known, or was: it may have been truncated since it was
/// looked at, and then what was read of it tells.
fn holds_or_held(known: &File, entry: &Entry, file: &File) -> io::Result<bool> {
    if begins_with(known, file)? {
        return Ok(true);
    }
    let is_truncated = entry.has_been_read() && !entry.fits(known)?;
    Ok(is_truncated && entry.is_begun_like(file)?)
}

/// Whether a file begins with all that another one holds. One that was born after the last byte was written
/// to the first is no copy of a part of it. NULs at the end are no part.
fn begins_with(known: &File, copy: &File) -> io::Result<bool> {
    let about = known.metadata()?;
    let length = written(copy)?;
    if length == 0 || length > about.len() {
        return Ok(false);
    }
    let is_later = match (about.modified(), copy.metadata()?.created()) {
        (Ok(modified), Ok(born)) => born > modified,
        _ => false,
    };
    if is_later && length < written(known)? {
        // What is longer only since it was asked for its time says nothing.
        let has_changed = known.metadata()?.modified().ok() != about.modified().ok();
        if !has_changed {
            return Ok(false);
        }
    }
    let size = length.min(SHIP_TAIL_BYTES as u64);
    for from in [0, length - size] {
        let (mut bytes, mut others) = (vec![0; size as usize], vec![0; size as usize]);
        let count = read_at(known, &mut bytes, from)?;
        if read_at(copy, &mut others, from)? != count || bytes != others {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The length of a file without the NULs at its end.
fn written(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut piece = vec![0; SHIP_READ_BYTES];
    while end > 0 {
        let from = end.saturating_sub(SHIP_READ_BYTES as u64);
        let count = read_at(file, &mut piece[..(end - from) as usize], from)?;
        if let Some(last) = piece[..count].iter().rposition(|byte| *byte != 0) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
