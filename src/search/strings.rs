//! What a place in a payload without escapes belongs to: a string, a number, or the name of a member.

use memchr::{memchr, memchr_iter};

use super::term::{is_number_byte, Place, Term};

/// Finds what a place in a payload without escapes belongs to. Places are asked for in order, so quotes are counted
/// once.
pub(super) struct Strings<'a> {
    payload: &'a [u8],
    /// Quotes have been counted up to here.
    counted: usize,
    /// Whether that is inside a string.
    is_inside: bool,
}

impl<'a> Strings<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self {
            payload,
            counted: 0,
            is_inside: false,
        }
    }

    /// Whether the term, which is at this place and has no quotes, is in a string that is a value, or in a number.
    pub(super) fn judge(&mut self, term: &Term, at: usize) -> Place {
        let quotes = memchr_iter(b'"', &self.payload[self.counted..at]).count();
        self.is_inside ^= quotes % 2 == 1;
        self.counted = at;
        if !self.is_inside {
            return match term.is_numeric() && is_in_number(self.payload, at) {
                true => Place::Here,
                false => Place::NotBefore(at + 1),
            };
        }
        let left = self.payload.len() - at;
        let end = at + memchr(b'"', &self.payload[at..]).unwrap_or(left);
        if self.payload.get(end + 1) != Some(&b':') {
            return Place::Here;
        }
        // The name of a member: nothing in it counts.
        self.counted = end + 1;
        self.is_inside = false;
        Place::NotBefore(end + 1)
    }
}

/// Whether the bytes at this place outside of strings, all of which may be in a number, are in one.
fn is_in_number(payload: &[u8], at: usize) -> bool {
    let before = payload[..at].iter().rev();
    let len = before
        .take_while(|byte| is_number_byte(byte.to_ascii_lowercase()))
        .count();
    matches!(payload.get(at - len), Some(b'-' | b'0'..=b'9'))
}
