//! Which seqs are known to have summaries: runs of blocks without a gap, a bounded number of them. What is not known
//! is looked up in the table again.

use crate::limits::SUMMARY_RUNS;

/// Blocks that follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
    /// What they take.
    bytes: u64,
}

/// The runs, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    runs: Vec<Run>,
}

impl Covered {
    /// The seqs from `first` to `last` have summaries, which take `bytes` bytes.
    pub(super) fn add(&mut self, first: u64, last: u64, bytes: u64) {
        let mut run = Run { first, last, bytes };
        let touches =
            |other: &Run| other.first <= last.saturating_add(1) && first <= other.last + 1;
        for other in self.runs.iter().filter(|other| touches(other)) {
            run.first = run.first.min(other.first);
            run.last = run.last.max(other.last);
            run.bytes += other.bytes;
        }
        self.runs.retain(|other| !touches(other));
        let at = self.runs.partition_point(|other| other.first > run.last);
        self.runs.insert(at, run);
        // The oldest one says up to where there is no gap.
        if self.runs.len() > SUMMARY_RUNS {
            self.runs.swap_remove(SUMMARY_RUNS - 1);
        }
    }

    /// The last block of a run, which begins with `first` and takes `bytes` bytes, goes.
    pub(super) fn cut_end(&mut self, first: u64, bytes: u64) {
        let is_it = |run: &&mut Run| (run.first..=run.last).contains(&first);
        if let Some(run) = self.runs.iter_mut().find(is_it) {
            run.last = first - 1;
            run.bytes = run.bytes.saturating_sub(bytes);
        }
        self.runs.retain(|run| run.first <= run.last);
    }

    /// The seqs up to `last` have no summaries any more. They took `bytes` bytes.
    pub(super) fn cut_up_to(&mut self, last: u64, bytes: u64) {
        self.runs.retain(|run| run.last > last);
        if let Some(run) = self.runs.last_mut().filter(|run| run.first <= last) {
            run.first = last + 1;
            run.bytes = run.bytes.saturating_sub(bytes);
        }
    }

    /// The greatest seq up to `last` and after `horizon` that is not known to have a summary.
    pub(super) fn missing(&self, last: u64, horizon: u64) -> Option<u64> {
        let mut missing = last;
        for run in &self.runs {
            if (run.first..=run.last).contains(&missing) {
                missing = run.first - 1;
            }
        }
        (missing > horizon).then_some(missing)
    }

    /// All events after `horizon` up to this seq are known to have summaries.
    pub(super) fn through(&self, horizon: u64) -> u64 {
        let holds_first = |run: &&Run| (run.first..=run.last).contains(&(horizon + 1));
        self.runs
            .iter()
            .find(holds_first)
            .map_or(horizon, |run| run.last)
    }

    /// The last seq that is known to have a summary; 0 where none is.
    pub(super) fn last(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.last)
    }

    /// Bytes that all of them take.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_touch_become_one() {
        let mut covered = Covered::default();
        assert_eq!(covered.missing(10, 0), Some(10));
        covered.add(11, 20, 2);
        covered.add(31, 40, 2);
        assert_eq!(covered.runs.len(), 2);
        assert_eq!(covered.missing(40, 0), Some(30));
        assert_eq!(covered.missing(45, 0), Some(45));
        assert_eq!((covered.through(0), covered.through(10)), (0, 20));
        covered.add(21, 30, 2);
        assert_eq!(covered.runs.len(), 1);
        assert_eq!(covered.missing(40, 0), Some(10));
        assert_eq!(covered.missing(40, 10), None);
        covered.add(1, 10, 1);
        assert_eq!((covered.missing(40, 0), covered.through(0)), (None, 40));
        assert_eq!((covered.bytes(), covered.last()), (7, 40));
    }

    #[test]
    fn what_is_gone_is_cut_off() {
        let mut covered = Covered::default();
        covered.add(1, 10, 4);
        covered.add(21, 30, 4);
        covered.cut_end(26, 1);
        assert_eq!(covered.missing(30, 0), Some(30));
        assert_eq!(covered.missing(25, 0), Some(20));
        covered.cut_up_to(5, 2);
        assert_eq!(covered.missing(10, 0), Some(5));
        assert_eq!(covered.missing(10, 5), None);
        assert_eq!(covered.bytes(), 5);
        covered.cut_up_to(22, 0);
        assert_eq!(covered.runs.len(), 1);
        covered.cut_end(23, 0);
        assert_eq!(covered, Covered::default());
    }

    #[test]
    fn a_bounded_number_is_remembered() {
        let mut covered = Covered::default();
        for at in 1..=2 * SUMMARY_RUNS as u64 {
            covered.add(10 * at, 10 * at + 1, 1);
        }
        assert_eq!(covered.runs.len(), SUMMARY_RUNS);
        assert!(covered.missing(20 * SUMMARY_RUNS as u64, 0).is_some());
        // The oldest one is known nevertheless, and grows.
        assert_eq!(covered.through(9), 11);
        covered.add(12, 15, 1);
        assert_eq!((covered.through(9), covered.runs.len()), (15, SUMMARY_RUNS));
        // The others are found again.
        while let Some(missing) = covered.missing(20 * SUMMARY_RUNS as u64, 9) {
            covered.add(missing, missing, 1);
        }
        assert_eq!(covered.through(9), 20 * SUMMARY_RUNS as u64 + 1);
    }
}
