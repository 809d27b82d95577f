//! Goes through the tokens of a payload in steps: the place is a value of a few words that knows nothing of the text,
//! so work can be broken off after each token, and within a long one. On anything but JSON without white space between
//! its tokens the result is undefined, but it ends without a panic.

use memchr::memchr3;

use super::effort::Effort;
use super::scalar::{next_special, Scalar};
use super::text::Text;
use crate::limits::PAYLOAD_MAX_DEPTH;

/// What a token costs besides its bytes.
const TOKEN_EFFORT: usize = 2;
/// Bytes of a token that cost as much as one byte of a step.
const BYTES_PER_EFFORT: usize = 2;
/// Bytes of a number that are looked at one by one.
const NEAR_BYTES: usize = 8;

const _: () = assert!(PAYLOAD_MAX_DEPTH <= u128::BITS as usize);

/// What comes next in a payload.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next<'a> {
    /// The name of a member; its value comes next.
    Name(Text<'a>),
    Scalar(Scalar<'a>),
    /// An object, or an array, begins.
    Open,
    /// The object or array that was opened last ends.
    Close,
    /// The step is over within a token.
    Unfinished,
    End,
}

/// A place in a payload.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    at: usize,
    /// Where the last scalar's text begins.
    scalar_start: usize,
    /// Objects and arrays that are open.
    depth: usize,
    /// Which of them are arrays, as bits; the outermost is the lowest one.
    arrays: u128,
    /// The value of a member comes next.
    is_after_name: bool,
    /// The value that comes next, or the rest of one, is skipped.
    passes_over: bool,
    part: Part,
}

/// A token of which a part has been taken.
#[derive(Clone, Copy, Debug)]
enum Part {
    Nothing,
    /// A string, after its opening quote.
    String {
        start: usize,
        is_escaped: bool,
    },
    /// A number or word.
    Bare {
        start: usize,
    },
    /// An object or array that is skipped, with this many brackets open.
    Nested {
        open: usize,
        is_in_string: bool,
    },
}

/// A scalar that is looked at in several steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct SavedScalar {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Escaped,
    Number,
    Word,
}

impl SavedScalar {
    /// The scalar in its payload.
    pub(super) fn of(self, payload: &[u8]) -> Scalar<'_> {
        let raw = payload.get(self.start..self.end).unwrap_or_default();
        match self.kind {
            Kind::Plain => Scalar::String(Text::plain(raw)),
            Kind::Escaped => Scalar::String(Text::new(raw, true)),
            Kind::Number => Scalar::Number(raw),
            Kind::Word => Scalar::Word(raw),
        }
    }
}

impl Tokens {
    /// The beginning of a payload, after the bracket of its object. At the end if it has none.
    pub(super) fn of_object(payload: &[u8]) -> Self {
        let is_object = payload.first() == Some(&b'{');
        Self {
            at: 1,
            scalar_start: 0,
            depth: usize::from(is_object),
            arrays: 0,
            is_after_name: false,
            passes_over: false,
            part: Part::Nothing,
        }
    }

    /// Whether the innermost one that is open is an array.
    pub(super) fn is_in_array(&self) -> bool {
        self.depth > 0 && self.arrays >> (self.depth - 1) & 1 != 0
    }

    /// The value that comes next is skipped.
    pub(super) fn pass_over(&mut self) {
        self.passes_over = true;
    }

