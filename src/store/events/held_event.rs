//! The event that a walk has not decided in its slice, held for the next slices: to read a large row again costs more
//! than a slice. There is one such event at a time, whatever is searched for.

use super::scan::{ScanBatch, TakenRow};
use crate::limits::HELD_EVENT_UNUSED_MAX;

/// An event as it was read.
#[derive(Debug, Default)]
pub(crate) struct HeldEvent {
    /// The batch that ends with it.
    batch: ScanBatch,
    /// Slices since it was asked for.
    unused: u32,
}

impl HeldEvent {
    /// Takes the rows of a batch, in place of those before.
    pub(crate) fn hold(&mut self, batch: &mut ScanBatch) {
        self.batch = std::mem::take(batch);
        self.unused = 0;
    }

    /// The event with this seq, if it is there.
    pub(crate) fn row(&mut self, seq: u64) -> Option<TakenRow<'_>> {
        self.unused = 0;
        self.batch.rows().find(|row| row.seq as u64 == seq)
    }

    /// A slice has not asked for it. After some of these it is dropped.
    pub(crate) fn was_not_used(&mut self) {
        self.unused = self.unused.saturating_add(1);
        if self.unused == HELD_EVENT_UNUSED_MAX {
            self.batch = ScanBatch::default();
        }
    }
}
