//! Log files of a pattern that are not written to hold no descriptors: they are closed together with their states, and
//! only checked by their names. One that changes is found again as after a restart.

use std::fs::{self, File, Metadata};
use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::super::folders::open;
use super::super::parked::{Asleep, Closed};
use super::super::position::Identity;
use super::super::state::VERSION;
use super::{Around, Follower};
use crate::limits::{SHIP_PARKED_MS, SHIP_SLEEP_MS};

impl Follower {
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.is_some()
    }

    /// Whether nothing has been written to it for so long that it should be closed.
    pub(crate) fn is_sleepy(&self) -> bool {
        let quiet = self.quiet_time();
        quiet.is_some_and(|time| time >= Duration::from_millis(SHIP_SLEEP_MS))
    }

    /// For how long it could have been closed.
    fn quiet_time(&self) -> Option<Duration> {
        let [tracked] = &self.files[..] else {
            return None;
        };
        let is_plain = self.is_of_pattern && !self.is_gone && tracked.is_current;
        let has_path = tracked.entry.path.is_some();
        let is_open = self.is_held || self.must_check_compressed || self.opened.is_some();
        let quiet = tracked.quiet_time();
        quiet.filter(|_| is_plain && has_path && !is_open)
    }

    /// Closes the file and the state, if there is nothing more to read. False if it must stay open.
    pub(crate) fn sleep(&mut self) -> io::Result<bool> {
        if self.quiet_time().is_none() {
            return Ok(false);
        }
        self.save(true)?;
        let Some(mut tracked) = self.files.pop() else {
            return Ok(false);
        };
        let about = tracked.file.metadata()?;
        if about.len() != tracked.entry.position.offset {
            self.files.push(tracked);
            return Ok(false);
        }
        // A file that disappears while it is checked several times a second had nothing more.
        tracked.entry.is_all_read = true;
        self.asleep = Some(Asleep {
            closed: Closed::new(tracked.entry, &about),
            known_at: SystemTime::now(),
            parked_at: Instant::now(),
            must_wake: false,
        });
        self.state.close();
        Ok(true)
    }

    /// Whether something has changed, so that it must be opened again.
    pub(crate) fn must_wake(&mut self) -> bool {
        let Some(asleep) = &mut self.asleep else {
            return false;
        };
        if asleep.must_wake || !asleep.closed.is_in_place(&self.path) {
            return true;
        }
        asleep.known_at = SystemTime::now();
        if asleep.parked_at.elapsed() < Duration::from_millis(SHIP_PARKED_MS) {
            return false;
        }
        asleep.parked_at = Instant::now();
        !self.parked.are_in_place()
    }

    /// Whether the path names another file than the one that was closed, or none.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let about = fs::metadata(&self.path);
        let named = about.ok().map(|about| Identity::of(&about));
        let asleep = self.asleep.as_ref();
        asleep.is_some_and(|asleep| named.is_none_or(|identity| !asleep.is(identity)))
    }

    /// Opens the state and the file again, which may be elsewhere now.
    pub(crate) fn wake(&mut self, around: &mut Around) -> io::Result<()> {
        self.state.reopen()?;
        let beside = match self.is_elsewhere() {
            true => self.rotated_files(around, Some(Instant::now())),
            false => Vec::new(),
        };
        let Some(asleep) = self.asleep.take() else {
            return Ok(());
        };
        let entry = asleep.closed.entry;
        let strays = around.strays.iter().filter(|stray| entry.may_be(stray));
        let beside: Vec<_> = beside.iter().chain(strays).cloned().collect();
        let identities = [entry.identity];
        self.resume(
            entry,
            (VERSION, asleep.known_at),
            &beside,
            &identities,
            around,
        );
        self.must_save = true;
        Ok(())
    }

    /// Opens the file of a name that has just been found, so that the folder can be listed for many of them.
    pub(crate) fn open_ahead(&mut self) -> io::Result<()> {
        let (file, about) = open(&self.path)?;
        self.opened = Some((file, about, Instant::now()));
        Ok(())
    }

    /// The file that the path names, and when it was opened.
    pub(super) fn open_current(&mut self) -> io::Result<(File, Metadata, Instant)> {
        let opened = self.opened.take();
        let named = fs::metadata(&self.path)?;
        let is_named = |about: &Metadata| Identity::of(about) == Identity::of(&named);
        match opened {
            Some(opened) if is_named(&opened.1) => Ok(opened),
            _ => {
                let (file, about) = open(&self.path)?;
                Ok((file, about, Instant::now()))
            }
        }
    }
}
