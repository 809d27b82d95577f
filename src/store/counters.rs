//! What became of events: the outcome of each, and the counts of all.

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored under this seq.
    Accepted(u64),
    /// Its key was stored before, under this seq, with the same content.
    Duplicate(u64),
    /// Its key was stored before, under this seq, with other content. Counts as a duplicate.
    Conflict(u64),
}

/// Counts over the life of the database. `received = unique_processed + duplicate_dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub unique_processed: u64,
    pub duplicate_dropped: u64,
    /// Those of `duplicate_dropped` whose content differed.
    pub conflicts: u64,
}

impl Counters {
    /// Events that were answered.
    pub fn received(&self) -> u64 {
        self.unique_processed + self.duplicate_dropped
    }
}
