//! What is wrong with a database, one line each, bounded in number: a file that is damaged all over
//! must not fill the memory.

use std::collections::BTreeMap;

use crate::limits::CHECK_LINES_PER_PART;

/// The problems that a check has found.
#[derive(Debug, Default)]
pub(super) struct Problems {
    lines: Vec<String>,
    /// Problems by the part that they are in.
    parts: BTreeMap<&'static str, u64>,
}

impl Problems {
    /// Adds one. `part` is what is damaged, and begins the line.
    pub(super) fn add(&mut self, part: &'static str, what: impl std::fmt::Display) {
        let count = self.parts.entry(part).or_default();
        *count += 1;
        if *count <= CHECK_LINES_PER_PART {
            let what = what.to_string().trim().replace('\n', " ");
            self.lines.push(format!("{part}: {what}"));
        }
    }

    /// Whether further problems of this part would not be shown.
    pub(super) fn is_full(&self, part: &'static str) -> bool {
        self.parts
            .get(part)
            .is_some_and(|count| *count >= CHECK_LINES_PER_PART)
    }

    pub(super) fn count(&self) -> u64 {
        self.parts.values().sum()
    }

    /// The lines, and one for each part that has more problems than are shown.
    pub(super) fn into_lines(mut self) -> Vec<String> {
        for (part, count) in self.parts {
            if count > CHECK_LINES_PER_PART {
                let more = count - CHECK_LINES_PER_PART;
                self.lines.push(format!("{part}: {more} more problems"));
            }
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_counted() {
        let mut problems = Problems::default();
        for n in 0..CHECK_LINES_PER_PART + 3 {
            assert_eq!(problems.is_full("keys"), n >= CHECK_LINES_PER_PART);
            problems.add("keys", n);
        }
        problems.add("topics", "of two\nlines\n");
        assert_eq!(problems.count(), CHECK_LINES_PER_PART + 4);
        let lines = problems.into_lines();
        assert_eq!(lines.len() as u64, CHECK_LINES_PER_PART + 2);
        assert!(lines.contains(&"topics: of two lines".to_owned()));
        assert_eq!(lines.last().unwrap(), "keys: 3 more problems");
    }
}
