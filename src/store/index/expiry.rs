//! Expiry of keys, the oldest first: a segment is dropped whole once all its keys are past the horizon. So that this
//! comes in time and not all at once, merges make no segment that spans more than a share of what is kept.

use super::segment::Segment;
use crate::limits::{KEYS_SPAN_SHARE, MERGE_WIDTH};

/// How many keys are kept, as far as it matters to merges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MergeBound {
    /// All, for ever.
    #[default]
    None,
    /// Those of this many microseconds.
    Age(i64),
    /// About this many.
    Entries(u64),
}

/// Where the horizon of the keys has to be so that the segments after it take at most `pages`, as far as their events
/// have been removed and the segments end before `until`. None if no segment can be dropped.
pub(super) fn surplus(segments: &[Segment], until: u64, pages: u64, removed: u64) -> Option<u64> {
    let mut left: i64 = segments.iter().map(Segment::page_count).sum();
    let mut horizon = None;
    for segment in segments {
        let last_seq = segment.about.last_seq;
        if left <= pages as i64 || last_seq > removed || last_seq >= until {
            break;
        }
        left -= segment.page_count();
        horizon = Some(last_seq);
    }
    horizon
}

/// How many of the first segments have only keys up to `horizon`, and end before `until`.
pub(super) fn expired(segments: &[Segment], until: u64, horizon: u64) -> usize {
    let is_expired = |segment: &&Segment| {
        let last_seq = segment.about.last_seq;
        last_seq <= horizon && last_seq < until
    };
    segments.iter().take_while(is_expired).count()
}

/// The segments that a merge into `level` would take, after the seq `merged`; none if no merge is due. `can_merge`
/// says of a segment whether it may be read by a merge at all.
pub(super) fn merge_inputs(
    segments: &[Segment],
    bound: MergeBound,
    level: usize,
    merged: u64,
    can_merge: impl Fn(&Segment) -> bool,
) -> Option<&[Segment]> {
    let is_input = |s: &Segment| s.about.level == level - 1 && s.about.first_seq > merged;
    let from = segments.iter().position(is_input)?;
    let inputs = segments.get(from..from + MERGE_WIDTH)?;
    if !inputs.iter().all(is_input) {
        return None;
    }
    let inputs = &inputs[..width(segments, bound, from)];
    (inputs.len() > 1 && inputs.iter().all(can_merge)).then_some(inputs)
}

