//! Which topics, sources or event ids a reader wants: names, and prefixes of names.
//!
//! A request can name hundreds of patterns, and each event is compared with them for each reader. So they
//! are kept sorted, without those that another one covers, and one binary search answers.

/// A set of names: of topics, of sources, or of event ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameFilter {
    /// The texts of all patterns, one after the other. Thousands of readers may have a filter each, so
    /// none of the texts is an allocation of its own.
    texts: Vec<u8>,
    /// In the order of the texts' bytes. None of them begins with the text of a prefix before it.
    patterns: Vec<Entry>,
    all: bool,
}

/// Where the text of a pattern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    start: u32,
    len: u32,
    is_prefix: bool,
}

/// One pattern of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// All names that begin with this.
    Prefix(&'a [u8]),
    Name(&'a [u8]),
}

impl Pattern<'_> {
    /// The name or the prefix.
    pub fn text(&self) -> &[u8] {
        match self {
            Pattern::Prefix(text) | Pattern::Name(text) => text,
        }
    }
}

impl NameFilter {
    /// A filter of names or, with a trailing `*`, prefixes; none means all names.
    pub fn new(patterns: &[String]) -> Self {
        Self::written(patterns, |name| name.as_bytes().to_vec())
    }

    /// The same filter for names as `write` writes them. A prefix of a name must be a prefix of the written name too,
    /// as it is with JSON, which escapes character by character.
    pub fn written(patterns: &[String], write: impl Fn(&str) -> Vec<u8>) -> Self {
        let all = patterns.is_empty() || patterns.iter().any(|pattern| pattern == "*");
        if all {
            return Self {
                all,
                ..Self::default()
            };
        }
        let split = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => (write(prefix), true),
            None => (write(pattern), false),
        };
        let mut sorted: Vec<(Vec<u8>, bool)> = patterns.iter().map(split).collect();
        // Of a prefix and a name with the same text the prefix comes first, and covers the other.
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut filter = Self::default();
        for (text, is_prefix) in sorted {
            if !filter.covers_next(&text) {
                filter.patterns.push(Entry {
                    start: filter.texts.len() as u32,
                    len: text.len() as u32,
                    is_prefix,
                });
                filter.texts.extend_from_slice(&text);
            }
        }
        filter.texts.shrink_to_fit();
        filter.patterns.shrink_to_fit();
        filter
    }

    /// Whether the next text in order adds nothing to the patterns so far. What a prefix covers follows it
    /// without a gap, so only the last pattern is looked at.
    fn covers_next(&self, text: &[u8]) -> bool {
        let last = self.patterns.last().map(|entry| self.pattern(entry));
        match last {
            Some(Pattern::Prefix(prefix)) => text.starts_with(prefix),
            Some(Pattern::Name(name)) => text == name,
            None => false,
        }
    }

    fn pattern(&self, entry: &Entry) -> Pattern<'_> {
        let start = entry.start as usize;
        let text = &self.texts[start..start + entry.len as usize];
        if entry.is_prefix {
            Pattern::Prefix(text)
        } else {
            Pattern::Name(text)
        }
    }

    /// Whether a name is wanted.
    pub fn matches(&self, topic: &[u8]) -> bool {
        // Only topics that begin with a prefix sort between it and another such topic, and the filter has none of
        // those. So only the last pattern that is not after the topic can match.
        let after = self
            .patterns
            .partition_point(|entry| self.pattern(entry).text() <= topic);
        let nearest = after
            .checked_sub(1)
            .map(|at| self.pattern(&self.patterns[at]));
        match nearest {
            _ if self.all => true,
            Some(Pattern::Prefix(prefix)) => topic.starts_with(prefix),
            Some(Pattern::Name(name)) => topic == name,
            None => false,
        }
    }

    /// Whether all are wanted.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// The patterns in the order of their texts' bytes; none of them covers any of another. Empty where all
    /// names are wanted.
    pub fn patterns(&self) -> impl ExactSizeIterator<Item = Pattern<'_>> {
        self.patterns.iter().map(|entry| self.pattern(entry))
    }

    /// One of them by its place.
    pub fn pattern_at(&self, at: usize) -> Option<Pattern<'_>> {
        self.patterns.get(at).map(|entry| self.pattern(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(patterns: &[&str]) -> NameFilter {
        let patterns: Vec<String> = patterns.iter().map(|p| p.to_string()).collect();
        NameFilter::new(&patterns)
    }

    #[test]
    fn a_filter_knows_names_and_prefixes() {
        for (patterns, wanted, unwanted) in [
            (&[][..], &["a", "b"][..], &[][..]),
            (&["*"], &["a"], &[]),
            (&["a", "c*"], &["a", "c", "cd"], &["b", "ab", "dc"]),
            (&["order.*"], &["order.", "order.x"], &["order", "orders"]),
        ] {
            let filter = filter(patterns);
            assert!(wanted.iter().all(|topic| filter.matches(topic.as_bytes())));
            assert!(!unwanted
                .iter()
                .any(|topic| filter.matches(topic.as_bytes())));
        }
    }

    #[test]
    fn what_another_pattern_covers_is_not_kept() {
        let filter = filter(&["ab*", "b", "a*", "b", "a", "abc", "a*", "b.*", "b.c*"]);
        let kept: Vec<Pattern> = filter.patterns().collect();
        let expected = [
            Pattern::Prefix(b"a"),
            Pattern::Name(b"b"),
            Pattern::Prefix(b"b."),
        ];
        assert_eq!(kept, expected);
        assert_eq!(filter.texts, b"abb.");
    }

    #[test]
    fn the_same_prefix_a_thousand_times_is_kept_once() {
        let patterns: Vec<String> = (0..1_000).map(|_| "order.*".to_owned()).collect();
        assert_eq!(NameFilter::new(&patterns), filter(&["order.*"]));
    }

    proptest! {
        #[test]
        fn it_matches_as_looking_at_each_pattern_does(
            patterns in prop::collection::vec("[abc]{1,4}[*]?|[ä\"]{1,2}[*]?", 0..40),
            topics in prop::collection::vec("[abc]{1,6}|[ä\"a]{1,3}", 1..60),
        ) {
            let escaped = |name: &str| name.replace('"', "\\\"").into_bytes();
            let plain = NameFilter::new(&patterns);
            let written = NameFilter::written(&patterns, escaped);
            for topic in topics {
                let is_wanted = patterns.is_empty()
                    || patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                        Some(prefix) => topic.starts_with(prefix),
                        None => *pattern == topic,
                    });
                prop_assert_eq!(plain.matches(topic.as_bytes()), is_wanted, "{}", topic);
                prop_assert_eq!(written.matches(&escaped(&topic)), is_wanted, "{}", topic);
            }
        }
    }
}
