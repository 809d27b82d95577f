//! Bytes of a log file to lines, the same ones whenever and in whatever pieces the bytes are read.

use memchr::memchr;

use crate::limits::SHIP_LINE_MAX_BYTES;

/// What stands at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    Line(Line<'a>),
    /// So many NUL bytes in front of a line: what a writer leaves that goes on at its old position in a
    /// file that was truncated. They are no text and are passed over.
    Hole(usize),
    /// The line that begins here has not been written to its end.
    Unfinished,
}

/// A line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Without its line end.
    pub text: &'a [u8],
    /// Bytes that it takes in the file.
    pub length: usize,
    /// The number of this piece, from 1; 0 for a line that is whole.
    pub part: u32,
    /// Whether further pieces follow.
    pub has_more: bool,
}

impl Line<'_> {
    /// The number of the piece that is before what follows in the file; 0 where a new line begins there.
    pub fn part_before_next(&self) -> u32 {
        match self.has_more {
            true => self.part,
            false => 0,
        }
    }
}

/// Reads on behind the piece `part` of a line, or with 0 at the beginning of one. `is_complete` says that
/// nobody will write to the file any more.
pub fn next(bytes: &[u8], part: u32, is_complete: bool) -> Next<'_> {
    if part == 0 && bytes.first() == Some(&0) {
        return Next::Hole(bytes.iter().take_while(|byte| **byte == 0).count());
    }
    let within = &bytes[..bytes.len().min(SHIP_LINE_MAX_BYTES + 1)];
    let (end, length, has_more) = match memchr(b'\n', within) {
        Some(end) => (end, end + 1, false),
        None if bytes.len() > SHIP_LINE_MAX_BYTES => {
            let cut = cut(bytes);
            (cut, cut, true)
        }
        None if is_complete && !bytes.is_empty() => (bytes.len(), bytes.len(), false),
        None => return Next::Unfinished,
    };
    let text = &bytes[..end];
    Next::Line(Line {
        text: match has_more {
            true => text,
            false => text.strip_suffix(b"\r").unwrap_or(text),
        },
        length,
        part: match part {
            0 if !has_more => 0,
            _ => part + 1,
        },
        has_more,
    })
}

/// Where a line that is too long is cut: not within a character of UTF-8, which has at most 4 bytes.
fn cut(bytes: &[u8]) -> usize {
    let is_boundary = |at: &usize| bytes[*at] & 0xc0 != 0x80;
    (SHIP_LINE_MAX_BYTES - 3..=SHIP_LINE_MAX_BYTES)
        .rev()
        .find(is_boundary)
        .unwrap_or(SHIP_LINE_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8], length: usize) -> Next<'_> {
        Next::Line(Line {
            text,
            length,
            part: 0,
            has_more: false,
        })
    }

    #[test]
    fn a_line_ends_with_its_line_end() {
        assert_eq!(next(b"one\ntwo\n", 0, false), line(b"one", 4));
        assert_eq!(next(b"one\r\ntwo", 0, false), line(b"one", 5));
        assert_eq!(next(b"\n", 0, false), line(b"", 1));
        assert_eq!(next(b"one", 0, false), Next::Unfinished);
        assert_eq!(next(b"one", 0, true), line(b"one", 3));
        assert_eq!(next(b"", 0, true), Next::Unfinished);
    }

    #[test]
    fn nul_bytes_in_front_of_a_line_are_a_hole() {
        assert_eq!(next(b"\0\0\0one\n", 0, false), Next::Hole(3));
        assert_eq!(next(b"\0\0", 0, false), Next::Hole(2));
        assert_eq!(next(b"o\0ne\n", 0, false), line(b"o\0ne", 5));
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces() {
        for (filling, cut) in [
            ("x", SHIP_LINE_MAX_BYTES),
            ("日", SHIP_LINE_MAX_BYTES / 3 * 3),
        ] {
            let text = filling.repeat(SHIP_LINE_MAX_BYTES * 2 / filling.len() + 2) + "\n";
            let bytes = text.as_bytes();
            let mut pieces = Vec::new();
            let (mut at, mut part) = (0, 0);
            while let Next::Line(piece) = next(&bytes[at..], part, false) {
                assert!(std::str::from_utf8(piece.text).is_ok());
                pieces.push((piece.part, piece.has_more, piece.length));
                at += piece.length;
                part = piece.part_before_next();
            }
            assert_eq!(at, bytes.len());
            let rest = bytes.len() - 2 * cut;
            assert_eq!(pieces, [(1, true, cut), (2, true, cut), (3, false, rest)]);
        }
        let just = [vec![b'x'; SHIP_LINE_MAX_BYTES], b"\n".to_vec()].concat();
        assert_eq!(
            next(&just, 0, false),
            line(&just[..SHIP_LINE_MAX_BYTES], just.len())
        );
        assert_eq!(
            next(&just[..SHIP_LINE_MAX_BYTES], 0, false),
            Next::Unfinished
        );
    }
}
