//! Moments: an event's timestamp as an instant, the times and ages that a query names, and an instant as text.

use crate::clock::Civil;
use crate::event::timestamp_is_valid;
use crate::limits::AGE_MAX_DIGITS;

const SECONDS_PER_DAY: i64 = 86_400;

/// A moment, to the nanosecond. An offset can lead before the year 0000 or after 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
    pub seconds: i64,
    /// 0 to 999,999,999, after that second.
    pub nanos: u32,
}

impl Instant {
    /// 0000-01-01T00:00:00Z.
    pub(crate) const YEAR_0: Instant = Instant {
        seconds: days_before(0, 1, 1) * SECONDS_PER_DAY,
        nanos: 0,
    };
    pub fn from_unix_us(unix_us: i64) -> Self {
        Self {
            seconds: unix_us.div_euclid(1_000_000),
            nanos: unix_us.rem_euclid(1_000_000) as u32 * 1_000,
        }
    }

    /// The moment that a legal timestamp names; `None` if it is not legal. Without an offset it is UTC, a date alone is
    /// its first moment, and a second 60 is the first of the following minute.
    pub fn of_timestamp(text: &[u8]) -> Option<Self> {
        timestamp_is_valid(text).then(|| Self::of_valid(text))
    }

    /// The same for a timestamp that is known to be legal; an arbitrary one for others.
    pub(crate) fn of_stored(text: &[u8]) -> Self {
        Self::of_valid(text)
    }

    fn of_valid(text: &[u8]) -> Self {
        let date = text.get(..10).unwrap_or_default();
        let days = days_before(
            number(date.get(..4)),
            number(date.get(5..7)),
            number(date.get(8..10)),
        );
        let mut seconds = days * SECONDS_PER_DAY;
        let time = text.get(11..).unwrap_or_default();
        seconds += number(time.get(..2)) * 3_600 + number(time.get(3..5)) * 60;
        let mut rest = time.get(5..).unwrap_or_default();
        if let [b':', digits @ ..] = rest {
            seconds += number(digits.get(..2));
            rest = digits.get(2..).unwrap_or_default();
        }
        let mut nanos = 0;
        if let [b'.', digits @ ..] = rest {
            let count = digits.iter().take_while(|byte| byte.is_ascii_digit());
            let (fraction, after) = digits.split_at(count.count());
            nanos = nanos_of(fraction);
            rest = after;
        }
        if let [sign @ (b'+' | b'-'), offset @ ..] = rest {
            let minutes = match offset {
                [_, _, b':', minutes @ ..] => minutes,
                _ => offset.get(2..).unwrap_or_default(),
            };
            let ahead = number(offset.get(..2)) * 3_600 + number(Some(minutes)) * 60;
            seconds += if *sign == b'+' { -ahead } else { ahead };
        }
        Self { seconds, nanos }
    }

    /// The moment as RFC 3339 in UTC, with as many digits of fraction as it needs; `None` where its year has not four
    /// digits.
    pub(crate) fn to_rfc3339(self) -> Option<String> {
        let civil = Civil::from_unix_us(self.seconds.checked_mul(1_000_000)?);
        if !(0..=9_999).contains(&civil.year) {
            return None;
        }
        let mut text = Vec::with_capacity(30);
        civil.write_rfc3339(&mut text);
        let mut text = String::from_utf8(text).ok()?;
        text.truncate("2026-01-02T03:04:05".len());
        if self.nanos > 0 {
            text.push_str(format!(".{:09}", self.nanos).trim_end_matches('0'));
        }
        text.push('Z');
        Some(text)
    }

    /// That many seconds earlier.
    fn earlier(self, seconds: u64) -> Self {
        Self {
            seconds: self.seconds.saturating_sub_unsigned(seconds),
            ..self
        }
    }
}

/// The value of two to four decimal digits; arbitrary for anything else.
fn number(digits: Option<&[u8]>) -> i64 {
    let digits = digits.unwrap_or_default().iter().take(4);
    digits.fold(0, |number, digit| {
        number * 10 + i64::from(digit.wrapping_sub(b'0') % 10)
    })
}

/// A fraction of one to nine digits.
fn nanos_of(fraction: &[u8]) -> u32 {
    let zeros = std::iter::repeat(&b'0');
    let digits = fraction.iter().chain(zeros).take(9);
    digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, by the algorithm of Howard Hinnant's
/// "chrono-compatible low-level date algorithms" (`days_from_civil`).
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Seconds that an age, or the length of an interval, names: 1 to 9 digits and `s`, `m`, `h`, `d` or `w`.
pub(crate) fn seconds_of_age(text: &str) -> Option<u64> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        b'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_legal = is_number && (1..=AGE_MAX_DIGITS).contains(&digits.len());
    let count: u64 = is_legal.then(|| digits.parse().ok())??;
    Some(count * unit)
}

/// Whether a value of `since` or `until` is relative to the time of the request.
pub(crate) fn moment_is_relative(text: &str) -> bool {
    text == "now" || seconds_of_age(text).is_some()
}

