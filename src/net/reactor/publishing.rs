//! How close publications are to each other, and what reading may therefore take of a turn.

use std::time::{Duration, Instant};

use crate::limits;

/// How close publications are to each other. What reads in between makes the next one wait for the slice that it meets,
/// so slices are short where publications are close.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// A part of a request came in this turn, or a publication is decoded or committed in it.
    pub in_turn: bool,
    /// When the last such turn ended.
    ended: Option<Instant>,
}

impl Publishing {
    /// How long reading may take in a turn that began at `began`: a part of what the turn has taken up to `now` if a
    /// publication has a part in it, else of the time since the last turn with one. A publisher that waits for each
    /// answer sends its next request about as long after the last one.
    pub(super) fn time_for_reads(&self, began: Instant, now: Instant) -> Duration {
        let quiet = Duration::from_micros(limits::SPARE_QUIET_US);
        let since = match (self.in_turn, self.ended) {
            (true, _) => began,
            (false, Some(ended)) => ended,
            (false, None) => return quiet,
        };
        let part = now.saturating_duration_since(since) / limits::SPARE_SHARE;
        part.clamp(Duration::from_micros(limits::SPARE_LEAST_US), quiet)
    }

    /// The turn is over.
    pub(super) fn end_turn(&mut self, now: Instant) {
        if std::mem::take(&mut self.in_turn) {
            self.ended = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn reads_get_a_part_of_the_time_between_publications() {
        let start = Instant::now();
        let at = |ms: u32| start + ms * MS;
        let (least, quiet) = (
            Duration::from_micros(limits::SPARE_LEAST_US),
            Duration::from_micros(limits::SPARE_QUIET_US),
        );
        let mut publishing = Publishing::default();
        assert_eq!(publishing.time_for_reads(at(0), at(0)), quiet);
        publishing.end_turn(at(1));
        assert_eq!(publishing.time_for_reads(at(1), at(1)), quiet);

        // In the turn of a publication a part of that turn, whatever was before.
        publishing.in_turn = true;
        for (ms, expected) in [(0, least), (8, 2 * MS), (1_000, quiet)] {
            assert_eq!(publishing.time_for_reads(at(5), at(5 + ms)), expected);
        }
        publishing.end_turn(at(15));
        // Afterwards the more the longer nothing has come.
        for (ms, expected) in [(0, least), (4, MS), (12, 3 * MS), (20, quiet), (60, quiet)] {
            let now = at(15 + ms);
            assert_eq!(publishing.time_for_reads(now, now), expected);
            publishing.end_turn(now);
        }
    }
}
