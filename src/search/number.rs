//! Numbers of JSON by their exact decimal value, however long they are: compared digit by digit, without memory for
//! them and without binary floating point.

use std::cmp::Ordering;

use super::effort::Effort;
use super::text::{Decoder, Mark, Text};

/// Exponents are bounded by this. Sums with the lengths of texts stay far below an overflow, and only numbers whose
/// exponents are beyond ±999,999,999 can be compared wrongly.
const EXPONENT_MAX: i64 = 1 << 50;
/// Bytes that are read between two checks whether the step is over.
const READ_AT_ONCE: usize = 512;
/// What a byte that is read costs.
const BYTE_EFFORT: usize = 2;

/// A number of which the digits are read as they are needed.
#[derive(Clone, Debug)]
pub(super) struct Number<'a> {
    is_negative: bool,
    /// The power of ten of its first digit that is not zero; `None` if it is zero.
    magnitude: Option<i64>,
    /// Its digits, from that one on.
    digits: Digits<'a>,
}

/// The digits of a number from the first to the last that is not zero.
#[derive(Clone, Debug, Default)]
struct Digits<'a> {
    /// The first one, until it is taken.
    first: Option<u8>,
    /// What comes after it.
    rest: Option<Decoder<'a>>,
    left: i64,
}

impl Iterator for Digits<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if self.first.is_some() {
            return self.first.take();
        }
        let rest = self.rest.as_mut()?;
        match rest.next() {
            Some(b'.') => rest.next(),
            next => next,
        }
    }
}

impl<'a> Number<'a> {
    /// Reads a text that is wholly a number by the grammar of JSON; `None` for any other.
    pub(super) fn parse(text: Text<'a>) -> Option<Self> {
        let mut scan = NumberScan::default();
        let is_number = scan.read(text, &mut Effort::unbounded());
        (is_number == Some(true)).then(|| scan.number(text))
    }

    /// Whether it is less than, equal to, or greater than another one. Takes no longer than the shorter one has digits.
    pub(super) fn compare(&self, other: &Number) -> Ordering {
        let sign = |number: &Number| match (number.magnitude, number.is_negative) {
            (None, _) => 0,
            (Some(_), true) => -1,
            (Some(_), false) => 1,
        };
        let by_size = || match self.magnitude.cmp(&other.magnitude) {
            // Neither ends with zeros, so of two that begin in the same way the longer one is greater.
            Ordering::Equal => self.digits.clone().cmp(other.digits.clone()),
            different => different,
        };
        match (sign(self), sign(other)) {
            (1, 1) => by_size(),
            (-1, -1) => by_size().reverse(),
            (own, others) => own.cmp(&others),
        }
    }
}

/// What the next byte of a number may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    AfterSign,
    /// After a zero with which the number begins.
    AfterZero,
    Whole,
    AfterPoint,
    Fraction,
    AfterE,
    AfterExponentSign,
    Exponent,
}

/// How far a text has been read as a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberScan {
    mark: Mark,
    place: Place,
    is_negative: bool,
    /// Digits before the exponent, those of them before the point, and those up to the last that is not zero.
    digits: i64,
    whole: i64,
    last: i64,
    first: Option<First>,
    exponent: i64,
    is_exponent_negative: bool,
}

/// The first digit that is not zero.
#[derive(Clone, Copy, Debug)]
struct First {
    digit: u8,
    /// Digits before it.
    before: i64,
    /// What comes after it.
    after: Mark,
}

impl NumberScan {
    /// Goes on to read the text. Returns whether it is a number, or `None` where the step is over before that is known.
    pub(super) fn read(&mut self, text: Text, effort: &mut Effort) -> Option<bool> {
        let mut decoder = text.decode_from(self.mark);
        loop {
            for read in 0..READ_AT_ONCE {
                let is_over = match decoder.next() {
                    None => Some(self.may_end()),
                    Some(byte) => (!self.take(byte, &decoder, text)).then_some(false),
                };
                if is_over.is_some() {
                    effort.spend(read * BYTE_EFFORT);
                    return is_over;
                }
            }
            effort.spend(READ_AT_ONCE * BYTE_EFFORT);
            if effort.is_over() {
                self.mark = decoder.mark(text);
                return None;
            }
        }
    }

