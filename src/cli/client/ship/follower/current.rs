//! Which file the path names now, and where reading it begins.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use super::{Around, Current, Follower};
use crate::cli::client::ship::folders::{listings, places};
use crate::cli::client::ship::position::{Identity, Position};
use crate::cli::client::ship::prefix::Prefix;
use crate::cli::client::ship::state::Entry;
use crate::cli::client::ship::tracked::{encoding, Tracked};
use crate::limits::SHIP_READ_BYTES;

impl Follower {
    /// Finds which file the path names, and takes up those that it has named since the last time. False where there is
    /// none.
    pub(crate) fn refresh(&mut self, around: &mut Around) -> io::Result<bool> {
        self.places = places(&self.path);
        let listings = listings(&self.places, around.folders, None);
        let has_changed = !listings
            .iter()
            .map(|listing| &listing.number)
            .eq(&self.listed);
        let has_changed = has_changed || self.must_check_compressed;
        // They are listed before the path is checked: a file that exists while the path still names the same one as
        // before has not been named by it since.
        let beside = has_changed.then(|| self.rotated_files(around, None));
        self.check_parked(beside.as_deref(), around)?;
        if let Some(beside) = &beside {
            self.check_compressed(beside, around);
        }
        let about = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.from_end = false;
                self.is_gone = self.is_of_pattern;
                return Ok(false);
            }
            about => about?,
        };
        self.is_gone = false;
        let identity = Identity::of(&about);
        if !self.is_read(identity) && !self.revive(identity)? {
            if !self.take_up_current(around)? {
                return Ok(true);
            }
        } else if let Some(beside) = beside {
            self.check_rotated(identity, &beside, around)?;
        } else {
            self.nothing_beside(identity);
        }
        self.from_end = false;
        let current = fs::metadata(&self.path).map(|about| Identity::of(&about));
        let place = self.places.last().and_then(|place| place.to_str());
        if self.memory.place.as_deref() != place {
            self.memory.place = place.map(str::to_owned);
        }
        for tracked in &mut self.files {
            let identity = tracked.entry.identity;
            tracked.is_current = current.as_ref().is_ok_and(|it| *it == identity);
            if tracked.is_current && tracked.entry.path.as_deref() != place {
                tracked.entry.path = place.map(str::to_owned);
            }
        }
        Ok(true)
    }

    /// Takes up the file that the path names now, after those that it named meanwhile. False where it is left
    /// to another log file.
    fn take_up_current(&mut self, around: &mut Around) -> io::Result<bool> {
        self.find_truncated(around)?;
        let (file, about, since) = self.open_current()?;
        let identity = Identity::of(&about);
        if self.is_left_to_others(identity, &file, around)? {
            return Ok(false);
        }
        // A link may lead elsewhere now.
        self.places = places(&self.path);
        let end = self.files.len();
        let current = Current {
            identity,
            file: Some(&file),
            is_other: true,
            since,
        };
        self.take_up_missed(end, &current, around)?;
        if self.is_read(identity) {
            return Ok(true);
        }
        let position = match self.from_end {
            true => self.mark_at_end(&file, &about)?,
            false => Position::start(identity, 0, &self.source, 0),
        };
        let end = self.files.len();
        self.take_up(end, file, identity, position);
        self.files[end].is_begun_at_end = self.from_end;
        Ok(true)
    }

    pub(super) fn take_up(
        &mut self,
        at: usize,
        file: File,
        identity: Identity,
        position: Position,
    ) {
        self.memory.newest = self.memory.newest.max(identity.born);
        let entry = Entry {
            identity,
            generation: 0,
            position,
            pending: None,
            head: Vec::new(),
            path: None,
            is_done: false,
            is_all_read: false,
            modified: None,
            prefix: Prefix::default(),
        };
        let tracked = Tracked::new(file, entry, false, SystemTime::now());
        self.files.insert(at, tracked);
        self.must_save = true;
    }

    /// A position after the last line end of a file.
    fn mark_at_end(&self, file: &File, about: &Metadata) -> io::Result<Position> {
        let encoding = encoding(file)?;
        let mut end = about.len();
        let mut piece = vec![0; SHIP_READ_BYTES];
        while end > 0 {
            // Each piece begins with a whole character, as the file does.
            let from = (end - 1) / SHIP_READ_BYTES as u64 * SHIP_READ_BYTES as u64;
            let piece = &mut piece[..(end - from) as usize];
            file.read_exact_at(piece, from)?;
            if let Some(at) = encoding.last_line(piece) {
                end = from + at as u64;
                break;
            }
            end = from;
        }
        let mut position = Position::start(Identity::of(about), 0, &self.source, end);
        position.read_tail(file)?;
        Ok(position)
    }
}
