//! When a checkpoint is due.

use crate::limits;

/// When to look how much of the write-ahead log has still to be copied into the database.
#[derive(Debug, Default)]
pub(super) struct CheckpointPlan {
    /// Frames in the log from which on it is looked at.
    look_at: u32,
    /// Frames when last looked at.
    seen: u32,
    /// The file of the log is to be shortened further when there is time.
    pub is_truncating: bool,
    /// Tries in a row that another program has made vain.
    vain_tries: u32,
}

impl CheckpointPlan {
    pub(super) fn new() -> Self {
        Self {
            look_at: limits::CHECKPOINT_FRAMES,
            ..Self::default()
        }
    }

    /// Another program stands in the way. Each further try waits until the log has grown by twice as much.
    pub(super) fn back_off(&mut self) {
        self.vain_tries = (self.vain_tries + 1).min(limits::CHECKPOINT_VAIN_TRIES_MAX);
        self.look_at = self.seen + (limits::CHECKPOINT_FRAMES << self.vain_tries);
    }

    pub(super) fn must_look(&mut self, frames: u32, quiet: bool) -> bool {
        // Another program has copied all of the log, and it was started over.
        if frames < self.seen {
            *self = Self::new();
        }
        self.seen = frames;
        // Where cutting does not go on, a reader holds the log; then the next checkpoint tries.
        let cuts = quiet && std::mem::take(&mut self.is_truncating);
        let must_look = frames >= self.look_at || cuts;
        if must_look {
            self.look_at = frames + limits::CHECKPOINT_FRAMES;
        }
        must_look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_truncated_further_is_left_until_the_next_checkpoint() {
        let mut plan = CheckpointPlan::new();
        plan.is_truncating = true;
        assert!(!plan.must_look(1, false), "there are commits to be made");
        assert!(plan.must_look(1, true));
        assert!(!plan.must_look(1, true), "it was tried, and did not go on");
        assert!(plan.must_look(1 + limits::CHECKPOINT_FRAMES, false));
    }
}
