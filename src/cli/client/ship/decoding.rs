//! The encoding of a file, by its byte order mark, and what its bytes mean. Places in a file and event ids are always
//! those of its bytes: only what becomes an event is decoded.

use std::borrow::Cow;

use memchr::{memchr_iter, memrchr_iter};

/// Bytes that tell the encoding of a file.
pub(super) const HEAD_BYTES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Bytes that should be UTF-8.
    Bytes,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    /// The encoding of a file that begins so. If only a part of a mark has come there is no line to be decoded yet.
    pub(super) fn of(head: &[u8]) -> Encoding {
        match head {
            [0xff, 0xfe, ..] => Encoding::Utf16Le,
            [0xfe, 0xff, ..] => Encoding::Utf16Be,
            _ => Encoding::Bytes,
        }
    }

    /// Bytes of the smallest character.
    pub(super) fn width(self) -> usize {
        match self {
            Encoding::Bytes => 1,
            Encoding::Utf16Le | Encoding::Utf16Be => 2,
        }
    }

    /// The length of the byte order mark at the beginning of a file.
    pub(super) fn mark_length(self, file: &[u8]) -> usize {
        let mark: &[u8] = match self {
            Encoding::Bytes => &[0xef, 0xbb, 0xbf],
            Encoding::Utf16Le => &[0xff, 0xfe],
            Encoding::Utf16Be => &[0xfe, 0xff],
        };
        if file.starts_with(mark) {
            mark.len()
        } else {
            0
        }
    }

    fn character(self, ascii: u8) -> [u8; 2] {
        match self {
            Encoding::Bytes | Encoding::Utf16Le => [ascii, 0],
            Encoding::Utf16Be => [0, ascii],
        }
    }

    /// Removes an ASCII character from the end of a text.
    pub(super) fn strip_suffix(self, text: &[u8], ascii: u8) -> Option<&[u8]> {
        let character = self.character(ascii);
        let whole = text.len().is_multiple_of(self.width());
        text.strip_suffix(&character[..self.width()])
            .filter(|_| whole)
    }

    /// Where the first line end of a text begins.
    pub(super) fn line_end(self, text: &[u8]) -> Option<usize> {
        match self {
            Encoding::Bytes => memchr::memchr(b'\n', text),
            _ => memchr_iter(b'\n', text).find_map(|at| self.line_end_at(text, at)),
        }
    }

    /// Where the last line of a text begins, from its last line end on; none if it has no line end.
    pub(super) fn last_line(self, text: &[u8]) -> Option<usize> {
        match self {
            Encoding::Bytes => memchr::memrchr(b'\n', text).map(|at| at + 1),
            _ => memrchr_iter(b'\n', text)
                .find_map(|at| self.line_end_at(text, at))
                .map(|at| at + self.width()),
        }
    }

    /// Where the line end begins that the byte at `at` belongs to.
    fn line_end_at(self, text: &[u8], at: usize) -> Option<usize> {
        let begin = at - at % self.width();
        let end = begin + self.width();
        let character = self.character(b'\n');
        (text.get(begin..end)? == &character[..self.width()]).then_some(begin)
    }

    /// Where a text of more than `most` bytes is cut: not within a character.
    pub(super) fn cut(self, text: &[u8], most: usize) -> usize {
        let is_boundary = |at: &usize| match self {
            Encoding::Bytes => text[*at] & 0xc0 != 0x80,
            // Not before the second half of a surrogate pair.
            _ => at.is_multiple_of(2) && !(0xdc00..0xe000).contains(&self.unit(&text[*at..])),
        };
        let mut places = (most.saturating_sub(3)..=most).rev();
        places.find(is_boundary).unwrap_or(most)
    }

    fn unit(self, bytes: &[u8]) -> u16 {
        match (self, bytes) {
            (Encoding::Utf16Be, [high, low, ..]) => u16::from_be_bytes([*high, *low]),
            (_, [low, high, ..]) => u16::from_le_bytes([*low, *high]),
            // Half of a character is not a character.
            _ => 0xd800,
        }
    }

    /// A text as UTF-8. Half a surrogate pair and half a character become U+FFFD.
    pub(super) fn decode(self, text: &[u8]) -> Cow<'_, [u8]> {
        if self == Encoding::Bytes {
            return Cow::Borrowed(text);
        }
        let units = text.chunks(2).map(|bytes| self.unit(bytes));
        let characters = char::decode_utf16(units);
        let decoded: String = characters
            .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Cow::Owned(decoded.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
        let units = text.encode_utf16();
        match encoding {
            Encoding::Bytes => text.as_bytes().to_vec(),
            Encoding::Utf16Le => units.flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => units.flat_map(u16::to_be_bytes).collect(),
        }
    }

    #[test]
    fn the_mark_tells_the_encoding() {
        for (head, encoding, length) in [
            (&b"\xff\xfea"[..], Encoding::Utf16Le, 2),
            (b"\xfe\xff", Encoding::Utf16Be, 2),
            (b"\xef\xbb\xbf", Encoding::Bytes, 3),
            (b"\xef\xbb", Encoding::Bytes, 0),
            (b"\xff", Encoding::Bytes, 0),
            (b"", Encoding::Bytes, 0),
        ] {
            assert_eq!(Encoding::of(head), encoding);
            assert_eq!(encoding.mark_length(head), length);
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for encoding in [Encoding::Bytes, Encoding::Utf16Le, Encoding::Utf16Be] {
            // U+0A0A and U+0A00 have the byte of a line end without being one.
            let text = "aä日😀\u{a0a}\u{a00}\u{0}\r\nb";
            let bytes = encoded(encoding, text);
            assert_eq!(encoding.decode(&bytes), text.as_bytes());
            let first = encoded(encoding, text.strip_suffix("\nb").unwrap());
            assert_eq!(encoding.line_end(&bytes), Some(first.len()));
            let last = first.len() + encoding.width();
            assert_eq!(encoding.last_line(&bytes), Some(last));
            let without = encoded(encoding, "aä日😀\u{a0a}\u{a00}\u{0}");
            assert_eq!(encoding.strip_suffix(&first, b'\r'), Some(&without[..]));
            assert_eq!(encoding.strip_suffix(&without, b'\r'), None);
        }
    }

    #[test]
    fn broken_characters_are_replaced() {
        let le = Encoding::Utf16Le;
        for (bytes, expected) in [
            (&b"\x3d\xd8a\0"[..], "\u{fffd}a"),
            (b"a\0\x00\xde", "a\u{fffd}"),
            (b"a\0\x3d\xd8", "a\u{fffd}"),
            (b"a\0b", "a\u{fffd}"),
        ] {
            assert_eq!(le.decode(bytes), expected.as_bytes());
        }
    }

    #[test]
    fn a_cut_leaves_characters_whole() {
        for encoding in [Encoding::Bytes, Encoding::Utf16Le, Encoding::Utf16Be] {
            let bytes = encoded(encoding, &"😀".repeat(10));
            for most in 8..12 {
                assert_eq!(encoding.cut(&bytes, most), 8);
            }
        }
    }
}
