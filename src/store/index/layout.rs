//! What the table `segments` says of a segment, and where that puts its parts: keys, filter, fences of the keys,
//! postings, fences of the postings.

use std::ops::Range;

use super::filter;
use super::record::{KeyRecord, Part, Posting, Record, BLOCK_BYTES};
use crate::limits::SEGMENT_PAGE_BYTES;
use crate::store::page_checksum::PageOwner;

/// Bits of filter that a key may have: those of [`crate::limits::FILTER_BITS_PER_KEY`], which older tables have in
/// other levels.
pub(crate) const FILTER_BITS: [u64; 2] = [13, 15];

/// Where the parts of a segment are: counts of pages, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The id of the first page in the level's table.
    pub first_page: i64,
    pub keys: i64,
    pub filter: i64,
    pub key_fences: i64,
    pub postings: i64,
    pub posting_fences: i64,
}

impl Layout {
    /// The layout of a segment with this many keys, whose filter has this many blocks.
    pub(crate) fn new(first_page: i64, entries: u64, filter_blocks: usize) -> Self {
        let pages = |records: u64, bytes: usize| {
            records.div_ceil((SEGMENT_PAGE_BYTES / bytes) as u64) as i64
        };
        let keys = pages(entries, KeyRecord::BYTES);
        let postings = pages(entries, Posting::BYTES);
        Self {
            first_page,
            keys,
            filter: filter::pages_for(filter_blocks) as i64,
            key_fences: pages(keys as u64, KeyRecord::FENCE_BYTES),
            postings,
            posting_fences: pages(postings as u64, Posting::FENCE_BYTES),
        }
    }

    pub(crate) fn filter_at(&self) -> i64 {
        self.first_page + self.keys
    }

    pub(crate) fn key_fences_at(&self) -> i64 {
        self.filter_at() + self.filter
    }

    pub(crate) fn postings_at(&self) -> i64 {
        self.key_fences_at() + self.key_fences
    }

    pub(crate) fn posting_fences_at(&self) -> i64 {
        self.postings_at() + self.postings
    }

    /// The id after the last page.
    pub(crate) fn end(&self) -> i64 {
        self.posting_fences_at() + self.posting_fences
    }

    /// The ids of all pages.
    pub(crate) fn all(&self) -> Range<i64> {
        self.first_page..self.end()
    }

    /// The part that a page of the segment belongs to.
    pub(crate) fn part_of(&self, id: i64) -> Part {
        match id {
            _ if id < self.filter_at() => Part::Keys,
            _ if id < self.key_fences_at() => Part::Filter,
            _ if id < self.postings_at() => Part::KeyFences,
            _ if id < self.posting_fences_at() => Part::Postings,
            _ => Part::PostingFences,
        }
    }

    /// The ids of a part's pages.
    pub(crate) fn pages_of(&self, part: Part) -> Range<i64> {
        match part {
            Part::Keys => self.first_page..self.filter_at(),
            Part::Filter => self.filter_at()..self.key_fences_at(),
            Part::KeyFences => self.key_fences_at()..self.postings_at(),
            Part::Postings => self.postings_at()..self.posting_fences_at(),
            Part::PostingFences => self.posting_fences_at()..self.end(),
        }
    }
}

/// What the table `segments` says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub level: usize,
    pub first_seq: u64,
    pub last_seq: u64,
    pub entries: u64,
    pub first_page: i64,
    /// Bits of filter for each key.
    pub filter_bits: u64,
    /// Whether all its pages have checksums. Those of older tables get them one after the other.
    pub has_checksums: bool,
}

impl Description {
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.first_page, self.entries, self.filter_blocks())
    }

    /// Whether both describe one segment. It may have got its checksums meanwhile.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.owner() == other.owner()
    }

    pub(crate) fn filter_blocks(&self) -> usize {
        filter::blocks_for(self.entries, self.filter_bits)
    }

    /// Bytes of memory that the filter takes.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.filter_blocks() * BLOCK_BYTES
    }

    /// What the checksums of its pages begin with. As the table has it too, a row that was changed is found.
    pub(crate) fn owner(&self) -> PageOwner {
        PageOwner::of(&[
            self.level as u64,
            self.first_seq,
            self.last_seq,
            self.entries,
            self.first_page as u64,
            self.filter_bits,
        ])
    }

    /// Bytes of the records on a page, of which the last of a part need not be full.
    pub(crate) fn content_bytes(&self, layout: &Layout, id: i64) -> usize {
        let part = layout.part_of(id);
        let records = match part {
            Part::Keys | Part::Postings => self.entries,
            Part::Filter => self.filter_blocks() as u64,
            Part::KeyFences => layout.keys as u64,
            Part::PostingFences => layout.postings as u64,
        };
        let per_page = (SEGMENT_PAGE_BYTES / part.record_bytes()) as u64;
        let before = (id - layout.pages_of(part).start) as u64 * per_page;
        records.saturating_sub(before).min(per_page) as usize * part.record_bytes()
    }
}