    /// Takes a byte, at whose end the decoder is. False if it is not legal there.
    fn take(&mut self, byte: u8, decoder: &Decoder, text: Text) -> bool {
        self.place = match (self.place, byte) {
            (Place::Start, b'-') => {
                self.is_negative = true;
                Place::AfterSign
            }
            (Place::Start | Place::AfterSign, b'0') => {
                self.add_digit(byte, decoder, text);
                self.whole += 1;
                Place::AfterZero
            }
            (Place::Start | Place::AfterSign | Place::Whole, b'0'..=b'9') => {
                self.add_digit(byte, decoder, text);
                self.whole += 1;
                Place::Whole
            }
            (Place::AfterZero | Place::Whole, b'.') => Place::AfterPoint,
            (Place::AfterPoint | Place::Fraction, b'0'..=b'9') => {
                self.add_digit(byte, decoder, text);
                Place::Fraction
            }
            (Place::AfterZero | Place::Whole | Place::Fraction, b'e' | b'E') => Place::AfterE,
            (Place::AfterE, b'-' | b'+') => {
                self.is_exponent_negative = byte == b'-';
                Place::AfterExponentSign
            }
            (Place::AfterE | Place::AfterExponentSign | Place::Exponent, b'0'..=b'9') => {
                let exponent = self.exponent * 10 + i64::from(byte - b'0');
                self.exponent = exponent.min(EXPONENT_MAX);
                Place::Exponent
            }
            _ => return false,
        };
        true
    }

    fn add_digit(&mut self, digit: u8, decoder: &Decoder, text: Text) {
        self.digits += 1;
        if digit == b'0' {
            return;
        }
        self.last = self.digits;
        self.first.get_or_insert_with(|| First {
            digit,
            before: self.digits - 1,
            after: decoder.mark(text),
        });
    }

    /// Whether a number may end here.
    fn may_end(&self) -> bool {
        let places = [Place::AfterZero, Place::Whole, Place::Fraction];
        places.contains(&self.place) || self.place == Place::Exponent
    }

    /// The number that has been read.
    pub(super) fn number<'a>(&self, text: Text<'a>) -> Number<'a> {
        let exponent = match self.is_exponent_negative {
            true => -self.exponent,
            false => self.exponent,
        };
        let digits = self.first.map(|first| Digits {
            first: Some(first.digit),
            rest: Some(text.decode_from(first.after)),
            left: self.last - first.before,
        });
        Number {
            is_negative: self.is_negative,
            magnitude: self
                .first
                .map(|first| self.whole - 1 - first.before + exponent),
            digits: digits.unwrap_or_default(),
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

    #[test]
    fn long_numbers_are_compared_exactly() {
        let zeros = "0".repeat(3_000);
        let one = format!("1{zeros}1");
        for (a, order, b) in [
            (one.clone(), Ordering::Greater, format!("1{zeros}0")),
            (one.clone(), Ordering::Equal, format!("0.1{zeros}1e3002")),
            (one.clone(), Ordering::Less, format!("1{zeros}1.{zeros}1")),
            (format!("1{zeros}"), Ordering::Equal, "1e3000".to_owned()),
            (format!("0.{zeros}1"), Ordering::Equal, "1e-3001".to_owned()),
        ] {
            assert_eq!(compare(&a, &b), order);
            assert_eq!(compare(&b, &a), order.reverse());
        }
    }

    proptest! {
        #[test]
        fn a_number_is_the_same_when_it_is_read_in_steps(
            text in "-?[0-9]{0,3}(0{0,1500}[1-9]?){1,2}(\\.[0-9]{1,1500})?([eE][-+]?[0-9]{1,3})?x?",
        ) {
            let text = Text::plain(text.as_bytes());
            let mut scan = NumberScan::default();
            let is_number = loop {
                if let Some(is_number) = scan.read(text, &mut Effort::of(1)) {
                    break is_number;
                }
            };
            let whole = Number::parse(text);
            prop_assert_eq!(is_number, whole.is_some());
            if let Some(whole) = whole {
                prop_assert_eq!(whole.compare(&scan.number(text)), Ordering::Equal);
            }
        }

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