/// The moment that a value of `since` or `until` names: a time, an age, or `now`. `Some(None)` is an age that reaches
/// beyond the year 0000, which bounds nothing. `now` is the server's clock at the arrival of the request.
pub(crate) fn parse_moment(text: &str, now: Instant) -> Option<Option<Instant>> {
    if text == "now" {
        return Some(Some(now));
    }
    match seconds_of_age(text) {
        Some(seconds) => {
            let then = now.earlier(seconds);
            Some((then >= Instant::YEAR_0).then_some(then))
        }
        None => Instant::of_timestamp(text.as_bytes()).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

    fn instant(text: &str) -> Instant {
        Instant::of_timestamp(text.as_bytes()).unwrap()
    }

    #[test]
    fn times_are_instants() {
        for (text, same) in [
            ("2026-01-02T04:00:00+01:00", "2026-01-02T03:00:00Z"),
            ("2026-01-02", "2026-01-02T00:00:00.000000000Z"),
            ("2026-01-02 03:04", "2026-01-02t03:04:00z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2026-01-02T03:04:60.5", "2026-01-02T03:05:00.500"),
            ("2026-01-02T00:00-0530", "2026-01-02T05:30"),
            ("2026-01-02T00:00-05", "2026-01-02T05:00"),
        ] {
            assert_eq!(instant(text), instant(same), "{text}");
        }
        assert_eq!(
            instant("1970-01-01T00:00:00.000000001Z"),
            Instant {
                seconds: 0,
                nanos: 1
            }
        );
        assert!(instant("0000-01-01T00:00+00:01") < Instant::YEAR_0);
        assert!(instant("9999-12-31T23:59:60Z").to_rfc3339().is_none());
        assert_eq!(
            instant("1969-12-31T23:59:59.5"),
            Instant {
                seconds: -1,
                nanos: 500_000_000
            }
        );
        assert_eq!(
            Instant::from_unix_us(-500_000),
            instant("1969-12-31T23:59:59.5")
        );
    }

    #[test]
    fn ages_and_now_are_counted_from_the_request() {
        let now = instant("2026-01-02T03:04:05.678901Z");
        for (text, then) in [
            ("now", Some("2026-01-02T03:04:05.678901Z")),
            ("0s", Some("2026-01-02T03:04:05.678901Z")),
            ("90s", Some("2026-01-02T03:02:35.678901Z")),
            ("15m", Some("2026-01-02T02:49:05.678901Z")),
            ("1h", Some("2026-01-02T02:04:05.678901Z")),
            ("7d", Some("2025-12-26T03:04:05.678901Z")),
            ("1w", Some("2025-12-26T03:04:05.678901Z")),
            ("000000001h", Some("2026-01-02T02:04:05.678901Z")),
            ("999999999w", None),
            ("739983d", Some("0000-01-01T03:04:05.678901Z")),
            ("739984d", None),
        ] {
            let moment = parse_moment(text, now);
            assert_eq!(moment, Some(then.map(instant)), "{text}");
            assert!(moment_is_relative(text));
        }
        for text in [
            "",
            "1",
            "h",
            "1y",
            "1H",
            "-1h",
            "+1h",
            "1 h",
            "1.5h",
            "1000000000s",
            "Now",
            "yesterday",
            "2026-02-30",
        ] {
            assert_eq!(parse_moment(text, now), None, "{text}");
        }
        assert!(!moment_is_relative("2026-01-02"));
    }

    #[test]
    fn instants_are_written_with_the_digits_that_they_need() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.5Z",
            "0000-01-01T00:00:00.000000001Z",
            "9999-12-31T23:59:59.999999999Z",
        ] {
            assert_eq!(instant(text).to_rfc3339().as_deref(), Some(text));
        }
    }

    proptest! {
        #[test]
        fn instants_agree_with_the_time_crate(
            (year, day) in (0..=9_999, 1..=365_u16),
            (hour, minute, second, nanos) in (0..24_u8, 0..60_u8, 0..60_u8, 0..1_000_000_000_u32),
            (offset_hour, offset_minute) in (0..=23_i8, 0..60_i8),
            (is_negative, digits, form) in (any::<bool>(), 1..=9_usize, 0..3),
        ) {
            let date = Date::from_ordinal_date(year, day).unwrap();
            let nanos = nanos / 10_u32.pow(9 - digits as u32) * 10_u32.pow(9 - digits as u32);
            let time = Time::from_hms_nano(hour, minute, second, nanos).unwrap();
            let sign = if is_negative { -1 } else { 1 };
            let offset = UtcOffset::from_hms(sign * offset_hour, sign * offset_minute, 0).unwrap();
            let expected: OffsetDateTime = PrimitiveDateTime::new(date, time).assume_offset(offset);
            let fraction = &format!("{nanos:09}")[..digits];
            let colon = if form == 0 { ":" } else { "" };
            let sign = if is_negative { '-' } else { '+' };
            let date = format!("{year:04}-{:02}-{:02}", u8::from(date.month()), date.day());
            let offset = format!("{sign}{offset_hour:02}{colon}{offset_minute:02}");
            let text = format!("{date}T{hour:02}:{minute:02}:{second:02}.{fraction}{offset}");
            let own = instant(&text);
            let own_nanos = i128::from(own.seconds) * 1_000_000_000 + i128::from(own.nanos);
            prop_assert_eq!(own_nanos, expected.unix_timestamp_nanos(), "{}", text);
            if let Some(written) = own.to_rfc3339() {
                prop_assert_eq!(instant(&written), own);
            }
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (Instant::of_stored(&text), Instant::of_timestamp(&text));
        }
    }
}
