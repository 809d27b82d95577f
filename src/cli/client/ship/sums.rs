//! What became of the lines, as it is printed at the end.

use std::fmt;

use crate::client::EventResult;
use crate::limits::CLIENT_LINES_REPORTED;

/// What became of the lines.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    accepted: u64,
    duplicates: u64,
    /// Of the duplicates, those with another content.
    conflicts: u64,
    rejected: u64,
}

impl Sums {
    /// Counts a line. Returns why it is refused, if that is to be reported.
    pub(super) fn count(&mut self, outcome: EventResult) -> Option<String> {
        match outcome {
            EventResult::Accepted => self.accepted += 1,
            EventResult::Duplicate => self.duplicates += 1,
            EventResult::Conflict => {
                self.duplicates += 1;
                self.conflicts += 1;
            }
            EventResult::Rejected(reason) => {
                self.rejected += 1;
                return (self.rejected <= CLIENT_LINES_REPORTED).then_some(reason);
            }
        }
        None
    }

    /// Why the whole is not a success.
    pub(super) fn failure(&self) -> Option<String> {
        let rejected = self.rejected;
        (rejected > 0).then(|| format!("{rejected} lines are not stored"))
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.accepted + self.duplicates + self.rejected;
        writeln!(f, "read: {lines}")?;
        writeln!(f, "accepted: {}", self.accepted)?;
        writeln!(f, "duplicates: {}", self.duplicates)?;
        if self.conflicts > 0 {
            writeln!(f, "of these with another content: {}", self.conflicts)?;
        }
        writeln!(f, "rejected: {}", self.rejected)
    }
}
