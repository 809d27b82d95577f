//! A Bloom filter in blocks of one cache line: may this fingerprint be in the segment?
//!
//! Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007). The block
//! comes from the fingerprint's first half, so a filter made from sorted keys is made front to back;
//! the bits in the block come from the second half.

use super::fingerprint::Fingerprint;
use crate::limits::{FILTER_BITS_PER_KEY, SEGMENT_PAGE_BYTES};

/// Bytes of a block: a cache line.
pub const BLOCK_BYTES: usize = 64;
/// Bits that a key sets in its block. Nine bits choose one, so seven take 63 of 64.
const PROBES: u32 = 7;
/// Blocks on a page on disk.
const BLOCKS_PER_PAGE: usize = SEGMENT_PAGE_BYTES / BLOCK_BYTES;

/// The filter of one segment.
#[derive(Debug)]
pub struct Filter {
    /// The blocks begin at a multiple of their size in memory: one that is on two cache lines costs two.
    padded: Vec<u8>,
    begin: usize,
}

impl Filter {
    /// An empty filter for `entries` keys.
    pub fn with_entries(entries: u64) -> Self {
        let padded = vec![0; bytes_for(entries) + BLOCK_BYTES];
        let begin = padding_of(&padded);
        Self { padded, begin }
    }

    /// A filter of this content.
    pub fn from_bytes(mut blocks: Vec<u8>) -> Self {
        let bytes = blocks.len();
        blocks.resize(bytes + BLOCK_BYTES, 0);
        let begin = padding_of(&blocks);
        blocks.copy_within(..bytes, begin);
        Self {
            padded: blocks,
            begin,
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        let end = self.begin + self.padded.len() - BLOCK_BYTES;
        &self.padded[self.begin..end]
    }

    pub fn insert(&mut self, fingerprint: Fingerprint) {
        let at = block_of(fingerprint, self.as_bytes().len() / BLOCK_BYTES) * BLOCK_BYTES;
        insert_on_page(&mut self.padded, self.begin + at, fingerprint);
    }

    /// Reads a byte of each fingerprint's block, so that many are on their way from memory at a time.
    pub fn fetch(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let bytes = self.as_bytes();
        let blocks = bytes.len() / BLOCK_BYTES;
        let read = fingerprints.fold(0, |read, fingerprint| {
            read | bytes[block_of(fingerprint, blocks) * BLOCK_BYTES]
        });
        std::hint::black_box(read);
    }

    /// False only if the fingerprint was never inserted.
    #[inline]
    pub fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        let bytes = self.as_bytes();
        let at = block_of(fingerprint, bytes.len() / BLOCK_BYTES) * BLOCK_BYTES;
        bytes[at..]
            .first_chunk()
            .is_none_or(|block| block_may_contain(block, fingerprint))
    }
}

/// Bytes from the first one of these to one whose address is a multiple of a block's size.
fn padding_of(bytes: &[u8]) -> usize {
    bytes.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES)
}

/// Blocks of the filter for `entries` keys.
pub fn blocks_for(entries: u64) -> usize {
    (entries * FILTER_BITS_PER_KEY)
        .div_ceil(8 * BLOCK_BYTES as u64)
        .max(1) as usize
}

/// Pages that such a filter takes on disk.
pub fn pages_for(entries: u64) -> usize {
    blocks_for(entries).div_ceil(BLOCKS_PER_PAGE)
}

/// Bytes of the filter on one of its pages, which the last one need not fill.
pub fn page_bytes(entries: u64, page: usize) -> usize {
    let behind = blocks_for(entries) - page * BLOCKS_PER_PAGE;
    behind.min(BLOCKS_PER_PAGE) * BLOCK_BYTES
}

/// Bytes of memory that such a filter takes.
pub fn bytes_for(entries: u64) -> usize {
    blocks_for(entries) * BLOCK_BYTES
}

/// Where on disk the block of a fingerprint is: the page, and the offset in it.
pub fn place_of(fingerprint: Fingerprint, entries: u64) -> (usize, usize) {
    let block = block_of(fingerprint, blocks_for(entries));
    (
        block / BLOCKS_PER_PAGE,
        block % BLOCKS_PER_PAGE * BLOCK_BYTES,
    )
}

/// The same question as [`Filter::may_contain`] to a page at the offset that [`place_of`] gave.
pub fn page_may_contain(page: &[u8], offset: usize, fingerprint: Fingerprint) -> bool {
    page.get(offset..)
        .and_then(|rest| rest.first_chunk())
        .is_none_or(|block| block_may_contain(block, fingerprint))
}

/// Inserts a fingerprint on a page at the offset that [`place_of`] gave.
pub fn insert_on_page(page: &mut [u8], offset: usize, fingerprint: Fingerprint) {
    let block = &mut page[offset..offset + BLOCK_BYTES];
    for bit in bits(fingerprint) {
        block[bit / 8] |= 1 << (bit % 8);
    }
}

fn block_of(fingerprint: Fingerprint, blocks: usize) -> usize {
    (((fingerprint >> 64) * blocks as u128) >> 64) as usize
}

fn bits(fingerprint: Fingerprint) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |probe| (fingerprint as u64 >> (9 * probe)) as usize % (8 * BLOCK_BYTES))
}

/// Looks at all bits before it decides. Whether a single bit is set is a coin's toss, so a branch on each
/// would be mispredicted, and found out only when the block has come from memory; without one, the
/// processor asks for several fingerprints at a time.
fn block_may_contain(block: &[u8; BLOCK_BYTES], fingerprint: Fingerprint) -> bool {
    bits(fingerprint).fold(1, |all, bit| all & block[bit / 8] >> (bit % 8)) & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(n: u64) -> u128 {
        let mixed = u128::from(n).wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645);
        (mixed ^ mixed >> 67).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }

    #[test]
    fn what_was_inserted_is_found_and_little_else() {
        const ENTRIES: u64 = 50_000;
        let mut filter = Filter::with_entries(ENTRIES);
        (0..ENTRIES).for_each(|n| filter.insert(fingerprint(n)));
        assert!((0..ENTRIES).all(|n| filter.may_contain(fingerprint(n))));
        let wrong = (ENTRIES..3 * ENTRIES)
            .filter(|n| filter.may_contain(fingerprint(*n)))
            .count();
        assert!(
            wrong < 2 * ENTRIES as usize / 100,
            "more than one in a hundred: {wrong}"
        );
    }

    #[test]
    fn a_page_answers_as_the_whole_does() {
        const ENTRIES: u64 = 5_000;
        let mut filter = Filter::with_entries(ENTRIES);
        (0..ENTRIES).for_each(|n| filter.insert(fingerprint(n)));
        let pages: Vec<&[u8]> = filter
            .as_bytes()
            .chunks(BLOCKS_PER_PAGE * BLOCK_BYTES)
            .collect();
        assert_eq!(pages.len(), pages_for(ENTRIES));
        for n in 0..2 * ENTRIES {
            let (page, offset) = place_of(fingerprint(n), ENTRIES);
            let on_page = page_may_contain(pages[page], offset, fingerprint(n));
            assert_eq!(on_page, filter.may_contain(fingerprint(n)));
        }
    }
}