    /// The rest of the object or array that has just been opened is skipped.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
        self.passes_over = true;
        self.part = Part::Nested {
            open: 1,
            is_in_string: false,
        };
    }

    /// The last scalar, to be looked at again.
    pub(super) fn save(&self, scalar: Scalar) -> SavedScalar {
        let (len, kind) = match scalar {
            Scalar::String(text) if text.as_plain().is_none() => (text.raw_len(), Kind::Escaped),
            Scalar::String(text) => (text.raw_len(), Kind::Plain),
            Scalar::Number(raw) => (raw.len(), Kind::Number),
            Scalar::Word(raw) => (raw.len(), Kind::Word),
        };
        let start = self.scalar_start;
        SavedScalar {
            start,
            end: start + len,
            kind,
        }
    }

    /// Takes the next token.
    #[inline]
    pub(super) fn next<'a>(&mut self, payload: &'a [u8], effort: &mut Effort) -> Next<'a> {
        let before = self.at;
        let room = effort.left().saturating_mul(BYTES_PER_EFFORT);
        let end = payload.len().min(before.saturating_add(room));
        let next = self.take(payload, end);
        effort.spend(TOKEN_EFFORT + (self.at - before) / BYTES_PER_EFFORT);
        next
    }

    /// The same without looking further than `end` for the end of a token.
    fn take<'a>(&mut self, payload: &'a [u8], end: usize) -> Next<'a> {
        if self.passes_over {
            if !self.pass(payload, end) {
                return Next::Unfinished;
            }
            self.passes_over = false;
            self.is_after_name = false;
        } else if !matches!(self.part, Part::Nothing) {
            return self.finish(payload, end);
        }
        if self.depth == 0 {
            return Next::End;
        }
        if payload.get(self.at) == Some(&b',') {
            self.at += 1;
        }
        let Some(&byte) = payload.get(self.at) else {
            return Next::End;
        };
        let is_in_array = self.is_in_array();
        let is_over = match is_in_array {
            true => matches!(byte, b']' | b'}'),
            false => !self.is_after_name && byte != b'"',
        };
        if is_over {
            return self.close(payload, byte);
        }
        match byte {
            b'{' | b'[' => return self.open(byte),
            b'"' => {
                self.at += 1;
                self.part = Part::String {
                    start: self.at,
                    is_escaped: false,
                };
            }
            _ => {
                self.part = Part::Bare { start: self.at };
                self.at += 1;
            }
        }
        self.finish(payload, end)
    }

    fn open<'a>(&mut self, bracket: u8) -> Next<'a> {
        self.at += 1;
        self.is_after_name = false;
        self.depth += 1;
        // One that is nested deeper than a payload may be is skipped.
        if self.depth > PAYLOAD_MAX_DEPTH {
            self.leave();
            return Next::Unfinished;
        }
        let bit = 1 << (self.depth - 1);
        self.arrays &= !bit;
        if bracket == b'[' {
            self.arrays |= bit;
        }
        Next::Open
    }

    /// Takes the closing bracket, or all that is left where there is none.
    fn close<'a>(&mut self, payload: &[u8], byte: u8) -> Next<'a> {
        self.depth -= 1;
        self.is_after_name = false;
        self.at = match byte {
            b']' | b'}' => self.at + 1,
            _ => payload.len(),
        };
        Next::Close
    }

    /// Goes on with the token of which a part has been taken.
    fn finish<'a>(&mut self, payload: &'a [u8], end: usize) -> Next<'a> {
        match self.part {
            Part::String {
                start,
                mut is_escaped,
            } => {
                let Some(string_end) = self.string_end(payload, end, &mut is_escaped) else {
                    self.part = Part::String { start, is_escaped };
                    return Next::Unfinished;
                };
                self.part = Part::Nothing;
                let text = Text::new(&payload[start..string_end], is_escaped);
                if self.is_after_name || self.is_in_array() {
                    self.is_after_name = false;
                    self.scalar_start = start;
                    return Next::Scalar(Scalar::String(text));
                }
                self.is_after_name = true;
                self.at = match payload.get(self.at) {
                    Some(b':') => self.at + 1,
                    _ => payload.len(),
                };
                Next::Name(text)
            }
            Part::Bare { start } => {
                if !self.bare_end(payload, end) {
                    return Next::Unfinished;
                }
                self.part = Part::Nothing;
                self.is_after_name = false;
                self.scalar_start = start;
                let raw = &payload[start..self.at];
                Next::Scalar(match raw[0] {
                    b'-' | b'0'..=b'9' => Scalar::Number(raw),
                    _ => Scalar::Word(raw),
                })
            }
            Part::Nothing | Part::Nested { .. } => Next::Unfinished,
        }
    }

    /// Goes on to the end of a string, and after its quote; `None` where that is not known yet.
    fn string_end(&mut self, payload: &[u8], end: usize, is_escaped: &mut bool) -> Option<usize> {
        while let Some(found) = next_special(payload.get(self.at..end).unwrap_or_default()) {
            self.at += found;
            if payload[self.at] == b'"' {
                self.at += 1;
                return Some(self.at - 1);
            }
            *is_escaped = true;
            // The byte after a backslash is never the end of the string.
            self.at = (self.at + 2).min(payload.len());
        }
        self.at = self.at.max(end);
        (end == payload.len()).then_some(end)
    }

    /// Goes on to the end of a number or word. False where that is not known yet.
    fn bare_end(&mut self, payload: &[u8], end: usize) -> bool {
        let rest = payload.get(self.at..end).unwrap_or_default();
        let near = &rest[..rest.len().min(NEAR_BYTES)];
        let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']');
        let found = near.iter().position(is_end).or_else(|| {
            let far = memchr3(b',', b'}', b']', &rest[near.len()..])?;
            Some(near.len() + far)
        });
        self.at += found.unwrap_or(rest.len());
        found.is_some() || end == payload.len()
    }

    /// Continues to skip a value. False where it is longer than this step.
    fn pass(&mut self, payload: &[u8], end: usize) -> bool {
        if let Part::Nothing = self.part {
            let start = self.at;
            self.at += 1;
            self.part = match payload.get(start) {
                None => return true,
                Some(b'{' | b'[') => Part::Nested {
                    open: 1,
                    is_in_string: false,
                },
                Some(b'"') => Part::String {
                    start,
                    is_escaped: false,
                },
                Some(_) => Part::Bare { start },
            };
        }
        let is_over = match &mut self.part {
            Part::Nothing => true,
            Part::String { .. } => self.string_end(payload, end, &mut false).is_some(),
            Part::Bare { .. } => self.bare_end(payload, end),
            Part::Nested { .. } => self.nested_end(payload, end),
        };
        if is_over {
            self.part = Part::Nothing;
        }
        is_over
    }

    /// Continues to where as many brackets have been closed as were open.
    fn nested_end(&mut self, payload: &[u8], end: usize) -> bool {
        let Part::Nested {
            mut open,
            mut is_in_string,
        } = self.part
        else {
            return true;
        };
        while self.at < end {
            if is_in_string {
                is_in_string = self.string_end(payload, end, &mut false).is_none();
                continue;
            }
            let byte = payload[self.at];
            self.at += 1;
            match byte {
                b'"' => is_in_string = true,
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return true;
                    }
                }
                _ => {}
            }
        }
        self.part = Part::Nested { open, is_in_string };
        end == payload.len()
    }
}
