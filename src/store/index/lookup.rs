//! Look-ups of keys, many at a time, and the segments that may have them.
//!
//! Each filter is in another place, so a look-up waits for a cache line of each, and for the page that this line is on.
//! Taken event by event, the processor has few of these loads in flight; taken filter by filter, for many events, it
//! has as many as it can.

use rusqlite::Connection;

use super::fingerprint::{EventParts, Fingerprinter};
use super::pages::LevelPages;
use super::record::{Fingerprint, KeyRecord};
use super::segment::{records_of, Segment};
use crate::event::Filled;

/// An event whose key is looked up.
#[derive(Clone, Copy)]
pub(crate) struct KeyLookup<'a> {
    pub event: EventParts<'a>,
    /// What the server filled in: not compared.
    pub filled: Filled,
    /// Its record, without a seq; empty where there is no index.
    pub record: KeyRecord,
    pub(super) candidates: CandidateSegments,
    /// The record of a segment that was a candidate and has been read.
    pub(super) found: Option<KeyRecord>,
}

impl<'a> KeyLookup<'a> {
    /// Without a fingerprinter, where there is no index, it only carries the event.
    pub(crate) fn new(
        fingerprinter: Option<Fingerprinter>,
        event: EventParts<'a>,
        filled: Filled,
    ) -> Self {
        let record = fingerprinter.map(|fingerprinter| fingerprinter.record(&event, 0));
        Self {
            event,
            filled,
            record: record.unwrap_or_default(),
            candidates: CandidateSegments::default(),
            found: None,
        }
    }
}

/// Segments that may have a key, by their places in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CandidateSegments(u128);

/// The first of the segments that share one bit; an index of many billions of keys has them.
const REST: usize = 127;

impl CandidateSegments {
    /// Those whose filters do not rule the fingerprint out.
    pub(super) fn of(segments: &[Segment], fingerprint: Fingerprint) -> Self {
        let mut candidates = Self::default();
        for (at, segment) in segments.iter().enumerate() {
            let filter = segment.filter.as_ref();
            candidates.add_if(filter.is_none_or(|f| f.may_contain(fingerprint)), at);
        }
        candidates
    }

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

/// Finds the candidates of these look-ups. They hold until a transaction has ended.
pub(super) fn probe_filters(segments: &[Segment], lookups: &mut [KeyLookup]) {
    for (at, segment) in segments.iter().enumerate() {
        let Some(filter) = &segment.filter else {
            for lookup in &mut *lookups {
                lookup.candidates.add_if(true, at);
            }
            continue;
        };
        filter.prefetch(lookups.iter().map(|lookup| lookup.record.fingerprint));
        for lookup in &mut *lookups {
            let is_candidate = filter.may_contain(lookup.record.fingerprint);
            lookup.candidates.add_if(is_candidate, at);
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
    /// Which of the look-ups.
    lookup: usize,
}

/// Reads the page of each look-up that has one candidate, in the order of the pages. The others are left to the
/// check.
pub(super) fn probe_pages(
    segments: &[Segment],
    db: &Connection,
    lookups: &mut [KeyLookup],
) -> rusqlite::Result<()> {
    let probe = |(number, lookup): (usize, &KeyLookup)| {
        let only = lookup.candidates.only()?;
        let segment = &segments[only];
        let page = segment.only_page_of(lookup.record.fingerprint)?;
        Some(Probe {
            level: segment.about.level,
            page,
            segment: only,
            lookup: number,
        })
    };
    let mut probes: Vec<Probe> = lookups.iter().enumerate().filter_map(probe).collect();
    probes.sort_unstable();
    for probes in probes.chunk_by(|a, b| a.level == b.level) {
        let mut pages = LevelPages::of_level(db, probes[0].level)?;
        for probe in probes {
            let lookup = &mut lookups[probe.lookup];
            let segment = &segments[probe.segment].pages;
            let found = pages.with(segment, probe.page, |page| {
                let mut records = records_of(page, lookup.record.fingerprint);
                (records.next(), records.next().is_some())
            })?;
            if let (record, false) = found {
                lookup.found = record;
                lookup.candidates = CandidateSegments::default();
            }
        }
    }
    Ok(())
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
