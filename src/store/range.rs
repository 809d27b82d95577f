//! Which events a reader asks for, as ranges of seqs.

use super::topics::topic::TopicId;
use crate::event::NameFilter;

/// Where a page begins, and which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Oldest first, from the event after this seq.
    After(u64),
    /// Newest first, from the event before this seq.
    Before(u64),
}

impl Bound {
    /// The seq.
    pub(crate) fn seq(self) -> u64 {
        match self {
            Bound::After(seq) | Bound::Before(seq) => seq,
        }
    }

    /// Where a page goes on after this seq.
    pub(super) fn after(self, seq: u64) -> Bound {
        match self {
            Bound::After(_) => Bound::After(seq),
            Bound::Before(_) => Bound::Before(seq),
        }
    }

    /// A key that grows in the order of the page. Applied twice it gives the seq.
    pub(super) fn key(self, seq: u64) -> u64 {
        match self {
            Bound::After(_) => seq,
            Bound::Before(_) => u64::MAX - seq,
        }
    }
}

/// Which seqs of a topic are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicRange {
    pub topic: TopicId,
    pub bound: Bound,
    /// The events up to this seq have been removed.
    pub removed: u64,
    /// No event of the topic has a greater seq.
    pub newest: u64,
    /// How long the list of seqs may become.
    pub limit: usize,
}

impl TopicRange {
    /// Whether a seq is one of those that are asked for.
    pub(super) fn has(&self, seq: u64) -> bool {
        self.meets(seq, seq)
    }

    /// Whether one between these two can be, both included.
    pub(super) fn meets(&self, first: u64, last: u64) -> bool {
        let (low, high) = match self.bound {
            Bound::After(seq) => (seq.max(self.removed), u64::MAX),
            Bound::Before(seq) => (self.removed, seq),
        };
        last > low && first < high && first <= self.newest
    }

    /// How many seqs `list` may still take.
    pub(super) fn room(&self, list: &[u64]) -> usize {
        self.limit.saturating_sub(list.len())
    }
}

/// Which events a page is to hold.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery<'a> {
    /// Names or, with a trailing `*`, prefixes; none means all topics.
    pub topics: &'a [String],
    pub bound: Bound,
    /// Events on the page, at least one.
    pub limit: usize,
}

/// Which events a subscriber reads next.
#[derive(Clone, Copy, Debug)]
pub struct SubscriberQuery<'a> {
    pub topics: &'a NameFilter,
    /// The batch begins with the event after this seq.
    pub after: u64,
    /// And ends with this one at the latest.
    pub until: u64,
    /// About how many bytes of JSON the batch may have.
    pub max_bytes: usize,
}
