//! Bytes of a log file to lines, the same ones in whatever pieces the bytes are read.
//!
//! NULs between lines are not text: a writer that goes on at its old position in a truncated file leaves them, and so
//! does one that allocates a file before it writes. They are a hole once other bytes have followed them for a while
//! ([`super::nuls`]). At the end of what can be read they are data that has not arrived yet.

use super::decoding::Encoding;
use crate::limits::SHIP_LINE_MAX_BYTES;

/// What is at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Line(Line<'a>),
    /// This number of NULs, and other bytes after them.
    Hole(usize),
    /// The line that begins here has not been written to its end. It has this number of bytes without the
    /// NULs that follow it.
    Unfinished(usize),
}

/// A line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Without its line end.
    pub text: &'a [u8],
    /// Bytes that it takes in the file.
    pub length: usize,
    /// The number of this piece, from 1; 0 for a line that is whole.
    pub part: u32,
    /// Whether further pieces follow.
    pub has_more: bool,
    /// Whether its whole line end was there.
    pub has_end: bool,
}

impl Line<'_> {
    /// The number of the piece that is before what follows in the file; 0 where a new line begins there.
    pub(super) fn part_before_next(&self) -> u32 {
        match self.has_more {
            true => self.part,
            false => 0,
        }
    }
}

/// What is known of the bytes that lines are looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The last line counts without its line end.
    pub is_complete: bool,
    pub encoding: Encoding,
}

/// Reads on after the piece `part` of a line, or with 0 at the beginning of one.
pub(super) fn next(bytes: &[u8], part: u32, bounds: Bounds) -> Next<'_> {
    let encoding = bounds.encoding;
    let width = encoding.width();
    if part == 0 && bytes.len() >= width && bytes[..width].iter().all(|byte| *byte == 0) {
        return match bytes.iter().position(|byte| *byte != 0) {
            Some(length) => Next::Hole(length - length % width),
            None => Next::Unfinished(0),
        };
    }
    let within = &bytes[..bytes.len().min(SHIP_LINE_MAX_BYTES + width)];
    if let Some(end) = encoding.line_end(within) {
        let text = &bytes[..end];
        let text = encoding.strip_suffix(text, b'\r').unwrap_or(text);
        return Next::Line(Line {
            has_end: true,
            ..piece(text, end + width, part, false)
        });
    }
    let written = written(bytes, width);
    if written >= SHIP_LINE_MAX_BYTES + width {
        let cut = encoding.cut(bytes, SHIP_LINE_MAX_BYTES);
        return Next::Line(piece(&bytes[..cut], cut, part, true));
    }
    match bounds.is_complete && written > 0 {
        true => Next::Line(unended(bytes, written, part, encoding)),
        false => Next::Unfinished(written),
    }
}

/// The line that takes the first `length` bytes and counts without a line end.
pub(super) fn unended(bytes: &[u8], length: usize, part: u32, encoding: Encoding) -> Line<'_> {
    let text = &bytes[..length];
    let text = encoding.strip_suffix(text, b'\r').unwrap_or(text);
    piece(text, length, part, false)
}

/// The number of bytes without the NULs at the end.
fn written(bytes: &[u8], width: usize) -> usize {
    let last = bytes.iter().rposition(|byte| *byte != 0);
    let written = last.map_or(0, |last| (last + 1).next_multiple_of(width));
    written.min(bytes.len())
}

fn piece(text: &[u8], length: usize, part: u32, has_more: bool) -> Line<'_> {
    Line {
        text,
        length,
        part: match part {
            0 if !has_more => 0,
            _ => part + 1,
        },
        has_more,
        has_end: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWING: Bounds = Bounds {
        is_complete: false,
        encoding: Encoding::Bytes,
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
            has_end: true,
        })
    }

    /// The last line of a file that is complete, without its line end.
    fn last(text: &[u8], length: usize) -> Next<'_> {
        match line(text, length) {
            Next::Line(line) => Next::Line(Line {
                has_end: false,
                ..line
            }),
            next => next,
        }
    }

    #[test]
    fn a_line_ends_with_its_line_end() {
        assert_eq!(next(b"one\ntwo\n", 0, GROWING), line(b"one", 4));
        assert_eq!(next(b"one\r\ntwo", 0, GROWING), line(b"one", 5));
        assert_eq!(next(b"\n", 0, GROWING), line(b"", 1));
        assert_eq!(next(b"one", 0, GROWING), Next::Unfinished(3));
        assert_eq!(next(b"one", 0, COMPLETE), last(b"one", 3));
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
        assert_eq!(next(&long, 0, COMPLETE), last(b"one", 3));
        assert_eq!(next(&long, 1, GROWING), Next::Unfinished(3));
        assert_eq!(next(b"\0", 1, GROWING), Next::Unfinished(0));
    }

    #[test]
    fn characters_of_two_bytes_are_whole() {
        let (be, le) = (Encoding::Utf16Be, Encoding::Utf16Le);
        for (bytes, encoding, expected) in [
            (&b"\0a\0\n"[..], be, line(b"\0a", 4)),
            (b"a\0\r\0\n\0b\0", le, line(b"a\0", 6)),
            (b"\x0a\x0a\x0a\0\n\0", le, line(b"\x0a\x0a", 4)),
            (b"\x0a\x01\0\x0a", be, line(b"\x0a\x01", 4)),
            (b"a\0\0\0b\0", le, last(b"a\0\0\0b\0", 6)),
            (b"\x01\0\0\0", be, last(b"\x01\0", 2)),
            (b"a\0b", le, last(b"a\0b", 3)),
            (b"\0\0\0a", be, Next::Hole(2)),
            (b"\0\0\0\0a\0", le, Next::Hole(4)),
            (b"\0\0\0", le, Next::Unfinished(0)),
        ] {
            let complete = Bounds {
                encoding,
                ..COMPLETE
            };
            assert_eq!(next(bytes, 0, complete), expected, "{bytes:?}");
        }
        let growing = Bounds {
            encoding: le,
            ..GROWING
        };
        assert_eq!(next(b"a\0\n", 0, growing), Next::Unfinished(3));
    }

    /// A line is the same wherever the bytes end that have been read.
    #[test]
    fn a_surrogate_pair_is_not_cut() {
        let bounds = Bounds {
            encoding: Encoding::Utf16Be,
            ..GROWING
        };
        let pair = b"\xd8\x3d\xde\x00";
        let long = [b"\0a".to_vec(), pair.repeat(SHIP_LINE_MAX_BYTES / 4 + 2)].concat();
        for length in SHIP_LINE_MAX_BYTES..long.len() {
            match next(&long[..length], 0, bounds) {
                Next::Unfinished(_) => assert!(length <= SHIP_LINE_MAX_BYTES + 1),
                Next::Line(line) => assert_eq!(line.length, SHIP_LINE_MAX_BYTES - 2),
                Next::Hole(_) => unreachable!(),
            }
        }
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
