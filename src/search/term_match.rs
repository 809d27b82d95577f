//! Whether an event has its terms. Its names, and a short payload, are folded once for all terms. A long payload is
//! searched in steps: first as it is, which rules out most terms, then text by text with escapes resolved.

use memchr::{memchr, memchr_iter};

use super::candidate::Candidate;
use super::effort::Effort;
use super::scalar::Scalar;
use super::strings::Strings;
use super::term::{fold, next_window, Place, Term, Window, WindowMark, SEPARATOR, WINDOW_BYTES};
use super::text::Text;
use super::tokens::{Next, SavedScalar, Tokens};
use super::walk::places;

/// Bytes of a text that is searched together with others. Longer ones are searched by themselves.
const SHORT_TEXT_BYTES: usize = 256;
/// Bytes that are searched for a term at the cost of one of a step.
const BYTES_PER_EFFORT: usize = 16;

const _: () = assert!(2 * (SHORT_TEXT_BYTES + 2) <= WINDOW_BYTES);

/// How far an event has been searched.
#[derive(Debug)]
pub(super) struct TermMatch {
    stage: Stage,
    /// Terms that have not been found, and may be, as bits by their places; and those of them that must be when it
    /// began.
    undecided: u32,
    wanted: u32,
    /// Those of them that may be in the payload according to its raw bytes.
    perhaps: u32,
    /// Whether the payload has a backslash.
    has_escapes: bool,
    /// Bytes of the longest term.
    longest: usize,
}

#[derive(Debug)]
enum Stage {
    /// The raw payload is searched, from here on.
    Raw { at: usize },
    /// Its texts are searched.
    Texts(TextSearch),
}

/// Texts that are searched together.
struct Batch {
    folded: [u8; WINDOW_BYTES],
    len: usize,
}

impl Batch {
    fn new() -> Self {
        Self {
            folded: [SEPARATOR; WINDOW_BYTES],
            len: 1,
        }
    }

    /// Adds a text. False if there is no room for it.
    fn add(&mut self, text: Text) -> bool {
        let room = self.folded.get_mut(self.len..).unwrap_or_default();
        if text.raw_len() >= room.len() {
            return false;
        }
        let len = text.decode().read(room);
        room[..len].make_ascii_lowercase();
        room[len] = SEPARATOR;
        self.len += len + 1;
        true
    }

    /// Searches the texts, and drops them.
    fn search(&mut self, found: &mut Found, effort: &mut Effort) {
        found.search(&Window::whole(&self.folded[..self.len]), effort);
        self.len = 1;
    }
}

/// An event's names, and its payload if that is short, with a separator after each name and letters in lower case.
struct Folded<'e> {
    event: &'e Candidate<'e>,
    texts: &'e [u8],
    /// Where the names end; 0 if they do not fit.
    names_end: usize,
    /// Whether the payload is included, and is searched as it is.
    is_plain: bool,
}

impl Folded<'_> {
    /// Whether it has a term, as far as it includes the payload.
    fn has(&self, term: &Term) -> bool {
        let names_end = self.names_end;
        let texts = match self.is_plain && !term.needs_escape() {
            true => self.texts,
            false => &self.texts[..names_end],
        };
        let mut strings = Strings::new(self.event.payload);
        let mut at = 0;
        while let Some(found) = term.position(texts, at) {
            at = found + 1;
            if !term.is_bounded(texts, found) {
                continue;
            }
            if found < names_end {
                return true;
            }
            match strings.judge(term, found - names_end) {
                Place::Here => return true,
                Place::NotBefore(next) => at = at.max(names_end + next),
            }
        }
        let names = [self.event.topic, self.event.event_id, self.event.source];
        names_end == 0 && names.iter().any(|name| term.is_in(Text::plain(name)))
    }
}

/// Folds the names of an event, a separator after each. Returns where they end: 0 if there is no room for them.
fn fold_names(event: &Candidate, folded: &mut [u8; WINDOW_BYTES]) -> usize {
    let names = [event.topic, event.event_id, event.source];
    if names.iter().map(|name| name.len() + 1).sum::<usize>() > WINDOW_BYTES {
        return 0;
    }
    let mut end = 0;
    for name in names {
        end += fold(name, &mut folded[end..]).len();
        folded[end] = SEPARATOR;
        end += 1;
    }
    end
}

