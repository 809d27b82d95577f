//! The subjects of a stream under which events stand.

use std::fmt::Write;

/// The part before `.>` of the first subject of that form; none if there is none without wildcards in it.
pub(super) fn prefix(subjects: &[String]) -> Option<&str> {
    let prefixes = subjects
        .iter()
        .filter_map(|subject| subject.strip_suffix(".>"));
    prefixes
        .filter(|prefix| !prefix.contains(['*', '>']))
        .find(|prefix| !prefix.is_empty())
}

/// A topic as the end of a subject. Dots divide it; what a subject cannot hold is percent-encoded, with dots that would
/// leave nothing between them. No two topics have the same.
pub(super) fn encoded(topic: &str) -> String {
    let mut out = String::with_capacity(topic.len());
    let mut is_start = true;
    let mut rest = topic.chars().peekable();
    while let Some(c) = rest.next() {
        let is_end = rest.peek().is_none();
        let is_allowed = match c {
            '.' => !is_start && !is_end,
            '*' | '>' | '%' => false,
            c => !c.is_whitespace() && !c.is_control(),
        };
        is_start = c == '.' && is_allowed;
        if is_allowed {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            write!(out, "%{byte:02X}").expect("a string takes all text");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_ends_of_subjects() {
        for (topic, subject) in [
            ("user.login", "user.login"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("*.>", "%2A.%3E"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "%2E.%2E"),
            (".a..b.", "%2Ea.%2Eb%2E"),
            ("a..", "a.%2E"),
            ("ü\u{a0}\n\u{0}", "ü%C2%A0%0A%00"),
        ] {
            assert_eq!(encoded(topic), subject, "{topic:?}");
        }
    }

    #[test]
    fn a_prefix_is_what_stands_before_the_wildcard() {
        for (subjects, found) in [
            (&["logs.>"][..], Some("logs")),
            (&["a", "a.*", "*.>", "x.y.>", "z.>"], Some("x.y")),
            (&[">"], None),
            (&[], None),
        ] {
            let subjects: Vec<String> = subjects.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(prefix(&subjects), found);
        }
    }
}
