//! A term: characters that are looked for in a text, and whether a word may go on at either end.

use std::ops::Range;

use memchr::memmem::Finder;

use super::effort::Effort;
use super::text::{Mark, Text};
use crate::limits::TERM_MAX_BYTES;

/// Bytes of text that are folded at a time. Two of the longest terms fit.
pub(super) const WINDOW_BYTES: usize = 1024;

/// The same for short texts, so that there is little to clear for them.
const SHORT_WINDOW_BYTES: usize = 64;

const _: () = assert!(2 * (TERM_MAX_BYTES + 2) <= WINDOW_BYTES);

/// Separates texts that are searched together. It is in no text and no term, and in no word.
pub(super) const SEPARATOR: u8 = 0xff;
/// What it costs to look at an occurrence of a term.
const PLACE_EFFORT: usize = 6;

/// Whether a byte belongs to a word character: an ASCII letter or digit, `_`, and every character beyond ASCII.
pub fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 && byte != SEPARATOR
}

/// One term of a query. It is found where its characters occur, ASCII letters without case, if no word continues beyond
/// an end that is closed.
#[derive(Clone, Debug)]
pub struct Term {
    /// Finds the characters in a text whose letters are lower case.
    finder: Finder<'static>,
    /// The same for the longest run of characters that have no escape of one letter; empty if there is none.
    unescaped: Finder<'static>,
    is_negated: bool,
    /// Whether a word may go on before its first character, and after its last: there is a star, or that character is
    /// not one of a word.
    is_open: [bool; 2],
    /// Whether there are stars.
    has_star: [bool; 2],
    /// Whether a string that has it must have an escape: it has a quote, a backslash or a control character.
    needs_escape: bool,
    has_letters: bool,
    /// Whether it can be in a number.
    is_numeric: bool,
}

impl Term {
    pub(super) fn new(text: &[u8], is_negated: bool, has_star: [bool; 2]) -> Self {
        let text = text.to_ascii_lowercase();
        let is_closed = |end: Option<&u8>| end.is_some_and(|byte| is_word_byte(*byte));
        let may_be_escaped = |byte: &u8| needs_escape(*byte) || *byte == b'/';
        let runs = text.split(may_be_escaped);
        let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
        Self {
            unescaped: Finder::new(longest).into_owned(),
            is_negated,
            is_open: [
                has_star[0] || !is_closed(text.first()),
                has_star[1] || !is_closed(text.last()),
            ],
            has_star,
            needs_escape: text.iter().any(|byte| needs_escape(*byte)),
            has_letters: text.iter().any(u8::is_ascii_lowercase),
            is_numeric: text.iter().all(|byte| is_number_byte(*byte)),
            finder: Finder::new(&text).into_owned(),
        }
    }