/// Whether a part of a payload may have an escape that can stand for any character; letters in lower case.
fn has_unicode_escape(folded: &[u8]) -> bool {
    memchr_iter(b'\\', folded).any(|at| folded.get(at + 1) == Some(&b'u'))
}

impl TermMatch {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Raw { at: 0 },
            undecided: 0,
            perhaps: 0,
            wanted: 0,
            has_escapes: false,
            longest: 0,
        }
    }

    /// Begins with an event. Returns whether all of its at most 32 terms hold: each that is not negated is in one of
    /// the texts, and none of the others in any. `None` where that is not known yet: then it goes on.
    pub(super) fn begin(
        &mut self,
        event: &Candidate,
        terms: &[Term],
        effort: &mut Effort,
    ) -> Option<bool> {
        let payload = event.payload;
        self.has_escapes = memchr(b'\\', payload).is_some();
        let mut folded = [0; WINDOW_BYTES];
        let names_end = fold_names(event, &mut folded);
        let room = &mut folded[names_end..];
        let is_short = names_end > 0 && payload.len() <= room.len();
        let end = match is_short {
            true => names_end + fold(payload, room).len(),
            false => names_end,
        };
        effort.spend(payload.len() / 64 + end / 16);
        let folded_payload = &folded[names_end..end];
        let texts = Folded {
            event,
            texts: &folded[..end],
            names_end,
            is_plain: is_short && !self.has_escapes,
        };
        let may_rule_out = is_short && self.has_escapes && !has_unicode_escape(folded_payload);
        self.undecided = 0;
        self.wanted = 0;
        for (place, term) in terms.iter().enumerate() {
            effort.spend(end / BYTES_PER_EFFORT / 2);
            let is_in = texts.has(term);
            let is_decided = is_in
                || texts.is_plain
                || !self.has_escapes && term.needs_escape()
                || may_rule_out && !term.may_be_in(folded_payload);
            if is_decided && is_in == term.is_negated() {
                return Some(false);
            }
            if !is_decided {
                self.undecided |= 1 << place;
                self.wanted |= u32::from(!term.is_negated()) << place;
            }
        }
        if self.undecided == 0 {
            return Some(true);
        }
        self.perhaps = 0;
        self.longest = terms
            .iter()
            .map(|term| term.text().len())
            .max()
            .unwrap_or(0);
        self.stage = match is_short {
            true => Stage::Texts(TextSearch::new(payload)),
            false => Stage::Raw { at: 0 },
        };
        self.go_on(payload, terms, effort)
    }

    /// Goes on with the same event and the same terms.
    pub(super) fn go_on(
        &mut self,
        payload: &[u8],
        terms: &[Term],
        effort: &mut Effort,
    ) -> Option<bool> {
        if let Stage::Raw { at } = self.stage {
            let holds = self.search_raw(at, payload, terms, effort)?;
            if !holds || self.undecided == 0 {
                return Some(holds);
            }
            self.stage = Stage::Texts(TextSearch::new(payload));
        }
        let Stage::Texts(search) = &mut self.stage else {
            return Some(false);
        };
        let mut found = Found {
            terms,
            undecided: self.undecided,
            has_unwanted: false,
        };
        let is_over = search.go_on(payload, self.longest, &mut found, effort);
        self.undecided = found.undecided;
        match is_over || found.is_decided() {
            true => Some(!found.has_unwanted && self.undecided & self.wanted == 0),
            false => None,
        }
    }

    /// Searches the raw payload. `None` where the step is over first. False if a term is missing; else those that are
    /// left undecided may be in a text.
    fn search_raw(
        &mut self,
        mut at: usize,
        payload: &[u8],
        terms: &[Term],
        effort: &mut Effort,
    ) -> Option<bool> {
        let mut folded = [0; WINDOW_BYTES];
        loop {
            if effort.is_over() {
                self.stage = Stage::Raw { at };
                return None;
            }
            let rest = payload.get(at..).unwrap_or_default();
            let window = fold(rest, &mut folded);
            if self.has_escapes && has_unicode_escape(window) {
                return Some(true);
            }
            effort.spend(window.len() / 4);
            for place in places(self.undecided & !self.perhaps) {
                effort.spend(window.len() / BYTES_PER_EFFORT);
                let is_here = match self.has_escapes {
                    true => terms[place].may_be_in(window),
                    false => terms[place].position(window, 0).is_some(),
                };
                self.perhaps |= u32::from(is_here) << place;
            }
            if self.undecided == self.perhaps || window.len() == rest.len() {
                break;
            }
            at += window.len() + 1 - self.longest.max(2);
        }
        self.undecided &= self.perhaps;
        // No wanted term has been ruled out.
        Some(self.undecided & self.wanted == self.wanted)
    }
}

