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

    /// The same for a timestamp that is known to be legal; something else for one that is not.
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

/// What two to four decimal digits make; something for anything else.
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

/// Whether a value of `since` or `until` means another moment when it is asked later.
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
