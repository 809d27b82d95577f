//! Text with colours and marks.

use std::fmt::Write as _;
use std::ops::Range;

use crate::search::Term;
use crate::text::{escaped, is_special, Escape};

/// Found words are shown in reverse, which leaves the colour as it is.
const MARK: [&str; 2] = ["\x1b[7m", "\x1b[27m"];

/// The numbers of colours (ECMA-48 §8.3.117).
pub(super) const DIM: u8 = 2;
pub(super) const BOLD: u8 = 1;

/// A line that is being written.
pub(crate) struct Ink<'t> {
    pub out: String,
    is_coloured: bool,
    terms: &'t [Term],
}

impl<'t> Ink<'t> {
    pub(crate) fn new(is_coloured: bool, terms: &'t [Term]) -> Ink<'t> {
        Ink {
            out: String::new(),
            is_coloured,
            terms,
        }
    }

    /// From here on in a colour; 0 is none.
    pub(crate) fn colour(&mut self, colour: u8) {
        if self.is_coloured {
            write!(self.out, "\x1b[{colour}m").expect("a String takes every write");
        }
    }

    /// Foreign text, with the words in it that were searched for marked.
    pub(super) fn text(&mut self, text: &str) {
        self.marked(text, false);
    }

    /// The same as a JSON string.
    pub(super) fn string(&mut self, text: &str) {
        self.out.push('"');
        self.marked(text, true);
        self.out.push('"');
    }

    fn marked(&mut self, text: &str, in_quotes: bool) {
        let mut from = 0;
        for range in self.places(text) {
            let range = range.start.max(from)..range.end;
            let (Some(before), Some(found)) =
                (text.get(from..range.start), text.get(range.clone()))
            else {
                continue;
            };
            self.plain(before, in_quotes);
            self.out.push_str(MARK[0]);
            self.plain(found, in_quotes);
            self.out.push_str(MARK[1]);
            from = range.end;
        }
        self.plain(&text[from..], in_quotes);
    }

    fn places(&self, text: &str) -> Vec<Range<usize>> {
        if !self.is_coloured {
            return Vec::new();
        }
        let mut places = Vec::new();
        for term in self.terms {
            term.places(text.as_bytes(), &mut places);
        }
        places.sort_unstable_by_key(|place| place.start);
        places
    }

    /// Foreign text without marks.
    pub(super) fn plain(&mut self, text: &str, in_quotes: bool) {
        if !in_quotes {
            self.out.push_str(&escaped(text));
            return;
        }
        for character in text.chars() {
            match character {
                '"' | '\\' => self.out.extend(['\\', character]),
                _ if is_special(character) => {
                    write!(self.out, "{}", Escape(character)).expect("a String takes every write");
                }
                _ => self.out.push(character),
            }
        }
    }
}

/// The colour of a level by its name; 0 for one without a colour.
pub(crate) fn level_colour(level: &str) -> u8 {
    const COLOURS: [(u8, &[&str]); 3] = [
        (
            31,
            &[
                "error",
                "fatal",
                "err",
                "critical",
                "crit",
                "alert",
                "emergency",
                "emerg",
                "panic",
                "severe",
            ],
        ),
        (33, &["warn", "warning"]),
        (90, &["debug", "trace"]),
    ];
    let is_named = |name: &&str| level.eq_ignore_ascii_case(name);
    let named = COLOURS.iter().find(|(_, names)| names.iter().any(is_named));
    named.map_or(0, |(colour, _)| *colour)
}
