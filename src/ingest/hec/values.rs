//! The values of a body: JSON values one after another, where an array counts as its elements.
//!
//! Pure, and without memory of its own: a body may hold millions of values.

use crate::ingest::json;

/// The values of a body, in order.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    body: &'a [u8],
    position: Position,
}

/// Where the next value is looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    at: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In no array.
    #[default]
    Outside,
    /// After the bracket that opens an array.
    Opened,
    /// After an element.
    Element,
    /// After a comma.
    Comma,
}

/// A body whose values cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// How many values are before the place that cannot be read.
    pub number: usize,
    pub reason: String,
}

impl<'a> Values<'a> {
    /// From the start of a body that [`check`](Self::check) has passed.
    pub fn of(body: &'a [u8]) -> Self {
        Self::at(body, Position::default())
    }

    /// Continues where [`position`](Self::position) was in the same body.
    pub(super) fn at(body: &'a [u8], position: Position) -> Self {
        Self { body, position }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Looks at all of a body, and counts its values. A value whose strings are not UTF-8 passes, because it does not
    /// hide where the next one begins.
    ///
    /// # Errors
    /// Where it is not a sequence of JSON values.
    pub fn check(body: &[u8]) -> Result<usize, Malformed> {
        let mut values = Values::of(body);
        let mut number = 0;
        loop {
            let bad = |reason| Malformed { number, reason };
            let Some(value) = values.read().map_err(|why| bad(why.to_owned()))? else {
                return Ok(number);
            };
            json::check(&String::from_utf8_lossy(value)).map_err(|why| bad(why.to_string()))?;
            number += 1;
        }
    }

    /// The next value as it was sent; none at the end.
    ///
    /// # Errors
    /// There is none if one must be. The value itself is only scanned for its end.
    fn read(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        let Position { at, place } = &mut self.position;
        loop {
            *at = json::skip_white(self.body, *at);
            let Some(&byte) = self.body.get(*at) else {
                return match place {
                    Place::Outside => Ok(None),
                    _ => Err("the body ends within an array"),
                };
            };
            *place = match (byte, *place) {
                (b'[', Place::Outside) => Place::Opened,
                (b']', Place::Opened | Place::Element) => Place::Outside,
                (b',', Place::Element) => Place::Comma,
                (_, Place::Element) => return Err("a comma or a bracket is missing in an array"),
                (_, before) => {
                    let start = *at;
                    *at = json::end_of_value(self.body, start);
                    let is_outside = before == Place::Outside;
                    *place = if is_outside { before } else { Place::Element };
                    return Ok(Some(&self.body[start..*at]));
                }
            };
            *at += 1;
        }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Of a body that has passed the check there is no error.
        self.read().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(body: &str) -> Vec<&str> {
        let found: Vec<_> = Values::of(body.as_bytes())
            .map(|value| std::str::from_utf8(value).unwrap())
            .collect();
        assert_eq!(Values::check(body.as_bytes()), Ok(found.len()));
        found
    }

    #[test]
    fn values_stand_one_after_another_or_in_arrays() {
        for (body, expected) in [
            ("", vec![]),
            (" \r\n\t", vec![]),
            ("[] [ ]", vec![]),
            ("{}", vec!["{}"]),
            (
                "{\"a\":\"}{\"}{ } \n{\"b\":[1]}",
                vec!["{\"a\":\"}{\"}", "{ }", "{\"b\":[1]}"],
            ),
            ("[{},{}]", vec!["{}", "{}"]),
            (
                " {} [ {\"a\":1} , [2] ] {}",
                vec!["{}", "{\"a\":1}", "[2]", "{}"],
            ),
            ("1 \"a\"\"b\" null", vec!["1", "\"a\"", "\"b\"", "null"]),
        ] {
            assert_eq!(values(body), expected, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_its_number() {
        for (body, number, part) in [
            ("x", 0, "expected value"),
            ("{}{\"a\":}{}", 1, "expected value"),
            ("{},{}", 1, "EOF"),
            ("{}]", 1, "EOF"),
            ("[{}", 1, "ends within an array"),
            ("[", 0, "ends within an array"),
            ("[{},", 1, "ends within an array"),
            ("[{},]", 1, "EOF"),
            ("[,{}]", 0, "EOF"),
            ("[{}{}]", 1, "comma"),
            ("{}{}{\"a\":\"", 2, "EOF"),
            ("{}\u{feff}{}", 1, "expected value"),
            ("{} {\"a\":1]", 1, ""),
        ] {
            let error = Values::check(body.as_bytes()).unwrap_err();
            assert_eq!(error.number, number, "{body}");
            assert!(error.reason.contains(part), "{body}: {error:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_let_pass_within_strings_only() {
        let body = b"{\"a\":\"\xff\"}{}";
        assert_eq!(Values::check(body), Ok(2));
        assert_eq!(Values::of(body).next(), Some(&body[..9]));
        for body in [&b"{}\xff{}"[..], b"{}{\xff:1}"] {
            assert_eq!(Values::check(body).unwrap_err().number, 1);
        }
    }

    proptest! {
        #[test]
        fn a_body_may_be_left_and_continued(parts in prop::collection::vec(
            "\\{\"a\":\"[a-z\\]\\[{},]{0,5}\"\\}|\\[(\\{\\},)?\\{\\}\\]| |\\[\\]|1 ", 0..8)
        ) {
            let body = parts.concat().into_bytes();
            let all: Vec<_> = Values::of(&body).collect();
            prop_assert_eq!(Values::check(&body), Ok(all.len()));
            let mut position = Position::default();
            let mut found = Vec::new();
            loop {
                let mut values = Values::at(&body, position);
                let Some(value) = values.next() else { break };
                found.push(value);
                position = values.position();
            }
            prop_assert_eq!(found, all);
        }
    }
}