/// Which terms have been found.
struct Found<'t> {
    terms: &'t [Term],
    undecided: u32,
    /// Whether a negated one has been found.
    has_unwanted: bool,
}

impl Found<'_> {
    fn is_decided(&self) -> bool {
        self.undecided == 0 || self.has_unwanted
    }

    /// Searches a part of a text, or texts. Returns whether nothing is left to be decided.
    fn search(&mut self, window: &Window, effort: &mut Effort) -> bool {
        for place in places(self.undecided) {
            let term = &self.terms[place];
            effort.spend(window.len() / BYTES_PER_EFFORT);
            if term.is_in_window(window, effort) {
                self.undecided &= !(1 << place);
                self.has_unwanted |= term.is_negated();
            }
        }
        self.is_decided()
    }
}

/// A search through the texts of a payload.
#[derive(Debug)]
struct TextSearch {
    tokens: Tokens,
    /// A long text, and how far it has been searched.
    long: Option<(SavedScalar, WindowMark)>,
}

impl TextSearch {
    fn new(payload: &[u8]) -> Self {
        Self {
            tokens: Tokens::of_object(payload),
            long: None,
        }
    }

    /// Goes on. True if all texts have been searched, or nothing is left to be decided.
    fn go_on(
        &mut self,
        payload: &[u8],
        longest: usize,
        found: &mut Found,
        effort: &mut Effort,
    ) -> bool {
        let mut batch = Batch::new();
        loop {
            if let Some((saved, mut mark)) = self.long.take() {
                let text = saved.of(payload).text();
                if !search_long(text, &mut mark, longest, found, effort) {
                    self.long = Some((saved, mark));
                    // The texts before it are not read again.
                    batch.search(found, effort);
                    return found.is_decided();
                }
            }
            if found.is_decided() {
                return true;
            }
            let next = match effort.is_over() {
                true => Next::Unfinished,
                false => self.tokens.next(payload, effort),
            };
            match next {
                Next::Scalar(scalar @ (Scalar::String(_) | Scalar::Number(_))) => {
                    let text = scalar.text();
                    if text.raw_len() > SHORT_TEXT_BYTES {
                        self.long = Some((self.tokens.save(scalar), WindowMark::default()));
                    } else if !batch.add(text) {
                        batch.search(found, effort);
                        batch.add(text);
                    }
                }
                Next::End => {
                    batch.search(found, effort);
                    return true;
                }
                Next::Unfinished if effort.is_over() => {
                    batch.search(found, effort);
                    return found.is_decided();
                }
                _ => {}
            }
        }
    }
}

/// Goes on to search a long text. False where the step is over first.
fn search_long(
    text: Text,
    mark: &mut WindowMark,
    longest: usize,
    found: &mut Found,
    effort: &mut Effort,
) -> bool {
    let mut folded = [0; WINDOW_BYTES];
    loop {
        if effort.is_over() {
            return false;
        }
        effort.spend(WINDOW_BYTES / 4);
        let window = next_window(text, mark, longest, &mut folded);
        if found.search(&window, effort) || window.is_last() {
            return true;
        }
    }
}
