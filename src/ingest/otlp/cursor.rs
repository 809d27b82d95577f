//! A place in JSON text that moves forward token by token, so that text is read in one pass however deeply it is
//! nested. Strings are bytes: what in them is not UTF-8 is left to those who write them.
//!
//! All of it takes text that [`check`] has found to be one JSON value. Nothing here panics on other text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, Visitor};

use super::walk::Bad;
use crate::ingest::json::{end_of_string, end_of_value, skip_white};

/// Whether `text` is one JSON value, but for what its strings hold that is not UTF-8.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn check(text: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<IgnoredAny>(text).map(|_| ())
}

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// The offset of the place.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The first byte of the next token.
    fn peek(&mut self) -> u8 {
        self.at = skip_white(self.text, self.at);
        self.text.get(self.at).copied().unwrap_or_default()
    }

    /// Goes into an object or array. False, after it, where there is `null`.
    ///
    /// # Errors
    /// There is another value, which `reason` says.
    fn enter(&mut self, bracket: u8, reason: &'static str) -> Result<bool, Bad> {
        match self.peek() {
            b'n' => {
                self.skip();
                Ok(false)
            }
            byte if byte == bracket => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(Bad::Malformed(reason)),
        }
    }

    /// Goes into an object.
    ///
    /// # Errors
    /// There is another value.
    pub(super) fn enter_object(&mut self) -> Result<bool, Bad> {
        self.enter(b'{', "a value should be an object")
    }

    /// Goes into an array.
    ///
    /// # Errors
    /// There is another value.
    pub(super) fn enter_array(&mut self) -> Result<bool, Bad> {
        self.enter(b'[', "a value should be an array")
    }

    /// In an object, after a value or at the beginning: the next key; none, after the object, at its end. The
    /// value must be read or skipped before the next call.
    pub(super) fn next_key(&mut self) -> Option<Cow<'a, [u8]>> {
        if self.peek() == b',' {
            self.at += 1;
        }
        if self.peek() != b'"' {
            self.at = (self.at + 1).min(self.text.len());
            return None;
        }
        let key = self.text_here();
        // The colon.
        self.at = (skip_white(self.text, self.at) + 1).min(self.text.len());
        Some(key)
    }

    /// In an array, after an element or at the beginning: whether there is a next element; if not it goes on after
    /// the array.
    pub(super) fn next_element(&mut self) -> bool {
        if self.peek() == b',' {
            self.at += 1;
        }
        if matches!(self.peek(), b']' | 0) {
            self.at = (self.at + 1).min(self.text.len());
            return false;
        }
        true
    }

    /// Skips the value, and returns its text.
    pub(super) fn skip(&mut self) -> &'a [u8] {
        let start = skip_white(self.text, self.at);
        self.at = end_of_value(self.text, start);
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// What the string means that begins here.
    fn text_here(&mut self) -> Cow<'a, [u8]> {
        let start = self.at;
        self.at = end_of_string(self.text, start);
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        let inner = quoted
            .get(1..quoted.len().saturating_sub(1))
            .unwrap_or_default();
        if memchr::memchr(b'\\', inner).is_none() {
            return Cow::Borrowed(inner);
        }
        Cow::Owned(unescaped(quoted))
    }

    /// What a string means; none of `null`.
    ///
    /// # Errors
    /// There is another value.
    pub(super) fn string(&mut self) -> Result<Option<Cow<'a, [u8]>>, Bad> {
        match self.peek() {
            b'"' => Ok(Some(self.text_here())),
            b'n' => {
                self.skip();
                Ok(None)
            }
            _ => Err(Bad::Malformed("a value should be a string")),
        }
    }

    /// `true` or `false`; none of `null`.
    ///
    /// # Errors
    /// There is another value.
    pub(super) fn boolean(&mut self) -> Result<Option<bool>, Bad> {
        match self.skip() {
            b"true" => Ok(Some(true)),
            b"false" => Ok(Some(false)),
            b"null" => Ok(None),
            _ => Err(Bad::Malformed("a value should be true or false")),
        }
    }

    /// The text of a number, which may be in a string; none of `null`.
    fn number(&mut self) -> Result<Option<&'a str>, Bad> {
        let text = self.skip();
        let inner = text
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""));
        if text == b"null" {
            return Ok(None);
        }
        let text = std::str::from_utf8(inner.unwrap_or(text));
        text.map(Some).map_err(|_| NO_NUMBER)
    }

    /// An integer from `least` to `most`, also where it is written with a fraction of 0 or an exponent; none of
    /// `null`.
    ///
    /// # Errors
    /// There is another value.
    pub(super) fn integer(&mut self, least: i128, most: i128) -> Result<Option<i128>, Bad> {
        let Some(text) = self.number()? else {
            return Ok(None);
        };
        let whole = || {
            let number: f64 = text.parse().ok()?;
            // A double of this size is an integer that i128 can hold.
            (number.fract() == 0.0 && number.abs() < 1e19).then_some(number as i128)
        };
        let number = text.parse().ok().or_else(whole);
        number
            .filter(|number| (least..=most).contains(number))
            .map(Some)
            .ok_or(Bad::Malformed(
                "a value should be an integer, or is too large",
            ))
    }

    /// A number, or a string that is one, or `"NaN"`, `"Infinity"`, `"-Infinity"`; none of `null`.
    ///
    /// # Errors
    /// There is another value.
    pub(super) fn double(&mut self) -> Result<Option<f64>, Bad> {
        let Some(text) = self.number()? else {
            return Ok(None);
        };
        let number: f64 = text.parse().map_err(|_| NO_NUMBER)?;
        let is_special = matches!(text, "NaN" | "Infinity" | "-Infinity");
        if number.is_finite() || is_special {
            Ok(Some(number))
        } else {
            Err(NO_NUMBER)
        }
    }
}

