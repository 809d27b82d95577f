//! Publications whose keys can be checked only with a damaged page of the key index. They wait in the ring for a
//! moment, in which most pages are repaired; then they are refused, and all others are committed.

use super::reply::NOT_STORED;
use super::App;
use crate::clock::Now;
use crate::http::Refusal;
use crate::limits;
use crate::store::StoreError;

impl App {
    /// A commit has met a damaged page: it is tried again soon, at first with all publications.
    pub(super) fn wait_for_repair(&mut self, now: Now) {
        if !self.health.is_waiting_for_repair() {
            // A lock of another program may have stopped the repair. This commit has got past it, and waits for less
            // time than failed work does.
            self.schedule.resume();
        }
        let all_may_wait = self.health.needs_repair(now);
        if !all_may_wait && self.refuse_what_waits() == 0 {
            // None of them needs the page.
            return self.refuse_waiting(&StoreError::Repairing, now);
        }
        if self.queue.is_empty() {
            self.health.stop_retrying();
        } else {
            let pause = if all_may_wait {
                limits::LOCKED_PAUSE_MS
            } else {
                0
            };
            self.health.retry(now.mono_ms + pause, now);
        }
    }

    /// Refuses the publications that cannot be told from what is stored. Returns how many these were.
    fn refuse_what_waits(&mut self) -> usize {
        let mut refused = 0;
        let not_stored = Refusal::unavailable(NOT_STORED);
        let slots: Vec<_> = std::iter::from_fn(|| self.queue.pop()).collect();
        for slot in slots {
            if self.store.waits_for_repair(&slot.publication) {
                refused += 1;
                self.refuse_or_return(slot, &not_stored);
            } else if let Err(full) = self.queue.push(slot) {
                self.refuse_or_return(*full.0, &not_stored);
            }
        }
        refused
    }
}
