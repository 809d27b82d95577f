//! Names of rotated log files: that of the log file with a number or a date after it, or before its extension.

/// The name of a log file after its rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Shape {
    /// The mark is before the extension, as in `app-1.log`. Other logs have such names as well.
    pub is_infix: bool,
    /// The mark has as many digits as a date has.
    pub is_dated: bool,
}

/// Digits of a mark from which on it is a date and not a number.
const DATE_DIGITS: usize = 6;

/// The suffixes of compressed files.
const COMPRESSED: [&str; 4] = [".gz", ".zst", ".xz", ".bz2"];

/// The part of a log file's name that the names of all its rotated files begin with.
pub(super) fn stem(log: &[u8]) -> &[u8] {
    match log.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &log[..dot],
        _ => log,
    }
}

/// How a name is made of that of a log file by a rotation; none if it is not.
pub(super) fn rotation(name: &[u8], log: &[u8]) -> Option<Shape> {
    let stem = stem(log);
    let after = name.strip_prefix(log);
    let between = name.strip_prefix(stem);
    let between = between.and_then(|rest| rest.strip_suffix(&log[stem.len()..]));
    let shape = |mark: &[u8], is_infix| {
        is_mark(mark).then(|| Shape {
            is_infix,
            is_dated: digits(mark) >= DATE_DIGITS,
        })
    };
    after
        .and_then(|mark| shape(mark, false))
        .or_else(|| between.and_then(|mark| shape(mark, true)))
}

fn digits(text: &[u8]) -> usize {
    text.iter().filter(|byte| byte.is_ascii_digit()).count()
}

/// Whether this is what a rotation adds to a name.
fn is_mark(mark: &[u8]) -> bool {
    let is_legal = |byte: &u8| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'T' | b'Z')
    };
    match mark {
        [b'.' | b'-' | b'_', rest @ ..] => digits(rest) > 0 && rest.iter().all(is_legal),
        _ => false,
    }
}

/// A name without the suffix of a compressed file; none if it has none.
pub(super) fn uncompressed(name: &[u8]) -> Option<&[u8]> {
    let suffixes = COMPRESSED.iter().map(|suffix| suffix.as_bytes());
    suffixes
        .filter_map(|suffix| name.strip_suffix(suffix))
        .next()
}

/// Whether two names differ in their digits alone, as those of the files do that a link leads to in turn.
pub(super) fn are_alike(name: &[u8], other: &[u8]) -> bool {
    let letters = |name: &[u8]| -> Vec<u8> {
        let mut letters = name.to_vec();
        for byte in &mut letters {
            if byte.is_ascii_digit() {
                *byte = b'0';
            }
        }
        letters.dedup_by(|byte, before| *byte == b'0' && *before == b'0');
        letters
    };
    name != other && digits(name) > 0 && letters(name) == letters(other)
}

/// The number of a rotated file: of two that were made at the same time the one with the higher number is older.
pub(super) fn number(name: &[u8]) -> u64 {
    let end = name.iter().rposition(u8::is_ascii_digit);
    let end = end.map_or(0, |last| last + 1);
    let length = name[..end]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = std::str::from_utf8(&name[end - length..end]);
    text.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_marks_of_rotation() {
        for (name, is_infix, is_dated) in [
            ("app.log.1", false, false),
            ("app.log.12", false, false),
            ("app.log-20260102", false, true),
            ("app.log-2026-01-02T03:04:05Z", false, true),
            ("app.log.2026-01-02_3", false, true),
            ("app.1.log", true, false),
            ("app-2026-01-02.log", true, true),
        ] {
            let shape = Some(Shape { is_infix, is_dated });
            assert_eq!(rotation(name.as_bytes(), b"app.log"), shape, "{name}");
        }
        for name in [
            "app.log",
            "app.log.1.gz",
            "app.log.bak",
            "app.log.",
            "app.log1",
            "app-old.log",
            "app.log.partial",
            ".app.log.ship-0123456789",
            "other.log.1",
        ] {
            assert_eq!(rotation(name.as_bytes(), b"app.log"), None, "{name}");
        }
        assert!(rotation(b"log.1", b"log").is_some_and(|shape| !shape.is_infix));
        assert!(rotation(b".log.1", b".log").is_some());
        assert!(rotation(b"0.log.20261130-010203", b"0.log").is_some());
        assert_eq!(uncompressed(b"app.log.1.gz"), Some(&b"app.log.1"[..]));
        assert_eq!(uncompressed(b"app.log.1"), None);
    }

    #[test]
    fn names_that_differ_in_digits_are_alike() {
        assert!(are_alike(b"a-2026-01-09.log", b"a-2026-01-10.log"));
        assert!(are_alike(b"a-9.log", b"a-10.log"));
        assert!(!are_alike(b"a-1.log", b"a-1.log"));
        assert!(!are_alike(b"a.log", b"b.log"));
        assert!(!are_alike(b"a-1.log", b"a-.log"));
        assert_eq!(number(b"app.log.12"), 12);
        assert_eq!(number(b"app.3.log"), 3);
        assert_eq!(number(b"app"), 0);
    }
}
