//! A value that holds no others: a string, a number or a word.

use super::text::Text;

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
    /// The value as text: a string with its escapes resolved, others as they are.
    pub fn text(self) -> Text<'a> {
        match self {
            Scalar::String(text) => text,
            Scalar::Number(raw) | Scalar::Word(raw) => Text::plain(raw),
        }
    }
}

/// Where the next quote or backslash is. The first bytes are looked at one by one: most strings are short, and escapes
/// often close to each other.
pub(super) fn next_special(text: &[u8]) -> Option<usize> {
    let near = &text[..text.len().min(NEAR_BYTES)];
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\');
    match near.iter().position(is_special) {
        Some(found) => Some(found),
        None => Some(near.len() + memchr::memchr2(b'"', b'\\', &text[near.len()..])?),
    }
}
