//! The time at the start of each line, formatted once a second; only the microseconds are patched for
//! the records between. It knows no clock: the time comes in as an argument.

use crate::clock::Civil;

const US_PER_SECOND: i64 = 1_000_000;
/// 9999-12-31T23:59:59Z, the last second that four digits of a year can name.
const LAST_SECOND: i64 = 253_402_300_799;

/// The text of the last time asked for: `2026-01-02T03:04:05.678901Z`.
pub struct Stamp {
    second: i64,
    text: [u8; 27],
}

impl Default for Stamp {
    fn default() -> Self {
        Stamp {
            second: 0,
            text: *b"1970-01-01T00:00:00.000000Z",
        }
    }
}

impl Stamp {
    /// The UTC time `unix_us` microseconds after 1970, held within the years 1970 to 9999.
    pub fn at(&mut self, unix_us: i64) -> &[u8] {
        let unix_us = unix_us.clamp(0, LAST_SECOND * US_PER_SECOND);
        let second = unix_us / US_PER_SECOND;
        if second != self.second {
            self.second = second;
            let mut text = Vec::with_capacity(self.text.len());
            Civil::from_unix_us(unix_us).write_rfc3339(&mut text);
            self.text.copy_from_slice(&text);
        }
        digits(&mut self.text[20..26], unix_us % US_PER_SECOND);
        &self.text
    }
}

/// Writes `number` into all of `out` in decimal, with leading zeros.
fn digits(out: &mut [u8], mut number: i64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;
    use time::OffsetDateTime;

    const SECONDS_PER_DAY: i64 = 86_400;

    #[test]
    fn each_day_agrees_with_an_independent_calendar() {
        let mut stamp = Stamp::default();
        for day in 0..=LAST_SECOND / SECONDS_PER_DAY {
            let unix_us = (day * SECONDS_PER_DAY + day * 7919 % SECONDS_PER_DAY) * US_PER_SECOND
                + day % US_PER_SECOND;
            let text = stamp.at(unix_us);
            let civil =
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_us) * 1000).unwrap();
            let expected = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
                civil.year(),
                u8::from(civil.month()),
                civil.day(),
                civil.hour(),
                civil.minute(),
                civil.second(),
                civil.microsecond()
            );
            assert_eq!(std::str::from_utf8(text).unwrap(), expected);
        }
    }

    #[test]
    fn the_text_is_a_time_that_others_can_read() {
        let mut stamp = Stamp::default();
        let text = std::str::from_utf8(stamp.at(1_767_323_045_678_901))
            .unwrap()
            .to_owned();
        assert_eq!(text, "2026-01-02T03:04:05.678901Z");
        let parsed = OffsetDateTime::parse(&text, &Rfc3339).unwrap();
        assert_eq!(parsed.unix_timestamp_nanos(), 1_767_323_045_678_901_000);
    }

    #[test]
    fn times_out_of_range_are_held_at_the_ends() {
        let mut stamp = Stamp::default();
        assert_eq!(stamp.at(i64::MAX), b"9999-12-31T23:59:59.000000Z");
        assert_eq!(stamp.at(-1), b"1970-01-01T00:00:00.000000Z");
    }
}
