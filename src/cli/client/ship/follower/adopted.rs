//! Which log file a file belongs to that more than one of those of a pattern may own.

use std::fs::File;
use std::io;

use super::super::folders::{open, place};
use super::super::patterns::bases;
use super::super::position::Identity;
use super::super::state::Entry;
use super::{Around, Follower};

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
            // The first bytes show whether it is a copy.
            if *is_sure || file.metadata()?.len() == 0 {
                return Ok(true);
            }
            let mut bases = others().filter(|other| place(other.path()) == *base);
            if bases.any(|other| other.holds_copy(file)) {
                return Ok(true);
            }
        }
        // The other log file may have been truncated after it was checked: then this is its copy.
        let since = match self.held {
            Some((held, since)) if held == identity => since,
            _ => around.turn,
        };
        self.held = Some((identity, since));
        self.is_held = has_base && around.turn < since + 2;
        Ok(self.is_held)
    }

    /// Gives away a file that has another name now.
    pub(crate) fn release(&mut self, identity: Identity) -> Option<Entry> {
        let at = self
            .files
            .iter()
            .position(|it| it.entry.identity == identity);
        self.must_save = true;
        at.map(|at| self.files.remove(at).entry)
            .or_else(|| self.parked.take(identity))
    }

    /// Goes on with a file at the position of another log file.
    pub(crate) fn adopt(&mut self, entry: Entry) -> io::Result<()> {
        let (file, about) = open(self.path())?;
        if Identity::of(&about) == entry.identity && !self.is_read(entry.identity) {
            self.reopened(file, entry);
        }
        // The log file that gave it away forgets it.
        self.must_save = true;
        self.save(true)
    }
}
