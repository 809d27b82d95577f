//! The checksum at the end of a page of derived data: does the page hold what was written, and is it the
//! page that was asked for?
//!
//! A page is a BLOB in a table that has an id for each of its pages. Its last four bytes are a CRC-32 over all bytes
//! before them, and over what the page belongs to and its id. So a flipped bit is found, and also a whole page in the
//! wrong place, or one that an earlier owner has left there. The table's owner decides what is done about a bad page;
//! nothing may be answered from one.

use crc32fast::Hasher;

/// Bytes that a checksum adds to a page.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// The checksum of a row of numbers.
pub(super) fn of_numbers(numbers: &[u64]) -> u32 {
    let mut hasher = Hasher::new();
    numbers
        .iter()
        .for_each(|number| hasher.update(&number.to_be_bytes()));
    hasher.finalize()
}

/// What a page belongs to, as a number that its checksum begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageOwner(u32);

impl PageOwner {
    /// The owner that these numbers describe. Two owners that may hold the same page in turn must differ in one
    /// of them.
    pub(super) fn of(numbers: &[u64]) -> Self {
        Self(of_numbers(numbers))
    }

    /// Its number. A row that describes the owner can have it as its own checksum.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// Adds the checksum to a page that is about to be written with this id.
    pub(super) fn seal(self, id: i64, page: &mut Vec<u8>) {
        let checksum = self.checksum(id, page);
        page.extend_from_slice(&checksum);
    }

    /// The content of a page that was read with this id; none if its checksum is wrong.
    pub(super) fn content(self, id: i64, page: &[u8]) -> Option<&[u8]> {
        let (content, checksum) = page.split_last_chunk::<CHECKSUM_BYTES>()?;
        (self.checksum(id, content) == *checksum).then_some(content)
    }

    fn checksum(self, id: i64, content: &[u8]) -> [u8; CHECKSUM_BYTES] {
        // Two ids with the same upper half always give two states to begin with, and so two checksums.
        let begin = self.0 ^ (id as u32).wrapping_mul(0x9E37_79B1) ^ (id >> 32) as u32;
        let mut hasher = Hasher::new_with_initial(begin);
        hasher.update(content);
        hasher.finalize().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(owner: PageOwner, id: i64, content: &[u8]) -> Vec<u8> {
        let mut page = content.to_vec();
        owner.seal(id, &mut page);
        page
    }

    #[test]
    fn a_page_is_right_only_as_it_was_written_and_where_it_was_written() {
        let owner = PageOwner::of(&[1, 2, 3]);
        for content in [&[][..], &[0; 64], &[7; 4_032]] {
            let page = sealed(owner, 5, content);
            assert_eq!(owner.content(5, &page), Some(content));
            assert_eq!(owner.content(6, &page), None);
            assert_eq!(owner.content(-5, &page), None);
            assert_eq!(PageOwner::of(&[1, 2, 4]).content(5, &page), None);
            assert_eq!(owner.content(5, &page[1..]), None);
            assert_eq!(owner.content(5, &page[..page.len() - 1]), None);
        }
        assert_eq!(owner.content(5, &[]), None);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let owner = PageOwner::of(&[9]);
        let mut page = sealed(owner, 1, &[0xA5; 768]);
        for bit in 0..8 * page.len() {
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(owner.content(1, &page), None, "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(owner.content(1, &page).is_some());
    }
}
