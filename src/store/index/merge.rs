//! Several sorted inputs as one: the records of memory, and those of pages.
//!
//! Which of many inputs has the least record cannot be predicted, and mispredicted branches would cost more than
//! everything else. So the inputs are merged by twos, some hundred records of each at a time, where choosing one or the
//! other needs no branch.

use rusqlite::Connection;

use super::pages::Pages;
use super::record::{records, Record};

/// One sorted input.
pub(crate) struct Source<R> {
    /// Where its pages are; none for records in memory.
    pages: Option<Pages>,
    /// Pages still to be read.
    ids: std::ops::Range<i64>,
    page: Vec<R>,
    at: usize,
    /// What puts `page` in order before it is read; none where it is.
    sort: Option<fn(&mut Vec<R>)>,
}

impl<R: Record> Source<R> {
    /// Sorted records that are in memory.
    pub(crate) fn memory(records: Vec<R>) -> Self {
        Self {
            pages: None,
            ids: 0..0,
            page: records,
            at: 0,
            sort: None,
        }
    }

    /// Records that are in memory, and are sorted when the first of them is read.
    pub(crate) fn sorted_later(records: Vec<R>, sort: fn(&mut Vec<R>)) -> Self {
        Self {
            sort: Some(sort),
            ..Self::memory(records)
        }
    }

    /// The records of a segment.
    pub(crate) fn of(pages: &Pages) -> Self {
        Self::of_pages(pages, pages.layout.pages_of(R::PART))
    }

    /// The records on some of its pages.
    pub(crate) fn of_pages(pages: &Pages, ids: std::ops::Range<i64>) -> Self {
        Self {
            pages: Some(pages.clone()),
            ids,
            page: Vec::new(),
            at: 0,
            sort: None,
        }
    }

    /// The next record, which stays.
    pub(crate) fn peek(&mut self, db: &Connection) -> rusqlite::Result<Option<R>> {
        if let Some(sort) = self.sort.take() {
            sort(&mut self.page);
        }
        if self.at == self.page.len() {
            let (Some(pages), Some(id)) = (&self.pages, self.ids.next()) else {
                return Ok(None);
            };
            self.page.clear();
            self.at = 0;
            pages.with(db, id, |page| self.page.extend(records::<R>(page)))?;
        }
        Ok(self.page.get(self.at).copied())
    }

    /// Takes the record that [`Source::peek`] gave.
    pub(crate) fn skip(&mut self) {
        self.at += 1;
    }

    /// The next records that are here, a page's worth at most.
    fn window(&self) -> &[R] {
        &self.page[self.at..self.page.len().min(self.at + R::PER_PAGE)]
    }
}

/// Several sorted inputs as one.
pub(crate) struct Merge<R> {
    sources: Vec<Source<R>>,
    /// Records in their order, up to one after which records of the sources may come in between.
    ready: Vec<R>,
    /// Those of `ready` that have been taken.
    taken: usize,
    other: Vec<R>,
    /// Where the runs end that are being merged into `ready`.
    ends: Vec<usize>,
}

