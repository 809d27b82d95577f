//! What the requests of a turn of the loop may read, in units of work ([`crate::limits`]).

use std::time::Duration;

use crate::limits;

/// What has been read in a turn, and what may still be.
#[derive(Debug)]
pub(super) struct ReadBudget {
    /// Units of a slice.
    slice: u64,
    /// Units that may still be spent at once.
    left: u64,
    /// Units that have been spent in this turn: by requests, and by streams.
    spent: u64,
    streamed: u64,
    /// The part of a slice that a stream with filters has.
    stream_share: f32,
}

/// The part of the time of a slice.
fn search_time(share: f32) -> Duration {
    let share = share.clamp(1.0 / 8.0, 1.0);
    Duration::from_micros(limits::SEARCH_SLICE_US).mul_f32(share)
}

impl ReadBudget {
    pub(super) fn new(slice: u64) -> Self {
        Self {
            slice,
            left: slice,
            spent: 0,
            streamed: 0,
            stream_share: 1.0,
        }
    }

    /// A new turn begins, in which this many slices may be spent at once.
    pub(super) fn begin_turn(&mut self, slices: u64) {
        self.left = slices * self.slice;
        self.spent = 0;
        self.streamed = 0;
    }

    /// Begins a slice, or the `share` of one. False where the turn has read enough.
    pub(super) fn begin_slice(&mut self, share: f32) -> bool {
        let slice = self.slice;
        self.left = ((slice as f32 * share) as u64).clamp(slice.div_ceil(8), slice);
        self.spent < (limits::READ_SLICES_PER_TURN - 1) * slice
    }

    /// Whether nothing more may be spent at once.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Units for the next step; at least one, so that each step makes progress.
    pub(super) fn step(&self) -> u64 {
        self.left.max(1)
    }

    /// Units and time for the next step of a search.
    pub(super) fn search_step(&self) -> (u64, Duration) {
        let share = self.step() as f32 / self.slice as f32;
        (self.step(), search_time(share))
    }

    /// From now on a stream with filters may work for this share of a slice at a time.
    pub(super) fn begin_streams(&mut self, share: f32) {
        self.stream_share = share;
    }

    /// Units and time for a slice of such a stream.
    pub(super) fn stream_step(&self) -> (u64, Duration) {
        let units = (self.slice as f32 * self.stream_share) as u64;
        let least = self.slice.div_ceil(8);
        (
            units.clamp(least, self.slice),
            search_time(self.stream_share),
        )
    }

    pub(super) fn spend(&mut self, units: u64) {
        self.left = self.left.saturating_sub(units);
        self.spent += units;
    }

    /// Streams have spent these. They have their own part of a turn, which is measured.
    pub(super) fn spend_on_stream(&mut self, units: u64) {
        self.streamed += units;
    }

    /// Units that this turn has spent, on streams too.
    pub(super) fn in_turn(&self) -> u64 {
        self.spent + self.streamed
    }

    /// Panics where a turn has read more than it may. `step_max` is how much longer than a slice a step may be, since
    /// it is never interrupted; that can happen twice in a turn.
    pub(super) fn check_invariants(&self, step_max: u64) {
        let most = limits::READ_SLICES_PER_TURN * self.slice + 2 * step_max;
        assert!(self.spent <= most, "a turn read {} units", self.spent);
    }
}
