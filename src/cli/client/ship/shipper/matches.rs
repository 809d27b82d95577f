//! Follows the files that match a pattern, and drops those that are gone.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::folders::place;
use super::super::follower::Follower;
use super::super::names;
use super::super::patterns::{bases, Watched};
use super::super::position::Identity;
use super::super::state::State;
use super::Shipper;
use crate::cli::failure::Failure;
use crate::limits::{SHIP_PATTERN_FILES_MAX, SHIP_PATTERN_INTERVAL_MS};
use crate::text::escaped;

impl Shipper {
    /// Follows what matches and is not followed yet, and drops what is gone.
    pub(super) fn scan_patterns(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.patterns.watched.is_empty() || self.patterns.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let is_first = self.patterns.due.is_none();
        if is_first {
            // A file that is named is known before its other names are checked.
            for number in 0..self.followers.len() {
                self.refresh(number)?;
            }
        }
        self.drop_gone_files();
        self.patterns.has_waiting = false;
        let mut watched = std::mem::take(&mut self.patterns.watched);
        let (mut result, mut seen) = (Ok(()), BTreeMap::new());
        for pattern in &mut watched {
            result = result.and(self.scan_pattern(pattern, &mut seen, is_first));
        }
        self.patterns.watched = watched;
        self.shared.strays.clear();
        self.patterns
            .known
            .retain(|path, _| seen.contains_key(path));
        let pause = Duration::from_millis(SHIP_PATTERN_INTERVAL_MS);
        let pause = if self.patterns.has_waiting {
            Duration::ZERO
        } else {
            pause
        };
        self.patterns.due = Some(Instant::now() + pause);
        match result {
            Err(Failure::Failed(sentence)) if !is_first && !self.once => {
                self.report_once(sentence);
                Ok(())
            }
            result => result,
        }
    }

    fn scan_pattern(
        &mut self,
        pattern: &mut Watched,
        seen: &mut BTreeMap<PathBuf, u64>,
        is_first: bool,
    ) -> Result<(), Failure> {
        let is_new = is_first || pattern.state.is_none();
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
                false => self.report_once(sentence),
            }
        }
        // A log file is known before its rotated files.
        matches.sort_by(|(path, _), (other, _)| {
            (path.as_os_str().len(), path).cmp(&(other.as_os_str().len(), other))
        });
        let first_new = self.followers.len();
        for (path, inode) in matches {
            if self.patterns.known.get(&path) != Some(&inode) && self.check_match(pattern, &path)? {
                self.patterns.known.insert(path.clone(), inode);
            }
            seen.insert(path, inode);
        }
        for number in first_new..self.followers.len() {
            self.refresh(number)?;
        }
        let saved = pattern.save();
        saved.map_err(|error| Failure::Failed(format!("cannot write the state: {error}")))
    }

    /// Checks a name that matches. False if it is to be checked again.
    fn check_match(&mut self, pattern: &mut Watched, path: &Path) -> Result<bool, Failure> {
        if self.patterns.full_in == self.shared.turn {
            self.patterns.has_waiting = true;
            return Ok(false);
        }
        let name = path.file_name().unwrap_or_default().as_bytes();
        if names::uncompressed(name).is_some() {
            let text = pattern.text.display();
            self.report_once(format!("compressed files that match {text} are not read"));
            return Ok(true);
        }
        if self.followers.len() >= SHIP_PATTERN_FILES_MAX {
            self.report_once(format!(
                "{} files are followed, no more of those that match are until some of them are gone",
                self.followers.len()
            ));
            return Ok(false);
        }
        let place = place(path);
        let mut bases = bases(&place).into_iter();
        let is_rotated =
            bases.any(|(base, is_sure)| is_sure && self.shared.followed.contains(&base));
        if is_rotated || self.shared.followed.contains(&place) {
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
        if !self.has_room()? {
            self.patterns.has_waiting = true;
            return Ok(false);
        }
        let owner = self.followers.iter().position(|it| it.knows(identity));
        if let Some(owner) = owner {
            let is_named = |path| fs::metadata(path).is_ok_and(|it| Identity::of(&it) == identity);
            if is_named(self.followers[owner].path()) || !self.followers[owner].is_of_pattern() {
                return Ok(true);
            }
            // It has another name now, which is not that of a rotated file.
            self.follow_match(pattern, path)?;
            if let Some(entry) = self.followers[owner].release(identity) {
                let last = self.followers.len() - 1;
                let adopted = self.followers[last].adopt(entry);
                self.complain(last, adopted.err())?;
            }
            return Ok(true);
        }
        self.follow_match(pattern, path)?;
        // A file that is gone, or cannot be read, is noticed when it is checked.
        let last = self.followers.len() - 1;
        let _ = self.followers[last].open_ahead();
        Ok(true)
    }

    fn follow_match(&mut self, pattern: &mut Watched, path: &Path) -> Result<(), Failure> {
        let state = State::open(self.arguments.state_path(path)?).map_err(Failure::Failed)?;
        let mut around = self.shared.around([&[], &[]]);
        let from_end = self.arguments.from_end && !pattern.is_old;
        let is_match = |path: &Path| !from_end && pattern.is_match(path);
        let source = self.arguments.source()?;
        let follower = Follower::of_match(
            path.to_owned(),
            source,
            from_end,
            state,
            &is_match,
            &mut around,
        );
        let mut follower = follower.map_err(Failure::Failed)?;
        self.database.tell(&self.shared.client, &mut follower);
        self.followers.push(follower);
        self.reported.push(String::new());
        self.shared.followed.insert(place(path));
        pattern.has_changed |= path
            .to_str()
            .is_some_and(|path| pattern.names.insert(path.to_owned()));
        Ok(())
    }

    /// Forgets the files that are gone and have been read to their ends.
    fn drop_gone_files(&mut self) {
        let mut number = 0;
        while number < self.followers.len() {
            if !self.followers[number].is_over() {
                number += 1;
                continue;
            }
            let follower = self.followers.remove(number);
            self.reported.remove(number);
            self.shared.followed.remove(&place(follower.path()));
            let path = follower.path().to_str();
            for pattern in &mut self.patterns.watched {
                pattern.has_changed |= path.is_some_and(|path| pattern.names.remove(path));
            }
            // Where it stays the file is one that was there before.
            let _ = fs::remove_file(follower.state_path());
        }
    }

    fn report_once(&mut self, sentence: String) {
        if !self.patterns.reported.contains(&sentence)
            && self.patterns.reported.len() < SHIP_PATTERN_FILES_MAX
        {
            self.shared.client.report(&escaped(&sentence));
            self.patterns.reported.insert(sentence);
        }
    }
}
