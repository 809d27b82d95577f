//! Forgetting keys, the oldest first: a segment whose keys are all forgotten is dropped whole. So that
//! this comes in time and not all at once, merges make no segment that spans more than a share of what
//! is kept.

use rusqlite::Connection;

use super::segment::Segment;
use super::KeyIndex;
use crate::limits::{KEYS_SPAN_SHARE, MERGE_WIDTH};

/// How many keys are kept, as far as merges have to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MergeBound {
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
    pub(crate) fn set_merge_bound(&mut self, bound: MergeBound) {
        self.merge_bound = bound;
    }

    /// Pages of all segments, of those that are being made and of those that have been replaced.
    pub(crate) fn pages(&self) -> u64 {
        let segments: i64 = self.segments.iter().map(pages_of).sum();
        let obsolete: i64 = self.obsolete.iter().map(|g| g.end - g.first).sum();
        let builds = self.builds.iter().flatten();
        let begun: i64 = builds.map(|running| running.build.pages_written()).sum();
        (segments + obsolete + begun).max(0) as u64
    }

    /// Where forgetting has to go so that the segments behind it take at most `pages`, as far as their
    /// events have been removed. None where no segment can be dropped.
    pub(crate) fn surplus(&self, pages: u64, removed: u64) -> Option<u64> {
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
    pub(crate) fn has_expired(&self) -> bool {
        self.expired_segments() > 0
    }

    /// Drops these segments inside the open transaction.
    pub(crate) fn drop_expired(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let count = self.expired_segments();
        if count > self.dropped {
            let last_seq = self.segments[count - 1].about.last_seq;
            db.prepare_cached("DELETE FROM segments WHERE last_seq <= ?1")?
                .execute([last_seq as i64])?;
            self.dropped = count;
        }
        Ok(())
    }

    fn expired_segments(&self) -> usize {
        let until = self.merging_from();
        let is_expired = |segment: &&Segment| {
            let last_seq = segment.about.last_seq;
            last_seq <= self.horizons.keys && last_seq < until
        };
        self.segments.iter().take_while(is_expired).count()
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
                // What a clock that was ahead has dated is not newer than what came after it.
                let newest = |at: usize| kept[at..].iter().map(|s| s.newest_at).min();
                let newest_at = |at: usize| newest(at).unwrap_or(i64::MIN);
                let first_at = newest_at(0);
                let total = newest_at(kept.len() - 1).saturating_sub(first_at);
                let most = age.max(total) / KEYS_SPAN_SHARE as i64;
                let since = from.checked_sub(1).map_or(first_at, newest_at);
                let fits = |at: &usize| newest_at(from + at).saturating_sub(since) <= most;
                (0..inputs.len()).take_while(fits).count()
            }
        };
        let inputs = &inputs[..width];
        // A merge reads each record once and proves it only by its page's checksum.
        let is_provable =
            |segment: &Segment| segment.about.has_checksums && !self.is_damaged(segment);
        let is_possible = width > 1 && inputs.iter().all(is_provable);
        is_possible.then_some(inputs)
    }
}

