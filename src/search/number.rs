//! Numbers of JSON by their exact decimal value, however long they are: compared digit by digit, without memory for
//! them and without binary floating point.

use std::cmp::Ordering;

use super::text::{Decoder, Text};

/// Exponents are bounded by this. Sums with the lengths of texts stay far below an overflow, and only numbers whose
/// exponents are beyond ±999,999,999 can be compared wrongly.
const EXPONENT_MAX: i64 = 1 << 50;

/// A number of which the digits are read as they are needed.
#[derive(Clone, Debug)]
pub(super) struct Number<'a> {
    is_negative: bool,
    /// The power of ten of its first digit that is not zero; `None` if it is zero.
    magnitude: Option<i64>,
    /// Its digits, from that one on.
    digits: Digits<'a>,
}

/// The digits of a number up to its exponent.
#[derive(Clone, Debug, Default)]
struct Digits<'a> {
    first: Option<u8>,
    /// What comes after it; `None` at the end.
    rest: Option<Decoder<'a>>,
}

impl Iterator for Digits<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.first.is_some() {
            return self.first.take();
        }
        let rest = self.rest.as_mut()?;
        let next = match rest.next() {
            Some(b'.') => rest.next(),
            next => next,
        };
        let digit = next.filter(u8::is_ascii_digit);
        if digit.is_none() {
            self.rest = None;
        }
        digit
    }
}

impl<'a> Number<'a> {
    /// Reads a text that is wholly a number by the grammar of JSON; `None` for any other.
    pub(super) fn parse(text: Text<'a>) -> Option<Self> {
        let mut parser = Parser::new(text);
        let is_negative = parser.next == Some(b'-');
        if is_negative {
            parser.advance();
        }
        let starts_with_zero = parser.next == Some(b'0');
        let whole = parser.digits();
        if whole == 0 || starts_with_zero && whole > 1 {
            return None;
        }
        if parser.next == Some(b'.') {
            parser.advance();
            if parser.digits() == 0 {
                return None;
            }
        }
        let exponent = match parser.next {
            None => 0,
            Some(b'e' | b'E') => parser.exponent()?,
            Some(_) => return None,
        };
        let first = parser.first;
        Some(Self {
            is_negative,
            magnitude: first
                .as_ref()
                .map(|(_, before)| whole - 1 - before + exponent),
            digits: first.map_or_else(Digits::default, |(digits, _)| digits),
        })
    }

    /// Whether it is less than, equal to, or greater than another one.
    pub(super) fn compare(&self, other: &Number) -> Ordering {
        let sign = |number: &Number| match (number.magnitude, number.is_negative) {
            (None, _) => 0,
            (Some(_), true) => -1,
            (Some(_), false) => 1,
        };
        let by_size = || match self.magnitude.cmp(&other.magnitude) {
            Ordering::Equal => compare_digits(self.digits.clone(), other.digits.clone()),
            different => different,
        };
        match (sign(self), sign(other)) {
            (1, 1) => by_size(),
            (-1, -1) => by_size().reverse(),
            (own, others) => own.cmp(&others),
        }
    }
}

/// Reads a number from its first byte to its last.
struct Parser<'a> {
    /// Stands after `next`.
    rest: Decoder<'a>,
    next: Option<u8>,
    /// Digits that have been taken.
    count: i64,
    /// The first digit that is not zero, and how many are before it.
    first: Option<(Digits<'a>, i64)>,
}

impl<'a> Parser<'a> {
    fn new(text: Text<'a>) -> Self {
        let mut rest = text.decode();
        Self {
            next: rest.next(),
            rest,
            count: 0,
            first: None,
        }
    }

    fn advance(&mut self) {
        self.next = self.rest.next();
    }

    /// Takes digits; returns how many there were.
    fn digits(&mut self) -> i64 {
        let before = self.count;
        while let Some(digit @ b'0'..=b'9') = self.next {
            if digit != b'0' && self.first.is_none() {
                let digits = Digits {
                    first: Some(digit),
                    rest: Some(self.rest.clone()),
                };
                self.first = Some((digits, self.count));
            }
            self.count += 1;
            self.advance();
        }
        self.count - before
    }

