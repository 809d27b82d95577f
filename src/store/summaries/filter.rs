//! The filter over the words of a block: lines of 64 bytes, one cache line each, of which each word has one. So a word
//! costs one page, however many words there are.

use crate::limits::{SUMMARY_BITS_PER_WORD, SUMMARY_PAGE_BYTES};

pub(super) const LINE_BYTES: usize = 64;
/// Lines on a page.
pub(super) const LINES_PER_PAGE: usize = SUMMARY_PAGE_BYTES / LINE_BYTES;
/// Bits that are set for a word. Each takes nine bits of a hash.
const BITS_SET: usize = 7;

/// Lines of a filter of `words` words.
pub(super) fn lines_of(words: usize) -> usize {
    (words * SUMMARY_BITS_PER_WORD).div_ceil(8 * LINE_BYTES)
}

/// Pages of a filter of `lines` lines.
pub(super) fn pages_of(lines: u32) -> u32 {
    lines.div_ceil(LINES_PER_PAGE as u32)
}

/// The line of a word.
fn line_of(hash: u64, lines: u32) -> usize {
    (((hash >> 32) * u64::from(lines)) >> 32) as usize
}

/// Where on which page a word's line begins.
pub(crate) fn place_of(hash: u64, lines: u32) -> (u32, usize) {
    let line = line_of(hash, lines);
    let page = (line / LINES_PER_PAGE) as u32;
    (page, line % LINES_PER_PAGE * LINE_BYTES)
}

/// The bits of a word in its line. They come from another hash than its line.
fn bits_of(hash: u64) -> impl Iterator<Item = usize> {
    let bits = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bits = bits ^ (bits >> 29);
    (0..BITS_SET).map(move |at| (bits >> (9 * at)) as usize % (8 * LINE_BYTES))
}

/// A filter of `lines` lines that has no words.
pub(super) fn empty(lines: u32) -> Vec<u8> {
    vec![0; lines as usize * LINE_BYTES]
}

/// Adds a word to a filter, which has lines.
pub(super) fn add(filter: &mut [u8], lines: u32, hash: u64) {
    let line = &mut filter[line_of(hash, lines) * LINE_BYTES..][..LINE_BYTES];
    for bit in bits_of(hash) {
        line[bit / 8] |= 1 << (bit % 8);
    }
}

/// Whether the line that begins at `at` may have this word; false only if it has not.
pub(crate) fn may_contain(page: &[u8], at: usize, hash: u64) -> bool {
    let line = page.get(at..at + LINE_BYTES);
    line.is_none_or(|line| bits_of(hash).all(|bit| line[bit / 8] & 1 << (bit % 8) != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::summaries::words::hash_text;

    #[test]
    fn each_word_is_in_it_and_few_others() {
        let hash = |number: u32| hash_text(&number.to_be_bytes());
        for count in [1, 5, 1_000, 20_000] {
            let lines = lines_of(count as usize) as u32;
            let mut filter = empty(lines);
            (0..count).for_each(|number| add(&mut filter, lines, hash(number)));
            let pages: Vec<&[u8]> = filter.chunks(SUMMARY_PAGE_BYTES).collect();
            assert_eq!(pages.len(), pages_of(lines) as usize);
            let has = |hash| {
                let (page, at) = place_of(hash, lines);
                may_contain(pages[page as usize], at, hash)
            };
            assert!((0..count).all(|number| has(hash(number))));
            let others = 100_000;
            let alarms = (count..count + others).filter(|number| has(hash(*number)));
            let alarms = alarms.count();
            assert!(alarms < others as usize / 100, "{alarms} of {count}");
        }
    }
}
