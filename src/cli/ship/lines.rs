//! Bytes of a log file to lines, the same ones whenever and in whatever pieces the bytes are read.
//!
//! NULs between lines are no text: a writer that goes on at its old position in a truncated file leaves them,
//! and so does one that allocates a file before it writes. They are a finished hole once other bytes follow
//! them. At the end of what can be read they are where data has not arrived yet.

use memchr::memchr;

use crate::limits::SHIP_LINE_MAX_BYTES;

/// What stands at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    Line(Line<'a>),
    /// This number of NULs, and other bytes after them.
    Hole(usize),
    /// The line that begins here has not been written to its end. It has this number of bytes without the
    /// NULs that follow it.
    Unfinished(usize),
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

/// What is known of the bytes that lines are looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The last line counts without its line end.
    pub is_complete: bool,
    /// NULs are where nothing was written. They are text where characters have several bytes.
    pub has_holes: bool,
}

/// Reads on after the piece `part` of a line, or with 0 at the beginning of one.
pub fn next(bytes: &[u8], part: u32, bounds: Bounds) -> Next<'_> {
    if part == 0 && bounds.has_holes && bytes.first() == Some(&0) {
        return match bytes.iter().position(|byte| *byte != 0) {
            Some(length) => Next::Hole(length),
            None => Next::Unfinished(0),
        };
    }
    let within = &bytes[..bytes.len().min(SHIP_LINE_MAX_BYTES + 1)];
    if let Some(end) = memchr(b'\n', within) {
        return Next::Line(piece(bytes, end, end + 1, part, false));
    }
    let written = match bounds.has_holes {
        true => written(bytes),
        false => bytes.len(),
    };
    if written > SHIP_LINE_MAX_BYTES {
        let cut = cut(bytes);
        return Next::Line(piece(bytes, cut, cut, part, true));
    }
    match bounds.is_complete && written > 0 {
        true => Next::Line(unended(bytes, written, part)),
        false => Next::Unfinished(written),
    }
}

/// The line that takes the first `length` bytes and counts without a line end.
pub fn unended(bytes: &[u8], length: usize, part: u32) -> Line<'_> {
    piece(bytes, length, length, part, false)
}

/// The number of bytes without the NULs at the end.
fn written(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

fn piece(bytes: &[u8], end: usize, length: usize, part: u32, has_more: bool) -> Line<'_> {
    let text = &bytes[..end];
    Line {
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
    }
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

    const GROWING: Bounds = Bounds {
        is_complete: false,
        has_holes: true,
    };
    const COMPLETE: Bounds = Bounds {
        is_complete: true,
        ..GROWING
    };

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
        assert_eq!(next(b"one\ntwo\n", 0, GROWING), line(b"one", 4));
        assert_eq!(next(b"one\r\ntwo", 0, GROWING), line(b"one", 5));
        assert_eq!(next(b"\n", 0, GROWING), line(b"", 1));
        assert_eq!(next(b"one", 0, GROWING), Next::Unfinished(3));
        assert_eq!(next(b"one", 0, COMPLETE), line(b"one", 3));
        assert_eq!(next(b"", 0, COMPLETE), Next::Unfinished(0));
    }

    #[test]
    fn nul_bytes_in_front_of_a_line_are_a_hole() {
        assert_eq!(next(b"\0\0\0one\n", 0, GROWING), Next::Hole(3));
        assert_eq!(next(b"o\0ne\n", 0, GROWING), line(b"o\0ne", 5));
    }

    #[test]
    fn nul_bytes_at_the_end_are_nothing_yet() {
        for bounds in [GROWING, COMPLETE] {
            assert_eq!(next(b"\0\0", 0, bounds), Next::Unfinished(0));
        }
        let long = [b"one".to_vec(), vec![0; SHIP_LINE_MAX_BYTES]].concat();
        assert_eq!(next(&long, 0, GROWING), Next::Unfinished(3));
        assert_eq!(next(&long, 0, COMPLETE), line(b"one", 3));
        assert_eq!(next(&long, 1, GROWING), Next::Unfinished(3));
        assert_eq!(next(b"\0", 1, GROWING), Next::Unfinished(0));
    }

    #[test]
    fn nul_bytes_are_text_where_characters_have_several_bytes() {
        let text = Bounds {
            has_holes: false,
            ..COMPLETE
        };
        assert_eq!(next(b"\0a\0\n", 0, text), line(b"\0a\0", 4));
        assert_eq!(next(b"\0a\0", 0, text), line(b"\0a\0", 3));
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
            while let Next::Line(piece) = next(&bytes[at..], part, GROWING) {
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
            next(&just, 0, GROWING),
            line(&just[..SHIP_LINE_MAX_BYTES], just.len())
        );
        assert_eq!(
            next(&just[..SHIP_LINE_MAX_BYTES], 0, GROWING),
            Next::Unfinished(SHIP_LINE_MAX_BYTES)
        );
    }
}
