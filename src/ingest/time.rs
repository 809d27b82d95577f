//! The time of a record: text that is kept as it was sent, or Unix time in some unit that becomes text.

use std::borrow::Cow;

use super::json;
use crate::clock::Stamp;
use crate::event::timestamp_is_valid;

/// 9999-12-31T23:59:59Z, the last second that four digits of a year can name.
const LAST_SECOND: u64 = 253_402_300_799;

/// What a number counts, since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
    /// Whatever its size suggests.
    BySize,
}

impl Unit {
    /// Decimal digits of a second.
    fn digits(self) -> usize {
        match self {
            Unit::Seconds | Unit::BySize => 0,
            Unit::Millis => 3,
            Unit::Micros => 6,
            Unit::Nanos => 9,
        }
    }

    /// What a number of this size counts where its protocol has no unit.
    fn or_by_size(self, number: u128) -> Unit {
        if self != Unit::BySize {
            return self;
        }
        match number {
            ..100_000_000_000 => Unit::Seconds,
            100_000_000_000..100_000_000_000_000 => Unit::Millis,
            100_000_000_000_000..100_000_000_000_000_000 => Unit::Micros,
            _ => Unit::Nanos,
        }
    }
}

/// A record's time as its protocol has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time<'a> {
    /// Text: a timestamp, or a number in this unit as it is written.
    Text(&'a str, Unit),
    /// A number.
    Number(u64, Unit),
}

impl Time<'_> {
    /// Appends the timestamp. False, with nothing appended, where it is no time: 0, a negative number, a year
    /// after 9999, or text that cannot be read.
    pub(crate) fn write(self, stamp: &mut Stamp, out: &mut Vec<u8>) -> bool {
        match self {
            Time::Text(text, _) if timestamp_is_valid(text.as_bytes()) => {
                out.extend_from_slice(text.as_bytes());
                true
            }
            Time::Text(text, unit) => write_decimal(text, unit, stamp, out),
            Time::Number(number, unit) => {
                let unit = unit.or_by_size(number.into());
                let scale = 10_u64.pow(unit.digits() as u32);
                write(number / scale, number % scale, unit.digits(), stamp, out)
            }
        }
    }

    /// Whether it is a time.
    fn can_be_written(self) -> bool {
        match self {
            Time::Text(text, _) if timestamp_is_valid(text.as_bytes()) => true,
            time => time.write(&mut Stamp::default(), &mut Vec::new()),
        }
    }
}

/// The time of a JSON document: the first of these members that is one.
pub(crate) fn document_time(object: &str) -> Option<Time<'_>> {
    const NAMES: [&str; 5] = ["@timestamp", "timestamp", "time", "ts", "date"];
    first_time(json::pick(object, NAMES).into_iter().flatten())
}

/// The first of these JSON values that is a time.
pub(crate) fn first_time<'a>(values: impl Iterator<Item = &'a str>) -> Option<Time<'a>> {
    values
        .filter_map(plain_scalar)
        .map(|text| Time::Text(text, Unit::BySize))
        .find(|time| time.can_be_written())
}

/// Whether text is a time: a timestamp, or a number that is one.
pub(crate) fn is_time(text: &str) -> bool {
    Time::Text(text, Unit::BySize).can_be_written()
}

