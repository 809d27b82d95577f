//! An event as terms look at it: its short texts folded once for all of them, its payload searched as it stands where
//! it has no escapes.

use std::ops::ControlFlow;

use memchr::{memchr, memchr_iter};

use super::candidate::Candidate;
use super::term::{each_window, fold, is_number_byte, Place, Term, WINDOW_BYTES};
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

    /// Whether all terms hold: each that is not negated is in one of the texts, and none of the others in any. There
    /// are at most 32.
    pub(super) fn holds(&self, terms: &[Term]) -> bool {
        // Those that may be in strings with escapes, as bits by their places.
        let mut undecided = 0_u32;
        for (place, term) in terms.iter().enumerate() {
            let is_in = match self.is_in_folded(term) {
                Some(is_in) => is_in,
                None if self.escapes == Escapes::None => self.is_in_plain(term),
                None if self.escapes == Escapes::Short
                    && !term.may_be_in_escaped(self.event.payload) =>
                {
                    false
                }
                None => {
                    undecided |= 1 << place;
                    continue;
                }
            };
            if is_in == term.is_negated() {
                return false;
            }
        }
        undecided == 0 || self.holds_decoded(terms, undecided)
    }

    /// The same for the terms that are left, which only strings can tell whose escapes are resolved.
    fn holds_decoded(&self, terms: &[Term], mut undecided: u32) -> bool {
        let wanted = terms
            .iter()
            .enumerate()
            .filter(|(_, term)| !term.is_negated());
        let wanted = wanted.fold(0_u32, |bits, (place, _)| bits | 1 << place);
        let longest = terms
            .iter()
            .map(|term| term.text().len())
            .max()
            .unwrap_or(0);
        let asked = undecided;
        // Takes those that are found; says whether there is nothing left to be decided.
        let mut remove = |is_in: &dyn Fn(&Term) -> bool| {
            for (place, term) in terms.iter().enumerate() {
                if undecided >> place & 1 != 0 && is_in(term) {
                    undecided &= !(1 << place);
                    if term.is_negated() {
                        return true;
                    }
                }
            }
            undecided == 0
        };
        let _ = each_payload_text(self.event.payload, &mut |text| {
            let is_over = match text.as_plain() {
                Some(_) => remove(&|term| term.is_in(text)),
                None => each_window(text, longest, &mut |window| {
                    remove(&|term| term.is_in_window(window))
                }),
            };
            match is_over {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        // Those that are wanted have been found, and no others.
        undecided == asked & !wanted
    }

    /// Whether the term is in one of the texts that have been folded; `None` if it may be in the payload all the same.
    fn is_in_folded(&self, term: &Term) -> Option<bool> {
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
                    Place::Here => return Some(true),
                    Place::NotBefore(next) => at = at.max(self.names_end + next),
                }
            } else if !term.text().contains(&0) {
                return Some(true);
            }
        }
        if self.names_end == 0 && self.is_in_long_names(term) {
            return Some(true);
        }
        is_whole.then_some(false)
    }

    /// Whether the term is in the payload, which has no escapes.
    fn is_in_plain(&self, term: &Term) -> bool {
        let mut strings = Strings::new(self.event.payload);
        let mut judge = |at| strings.judge(term, at);
        !term.needs_escape() && term.scan(self.event.payload, &mut judge)
    }

    fn is_in_long_names(&self, term: &Term) -> bool {
        let names = [self.event.topic, self.event.event_id, self.event.source];
        names.iter().any(|name| term.is_in(Text::plain(name)))
    }
}

fn escapes_of(payload: &[u8]) -> Escapes {
    let Some(first) = memchr(b'\\', payload) else {
        return Escapes::None;
    };
    let mut rest = payload[first..].iter();
    while let Some(byte) = rest.next() {
        if *byte == b'\\' && rest.next() == Some(&b'u') {
            return Escapes::Unicode;
        }
    }
    Escapes::Short
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
