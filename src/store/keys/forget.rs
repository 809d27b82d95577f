//! Forgetting keys, the oldest first: a segment whose keys are all forgotten is dropped whole. So that
//! this comes in time and not all at once, merges make no segment that spans more than a share of what
//! is kept.

use rusqlite::Connection;

use super::segment::Segment;
use super::KeyIndex;
use crate::limits::{KEYS_SPAN_SHARE, MERGE_WIDTH};

/// How many keys are kept, as far as merges have to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergeBound {
    /// All, for ever.
    #[default]
    None,
    /// Those of so many microseconds.
    Age(i64),
    /// About so many.
    Entries(u64),
}

impl KeyIndex {
    /// What the segments that merges make may span from now on.
    pub fn set_merge_bound(&mut self, bound: MergeBound) {
        self.merge_bound = bound;
    }

    /// Pages of all segments, of those that are being made and of those that have been replaced.
    pub fn pages(&self) -> u64 {
        let segments: i64 = self.segments.iter().map(pages_of).sum();
        let garbage: i64 = self.garbage.iter().map(|g| g.end - g.first).sum();
        let builds = self.builds.iter().flatten();
        let begun: i64 = builds.map(|running| running.build.pages_written()).sum();
        (segments + garbage + begun).max(0) as u64
    }

    /// Where forgetting has to go so that the segments behind it take at most `pages`, as far as their
    /// events have been removed. None where no segment can be dropped.
    pub fn surplus(&self, pages: u64, removed: u64) -> Option<u64> {
        let mut left: i64 = self.segments.iter().map(pages_of).sum();
        let until = self.merging_from();
        let mut horizon = None;
        for segment in &self.segments {
            let last_seq = segment.about.last_seq;
            if left <= pages as i64 || last_seq > removed || last_seq >= until {
                break;
            }
            left -= pages_of(segment);
            horizon = Some(last_seq);
        }
        horizon
    }

    /// Whether there are segments with nothing but forgotten keys.
    pub fn has_forgotten(&self) -> bool {
        self.forgotten_segments() > 0
    }

    /// Drops these segments inside the open transaction.
    pub fn drop_forgotten(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let count = self.forgotten_segments();
        if count > self.dropped {
            let last_seq = self.segments[count - 1].about.last_seq;
            db.prepare_cached("DELETE FROM segments WHERE last_seq <= ?1")?
                .execute([last_seq as i64])?;
            self.dropped = count;
        }
        Ok(())
    }

    fn forgotten_segments(&self) -> usize {
        let until = self.merging_from();
        let is_forgotten = |segment: &&Segment| {
            let last_seq = segment.about.last_seq;
            last_seq <= self.horizons.keys && last_seq < until
        };
        self.segments.iter().take_while(is_forgotten).count()
    }

    /// The first seq whose segment a merge is reading; these wait for its end.
    fn merging_from(&self) -> u64 {
        let running = self.builds.iter().flatten().chain(&self.finished);
        running
            .filter(|running| running.build.about.level > 0)
            .map(|running| running.build.about.first_seq)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// The segments that a merge into `level` would take, behind the seq `merged`; none where no merge is
    /// due.
    pub(super) fn merge_inputs(&self, level: usize, merged: u64) -> Option<&[Segment]> {
        let is_input = |s: &Segment| s.about.level == level - 1 && s.about.first_seq > merged;
        let kept = &self.segments[self.dropped..];
        let from = kept.iter().position(is_input)?;
        let inputs = kept.get(from..from + MERGE_WIDTH)?;
        if !inputs.iter().all(is_input) {
            return None;
        }
        let width = match self.merge_bound {
            MergeBound::None => MERGE_WIDTH,
            MergeBound::Entries(kept_entries) => {
                let total = kept.iter().map(|s| s.about.entries).sum::<u64>();
                let most = kept_entries.max(total) / KEYS_SPAN_SHARE;
                let mut sum = 0;
                let fits = |s: &&Segment| {
                    sum += s.about.entries;
                    sum <= most
                };
                inputs.iter().take_while(fits).count()
            }
            MergeBound::Age(age) => {
                let first_at = kept[0].newest_at;
                let total = kept[kept.len() - 1].newest_at - first_at;
                let most = age.max(total) / KEYS_SPAN_SHARE as i64;
                let since = from
                    .checked_sub(1)
                    .map_or(first_at, |at| kept[at].newest_at);
                let fits = |s: &&Segment| s.newest_at - since <= most;
                inputs.iter().take_while(fits).count()
            }
        };
        (width > 1).then(|| &inputs[..width])
    }
}

fn pages_of(segment: &Segment) -> i64 {
    segment.layout.end() - segment.layout.first_page
}
