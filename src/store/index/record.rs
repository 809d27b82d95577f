//! The two kinds of records that a segment holds, and their form on a page: fixed in size, sorted, numbers with their
//! most significant byte first, so that bytes compare as the records do.

use crate::limits::SEGMENT_PAGE_BYTES;
use crate::store::topics::topic::TopicId;

/// 128 bits that stand for a key, compared and sorted as a number.
pub(crate) type Fingerprint = u128;

/// The topic of the posting of an event that was removed before its segment was made. No topic has this id.
pub(crate) const REMOVED_TOPIC: TopicId = 0;

/// Bytes of a block of a filter: a cache line.
pub(crate) const BLOCK_BYTES: usize = 64;

/// A part of a segment, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Keys,
    Filter,
    KeyFences,
    Postings,
    PostingFences,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Keys => "keys",
            Part::Filter => "filter",
            Part::KeyFences => "fences of the keys",
            Part::Postings => "postings",
            Part::PostingFences => "fences of the postings",
        }
    }

    /// Bytes of one of the records that the part consists of.
    pub(crate) fn record_bytes(self) -> usize {
        match self {
            Part::Keys => KeyRecord::BYTES,
            Part::Filter => BLOCK_BYTES,
            Part::KeyFences => KeyRecord::FENCE_BYTES,
            Part::Postings => Posting::BYTES,
            Part::PostingFences => Posting::FENCE_BYTES,
        }
    }
}

/// What has to be known of a segment to replace records that it has lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub first_seq: u64,
    pub last_seq: u64,
    /// The events up to this seq have been removed.
    pub removed: u64,
}

/// A record with a fixed size on a page.
pub(crate) trait Record: Copy + Ord + 'static {
    /// The part of a segment that these records are, and that of their fences.
    const PART: Part;
    const FENCES: Part;
    /// Bytes on a page.
    const BYTES: usize;
    /// What memory keeps of the first record of each page.
    type Fence: Copy + Ord + Default;
    /// Bytes of a fence on a page.
    const FENCE_BYTES: usize;
    fn write_fence(fence: Self::Fence, out: &mut Vec<u8>);
    /// `bytes` is [`Record::FENCE_BYTES`] long.
    fn read_fence(bytes: &[u8]) -> Self::Fence;
    fn write(self, out: &mut Vec<u8>);
    /// `bytes` is [`Record::BYTES`] long.
    fn read(bytes: &[u8]) -> Self;
    fn fence(self) -> Self::Fence;
    fn seq(self) -> u64;
    /// Replaces `count` lost records, which were after `after` and of removed events. No look-up finds one.
    fn stand_ins(after: Option<Self>, count: usize, known: Known) -> Vec<Self>;
    /// What records are sorted by.
    type Order: Copy + Ord;
    fn order(self) -> Self::Order;
    /// Records on a page.
    const PER_PAGE: usize = SEGMENT_PAGE_BYTES / Self::BYTES;
}

/// The seq of a record that replaces a lost one.
pub(crate) const LOST_SEQ: u64 = 0;

/// Which event has a fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyRecord {
    pub fingerprint: Fingerprint,
    pub seq: u64,
    /// The hash of the whole event: an exact repeat is recognised without reading its row.
    pub event_hash: u64,
}

/// Which topic an event has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting {
    pub topic: TopicId,
    pub seq: u64,
}

impl Record for KeyRecord {
    const PART: Part = Part::Keys;
    const FENCES: Part = Part::KeyFences;
    const BYTES: usize = 32;
    type Fence = u64;
    const FENCE_BYTES: usize = 8;

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

    fn write_fence(fence: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&fence.to_be_bytes());
    }

    fn read_fence(bytes: &[u8]) -> u64 {
        u64::from_be_bytes(bytes.try_into().expect("as long as a fence"))
    }

    fn seq(self) -> u64 {
        self.seq
    }

    /// Their seq is 0, which counts as expired.
    fn stand_ins(after: Option<Self>, count: usize, _: Known) -> Vec<Self> {
        let fingerprint = after.map_or(0, |after| after.fingerprint.wrapping_add(1));
        let stand_in = |number| Self {
            fingerprint,
            seq: LOST_SEQ,
            event_hash: number,
        };
        (0..count as u64).map(stand_in).collect()
    }

    type Order = (Fingerprint, u64);

    fn order(self) -> Self::Order {
        (self.fingerprint, self.seq)
    }
}

impl Record for Posting {
    const PART: Part = Part::Postings;
    const FENCES: Part = Part::PostingFences;
    const BYTES: usize = 12;
    type Fence = Posting;
    const FENCE_BYTES: usize = Self::BYTES;

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

    fn write_fence(fence: Posting, out: &mut Vec<u8>) {
        fence.write(out);
    }

    fn read_fence(bytes: &[u8]) -> Posting {
        Self::read(bytes)
    }

    fn seq(self) -> u64 {
        self.seq
    }

    /// They are the first that could have been lost: of seqs of the segment that have been removed. Since a search
    /// skips these, it does not matter that they may be of other topics.
    fn stand_ins(after: Option<Self>, count: usize, known: Known) -> Vec<Self> {
        let last = known.removed.min(known.last_seq);
        let mut next = after.map_or(
            Self {
                topic: 0,
                seq: known.first_seq,
            },
            |after| Self {
                seq: after.seq.saturating_add(1),
                ..after
            },
        );
        let stand_in = |_| {
            if next.seq > last {
                next = Self {
                    topic: next.topic.saturating_add(1),
                    seq: known.first_seq,
                };
            }
            let this = next;
            next.seq += 1;
            this
        };
        (0..count).map(stand_in).collect()
    }

    type Order = u128;

    fn order(self) -> Self::Order {
        u128::from(self.topic) << 64 | u128::from(self.seq)
    }
}

/// The records of a page, in order.
pub(crate) fn records<R: Record>(
    page: &[u8],
) -> impl DoubleEndedIterator<Item = R> + ExactSizeIterator + '_ {
    page.chunks_exact(R::BYTES).map(R::read)
}

/// The index of the first record of a page for which `is_before` is false.
pub(crate) fn partition<R: Record>(page: &[u8], is_before: impl Fn(R) -> bool) -> usize {
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