fn pages_of(segment: &Segment) -> i64 {
    segment.layout.end() - segment.layout.first_page
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Fingerprinter;
    use super::super::layout::Description;
    use super::super::pages::Pages;
    use super::super::Damage;
    use super::*;
    use crate::store::options::Dedup;
    use crate::store::retention::horizons::Horizons;
    use crate::store::schema::create_tables;

    /// An index with segments of these levels and entries, one behind the other, whose last events were
    /// processed as many microseconds after each other as they have entries.
    fn index(segments: &[(usize, u64)]) -> (Connection, KeyIndex) {
        let db = Connection::open_in_memory().unwrap();
        create_tables(&db, Dedup::Index).unwrap();
        let fingerprinter = Fingerprinter::new([0; 16], 128);
        let mut index = KeyIndex::load(&db, fingerprinter, 0, Horizons::default()).unwrap();
        let mut behind = 0;
        for (level, entries) in segments.iter().copied() {
            index.segments.push(segment(level, behind, entries));
            behind += entries;
        }
        (db, index)
    }

    fn segment(level: usize, behind: u64, entries: u64) -> Segment {
        let about = Description {
            level,
            first_seq: behind + 1,
            last_seq: behind + entries,
            entries,
            first_page: behind as i64 + 1,
            filter_bits: 15,
            has_checksums: true,
        };
        Segment {
            about,
            layout: about.layout(),
            pages: Pages::of(about, &Damage::silent()),
            filter: None,
            key_fences: Vec::new(),
            posting_fences: Vec::new(),
            newest_at: about.last_seq as i64,
        }
    }

    /// How many segments a merge into a level takes.
    fn width(segments: &[(usize, u64)], bound: MergeBound, level: usize) -> usize {
        let (_, mut index) = index(segments);
        index.set_merge_bound(bound);
        index.merge_inputs(level, 0).map_or(0, <[Segment]>::len)
    }

    #[test]
    fn a_merge_spans_at_most_a_share_of_what_is_kept() {
        const ALL: usize = MERGE_WIDTH;
        let full = [(0, 100); ALL];
        assert_eq!(width(&full[1..], MergeBound::None, 1), 0);
        assert_eq!(width(&full, MergeBound::None, 1), ALL);
        // What is kept, in segments; a merge spans an eighth of it.
        for (kept, expected) in [(8 * ALL, ALL), (24, 3), (16, 2)] {
            let kept = 100 * kept as u64;
            assert_eq!(width(&full, MergeBound::Entries(kept), 1), expected);
        }
        let just_less = 100 * 8 * ALL as u64 - 1;
        assert_eq!(width(&full, MergeBound::Entries(just_less), 1), ALL - 1);
        // The span of the first of all segments is not known.
        for (kept, expected) in [(8 * (ALL - 1), ALL), (24, 4), (8, 2)] {
            let kept = 100 * kept as i64;
            assert_eq!(width(&full, MergeBound::Age(kept), 1), expected);
        }
        // What cannot be let go, because its events are there, counts as kept.
        let mut many = vec![(1, 20_000); 2];
        many.extend(full);
        assert_eq!(width(&many, MergeBound::Entries(1), 1), ALL);
        assert_eq!(width(&many, MergeBound::Age(1), 1), ALL);
        assert_eq!(width(&many, MergeBound::None, 2), 0);
    }

    #[test]
    fn a_time_that_was_ahead_of_the_clock_does_not_make_merges_larger() {
        let full = [(0, 100); MERGE_WIDTH + 1];
        for wrong in 0..MERGE_WIDTH {
            let (_, mut index) = index(&full);
            index.set_merge_bound(MergeBound::Age(2_400));
            index.segments[wrong].newest_at = 1_000_000_000;
            let merged = index.merge_inputs(1, 0).map_or(0, <[Segment]>::len);
            // It counts as the time of the segment after it.
            assert!((3..=5).contains(&merged), "{wrong}: {merged}");
        }
    }

    /// However long it goes on: what is kept is in few segments, and forgetting drops them one by one.
    #[test]
    fn segments_stay_few_and_are_forgotten_in_time() {
        const ENTRIES: u64 = 100;
        for kept in [500, 3_000, 40_000, 200_000] {
            let (_, mut index) = index(&[]);
            index.set_merge_bound(MergeBound::Entries(kept));
            let mut last_seq = 0;
            for _ in 0..3 * kept / ENTRIES {
                index.segments.push(segment(0, last_seq, ENTRIES));
                last_seq += ENTRIES;
                for level in 1..7 {
                    while let Some(inputs) = index.merge_inputs(level, 0) {
                        let (first, last) = (inputs[0].about, inputs[inputs.len() - 1].about);
                        let entries = inputs.iter().map(|s| s.about.entries).sum();
                        let from = index
                            .segments
                            .iter()
                            .position(|s| s.about == first)
                            .unwrap();
                        let to = index.segments.iter().position(|s| s.about == last).unwrap();
                        let mut merged = index.segments.remove(from);
                        index.segments.drain(from..to);
                        merged.about.level = level;
                        merged.about.last_seq = last.last_seq;
                        merged.about.entries = entries;
                        index.segments.insert(from, merged);
                    }
                }
                let total = |index: &KeyIndex| -> u64 {
                    index.segments.iter().map(|s| s.about.entries).sum()
                };
                while total(&index) > kept {
                    index.segments.remove(0);
                }
                if last_seq > 2 * kept {
                    assert!(total(&index) * 4 >= kept * 3, "{kept}: {}", total(&index));
                }
                assert!(
                    index.segments.len() <= 48,
                    "{kept}: {}",
                    index.segments.len()
                );
                let levels = index.segments.iter().map(|s| s.about.level);
                assert!(levels.is_sorted_by(|older, newer| older >= newer));
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_dropped() {
        let (db, mut index) = index(&[(1, 800), (0, 100), (0, 100)]);
        let pages = pages_of(&index.segments[1]) as u64;
        let all = index.pages();
        assert_eq!(index.surplus(all, 1_000), None);
        assert_eq!(index.surplus(all - 1, 799), None, "its events are stored");
        assert_eq!(index.surplus(all - 1, 800), Some(800));
        assert_eq!(index.surplus(pages, 1_000), Some(900));
        assert_eq!(index.surplus(pages - 1, 1_000), Some(1_000));
        let forget = |keys| Horizons {
            events: 1_000,
            removed: 1_000,
            keys,
        };
        index.set_horizons(forget(899));
        index.drop_expired(&db).unwrap();
        assert_eq!(index.dropped, 1);
        index.rolled_back();
        assert_eq!((index.dropped, index.segments.len()), (0, 3));
        index.set_horizons(forget(900));
        index.drop_expired(&db).unwrap();
        index.committed();
        assert_eq!((index.segments.len(), index.obsolete.len()), (1, 2));
        assert_eq!(index.mark(), 1_000);
        assert!(!index.has_expired());
    }
}
