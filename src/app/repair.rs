//! Publications whose keys only a damaged page of the key index could tell. They wait in the ring for a moment, in
//! which most pages are made again; then they are refused, and all others are committed.

use super::{unavailable, App, NOT_STORED};
use crate::clock::Now;
use crate::limits;
use crate::store::StoreError;

impl App {
    /// A commit has met a damaged page: it is tried again soon, at first with all publications.
    pub(super) fn wait_for_repair(&mut self, now: Now) {
        let since = *self.repairing_since.get_or_insert(now.mono_ms);
        let has_patience = now.mono_ms - since < limits::LOCKED_RETRY_MS;
        if !has_patience && self.refuse_what_waits() == 0 {
            // None of them needs the page.
            return self.refuse_waiting(&StoreError::Repairing, now);
        }
        if self.has_waiting() {
            self.locked_since.get_or_insert(now.mono_ms);
            self.retry_at = match has_patience {
                true => now.mono_ms + limits::LOCKED_PAUSE_MS,
                false => now.mono_ms,
            };
        } else {
            self.locked_since = None;
        }
    }

    /// Refuses the publications that cannot be told from what is stored. Says how many these were.
    fn refuse_what_waits(&mut self) -> usize {
        let mut refused = 0;
        let slots: Vec<_> = std::iter::from_fn(|| self.ring.pop()).collect();
        for slot in slots {
            if self.store.waits_for_repair(&slot.publication) {
                refused += 1;
                self.finish(slot, unavailable(NOT_STORED));
            } else if let Err(full) = self.ring.push(slot) {
                self.finish(full.0, unavailable(NOT_STORED));
            }
        }
        refused
    }

    /// A commit has succeeded: once nothing is damaged any more, the next damage is waited for again.
    pub(super) fn repaired(&mut self) {
        if self.repairing_since.is_some() && self.store.damaged_pages() == 0 {
            self.repairing_since = None;
        }
    }
}
