//! Goes through the tokens of a payload without taking memory. What is no JSON without white space between its tokens
//! is gone through somehow: it ends, and nothing panics.

use super::text::Text;
use crate::limits::PAYLOAD_MAX_DEPTH;

/// Bytes of a string that are looked at one by one.
const NEAR_BYTES: usize = 16;

/// A value that holds no others.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    String(Text<'a>),
    /// Its digits as they were sent.
    Number(&'a [u8]),
    /// `true`, `false` or `null`.
    Word(&'a [u8]),
}

impl<'a> Scalar<'a> {
    /// The value as text: of a string what it means, else as it stands.
    pub fn text(self) -> Text<'a> {
        match self {
            Scalar::String(text) => text,
            Scalar::Number(raw) | Scalar::Word(raw) => Text::plain(raw),
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'a> {
    /// The reader stands after its opening bracket.
    Object,
    Array,
    Scalar(Scalar<'a>),
}

/// A place in the text of a payload.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Objects and arrays that have been opened.
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Stands at the beginning of a payload, after the bracket of its object. `None` if it has none.
    pub(crate) fn of_object(payload: &'a [u8]) -> Option<Self> {
        let rest = payload.strip_prefix(b"{")?;
        Some(Self { rest, depth: 1 })
    }

    /// The name of the next member; the reader stands at its value then. `None` at the end of the object, whose
    /// bracket is taken.
    pub(crate) fn name(&mut self) -> Option<Text<'a>> {
        self.separator();
        match self.rest {
            [b'"', after @ ..] => {
                self.rest = after;
                let name = self.string();
                self.rest = self.rest.strip_prefix(b":").unwrap_or_default();
                Some(name)
            }
            _ => self.close(),
        }
    }

    /// Whether there is another element in the array; the reader stands at it then. At the end the bracket is taken.
    pub(crate) fn element(&mut self) -> bool {
        self.separator();
        match self.rest {
            [] | [b']' | b'}', ..] => {
                self.close();
                false
            }
            _ => true,
        }
    }

    fn separator(&mut self) {
        self.rest = self.rest.strip_prefix(b",").unwrap_or(self.rest);
    }

    /// Takes the closing bracket, or all that is left where there is none.
    fn close(&mut self) -> Option<Text<'a>> {
        self.depth -= 1;
        self.rest = match self.rest {
            [b']' | b'}', after @ ..] => after,
            _ => &[],
        };
        None
    }

    /// The value at which the reader stands; it goes into an object or array. `None` where there is none. One that is
    /// nested deeper than a payload may be is passed over.
    pub(crate) fn value(&mut self) -> Option<Token<'a>> {
        let (&first, after) = self.rest.split_first()?;
        match first {
            b'{' | b'[' if self.depth == PAYLOAD_MAX_DEPTH => {
                self.skip();
                None
            }
            b'{' | b'[' => {
                self.rest = after;
                self.depth += 1;
                Some(match first {
                    b'{' => Token::Object,
                    _ => Token::Array,
                })
            }
            b'"' => {
                self.rest = after;
                Some(Token::Scalar(Scalar::String(self.string())))
            }
            _ => {
                let raw = self.bare();
                Some(Token::Scalar(match first {
                    b'-' | b'0'..=b'9' => Scalar::Number(raw),
                    _ => Scalar::Word(raw),
                }))
            }
        }
    }

    /// Passes over the value at which the reader stands.
    pub(crate) fn skip(&mut self) {
        match self.rest {
            [b'{' | b'[', after @ ..] => {
                self.rest = after;
                self.skip_nested(1);
            }
            [b'"', after @ ..] => {
                self.rest = after;
                self.string();
            }
            _ => {
                self.bare();
            }
        }
    }

    /// Passes over the rest of the object or array that has been opened last.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
        self.skip_nested(1);
    }

    /// Goes on to where that many more brackets have been closed than opened.
    fn skip_nested(&mut self, mut open: usize) {
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            match byte {
                b'"' => {
                    self.string();
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                _ => {}
            }
        }
    }

    /// A number or word: all up to the next separator or bracket, at least one byte.
    fn bare(&mut self) -> &'a [u8] {
        let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']');
        let len = self.rest.iter().position(is_end);
        let len = len.unwrap_or(self.rest.len()).max(1).min(self.rest.len());
        let (raw, after) = self.rest.split_at(len);
        self.rest = after;
        raw
    }

    /// The string whose opening quote has been taken, to its closing quote.
    fn string(&mut self) -> Text<'a> {
        let whole = self.rest;
        let mut is_escaped = false;
        let mut at = 0;
        while let Some(found) = next_special(&whole[at..]) {
            at += found;
            if whole[at] == b'"' {
                self.rest = &whole[at + 1..];
                return Text::new(&whole[..at], is_escaped);
            }
            is_escaped = true;
            // The byte after a backslash is never the end of the string.
            at = (at + 2).min(whole.len());
        }
        self.rest = &[];
        Text::new(whole, is_escaped)
    }
}

/// Where the next quote or backslash stands. The first bytes are looked at one by one: most strings are short, and
/// escapes often close to each other.
pub(super) fn next_special(text: &[u8]) -> Option<usize> {
    let near = &text[..text.len().min(NEAR_BYTES)];
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\');
    match near.iter().position(is_special) {
        Some(found) => Some(found),
        None => Some(near.len() + memchr::memchr2(b'"', b'\\', &text[near.len()..])?),
    }
}
