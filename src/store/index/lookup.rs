//! Events that the index is asked for, many at a time, and the segments that may have their keys.
//!
//! Each filter is in another place, so a check waits for a cache line of each, and for the page that this
//! line is on. Asked one event after the other, a processor has few of them on their way at a time; asked
//! one filter after the other, for many events, it has as many as it can.

use rusqlite::Connection;

use super::fingerprint::{EventParts, Fingerprint};
use super::pages::LevelPages;
use super::record::KeyRecord;
use super::segment::records_of;
use super::KeyIndex;

/// An event that the index is asked for.
#[derive(Clone, Copy)]
pub(crate) struct KeyLookup<'a> {
    pub event: EventParts<'a>,
    /// Its record, without a seq; empty where there is no index.
    pub record: KeyRecord,
    pub(super) candidates: CandidateSegments,
    /// What one of the segments has that was a candidate and is none any more.
    pub(super) found: Option<KeyRecord>,
}

/// Segments that may have a key, by their places in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CandidateSegments(u128);

/// The first of the segments that are not told apart; an index of many thousand million keys has them.
const REST: usize = 127;

impl<'a> KeyLookup<'a> {
    pub(crate) fn new(keys: Option<&KeyIndex>, event: EventParts<'a>) -> Self {
        let record = keys.map(|keys| keys.fingerprinter.record(&event, 0));
        Self {
            event,
            record: record.unwrap_or_default(),
            candidates: CandidateSegments::default(),
            found: None,
        }
    }
}

/// A page that may have the key of an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Probe {
    level: usize,
    page: i64,
    /// Which of the segments.
    segment: usize,
    /// Which of the events.
    asked: usize,
}

impl CandidateSegments {
    /// The place of the only one.
    fn only(self) -> Option<usize> {
        let is_one = self.0.is_power_of_two() && self.0 >> REST == 0;
        is_one.then(|| self.0.trailing_zeros() as usize)
    }

    fn add_if(&mut self, is_candidate: bool, at: usize) {
        self.0 |= u128::from(is_candidate) << at.min(REST);
    }

    /// The places among `segments` of them, the last first.
    pub(super) fn newest_first(self, segments: usize) -> impl Iterator<Item = usize> {
        let has_rest = self.0 >> REST != 0;
        let rest = if has_rest { REST..segments } else { 0..0 };
        let mut left = self.0 & !(1 << REST);
        let others = std::iter::from_fn(move || {
            let at = left.checked_ilog2()?;
            left ^= 1 << at;
            Some(at as usize)
        });
        rest.rev().chain(others)
    }
}

impl KeyIndex {
    /// Finds out which segments the checks of these events have to look into. That holds until a
    /// transaction has ended.
    pub(crate) fn probe_filters(&self, asked: &mut [KeyLookup]) {
        for memtable in &self.memtables {
            memtable.prefetch(asked.iter().map(|asked| asked.record.fingerprint));
        }
        for (at, segment) in self.segments.iter().enumerate() {
            let Some(filter) = &segment.filter else {
                for asked in &mut *asked {
                    asked.candidates.add_if(true, at);
                }
                continue;
            };
            filter.prefetch(asked.iter().map(|asked| asked.record.fingerprint));
            for asked in &mut *asked {
                let is_candidate = filter.may_contain(asked.record.fingerprint);
                asked.candidates.add_if(is_candidate, at);
            }
        }
    }

    /// Looks into the candidates where an event has one, those of all events in the order of their pages. The
    /// others are left to the check.
    pub(crate) fn probe_pages(
        &self,
        db: &Connection,
        asked: &mut [KeyLookup],
    ) -> rusqlite::Result<()> {
        let probe = |(number, asked): (usize, &KeyLookup)| {
            let only = asked.candidates.only()?;
            let segment = &self.segments[only];
            let page = segment.only_page_of(asked.record.fingerprint)?;
            Some(Probe {
                level: segment.about.level,
                page,
                segment: only,
                asked: number,
            })
        };
        let mut probes: Vec<Probe> = asked.iter().enumerate().filter_map(probe).collect();
        probes.sort_unstable();
        for probes in probes.chunk_by(|a, b| a.level == b.level) {
            let mut pages = LevelPages::of_level(db, probes[0].level)?;
            for probe in probes {
                let asked = &mut asked[probe.asked];
                let segment = &self.segments[probe.segment].pages;
                let found = pages.with(segment, probe.page, |page| {
                    let mut records = records_of(page, asked.record.fingerprint);
                    (records.next(), records.next().is_some())
                })?;
                if let (record, false) = found {
                    asked.found = record;
                    asked.candidates = CandidateSegments::default();
                }
            }
        }
        Ok(())
    }

    /// The candidates of one fingerprint.
    pub(super) fn candidates_of(&self, fingerprint: Fingerprint) -> CandidateSegments {
        let mut candidates = CandidateSegments::default();
        for (at, segment) in self.segments.iter().enumerate() {
            let filter = segment.filter.as_ref();
            candidates.add_if(filter.is_none_or(|f| f.may_contain(fingerprint)), at);
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_candidate_is_looked_into_ahead_of_the_check() {
        for (added, only) in [
            (vec![], None),
            (vec![0], Some(0)),
            (vec![126], Some(126)),
            (vec![127], None),
            (vec![3, 5], None),
        ] {
            let mut candidates = CandidateSegments::default();
            added.iter().for_each(|at| candidates.add_if(true, *at));
            assert_eq!(candidates.only(), only, "{added:?}");
        }
    }

    #[test]
    fn candidates_come_newest_first_and_none_is_left_out() {
        for (added, segments, expected) in [
            (vec![], 3, vec![]),
            (vec![0, 2], 3, vec![2, 0]),
            (vec![5, 126], 127, vec![126, 5]),
            (vec![1, 127], 128, vec![127, 1]),
            (vec![1, 129], 131, vec![130, 129, 128, 127, 1]),
        ] {
            let mut candidates = CandidateSegments::default();
            for at in 0..segments {
                candidates.add_if(added.contains(&at), at);
            }
            let found: Vec<usize> = candidates.newest_first(segments).collect();
            assert_eq!(found, expected);
        }
    }
}