const NO_NUMBER: Bad = Bad::Malformed("a value should be a number, or is too large");

/// The bytes that a string with escapes means. A lone surrogate becomes one U+FFFD.
fn unescaped(quoted: &[u8]) -> Vec<u8> {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_slice(quoted);
    let mut bytes = deserializer.deserialize_bytes(Bytes).unwrap_or_default();
    // As three bytes, as if it could be encoded.
    for at in 2..bytes.len() {
        if let [0xed, 0xa0..=0xbf, 0x80..=0xbf] = bytes[at - 2..=at] {
            bytes[at - 2..=at].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_walked_through_token_by_token() {
        let text =
            br#" { "a" : [ 1 , {"b":null} , "c\u00e9\ud800" ] , "d\n":{ } , "e": -1.5e3 } x"#;
        let mut cursor = Cursor::new(text, 0);
        assert_eq!(cursor.enter_object(), Ok(true));
        assert_eq!(cursor.next_key().as_deref(), Some(&b"a"[..]));
        assert_eq!(cursor.enter_array(), Ok(true));
        assert!(cursor.next_element());
        assert_eq!(cursor.integer(0, 9), Ok(Some(1)));
        assert!(cursor.next_element());
        assert_eq!(cursor.skip(), br#"{"b":null}"#);
        assert!(cursor.next_element());
        let string = cursor.string().unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&string), "cé\u{fffd}");
        assert!(!cursor.next_element());
        assert_eq!(cursor.next_key().as_deref(), Some(&b"d\n"[..]));
        assert_eq!(cursor.enter_object(), Ok(true));
        assert_eq!(cursor.next_key(), None);
        assert_eq!(cursor.next_key().as_deref(), Some(&b"e"[..]));
        assert_eq!(cursor.double(), Ok(Some(-1500.0)));
        assert_eq!(cursor.next_key(), None);
        assert_eq!(cursor.offset(), text.len() - 2);
    }

    #[test]
    fn numbers_may_be_strings() {
        let integer = |text: &str| Cursor::new(text.as_bytes(), 0).integer(0, u64::MAX.into());
        let bad = integer("-1");
        assert!(bad.is_err());
        for (text, expected) in [
            ("7", Ok(Some(7))),
            ("\"7\"", Ok(Some(7))),
            ("1e3", Ok(Some(1000))),
            ("\"18446744073709551615\"", Ok(Some(u64::MAX.into()))),
            ("null", Ok(None)),
            ("18446744073709551616", bad),
            ("1.5", bad),
            ("1e300", bad),
            ("\"\"", bad),
            ("\"x\"", bad),
            ("true", bad),
            ("[]", bad),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
        let double = |text: &str| Cursor::new(text.as_bytes(), 0).double();
        assert_eq!(double("\"-Infinity\""), Ok(Some(f64::NEG_INFINITY)));
        assert_eq!(double("\"1.5\""), Ok(Some(1.5)));
        assert!(double("\"NaN\"").unwrap().unwrap().is_nan());
        for text in ["1e400", "\"inf\"", "\"nan\"", "{}", "\"\""] {
            assert_eq!(double(text), Err(NO_NUMBER), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_at_any_depth() {
        assert!(check(&b"[".repeat(1_000_000)).is_err());
        let deep = [b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat();
        assert!(check(&deep).is_ok());
        assert!(check(b"\"\xff\"").is_ok());
        for text in [&b""[..], b"{", b"{}{}", b"\xff", b"\"\n\""] {
            assert!(check(text).is_err());
        }
    }

    #[test]
    fn nothing_panics_on_other_text() {
        for text in [
            &b""[..],
            b"{",
            b"[",
            b"\"",
            b"\"a",
            b"{\"a\"",
            b"{\"a\":",
            b"[1",
        ] {
            for start in 0..=text.len() {
                let mut cursor = Cursor::new(text, start);
                let _ = (cursor.next_key(), cursor.next_element(), cursor.string());
                let _ = (cursor.double(), cursor.boolean(), cursor.skip());
            }
        }
    }
}
