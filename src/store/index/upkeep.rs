//! What the index does beside look-ups and compactions: reading filters, repairs, checksums for older tables, the
//! scrub.

use rusqlite::Connection;

use super::damage::Damage;
use super::record::Fingerprint;
use super::repair::{self, Repairs, Scope};
use super::{upgrade, KeyIndex};
use crate::limits::MERGE_WIDTH;
use crate::store::error::{has_unreadable_page, while_reading};

impl KeyIndex {
    /// Whether there are filters for memory that have not been read yet: until then look-ups ask them on disk.
    pub(crate) fn has_unread_filters(&self) -> bool {
        self.segments.has_unread_filters()
    }

    /// Reads at most `pages` pages of them. Filters that SQLite cannot read stay on disk, where a look-up that needs
    /// one fails.
    pub(crate) fn read_filters(&mut self, db: &Connection, pages: usize) -> rusqlite::Result<()> {
        match self.segments.read_filters(db, pages) {
            Err(error) if has_unreadable_page(&error) => {
                log::error!("{}", while_reading(error, "the key index"));
                self.segments.leave_unread_filters();
                Ok(())
            }
            read => read,
        }
    }

    /// The pages that have turned out to be damaged.
    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Whether there are damaged pages that can be rebuilt.
    pub(crate) fn needs_repair(&self) -> bool {
        self.damage.can_be_repaired()
    }

    /// Whether the look-up of this key would need a damaged page.
    pub(crate) fn waits_for_repair(&self, fingerprint: Fingerprint) -> bool {
        repair::needs_damaged_page(&self.segments, &self.damage, fingerprint)
    }

    /// The last seq whose event may be removed: those after it are still needed to make pages of keys again.
    pub(crate) fn removable_up_to(&self) -> u64 {
        repair::removable_up_to(&self.segments, &self.damage)
    }

    /// One slice of reading what the first damaged pages are made from. Returns whether they can be written.
    pub(crate) fn collect(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let (repairs, scope) = self.repairs();
        repairs.collect(db, scope)
    }

    /// Writes the pages, inside the open transaction, once [`KeyIndex::collect`] says that they can be.
    pub(crate) fn remake(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let (repairs, scope) = self.repairs();
        self.remade = Some(repairs.remake(db, scope)?);
        Ok(())
    }

    fn repairs(&mut self) -> (&mut Repairs, Scope<'_>) {
        let scope = Scope {
            segments: &self.segments,
            damage: &self.damage,
            fingerprinter: self.fingerprinter,
            horizons: self.horizons,
        };
        (&mut self.repairs, scope)
    }

    /// Whether there is a segment of older tables that can get checksums.
    pub(crate) fn needs_checksums(&self) -> bool {
        upgrade::next_segment(&self.segments, &self.damage).is_some()
    }

    /// Whether it cannot wait for a quiet turn, because compactions wait for it.
    pub(crate) fn needs_checksums_now(&self) -> bool {
        self.segments.all().len() > MERGE_WIDTH && self.needs_checksums()
    }

    /// Gives some pages their checksums, inside the open transaction.
    pub(crate) fn seal(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let scope = Scope {
            segments: &self.segments,
            damage: &self.damage,
            fingerprinter: self.fingerprinter,
            horizons: self.horizons,
        };
        self.has_sealed = true;
        self.upgrades.step(db, scope)
    }

    /// When the next slice of the scrub is due, in milliseconds of the monotonic clock.
    pub(crate) fn scrub_due_ms(&self) -> u64 {
        self.scrub.due_ms()
    }

    /// Reads some pages, which may not be read otherwise, if that is due.
    pub(crate) fn scrub(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<()> {
        if self.damage.take_missed() {
            self.scrub.begin_again();
        }
        self.scrub.step(db, self.segments.all(), now_ms)
    }
}
