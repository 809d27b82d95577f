//! The two kinds of records that a segment holds, and how they stand on a page: fixed in size, sorted,
//! numbers with their most significant byte first, so that bytes compare as the records do.

use super::super::TopicId;
use super::fingerprint::Fingerprint;
use crate::limits::SEGMENT_PAGE_BYTES;

/// A record with a fixed size on a page.
pub trait Record: Copy + Ord + 'static {
    /// What a segment calls these records.
    const PART: &'static str;
    /// Bytes on a page.
    const BYTES: usize;
    /// What memory keeps of the first record of each page.
    type Fence: Copy + Ord;
    fn write(self, out: &mut Vec<u8>);
    /// `bytes` is [`Record::BYTES`] long.
    fn read(bytes: &[u8]) -> Self;
    fn fence(self) -> Self::Fence;
    fn seq(self) -> u64;
    /// What records are sorted by.
    type Order: Copy + Ord;
    fn order(self) -> Self::Order;
    /// Records on a page.
    const PER_PAGE: usize = SEGMENT_PAGE_BYTES / Self::BYTES;
}

/// Which event has a fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRecord {
    pub fingerprint: Fingerprint,
    pub seq: u64,
    /// The hash of the whole event: an exact repeat is recognised without reading its row.
    pub event_hash: u64,
}

/// Which topic an event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    pub topic: TopicId,
    pub seq: u64,
}

impl Record for KeyRecord {
    const PART: &'static str = "keys";
    const BYTES: usize = 32;
    type Fence = u64;

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.fingerprint.to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.event_hash.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let (fingerprint, rest) = bytes.split_at(16);
        let (seq, event_hash) = rest.split_at(8);
        Self {
            fingerprint: u128::from_be_bytes(fingerprint.try_into().expect("split at 16")),
            seq: u64::from_be_bytes(seq.try_into().expect("split at 8")),
            event_hash: u64::from_be_bytes(event_hash.try_into().expect("32 less 16 less 8")),
        }
    }

    fn fence(self) -> u64 {
        (self.fingerprint >> 64) as u64
    }

    fn seq(self) -> u64 {
        self.seq
    }

    type Order = (Fingerprint, u64);

    fn order(self) -> Self::Order {
        (self.fingerprint, self.seq)
    }
}

impl Record for Posting {
    const PART: &'static str = "postings";
    const BYTES: usize = 12;
    type Fence = Posting;

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.topic.to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let (topic, seq) = bytes.split_at(4);
        Self {
            topic: u32::from_be_bytes(topic.try_into().expect("split at 4")),
            seq: u64::from_be_bytes(seq.try_into().expect("12 less 4")),
        }
    }

    fn fence(self) -> Posting {
        self
    }

    fn seq(self) -> u64 {
        self.seq
    }

    type Order = u128;

    fn order(self) -> Self::Order {
        u128::from(self.topic) << 64 | u128::from(self.seq)
    }
}

/// The records of a page, in order.
pub fn records<R: Record>(
    page: &[u8],
) -> impl DoubleEndedIterator<Item = R> + ExactSizeIterator + '_ {
    page.chunks_exact(R::BYTES).map(R::read)
}

/// The index of the first record of a page for which `is_before` is false.
pub fn partition<R: Record>(page: &[u8], is_before: impl Fn(R) -> bool) -> usize {
    let (mut from, mut to) = (0, page.len() / R::BYTES);
    while from < to {
        let middle = from.midpoint(to);
        if is_before(R::read(&page[middle * R::BYTES..][..R::BYTES])) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_a_page_and_bytes_sort_as_they_do() {
        let keys =
            [(0, 1), (1, 0), (1 << 64, 5), (u128::MAX, u64::MAX)].map(|(fingerprint, seq)| {
                KeyRecord {
                    fingerprint,
                    seq,
                    event_hash: !seq,
                }
            });
        let mut page = Vec::new();
        keys.iter().for_each(|key| key.write(&mut page));
        assert_eq!(records::<KeyRecord>(&page).collect::<Vec<_>>(), keys);
        assert!(page.chunks(KeyRecord::BYTES).is_sorted());
        assert_eq!(
            partition::<KeyRecord>(&page, |key| key.fingerprint < 1 << 64),
            2
        );
        assert_eq!(partition::<KeyRecord>(&page, |_| true), 4);
    }
}
