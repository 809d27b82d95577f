//! What a search asks summaries: the words without which no event matches, as hashes.
//!
//! Each filter is a clause that must hold, with alternatives of which one must; an alternative is the words that all
//! must be in a block. A clause with an alternative that needs no word says nothing, and is left out. A clause must
//! never require a word that a matching event may lack.

use super::words::{closed_words, hash_text, Ends, Value};
use crate::event::{NameFilter, Pattern};
use crate::limits::{SUMMARY_WORDS_ASKED, SUMMARY_ZEROS_ASKED};
use crate::search::{Condition, Filters, Term};

/// Words that must all be there.
pub(super) type Words = Vec<u64>;

/// What filters ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(super) clauses: Vec<Vec<Words>>,
    /// The clause of topics, for blocks that do not list theirs; empty if there is none.
    pub(super) topics: Vec<Words>,
    /// The hashes of the sources that match, where these are all known by name; ascending.
    pub(super) sources: Option<Vec<u64>>,
    /// The only filters are topics and times.
    pub(super) is_of_topics_and_times: bool,
}

impl Question {
    pub(crate) fn of(filters: &Filters) -> Self {
        let mut question = Self {
            is_of_topics_and_times: filters.sources().is_all()
                && filters.event_ids().is_all()
                && filters.terms().is_empty()
                && filters.path_filters().is_empty(),
            sources: hashes_of_names(filters.sources()),
            ..Self::default()
        };
        question.add(
            filters
                .topics()
                .patterns()
                .map(|name| vec![words_of_name(name)]),
        );
        question.topics = question.clauses.pop().unwrap_or_default();
        for names in [filters.sources(), filters.event_ids()] {
            question.add(names.patterns().map(|name| vec![words_of_name(name)]));
        }
        for term in filters.terms().iter().filter(|term| !term.is_negated()) {
            question.add([vec![words_of_term(term)]].into_iter());
        }
        for path in filters.path_filters() {
            question.add(path.any_of().map(words_of_condition));
            for condition in path.all_of() {
                question.add([words_of_condition(condition)].into_iter());
            }
        }
        question
    }

    /// Adds a clause of these alternatives.
    fn add(&mut self, alternatives: impl Iterator<Item = Vec<Words>>) {
        let alternatives: Vec<Words> = alternatives.flatten().collect();
        if !alternatives.is_empty() && !alternatives.iter().any(Words::is_empty) {
            self.clauses.push(alternatives);
        }
    }
}

/// The words that a text surely has in what it is found in, at most as many as are asked for.
fn certain_words(text: &[u8], ends: Ends) -> Words {
    let mut words = Words::new();
    closed_words(text, ends, |word| {
        if words.len() < SUMMARY_WORDS_ASKED && !words.contains(&word) {
            words.push(word);
        }
    });
    words
}

/// The words of a name that is matched whole, or of its beginning.
fn words_of_name(pattern: Pattern) -> Words {
    let is_whole = matches!(pattern, Pattern::Name(_));
    let ends = Ends {
        begin: true,
        end: is_whole,
    };
    certain_words(pattern.text(), ends)
}

fn hashes_of_names(names: &NameFilter) -> Option<Vec<u64>> {
    if names.is_all() {
        return None;
    }
    let hash = |pattern: Pattern| match pattern {
        Pattern::Name(name) => Some(hash_text(name)),
        Pattern::Prefix(_) => None,
    };
    let mut hashes = names.patterns().map(hash).collect::<Option<Vec<u64>>>()?;
    hashes.sort_unstable();
    Some(hashes)
}

fn words_of_term(term: &Term) -> Words {
    let [begin, end] = term.stars().map(|has_star| !has_star);
    certain_words(term.text(), Ends { begin, end })
}

/// The alternatives of a condition, one of which an event that fulfils it has.
fn words_of_condition(condition: &Condition) -> Vec<Words> {
    match condition {
        // These are not texts.
        Condition::Equals(text) if matches!(&**text, "true" | "false" | "null") => {
            vec![Words::new()]
        }
        Condition::Equals(text) => {
            let words = certain_words(text.as_bytes(), Ends::CLOSED);
            std::iter::once(words)
                .chain(words_of_number(text.as_bytes()))
                .collect()
        }
        Condition::StringEquals(text) => vec![certain_words(text.as_bytes(), Ends::CLOSED)],
        Condition::StartsWith(text) | Condition::StringStartsWith(text) => {
            let ends = Ends {
                begin: true,
                end: false,
            };
            vec![certain_words(text.as_bytes(), ends)]
        }
        Condition::Contains(term) => vec![words_of_term(term)],
        Condition::Exists | Condition::NumberIs(..) | Condition::StringIs(..) => {
            vec![Words::new()]
        }
    }
}

