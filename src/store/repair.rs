//! Damaged pages of the key index: which there are, which publications have to wait until they have been made
//! again, and the slices in which that is done.

use super::error::StoreError;
use super::index::{DamagedPage, KeyIndex};
use super::row_repair::repair_removed_keys;
use super::state::Store;
use crate::clock::earlier;
use crate::event::Publication;
use crate::limits;

impl Store {
    /// How many pages of the key index are known to be damaged.
    pub fn damaged_pages(&self) -> usize {
        self.parts
            .index
            .as_ref()
            .map_or(0, |keys| keys.damage().count())
    }

    /// How many have been found since the database was opened.
    pub fn damaged_pages_found(&self) -> u64 {
        self.parts
            .index
            .as_ref()
            .map_or(0, |keys| keys.damage().noted())
    }

    /// The first of them, at most `limit`.
    pub fn first_damaged_pages(&self, limit: usize) -> Vec<DamagedPage> {
        let keys = self.parts.index.as_ref();
        keys.map_or_else(Vec::new, |keys| keys.damage().first(limit))
    }

    /// Whether one of these events cannot be checked before a page has been rebuilt.
    pub fn waits_for_repair(&self, publication: &Publication) -> bool {
        let Some(keys) = &self.parts.index else {
            return false;
        };
        publication.events.iter().any(|event| {
            let name = std::str::from_utf8(event.topic.of(&publication.body));
            // A topic that has never been used has no keys.
            let topic = name.ok().and_then(|name| self.parts.topics.id(name));
            topic.is_some_and(|topic| {
                let event_id = event.event_id.of(&publication.body);
                keys.waits_for_repair(keys.fingerprinter().of_key(topic, event_id))
            })
        })
    }

    /// Whether there are damaged pages that can be rebuilt.
    pub(super) fn needs_repair(&self) -> bool {
        self.parts
            .index
            .as_ref()
            .is_some_and(KeyIndex::needs_repair)
    }

    /// One slice of rebuilding damaged pages.
    pub(super) fn repair_index(&mut self) -> Result<(), StoreError> {
        let Some(index) = &mut self.parts.index else {
            return Ok(());
        };
        if !index.collect(&self.db)? {
            return Ok(());
        }
        self.require_synced_wal()?;
        self.lazy_transaction(|db, parts| match &mut parts.index {
            Some(index) => index.remake(db),
            None => Ok(()),
        })
    }

    /// Reads some pages of the key index and of the summaries, which may not be read otherwise, if that is due at
    /// `now_ms` of the monotonic clock. Returns whether it has found damage.
    pub fn scrub(&mut self, now_ms: u64) -> Result<bool, StoreError> {
        if let Some(keys) = &mut self.parts.index {
            keys.scrub(&self.db, now_ms)?;
        }
        let has_damage = self.parts.summaries.scrub(&self.db, now_ms)?;
        Ok(has_damage || self.needs_repair())
    }

    /// When [`Store::scrub`] has something to do next.
    pub fn scrub_due_ms(&self) -> Option<u64> {
        let of_keys = self.parts.index.as_ref().map(KeyIndex::scrub_due_ms);
        earlier(of_keys, self.parts.summaries.scrub_due_ms())
    }

    /// One slice of comparing the keys of removed events with their checksums. Returns whether there is more. With the
    /// key index that is done at the start.
    pub(super) fn check_removed_keys(&mut self) -> Result<bool, StoreError> {
        let Some(after) = self.parts.retention.unchecked_after() else {
            return Ok(false);
        };
        let mut up_to = None;
        if self.parts.index.is_none() {
            self.require_synced_wal()?;
            let rows = limits::REMOVED_KEYS_CHECKED_AT_ONCE;
            up_to = self.lazy_transaction(|db, _| repair_removed_keys(db, after, rows))?;
        }
        self.parts.retention.keys_checked(up_to);
        Ok(up_to.is_some())
    }

    /// One slice of giving checksums to the pages of older tables.
    pub(super) fn seal_index(&mut self) -> Result<(), StoreError> {
        self.require_synced_wal()?;
        self.lazy_transaction(|db, parts| match &mut parts.index {
            Some(index) => index.seal(db),
            None => Ok(()),
        })
    }
}
