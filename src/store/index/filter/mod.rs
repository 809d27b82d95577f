//! A filter: may this fingerprint be in the segment?
//!
//! It consists of [`block`]s. Which one a key falls to comes from the fingerprint's first half, so a filter is
//! made front to back, from keys that are sorted; what the block says of it comes from the second half.

mod block;

use memmap2::MmapMut;

use super::record::{Fingerprint, BLOCK_BYTES};
use crate::limits::SEGMENT_PAGE_BYTES;
use block::Block;

/// Blocks on a page on disk.
const BLOCKS_PER_PAGE: usize = SEGMENT_PAGE_BYTES / BLOCK_BYTES;

/// The filter of one segment. Its blocks say yes to all until they have been made, or read.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Memory of its own, which begins with a page and is given back as a whole: between other things on the heap it
    /// would leave holes of megabytes.
    blocks: MmapMut,
    /// The pages on disk from this one on have not been read yet.
    unread: usize,
}

impl Filter {
    /// A filter whose blocks are to be made. There is none where the system has no memory for it; then it is asked on
    /// disk.
    pub(crate) fn with_blocks(blocks: usize) -> Option<Self> {
        let mut filter = Self::on_disk(blocks)?;
        filter.unread = pages_for(blocks);
        Some(filter)
    }

    /// A filter whose pages are to be read.
    pub(crate) fn on_disk(blocks: usize) -> Option<Self> {
        // The kernel gives memory for it as it is written to.
        MmapMut::map_anon(blocks * BLOCK_BYTES)
            .inspect_err(|error| log::warn!("there is no memory for a filter: {error}"))
            .ok()
            .map(|blocks| Self { blocks, unread: 0 })
    }

    /// The next page to be read; `None` if all have been.
    pub(crate) fn next_unread(&self) -> Option<usize> {
        let pages = pages_for(self.as_bytes().len() / BLOCK_BYTES);
        (self.unread < pages).then_some(self.unread)
    }

    /// The page that [`Filter::next_unread`] named has been read, or cannot be.
    pub(crate) fn set_read(&mut self) {
        self.unread += 1;
    }

    /// Whether the page of this fingerprint's block has been read.
    pub(crate) fn has_read(&self, fingerprint: Fingerprint) -> bool {
        let blocks = self.as_bytes().len() / BLOCK_BYTES;
        place_of(fingerprint, blocks).0 < self.unread
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.blocks
    }

    /// Takes a block that is complete.
    pub(crate) fn set(&mut self, made: Made) {
        let at = made.number * BLOCK_BYTES;
        self.blocks[at..at + BLOCK_BYTES].copy_from_slice(&made.block);
    }

    /// Takes the blocks of a page on disk.
    pub(crate) fn set_page(&mut self, number: usize, page: &[u8]) {
        let at = number * BLOCKS_PER_PAGE * BLOCK_BYTES;
        self.blocks[at..at + page.len()].copy_from_slice(page);
    }

    /// Reads a byte of each fingerprint's block, so that many loads from memory are in flight at a time.
    pub(crate) fn prefetch(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let bytes = self.as_bytes();
        let blocks = bytes.len() / BLOCK_BYTES;
        let read = fingerprints.fold(0, |read, fingerprint| {
            read | bytes[block_of(fingerprint, blocks) * BLOCK_BYTES]
        });
        std::hint::black_box(read);
    }

    /// False only if the fingerprint is none of the filter's.
    #[inline]
    pub(crate) fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        let bytes = self.as_bytes();
        let at = block_of(fingerprint, bytes.len() / BLOCK_BYTES) * BLOCK_BYTES;
        bytes[at..]
            .first_chunk()
            .is_none_or(|block| block::may_contain(block, fingerprint as u64))
    }
}

/// A block that is complete.
pub(crate) struct Made {
    number: usize,
    block: Block,
}

impl Made {
    /// Puts it on its page.
    pub(crate) fn write(&self, page: &mut [u8]) {
        let at = self.number % BLOCKS_PER_PAGE * BLOCK_BYTES;
        page[at..at + BLOCK_BYTES].copy_from_slice(&self.block);
    }
}

/// Makes the blocks of a filter, one after the other, of its keys in their order.
pub(crate) struct Maker {
    blocks: usize,
    /// The block that the keys below fall to.
    number: usize,
    keys: Vec<u64>,
}

impl Maker {
    /// For a filter of `blocks` blocks.
    pub(crate) fn new(blocks: usize) -> Self {
        Self {
            blocks,
            number: 0,
            keys: Vec::new(),
        }
    }