impl<R: Record> Merge<R> {
    pub(crate) fn new(sources: Vec<Source<R>>) -> Self {
        Self {
            sources,
            ready: Vec::new(),
            taken: 0,
            other: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The least record that has not been taken.
    pub(crate) fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<R>> {
        if self.taken == self.ready.len() {
            self.refill(db)?;
        }
        let record = self.ready.get(self.taken).copied();
        self.taken += usize::from(record.is_some());
        Ok(record)
    }

    /// Moves the records that no later one can precede from their sources to `ready`; none are left where it
    /// stays empty.
    fn refill(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.ready.clear();
        self.ends.clear();
        self.taken = 0;
        // All up to the least of the windows' ends is here.
        let mut bound: Option<(R::Order, usize)> = None;
        for (at, source) in self.sources.iter_mut().enumerate() {
            if source.peek(db)?.is_some() {
                let last = source.window()[source.window().len() - 1].order();
                if bound.is_none_or(|(least, _)| last < least) {
                    bound = Some((last, at));
                }
            }
        }
        let Some((bound, whole)) = bound else {
            return Ok(());
        };
        for (at, source) in self.sources.iter_mut().enumerate() {
            let window = source.window();
            // The one that gives the bound is taken to its end even if damage has left it unsorted.
            let count = if at == whole {
                window.len()
            } else {
                window.partition_point(|record| record.order() <= bound)
            };
            if count > 0 {
                self.ready.extend_from_slice(&window[..count]);
                self.ends.push(self.ready.len());
                source.at += count;
            }
        }
        while self.ends.len() > 1 {
            self.merge_by_twos();
        }
        Ok(())
    }

    /// Makes one run of each two.
    fn merge_by_twos(&mut self) {
        std::mem::swap(&mut self.ready, &mut self.other);
        // What is in the place of the result is overwritten.
        self.ready.truncate(self.other.len());
        let have = self.ready.len();
        self.ready.extend_from_slice(&self.other[have..]);
        let (mut from, mut runs) = (0, 0);
        for at in (0..self.ends.len()).step_by(2) {
            let middle = self.ends[at];
            let end = self.ends.get(at + 1).copied().unwrap_or(middle);
            merge_two(
                &self.other[from..middle],
                &self.other[middle..end],
                &mut self.ready[from..end],
            );
            self.ends[runs] = end;
            runs += 1;
            from = end;
        }
        self.ends.truncate(runs);
    }
}

/// Merges two runs into a slice of the length of both.
fn merge_two<R: Record>(mut first: &[R], mut second: &[R], out: &mut [R]) {
    let mut out = out.iter_mut();
    while let (Some((one, others)), Some((two, rest))) = (first.split_first(), second.split_first())
    {
        let Some(place) = out.next() else { return };
        let is_one = one.order() <= two.order();
        *place = if is_one { *one } else { *two };
        first = if is_one { others } else { first };
        second = if is_one { second } else { rest };
    }
    let left = if first.is_empty() { second } else { first };
    for (place, record) in out.zip(left) {
        *place = *record;
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{KeyRecord, Posting};
    use super::*;

    fn merged<R: Record>(inputs: Vec<Vec<R>>) -> Vec<R> {
        let db = Connection::open_in_memory().unwrap();
        let mut merge = Merge::new(inputs.into_iter().map(Source::memory).collect());
        let mut records = Vec::new();
        while let Some(record) = merge.next(&db).unwrap() {
            records.push(record);
        }
        assert!(merge.next(&db).unwrap().is_none());
        records
    }

    fn key(fingerprint: u128, seq: u64) -> KeyRecord {
        KeyRecord {
            fingerprint,
            seq,
            event_hash: !seq,
        }
    }

    #[test]
    fn all_records_come_in_their_order_of_however_many_inputs() {
        for inputs in 0..=9_u64 {
            for length in [0, 1, 125, 126, 127, 1_000] {
                let input = |input: u64| {
                    // Of different lengths, and spread differently.
                    let mut keys: Vec<KeyRecord> = (0..length + input * 7)
                        .map(|n| {
                            key(
                                u128::from((n + 1) * (n + input) % 7_919) << 90,
                                n + input * 10_000,
                            )
                        })
                        .collect();
                    keys.sort();
                    keys
                };
                let inputs: Vec<_> = (0..inputs).map(input).collect();
                let mut expected = inputs.concat();
                expected.sort();
                let found = merged(inputs);
                assert!(found.is_sorted_by_key(|key| key.fingerprint));
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn equal_fingerprints_are_in_the_order_of_their_seqs() {
        let found = merged((1..=8).map(|seq| vec![key(5, seq); 300]).collect());
        assert_eq!(found.len(), 2_400);
        assert!(found.is_sorted_by_key(|key| key.seq));
    }

    #[test]
    fn postings_are_in_the_order_of_topic_and_seq() {
        let input = |topics: [u32; 2]| -> Vec<Posting> {
            let topics = topics.into_iter();
            topics
                .flat_map(|topic| (0..500).map(move |seq| Posting { topic, seq }))
                .collect()
        };
        let found = merged(vec![input([1, 3]), input([2, 3]), input([0, u32::MAX])]);
        assert_eq!(found.len(), 3_000);
        assert!(found.is_sorted());
    }

    #[test]
    fn damage_that_has_left_records_unsorted_has_an_end() {
        let falling: Vec<KeyRecord> = (0..500).rev().map(|n| key(n, n as u64)).collect();
        let found = merged(vec![falling.clone(), falling.clone(), vec![key(3, 1)]]);
        assert_eq!(found.len(), 1_001);
    }
}
