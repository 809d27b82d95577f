//! An event as terms look at it: its short texts folded once for all of them, its payload searched as it stands where
//! it has no escapes.

use std::ops::ControlFlow;

use memchr::{memchr, memchr_iter};

use super::candidate::Candidate;
use super::term::{fold, is_number_byte, Place, Term, WINDOW_BYTES};
use super::text::Text;
use super::texts::each_payload_text;

/// Which escapes the strings of a payload have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escapes {
    None,
    /// Only those of one letter.
    Short,
    /// Any character may be written as one.
    Unicode,
}

/// An event, prepared for its terms.
pub(super) struct Haystack<'a> {
    event: &'a Candidate<'a>,
    escapes: Escapes,
    /// The three names with a NUL after each, which no name has, and after them the payload, if it fits and has no
    /// escapes. Letters are lower case.
    folded: [u8; WINDOW_BYTES],
    /// Where the names end; 0 if they do not fit.
    names_end: usize,
    end: usize,
}

impl<'a> Haystack<'a> {
    pub(super) fn new(event: &'a Candidate<'a>) -> Self {
        let mut haystack = Self {
            event,
            escapes: escapes_of(event.payload),
            folded: [0; WINDOW_BYTES],
            names_end: 0,
            end: 0,
        };
        haystack.fold_texts();
        haystack
    }

    fn fold_texts(&mut self) {
        let names = [self.event.topic, self.event.event_id, self.event.source];
        let names_end = names.iter().map(|name| name.len() + 1).sum::<usize>();
        if names_end > WINDOW_BYTES {
            return;
        }
        for name in names {
            fold(name, &mut self.folded[self.end..]);
            self.end += name.len() + 1;
        }
        self.names_end = self.end;
        let room = &mut self.folded[self.end..];
        if self.escapes == Escapes::None && self.event.payload.len() <= room.len() {
            self.end += fold(self.event.payload, room).len();
        }
    }

    /// Whether one of the texts has the term.
    pub(super) fn has(&self, term: &Term) -> bool {
        let is_whole = self.end > self.names_end;
        let folded = match is_whole && !term.needs_escape() {
            true => &self.folded[..self.end],
            false => &self.folded[..self.names_end],
        };
        let mut strings = Strings::new(self.event.payload);
        let mut at = 0;
        while let Some(found) = term.position(folded, at) {
            at = found + 1;
            if !term.is_bounded(folded, found) {
                continue;
            }
            if found >= self.names_end {
                match strings.judge(term, found - self.names_end) {
                    Place::Here => return true,
                    Place::NotBefore(next) => at = at.max(self.names_end + next),
                }
            } else if !term.text().contains(&0) {
                return true;
            }
        }
        self.names_end == 0 && self.is_in_long_names(term)
            || !is_whole && self.is_in_payload(term, &mut strings)
    }

    fn is_in_long_names(&self, term: &Term) -> bool {
        let names = [self.event.topic, self.event.event_id, self.event.source];
        names.iter().any(|name| term.is_in(Text::plain(name)))
    }

    fn is_in_payload(&self, term: &Term, strings: &mut Strings) -> bool {
        let payload = self.event.payload;
        match self.escapes {
            Escapes::None if term.needs_escape() => false,
            Escapes::None => term.scan(payload, &mut |at| strings.judge(term, at)),
            Escapes::Short if !term.may_be_in_escaped(payload) => false,
            _ => each_payload_text(payload, &mut |text| match term.is_in(text) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
            .is_break(),
        }
    }
}

fn escapes_of(payload: &[u8]) -> Escapes {
    let mut escapes = Escapes::None;
    let mut rest = payload;
    while let Some(at) = memchr(b'\\', rest) {
        if rest.get(at + 1) == Some(&b'u') {
            return Escapes::Unicode;
        }
        escapes = Escapes::Short;
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    escapes
}

/// Tells what a place in a payload without escapes belongs to. Places are asked for in order, so quotes are counted
/// once.
struct Strings<'a> {
    payload: &'a [u8],
    /// Quotes have been counted up to here.
    counted: usize,
    /// Whether that is inside a string.
    is_inside: bool,
}

impl<'a> Strings<'a> {
    fn new(payload: &'a [u8]) -> Self {
        Self {
            payload,
            counted: 0,
            is_inside: false,
        }
    }

    /// Whether the term, which stands at this place and has no quotes, stands in a string that is a value, or in a
    /// number.
    fn judge(&mut self, term: &Term, at: usize) -> Place {
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