    /// The text, its letters in lower case.
    pub fn text(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Whether none of the texts may have it.
    pub fn is_negated(&self) -> bool {
        self.is_negated
    }

    /// Whether there is a star before its text, and after it.
    pub fn stars(&self) -> [bool; 2] {
        self.has_star
    }

    pub(super) fn needs_escape(&self) -> bool {
        self.needs_escape
    }

    pub(super) fn is_numeric(&self) -> bool {
        self.is_numeric
    }

    /// Where its characters occur in `folded`, from `at` on, whatever is next to them.
    pub(super) fn position(&self, folded: &[u8], at: usize) -> Option<usize> {
        Some(at + self.finder.find(folded.get(at..)?)?)
    }

    /// Whether a word ends, or may go on, at both ends of the place `at` of `text`.
    pub(super) fn is_bounded(&self, text: &[u8], at: usize) -> bool {
        let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| is_word_byte(*byte));
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at + self.text().len());
        (self.is_open[0] || !is_word(before)) && (self.is_open[1] || !is_word(after))
    }

    /// The next place where it can be found, after one where it occurs within a longer word: not within that word.
    fn place_after(&self, text: &[u8], at: usize) -> usize {
        let word_end = |from: usize| {
            let rest = text.get(from..).unwrap_or_default();
            let len = rest.iter().position(|byte| !is_word_byte(*byte));
            from + len.unwrap_or(rest.len())
        };
        let mut next = at + 1;
        let is_in_word = at > 0 && is_word_byte(text[at - 1]);
        if !self.is_open[0] && is_in_word {
            next = word_end(at) + 1;
        } else if !self.is_open[1] {
            next = next.max(word_end(at + self.text().len()) - self.text().len());
        }
        next
    }

    /// Whether it is found in a text.
    pub(super) fn is_in(&self, text: Text) -> bool {
        match text.as_plain() {
            Some(raw) => self.scan(raw, &mut |_| Place::Here),
            None => {
                let (mut mark, mut folded) = (WindowMark::default(), [0; WINDOW_BYTES]);
                loop {
                    let window = next_window(text, &mut mark, self.text().len(), &mut folded);
                    let is_in = self.is_in_window(&window, &mut Effort::unbounded());
                    if is_in || window.is_last {
                        return is_in;
                    }
                }
            }
        }
    }

    /// Appends the places where it is found in a text.
    pub(crate) fn places(&self, text: &[u8], places: &mut Vec<Range<usize>>) {
        self.scan(text, &mut |at| {
            let end = at + self.text().len();
            places.push(at..end);
            Place::NotBefore(end)
        });
    }

    /// Visits the places where it occurs in `text`, in order. `judge` says what a place is. True if one counts.
    pub(super) fn scan(&self, text: &[u8], judge: &mut dyn FnMut(usize) -> Place) -> bool {
        match text.len() <= SHORT_WINDOW_BYTES {
            true => self.scan_by(&mut [0; SHORT_WINDOW_BYTES], text, judge),
            false => self.scan_by(&mut [0; WINDOW_BYTES], text, judge),
        }
    }

    /// The same, with memory in which the text is folded a window at a time.
    fn scan_by(
        &self,
        folded: &mut [u8],
        text: &[u8],
        judge: &mut dyn FnMut(usize) -> Place,
    ) -> bool {
        let mut from = 0;
        while text.len().saturating_sub(from) >= self.text().len() {
            // Where case makes no difference the text is its own folding.
            let window = match self.has_letters {
                true => fold(&text[from..], folded),
                false => &text[from..],
            };
            let mut at = 0;
            while let Some(found) = self.position(window, at) {
                at = match self.is_bounded(text, from + found) {
                    // What is after the window has not been folded.
                    false => self.place_after(window, found).max(found + 1),
                    true => match judge(from + found) {
                        Place::Here => return true,
                        Place::NotBefore(next) => (next - from).max(found + 1),
                    },
                };
            }
            let is_last = window.len() == text.len() - from;
            if is_last {
                return false;
            }
            // The next window begins with the first place that is not whole in this one.
            from += at.max(window.len() + 1 - self.text().len());
        }
        false
    }

    /// Whether it is found in a part of a text.
    pub(super) fn is_in_window(&self, window: &Window, effort: &mut Effort) -> bool {
        let mut at = window.first;
        while let Some(found) = self.position(window.folded, at) {
            // What comes after the last byte decides whether a word goes on.
            if found + self.text().len() == window.folded.len() && !window.is_last {
                return false;
            }
            if self.is_bounded(window.folded, found) {
                return true;
            }
            at = self.place_after(window.folded, found);
            effort.spend(PLACE_EFFORT + (at - found) / 2);
        }
        false
    }

    /// Whether the payload of which this is a part may have it, letters in lower case: it has the longest run of its
    /// characters that have no escape of one letter.
    pub(super) fn may_be_in(&self, folded: &[u8]) -> bool {
        self.unescaped.find(folded).is_some()
    }
}

/// A part of a text, its escapes resolved, its letters in lower case.
pub(super) struct Window<'w> {
    folded: &'w [u8],
    /// The first place that has not been decided in the window before.
    first: usize,
    is_last: bool,
}

impl<'w> Window<'w> {
    /// The only one of texts that are whole.
    pub(super) fn whole(folded: &'w [u8]) -> Self {
        Self {
            folded,
            first: 0,
            is_last: true,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.folded.len()
    }

    /// Whether nothing of the text comes after it.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }
}

/// Where the next window of a text begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WindowMark {
    mark: Mark,
    is_later: bool,
}

