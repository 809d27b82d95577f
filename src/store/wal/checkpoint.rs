//! When a checkpoint is due.

use crate::limits;

/// When to check how much of the WAL has still to be copied into the database.
#[derive(Debug, Default)]
pub(super) struct CheckpointPlan {
    /// Frames in the WAL at which it is checked next.
    check_at: u32,
    /// Frames when last checked.
    seen: u32,
    /// The WAL file is to be truncated further when there is time.
    pub is_truncating: bool,
    /// Checkpoints in a row that another program has blocked.
    failed_tries: u32,
}

impl CheckpointPlan {
    pub(super) fn new() -> Self {
        Self {
            check_at: limits::CHECKPOINT_FRAMES,
            ..Self::default()
        }
    }

    /// Another program blocks the checkpoint. Each further try waits until the WAL has grown by twice as much.
    pub(super) fn back_off(&mut self) {
        self.failed_tries = (self.failed_tries + 1).min(limits::CHECKPOINT_BACKOFF_MAX);
        self.check_at = self.seen + (limits::CHECKPOINT_FRAMES << self.failed_tries);
    }

    pub(super) fn is_due(&mut self, frames: u32, quiet: bool) -> bool {
        // Another program has copied all of the WAL, and it was restarted.
        if frames < self.seen {
            *self = Self::new();
        }
        self.seen = frames;
        // If truncating makes no progress, a reader holds the WAL; then the next checkpoint tries.
        let truncates = quiet && std::mem::take(&mut self.is_truncating);
        let is_due = frames >= self.check_at || truncates;
        if is_due {
            self.check_at = frames + limits::CHECKPOINT_FRAMES;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wal_that_cannot_be_truncated_further_is_left_until_the_next_checkpoint() {
        let mut plan = CheckpointPlan::new();
        plan.is_truncating = true;
        assert!(!plan.is_due(1, false), "there are commits to be made");
        assert!(plan.is_due(1, true));
        assert!(!plan.is_due(1, true), "it was tried, and did not go on");
        assert!(plan.is_due(1 + limits::CHECKPOINT_FRAMES, false));
    }
}
