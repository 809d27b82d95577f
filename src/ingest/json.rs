//! Looking into JSON text without building a tree: members, elements and strings as slices of the text.
//!
//! All of it takes text that [`check`] has found to be one JSON value (RFC 8259). White space between tokens is
//! skipped. Nothing here panics on other text; what it finds there means nothing.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::api::publish_body::quick::is_value;

/// Whether `text` is one JSON value, with white space around it at most.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    if is_value(text) {
        return Ok(());
    }
    serde_json::from_str::<&RawValue>(text).map(|_| ())
}

/// The offset of the first byte from `at` on that is not white space.
pub(super) fn skip_white(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The offset after the string whose opening quote is at `at`.
pub(super) fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        // The byte after a backslash is never the end of the string.
        at += 2;
    }
    bytes.len()
}

/// The offset after the value that begins at `at`.
pub(super) fn end_of_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => end_of_string(bytes, at),
        Some(b'{' | b'[') => end_of_nested(bytes, at),
        Some(_) => {
            let rest = &bytes[at..];
            let ends =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            rest.iter()
                .position(ends)
                .map_or(bytes.len(), |end| at + end)
        }
        None => bytes.len(),
    }
}

fn end_of_nested(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The members of an object, in order: the texts of their keys, with the quotes, and of their values.
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

/// The members of the object `text`; none of another value.
pub(crate) fn members(text: &str) -> Members<'_> {
    let start = skip_white(text.as_bytes(), 0);
    let is_object = text.as_bytes().get(start) == Some(&b'{');
    let at = if is_object { start + 1 } else { text.len() };
    Members { text, at }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let key = skip_white(bytes, self.at);
        if bytes.get(key) != Some(&b'"') {
            return None;
        }
        let key_end = end_of_string(bytes, key);
        let colon = skip_white(bytes, key_end);
        let value = skip_white(bytes, colon + 1);
        let value_end = end_of_value(bytes, value);
        self.at = skip_white(bytes, value_end) + 1;
        Some((
            self.text.get(key..key_end)?,
            self.text.get(value..value_end)?,
        ))
    }
}

/// The elements of an array, in order, as texts.
pub(crate) struct Elements<'a> {
    text: &'a str,
    at: usize,
}

/// The elements of the array `text`; none of another value.
pub(crate) fn elements(text: &str) -> Elements<'_> {
    let start = skip_white(text.as_bytes(), 0);
    let is_array = text.as_bytes().get(start) == Some(&b'[');
    let at = if is_array { start + 1 } else { text.len() };
    Elements { text, at }
}

impl<'a> Elements<'a> {
    /// Continues at an offset that [`offset`](Self::offset) gave of the same text.
    pub(crate) fn at(text: &'a str, offset: usize) -> Self {
        Self { text, at: offset }
    }

    /// Where the next element is looked for.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = skip_white(bytes, self.at);
        if matches!(bytes.get(start), None | Some(b']')) {
            self.at = self.text.len();
            return None;
        }
        let end = end_of_value(bytes, start);
        self.at = skip_white(bytes, end);
        // The bracket at the end stays, because the text may go on after the array.
        if bytes.get(self.at) == Some(&b',') {
            self.at += 1;
        }
        self.text.get(start..end)
    }
}

/// Whether the text of a key, with its quotes, means `name`.
pub(crate) fn is_key(key: &str, name: &str) -> bool {
    let inner = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return inner == name;
    }
    string(key).is_some_and(|key| key == name)
}

/// The texts of the first members of these names.
pub(crate) fn pick<'a, const N: usize>(object: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    for (key, value) in members(object) {
        for (slot, name) in found.iter_mut().zip(names) {
            if slot.is_none() && is_key(key, name) {
                *slot = Some(value);
            }
        }
    }
    found
}

/// The text of the first member of this name.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    members(object)
        .find(|(key, _)| is_key(key, name))
        .map(|(_, value)| value)
}

/// What a string means; none of another value, and of one with an escape that leaves a lone surrogate.
pub(crate) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

/// What a string means that is not empty, or a number as it is written; none of any other value.
pub(crate) fn scalar(text: &str) -> Option<Cow<'_, str>> {
    let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if is_number {
        return Some(Cow::Borrowed(text));
    }
    string(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_and_elements_are_slices() {
        let text =
            " { \"a\" : [1, {\"b\":\"]}\"} ] ,\"\\u0063\":\"x\\\"y\", \"d\":-1.5e3,\"e\":{} } ";
        check(text).unwrap();
        let found: Vec<_> = members(text).collect();
        assert_eq!(
            found,
            [
                ("\"a\"", "[1, {\"b\":\"]}\"} ]"),
                ("\"\\u0063\"", "\"x\\\"y\""),
                ("\"d\"", "-1.5e3"),
                ("\"e\"", "{}"),
            ]
        );
        let inner: Vec<_> = elements(found[0].1).collect();
        assert_eq!(inner, ["1", "{\"b\":\"]}\"}"]);
        assert_eq!(member(text, "c").and_then(string).unwrap(), "x\"y");
        assert_eq!(
            pick(text, ["d", "x", "e"]),
            [Some("-1.5e3"), None, Some("{}")]
        );
        let mut within = Elements::at("[[1,2],3]", 2);
        assert_eq!(
            (within.next(), within.next(), within.next()),
            (Some("1"), Some("2"), None)
        );
        assert_eq!(elements("[ ]").count() + members("{ }").count(), 0);
        assert_eq!(elements("{}").count() + members("[]").count(), 0);
    }

    #[test]
    fn scalars_are_strings_and_numbers() {
        for (text, expected) in [
            ("\"a\"", Some("a")),
            ("\"\"", None),
            ("0", Some("0")),
            ("-1e5", Some("-1e5")),
            ("true", None),
            ("null", None),
            ("{}", None),
            ("\"\\ud800\"", None),
        ] {
            assert_eq!(scalar(text).as_deref(), expected, "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}|[\"\\\\{}\\[\\],: ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}|[\"\\\\]{0,3}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The tree that the slices make, put together again.
    fn rebuilt(text: &str) -> Value {
        if text.starts_with('{') {
            let pairs = members(text).map(|(key, value)| {
                let key = string(key).expect("no surrogates").into_owned();
                (key, rebuilt(value))
            });
            return Value::Object(pairs.collect());
        }
        if text.starts_with('[') {
            return elements(text).map(rebuilt).collect();
        }
        serde_json::from_str(text).expect("a leaf is JSON")
    }

    proptest! {
        #[test]
        fn slices_make_the_same_tree(value in json(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            prop_assert_eq!(rebuilt(&text), value);
        }

        #[test]
        fn the_short_way_takes_what_is_json_and_nothing_else(
            value in json(),
            at: prop::sample::Index,
            byte in "[\"\\\\{}\\[\\],: \t\na1\\-+.eEtfn\u{0}]",
        ) {
            let text = value.to_string();
            let spaced = format!(" {text}\r\n\t");
            prop_assert!(is_value(&text) && is_value(&spaced));
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[at.index(places.len())];
            let damaged = format!("{}{byte}{}", &text[..at], &text[at..]);
            let is_json = serde_json::from_str::<&RawValue>(&damaged).is_ok();
            prop_assert_eq!(is_value(&damaged), is_json, "{}", damaged);
        }

        #[test]
        fn nothing_panics(text in "[\"\\\\{}\\[\\],: a1é]{0,20}") {
            members(&text).take(100).for_each(drop);
            elements(&text).take(100).for_each(drop);
            let _ = (scalar(&text), member(&text, "a"));
        }
    }
}