    /// Takes the next key. Where it falls to another block than the one before, that one is complete.
    pub(crate) fn take(&mut self, fingerprint: Fingerprint) -> Option<Made> {
        let number = block_of(fingerprint, self.blocks);
        let made = if number == self.number {
            None
        } else {
            self.finish()
        };
        self.number = number;
        self.keys.push(fingerprint as u64);
        made
    }

    /// The block of the last keys that were taken. A block without keys stays as it is.
    pub(crate) fn finish(&mut self) -> Option<Made> {
        if self.keys.is_empty() {
            return None;
        }
        let block = block::made_of(&self.keys);
        self.keys.clear();
        Some(Made {
            number: self.number,
            block,
        })
    }
}

/// Blocks of the filter for `entries` keys, with `bits_per_key` bits for each.
pub(crate) fn blocks_for(entries: u64, bits_per_key: u64) -> usize {
    (entries * bits_per_key)
        .div_ceil(8 * BLOCK_BYTES as u64)
        .max(1) as usize
}

/// Pages that a filter of `blocks` blocks takes on disk.
pub(crate) fn pages_for(blocks: usize) -> usize {
    blocks.div_ceil(BLOCKS_PER_PAGE)
}

/// Bytes of the filter on one of its pages, which the last one need not fill.
pub(crate) fn page_bytes(blocks: usize, page: usize) -> usize {
    let left = blocks - page * BLOCKS_PER_PAGE;
    left.min(BLOCKS_PER_PAGE) * BLOCK_BYTES
}

/// Where on disk the block of a fingerprint is: the page, and the offset in it.
pub(crate) fn place_of(fingerprint: Fingerprint, blocks: usize) -> (usize, usize) {
    let block = block_of(fingerprint, blocks);
    (
        block / BLOCKS_PER_PAGE,
        block % BLOCKS_PER_PAGE * BLOCK_BYTES,
    )
}

/// The same question as [`Filter::may_contain`] to a page at the offset that [`place_of`] gave.
pub(crate) fn page_may_contain(page: &[u8], offset: usize, fingerprint: Fingerprint) -> bool {
    page.get(offset..)
        .and_then(|rest| rest.first_chunk())
        .is_none_or(|block| block::may_contain(block, fingerprint as u64))
}

fn block_of(fingerprint: Fingerprint, blocks: usize) -> usize {
    (((fingerprint >> 64) * blocks as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(n: u64) -> u128 {
        let mixed = u128::from(n).wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645);
        (mixed ^ mixed >> 67).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }

    fn filter(entries: u64, bits_per_key: u64) -> Filter {
        let mut keys: Vec<u128> = (0..entries).map(fingerprint).collect();
        keys.sort();
        let blocks = blocks_for(entries, bits_per_key);
        let mut filter = Filter::with_blocks(blocks).unwrap();
        let mut maker = Maker::new(blocks);
        for key in keys {
            if let Some(made) = maker.take(key) {
                filter.set(made);
            }
        }
        if let Some(made) = maker.finish() {
            filter.set(made);
        }
        filter
    }

    #[test]
    fn what_was_inserted_is_found_and_little_else() {
        const ENTRIES: u64 = 50_000;
        const OTHERS: u64 = 500_000;
        for (bits_per_key, wanted) in [(15, 2_000), (13, 700)] {
            let filter = filter(ENTRIES, bits_per_key);
            assert!((0..ENTRIES).all(|n| filter.may_contain(fingerprint(n))));
            let wrong = (ENTRIES..ENTRIES + OTHERS)
                .filter(|n| filter.may_contain(fingerprint(*n)))
                .count();
            let share = OTHERS as usize / wrong.max(1);
            assert!(share > wanted, "one false alarm in {share}");
        }
    }

    #[test]
    fn a_page_answers_as_the_whole_does() {
        const ENTRIES: u64 = 5_000;
        let filter = filter(ENTRIES, 15);
        let pages: Vec<&[u8]> = filter
            .as_bytes()
            .chunks(BLOCKS_PER_PAGE * BLOCK_BYTES)
            .collect();
        let blocks = blocks_for(ENTRIES, 15);
        assert_eq!(pages.len(), pages_for(blocks));
        for n in 0..2 * ENTRIES {
            let (page, offset) = place_of(fingerprint(n), blocks);
            let on_page = page_may_contain(pages[page], offset, fingerprint(n));
            assert_eq!(on_page, filter.may_contain(fingerprint(n)));
        }
    }
}