/// The next part of a text, for terms of at most `len` bytes. What could not be decided in one is in the next one
/// again, and the byte before it.
pub(super) fn next_window<'w>(
    text: Text,
    next: &mut WindowMark,
    len: usize,
    folded: &'w mut [u8; WINDOW_BYTES],
) -> Window<'w> {
    let mut decoder = text.decode_from(next.mark);
    let (new, again) = folded.split_at_mut(WINDOW_BYTES - len - 1);
    let mut end = decoder.read(new);
    let first = usize::from(next.is_later);
    *next = WindowMark {
        mark: decoder.mark(text),
        is_later: true,
    };
    end += decoder.read(again);
    folded[..end].make_ascii_lowercase();
    Window {
        folded: &folded[..end],
        first,
        is_last: end < WINDOW_BYTES,
    }
}

/// What an occurrence of a term is.
pub(super) enum Place {
    /// It counts.
    Here,
    /// It does not, and none before this one does.
    NotBefore(usize),
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
            && self.is_negated == other.is_negated
            && self.has_star == other.has_star
    }
}

/// Copies as much of `text` as there is room for, letters in lower case.
pub(super) fn fold<'f>(text: &[u8], folded: &'f mut [u8]) -> &'f [u8] {
    let len = text.len().min(folded.len());
    let folded = &mut folded[..len];
    folded.copy_from_slice(&text[..len]);
    folded.make_ascii_lowercase();
    folded
}

/// Whether JSON has this byte only as an escape.
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

/// Whether a byte can be in a number; letters in lower case.
pub(super) fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e')
}

#[cfg(test)]
mod tests {
    use super::super::parse_terms::parse_terms;
    use super::*;

    fn term(q: &str) -> Term {
        let mut terms = Vec::new();
        parse_terms(q, &mut terms).unwrap();
        terms.remove(0)
    }

    #[test]
    fn a_term_is_found_where_no_word_goes_on() {
        for (q, found, missed) in [
            (
                "declined",
                &["Declined", "DECLINED:", "card declined"][..],
                &["undeclined", "declined_", "declinedä"][..],
            ),
            ("8080", &["host:8080"], &["host:80800"]),
            (":8080", &["host:8080"], &["host:80800"]),
            ("080", &["080"], &["host:8080"]),
            ("*080", &["host:8080"], &["0801"]),
            ("5", &["-5", "5.0"], &["15", "50"]),
            ("\"-5\"", &["-5", "x-5"], &["-50"]),
            ("time*", &["timeout", "Time"], &["runtime"]),
            ("*out", &["timeout"], &["outer"]),
            ("*meo*", &["timeout"], &["tim eout"]),
            (
                "\"connection res\"*",
                &["Connection reset"],
                &["connection  reset"],
            ),
            ("é", &["café é"], &["é\u{301}x", "café"]),
            ("É", &["É"], &["é"]),
            ("/api/v1", &["GET /api/v1", "x/api/v1/y"], &["/api/v10"]),
            ("aa", &["aaa aa"], &["aaa"]),
        ] {
            let term = term(q);
            for text in found {
                assert!(term.is_in(Text::plain(text.as_bytes())), "{q} {text}");
            }
            for text in missed {
                assert!(!term.is_in(Text::plain(text.as_bytes())), "{q} {text}");
            }
        }
    }

    /// With any cut into windows, and any escapes.
    #[test]
    fn a_term_is_found_at_every_place_of_a_long_text() {
        for needle in ["x", "Xyz", "x y", "äx", "9", "12"] {
            let term = term(&format!("\"{needle}\""));
            for front in (0..40)
                .chain(WINDOW_BYTES - 20..WINDOW_BYTES + 20)
                .chain([3 * WINDOW_BYTES])
            {
                for (before, after, is_found) in [
                    (".", ".", true),
                    ("-", "", true),
                    ("q", ".", false),
                    (".", "ä", false),
                ] {
                    let text = format!("{}{before}{needle}{after}", "-".repeat(front));
                    let plain = Text::plain(text.as_bytes());
                    assert_eq!(term.is_in(plain), is_found, "{front} {text}");
                    let escaped = format!("{}{before}{needle}{after}", "\\n".repeat(front));
                    let escaped = Text::new(escaped.as_bytes(), true);
                    assert_eq!(term.is_in(escaped), is_found, "{front} {text}");
                }
            }
        }
    }
}