/// A number, or a string without escapes: no time has one.
pub(super) fn plain_scalar(value: &str) -> Option<&str> {
    match json::scalar(value)? {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}

/// Appends `seconds` with a fraction of `digits` digits.
fn write(seconds: u64, fraction: u64, digits: usize, stamp: &mut Stamp, out: &mut Vec<u8>) -> bool {
    if seconds > LAST_SECOND || (seconds == 0 && fraction == 0) {
        return false;
    }
    let text = stamp.at(seconds as i64 * 1_000_000);
    out.extend_from_slice(&text[..b"YYYY-MM-DDThh:mm:ss".len()]);
    if digits > 0 {
        out.push(b'.');
        let start = out.len();
        out.resize(start + digits, b'0');
        let mut rest = fraction;
        for digit in out[start..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    out.push(b'Z');
    true
}

/// Most digits of a number that is a time: those of the last second, in nanoseconds.
const DIGITS_MAX: usize = 21;

/// Appends the time that a decimal number means, which may have a fraction and an exponent as in JSON.
fn write_decimal(text: &str, unit: Unit, stamp: &mut Stamp, out: &mut Vec<u8>) -> bool {
    let Some((whole, fraction)) = decimal(text) else {
        return false;
    };
    let unit = unit.or_by_size(whole);
    let scale = 10_u128.pow(unit.digits() as u32);
    let Ok(seconds) = u64::try_from(whole / scale) else {
        return false;
    };
    if unit != Unit::Seconds {
        // Below its unit a number is cut.
        let part = (whole % scale) as u64;
        return write(seconds, part, unit.digits(), stamp, out);
    }
    let digits = &fraction[..fraction.len().min(9)];
    let part = digits
        .bytes()
        .fold(0, |sum, b| sum * 10 + u64::from(b - b'0'));
    write(seconds, part, digits.len(), stamp, out)
}

/// The whole part of a decimal number that is not negative, and the digits of its fraction; none if it is
/// no number or too large for a time.
fn decimal(text: &str) -> Option<(u128, String)> {
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    // Most have neither a fraction nor an exponent.
    if !text.is_empty() && text.len() <= DIGITS_MAX && is_digits(text) {
        return Some((text.parse().ok()?, String::new()));
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_point = mantissa.len() > whole.len();
    let is_number = is_digits(whole) && is_digits(fraction);
    if !is_number || whole.is_empty() || (has_point && fraction.is_empty()) {
        return None;
    }
    let bounded = whole.len() <= 40 && fraction.len() <= 40 && exponent.abs() <= 30;
    if !bounded {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let point = match usize::try_from(point) {
        Ok(point) => point,
        Err(_) => {
            digits.insert_str(0, &"0".repeat(point.unsigned_abs() as usize));
            0
        }
    };
    if digits.len() < point {
        digits.push_str(&"0".repeat(point - digits.len()));
    }
    let (whole, fraction) = digits.split_at(point);
    let whole = whole.trim_start_matches('0');
    if whole.len() > DIGITS_MAX {
        return None;
    }
    let number = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    Some((number, fraction.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(time: Time) -> Option<String> {
        let mut out = Vec::new();
        let is_time = time.write(&mut Stamp::default(), &mut out);
        assert_eq!(is_time, !out.is_empty());
        is_time.then(|| String::from_utf8(out).expect("it is ASCII"))
    }

    #[test]
    fn text_is_kept_and_numbers_are_written_in_their_unit() {
        for (text, unit, expected) in [
            (
                "2026-01-02T03:04:05+02:00",
                Unit::BySize,
                "2026-01-02T03:04:05+02:00",
            ),
            ("2026-01-02", Unit::Nanos, "2026-01-02"),
            ("1767323045", Unit::BySize, "2026-01-02T03:04:05Z"),
            ("1767323045678", Unit::BySize, "2026-01-02T03:04:05.678Z"),
            (
                "1767323045678901",
                Unit::BySize,
                "2026-01-02T03:04:05.678901Z",
            ),
            (
                "1767323045678901234",
                Unit::BySize,
                "2026-01-02T03:04:05.678901234Z",
            ),
            ("1767323045.5", Unit::BySize, "2026-01-02T03:04:05.5Z"),
            (
                "1767323045.1234567891",
                Unit::Seconds,
                "2026-01-02T03:04:05.123456789Z",
            ),
            ("1.767323045e9", Unit::Seconds, "2026-01-02T03:04:05Z"),
            ("17673230450e-1", Unit::Seconds, "2026-01-02T03:04:05.0Z"),
            ("1767323045678.9", Unit::Millis, "2026-01-02T03:04:05.678Z"),
            ("1", Unit::Nanos, "1970-01-01T00:00:00.000000001Z"),
            ("1", Unit::Seconds, "1970-01-01T00:00:01Z"),
            ("99999999999", Unit::BySize, "5138-11-16T09:46:39Z"),
            ("100000000000", Unit::BySize, "1973-03-03T09:46:40.000Z"),
            ("253402300799", Unit::Seconds, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(
                written(Time::Text(text, unit)).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        let number = Time::Number(1_767_323_045_000_000_001, Unit::Nanos);
        assert_eq!(
            written(number).as_deref(),
            Some("2026-01-02T03:04:05.000000001Z")
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "0",
            "0.0",
            "-1",
            "+1",
            "x",
            "1.",
            ".5",
            "1e",
            "1e99",
            "0e0",
            "253402300800",
            "１",
            "99999999999999999999999999",
            "2026-13-01",
            "1 ",
            " 1",
            "0x10",
            "1e-30",
            "NaN",
        ] {
            assert_eq!(written(Time::Text(text, Unit::Seconds)), None, "{text}");
        }
        assert_eq!(written(Time::Number(0, Unit::Nanos)), None);
        assert_eq!(written(Time::Number(u64::MAX, Unit::Seconds)), None);
    }
}