/// How many of the segments from `from` on one merge may take.
fn width(segments: &[Segment], bound: MergeBound, from: usize) -> usize {
    let inputs = &segments[from..from + MERGE_WIDTH];
    match bound {
        MergeBound::None => MERGE_WIDTH,
        MergeBound::Entries(kept_entries) => {
            let total = segments.iter().map(|s| s.about.entries).sum::<u64>();
            let most = kept_entries.max(total) / KEYS_SPAN_SHARE;
            let mut sum = 0;
            let fits = |s: &&Segment| {
                sum += s.about.entries;
                sum <= most
            };
            inputs.iter().take_while(fits).count()
        }
        MergeBound::Age(age) => {
            // What has a time of a clock that was ahead is not newer than what came after it.
            let newest = |at: usize| segments[at..].iter().map(|s| s.newest_at).min();
            let newest_at = |at: usize| newest(at).unwrap_or(i64::MIN);
            let first_at = newest_at(0);
            let total = newest_at(segments.len() - 1).saturating_sub(first_at);
            let most = age.max(total) / KEYS_SPAN_SHARE as i64;
            let since = from.checked_sub(1).map_or(first_at, newest_at);
            let fits = |at: &usize| newest_at(from + at).saturating_sub(since) <= most;
            (0..inputs.len()).take_while(fits).count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::damage::Damage;
    use super::super::layout::Description;
    use super::super::pages::Pages;
    use super::*;

    /// Segments of these levels and entries, one after the other, whose last events were processed as many microseconds
    /// after each other as they have entries.
    fn segments_of(levels: &[(usize, u64)]) -> Vec<Segment> {
        let mut before = 0;
        let made = levels.iter().map(|(level, entries)| {
            before += entries;
            segment(*level, before - entries, *entries)
        });
        made.collect()
    }

    fn segment(level: usize, before: u64, entries: u64) -> Segment {
        let about = Description {
            level,
            first_seq: before + 1,
            last_seq: before + entries,
            entries,
            first_page: before as i64 + 1,
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
    fn merged(segments: &[Segment], bound: MergeBound, level: usize) -> usize {
        merge_inputs(segments, bound, level, 0, |_| true).map_or(0, <[Segment]>::len)
    }

    fn width(levels: &[(usize, u64)], bound: MergeBound, level: usize) -> usize {
        merged(&segments_of(levels), bound, level)
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
        // What cannot be dropped, because its events exist, counts as kept.
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
            let mut segments = segments_of(&full);
            segments[wrong].newest_at = 1_000_000_000;
            let merged = merged(&segments, MergeBound::Age(2_400), 1);
            // It counts as the time of the segment after it.
            assert!((3..=5).contains(&merged), "{wrong}: {merged}");
        }
    }

    /// In the long run what is kept is in few segments, and expiry drops them one by one.
    #[test]
    fn segments_stay_few_and_expire_in_time() {
        const ENTRIES: u64 = 100;
        for kept in [500, 3_000, 40_000, 200_000] {
            let mut segments: Vec<Segment> = Vec::new();
            let bound = MergeBound::Entries(kept);
            let mut last_seq = 0;
            for _ in 0..3 * kept / ENTRIES {
                segments.push(segment(0, last_seq, ENTRIES));
                last_seq += ENTRIES;
                for level in 1..7 {
                    while let Some(inputs) = merge_inputs(&segments, bound, level, 0, |_| true) {
                        let (first, last) = (inputs[0].about, inputs[inputs.len() - 1].about);
                        let entries = inputs.iter().map(|s| s.about.entries).sum();
                        let from = segments.iter().position(|s| s.about == first).unwrap();
                        let to = segments.iter().position(|s| s.about == last).unwrap();
                        let mut merged = segments.remove(from);
                        segments.drain(from..to);
                        merged.about.level = level;
                        merged.about.last_seq = last.last_seq;
                        merged.about.entries = entries;
                        segments.insert(from, merged);
                    }
                }
                let total =
                    |segments: &[Segment]| segments.iter().map(|s| s.about.entries).sum::<u64>();
                while total(&segments) > kept {
                    segments.remove(0);
                }
                if last_seq > 2 * kept {
                    assert!(total(&segments) * 4 >= kept * 3, "{kept}");
                }
                assert!(segments.len() <= 48, "{kept}: {}", segments.len());
                let levels = segments.iter().map(|s| s.about.level);
                assert!(levels.is_sorted_by(|older, newer| older >= newer));
            }
        }
    }

    #[test]
    fn a_segment_expires_when_all_its_keys_may_go() {
        let segments = segments_of(&[(1, 800), (0, 100), (0, 100)]);
        let pages = segments[1].page_count() as u64;
        let all = segments.iter().map(Segment::page_count).sum::<i64>() as u64;
        let surplus = |pages, removed| surplus(&segments, u64::MAX, pages, removed);
        assert_eq!(surplus(all, 1_000), None);
        assert_eq!(surplus(all - 1, 799), None, "its events are stored");
        assert_eq!(surplus(all - 1, 800), Some(800));
        assert_eq!(surplus(pages, 1_000), Some(900));
        assert_eq!(surplus(pages - 1, 1_000), Some(1_000));
        for (horizon, until, count) in [
            (799, u64::MAX, 0),
            (899, u64::MAX, 1),
            (900, u64::MAX, 2),
            (1_000, 900, 1),
            (1_000, 801, 1),
        ] {
            assert_eq!(expired(&segments, until, horizon), count, "{horizon}");
        }
    }
}