    /// Takes an exponent from its `e` to the end of the text.
    fn exponent(&mut self) -> Option<i64> {
        self.advance();
        let is_negative = self.next == Some(b'-');
        if matches!(self.next, Some(b'-' | b'+')) {
            self.advance();
        }
        let mut exponent = 0_i64;
        let mut has_digits = false;
        while let Some(digit @ b'0'..=b'9') = self.next {
            exponent = (exponent * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX);
            has_digits = true;
            self.advance();
        }
        let is_whole = has_digits && self.next.is_none();
        is_whole.then_some(if is_negative { -exponent } else { exponent })
    }
}

/// Compares digits of the same power of ten; those that are missing are zeros.
fn compare_digits(mut own: Digits, mut others: Digits) -> Ordering {
    loop {
        match (own.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                Ordering::Equal => {}
                different => return different,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<Number<'_>> {
        Number::parse(Text::plain(text.as_bytes()))
    }

    fn compare(a: &str, b: &str) -> Ordering {
        number(a).unwrap().compare(&number(b).unwrap())
    }

    #[test]
    fn values_are_exact() {
        for (a, order, b) in [
            (
                "12345678901234567890",
                Ordering::Less,
                "12345678901234567891",
            ),
            ("0.10", Ordering::Equal, "0.1"),
            ("0.1", Ordering::Equal, "1e-1"),
            ("-0", Ordering::Equal, "0"),
            ("-0.0e5", Ordering::Equal, "0"),
            ("1e400", Ordering::Greater, "1e399"),
            ("-1e400", Ordering::Less, "-1e399"),
            ("404", Ordering::Equal, "4.04e2"),
            ("404", Ordering::Equal, "40400E-2"),
            ("0.004", Ordering::Less, "0.04"),
            ("-3", Ordering::Less, "2"),
            ("0", Ordering::Greater, "-1e-400"),
            ("0", Ordering::Less, "1e-400"),
            ("10", Ordering::Greater, "9.999"),
            ("1e999999999", Ordering::Greater, "9e999999998"),
            ("1e-999999999", Ordering::Less, "1.0000001e-999999999"),
            ("100", Ordering::Equal, "1e+2"),
            ("1e00000000000000000000000001", Ordering::Equal, "10"),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn only_numbers_of_json_are_numbers() {
        for text in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1 ", " 1", "1e5x", "0x1",
            "1.5.5", "--1", "NaN",
        ] {
            assert!(number(text).is_none(), "{text}");
        }
        for text in ["0", "-0", "0.0", "1e5", "1E-5", "0e0", "10.50"] {
            assert!(number(text).is_some(), "{text}");
        }
    }

    #[test]
    fn exponents_without_end_are_answered_at_once() {
        let digits = "9".repeat(5_000);
        for text in [
            format!("1e{digits}"),
            format!("-0.001e-{digits}"),
            format!("{digits}e{digits}"),
        ] {
            let huge = number(&text).unwrap();
            huge.compare(&number("1e400").unwrap());
            huge.compare(&huge);
        }
    }

    proptest! {
        #[test]
        fn comparison_agrees_with_scaled_integers(
            (a, a_exponent) in (-1_000_000_i64..1_000_000, -8..8_i32),
            (b, b_exponent) in (-1_000_000_i64..1_000_000, -8..8_i32),
            digits in 0..4_usize,
        ) {
            let scaled = |number: i64, exponent: i32| i128::from(number) * 10_i128.pow((exponent + 8) as u32);
            let text = |number: i64, exponent: i32| format!("{number}.{}e{exponent}", "0".repeat(digits + 1));
            let expected = scaled(a, a_exponent).cmp(&scaled(b, b_exponent));
            prop_assert_eq!(compare(&text(a, a_exponent), &format!("{b}e{b_exponent}")), expected);
        }

        #[test]
        fn the_grammar_is_that_of_serde_json(text in "[-+0-9.eE]{0,9}") {
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(number(&text).is_some(), is_json);
        }
    }
}
