//! Words: the longest runs of word characters in a text. They are what a summary of events can tell about a search.

use super::condition::Condition;
use super::filters::Filters;
use super::number::Number;
use super::term::is_word_byte;
use super::text::Text;
use crate::event::{NameFilter, Pattern};

/// Words in lower case.
pub type Words = Vec<Box<[u8]>>;

impl Filters {
    /// Which words the texts of an event must have for it to match: for each group all words of one of its sets. What
    /// asks for no words is in no group, so an event that has them need not match.
    pub fn needed_words(&self) -> Vec<Vec<Words>> {
        let mut groups = vec![words_of_names(self.event_ids())];
        let terms = self.terms().iter().filter(|term| !term.is_negated());
        groups.extend(terms.map(|term| vec![closed_words(term.text(), term.stars())]));
        for filter in self.path_filters() {
            groups.push(filter.any_of().map(words_of_condition).collect());
            groups.extend(
                filter
                    .all_of()
                    .map(|condition| vec![words_of_condition(condition)]),
            );
        }
        groups.retain(|sets| !sets.is_empty() && sets.iter().all(|words| !words.is_empty()));
        groups
    }
}

/// A set for each name; none where all names match.
fn words_of_names(names: &NameFilter) -> Vec<Words> {
    let sets = names.patterns().map(|pattern| match pattern {
        Pattern::Name(name) => closed_words(name, [false, false]),
        Pattern::Prefix(prefix) => closed_words(prefix, [false, true]),
    });
    sets.collect()
}

fn words_of_condition(condition: &Condition) -> Words {
    match condition {
        // The same number can be written in other digits.
        Condition::Equals(text) if Number::parse(Text::plain(text.as_bytes())).is_some() => {
            Words::new()
        }
        // These are no texts.
        Condition::Equals(text) if matches!(&**text, "true" | "false" | "null") => Words::new(),
        Condition::Equals(text) | Condition::StringEquals(text) => {
            closed_words(text.as_bytes(), [false, false])
        }
        Condition::StartsWith(text) | Condition::StringStartsWith(text) => {
            closed_words(text.as_bytes(), [false, true])
        }
        Condition::Contains(term) => closed_words(term.text(), term.stars()),
        Condition::Exists | Condition::NumberIs(..) | Condition::StringIs(..) => Words::new(),
    }
}

/// The words of a text, in lower case. Where it is open at an end, a word that reaches this end may go on and is none.
fn closed_words(text: &[u8], is_open: [bool; 2]) -> Words {
    let mut words: Vec<&[u8]> = text.split(|byte| !is_word_byte(*byte)).collect();
    if is_open[1] {
        words.pop();
    }
    if is_open[0] && !words.is_empty() {
        words.remove(0);
    }
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.map(|word| word.to_ascii_lowercase().into()).collect()
}