/// The alternatives of what a number of the same value is, in whatever form it is written; none of a text that is no
/// number. A text that only looks like one has some more, which does no harm.
fn words_of_number(text: &[u8]) -> Vec<Words> {
    let is_of_number =
        |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let begins_so = text
        .first()
        .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
    if !begins_so || !text.iter().all(is_of_number) {
        return Vec::new();
    }
    let value = Value::of(text);
    let mut alternatives = vec![vec![value.hash()]];
    match value.digits(SUMMARY_ZEROS_ASKED) {
        Ok(Some(digits)) => alternatives.push(certain_words(&digits, Ends::CLOSED)),
        Ok(None) => {}
        // It may be written with more zeros than are looked for.
        Err(()) => alternatives.push(Words::new()),
    }
    alternatives
}

#[cfg(test)]
mod tests {
    use super::super::words::words_of;
    use super::*;
    use crate::search::Instant;

    fn clauses(pairs: &[(&str, &str)]) -> Vec<Vec<Words>> {
        let filters = Filters::parse(pairs.iter().copied(), Instant::default());
        Question::of(&filters.unwrap()).clauses
    }

    fn words(text: &str) -> Words {
        let mut words = Words::new();
        words_of(text.as_bytes(), |word| words.push(word));
        words
    }

    #[test]
    fn each_filter_asks_for_the_words_without_which_nothing_matches() {
        for (member, value, expected) in [
            ("q", "Declined", &["declined"][..]),
            ("q", "\"card expired\"", &["card expired"]),
            ("q", "*ing-in-the*", &["in"]),
            ("q", "connection-res*", &["connection"]),
            ("q", "*out", &[]),
            ("q", "-debug", &[]),
            ("q", "/api/v1", &["api v1"]),
            ("event_id", "id-7", &["id 7"]),
            ("event_id", "id-7*", &["id"]),
            ("event_id", "id*", &[]),
            ("source", "web-1", &["web 1"]),
            ("where", "level=error", &["error"]),
            ("where", "level!=error", &[]),
            ("where", "level", &[]),
            ("where", "!level", &[]),
            ("where", "msg~card-ex*", &["card"]),
            ("where", "msg!~card", &[]),
            ("where", "msg=card ex*", &["card"]),
            ("where", "a=\"12 x\"", &["12 x"]),
            ("where", "a=\"12\"", &["12"]),
            ("where", "a<b", &[]),
            ("where", "ms>500", &[]),
            ("where", "a=true", &[]),
            ("where", "a=", &[]),
            ("where", "a=*", &[]),
            ("since", "2026-01-01", &[]),
        ] {
            let expected: Vec<Vec<Words>> = expected.iter().map(|text| vec![words(text)]).collect();
            assert_eq!(clauses(&[(member, value)]), expected, "{member}={value}");
        }
    }

    #[test]
    fn alternatives_need_all_to_ask() {
        let two = clauses(&[("where", "a=x"), ("where", "a=y z")]);
        assert_eq!(two, [vec![words("x"), words("y z")]]);
        assert!(clauses(&[("where", "a=x"), ("where", "a=null")]).is_empty());
        assert!(clauses(&[("event_id", "x"), ("event_id", "y*")]).is_empty());
        assert_eq!(clauses(&[("where", "a=x"), ("where", "b=y")]).len(), 2);
    }

    #[test]
    fn a_number_is_looked_for_in_each_form() {
        let hash = |number: &[u8]| vec![Value::of(number).hash()];
        assert_eq!(
            clauses(&[("where", "a=0.50")]),
            [vec![words("0 50"), hash(b"5e-1")]]
        );
        assert_eq!(
            clauses(&[("where", "a=-1e2")]),
            [vec![words("1e2"), hash(b"-100"), words("100")]]
        );
        assert!(clauses(&[("where", "a=1e500")]).is_empty());
    }
}
