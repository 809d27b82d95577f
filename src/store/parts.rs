//! The parts of memory that follow the tables, together. Each keeps its fields to itself.

use super::counters::EventCounters;
use super::index::KeyIndex;
use super::rejected::table::Rejected;
use super::retention::{Pruner, Standing};
use super::subscriptions::Subscriptions;
use super::summaries::table::Summaries;
use super::topics::Topics;
use super::transaction::Part;

/// What memory holds of the tables.
pub(super) struct Parts {
    pub(super) counters: EventCounters,
    pub(super) topics: Topics,
    pub(super) subscriptions: Subscriptions,
    pub(super) retention: Pruner,
    pub(super) rejected: Rejected,
    pub(super) summaries: Summaries,
    /// None if SQLite's constraint finds duplicates.
    pub(super) index: Option<KeyIndex>,
}

impl Parts {
    /// What retention goes by at a time, in microseconds since the epoch.
    pub(super) fn standing(&self, now_us: i64) -> Standing {
        Standing {
            last_seq: self.counters.last_seq(),
            held_after: self.subscriptions.held_after(),
            now_us,
        }
    }

    /// Every part. There is no `..` here, so a new one does not compile before it is on the list.
    fn list(&mut self) -> impl Iterator<Item = &mut dyn Part> {
        let Parts {
            counters,
            topics,
            subscriptions,
            retention,
            rejected,
            summaries,
            index,
        } = self;
        let parts: [&mut dyn Part; 6] = [
            counters,
            topics,
            subscriptions,
            retention,
            rejected,
            summaries,
        ];
        let index = index.as_mut().map(|index| index as &mut dyn Part);
        parts.into_iter().chain(index)
    }
}

impl Part for KeyIndex {
    fn committed(&mut self) {
        KeyIndex::committed(self);
    }

    fn rolled_back(&mut self) {
        KeyIndex::rolled_back(self);
    }
}

impl Part for Parts {
    fn committed(&mut self) {
        self.list().for_each(|part| part.committed());
    }

    fn rolled_back(&mut self) {
        self.list().for_each(|part| part.rolled_back());
    }
}
