//! Times that follow each other closely as text, formatted once a second; only the microseconds are
//! patched between. It knows no clock: the time comes in as an argument.

use super::civil::Civil;

const US_PER_SECOND: i64 = 1_000_000;

/// The text of the last time asked for: `2026-01-02T03:04:05.678901Z`.
#[derive(Debug)]
pub struct Stamp {
    unix_us: i64,
    text: [u8; 27],
}

impl Default for Stamp {
    fn default() -> Self {
        Stamp {
            unix_us: 0,
            text: *b"1970-01-01T00:00:00.000000Z",
        }
    }
}

impl Stamp {
    /// The UTC time `unix_us` microseconds after 1970, as [`Civil::write_rfc3339`] writes it.
    pub fn at(&mut self, unix_us: i64) -> &[u8; 27] {
        if unix_us != self.unix_us {
            let second = |us: i64| us.div_euclid(US_PER_SECOND);
            if second(unix_us) == second(self.unix_us) {
                let micros = unix_us.rem_euclid(US_PER_SECOND);
                digits(&mut self.text[20..26], micros as u32);
            } else {
                let mut text = Vec::with_capacity(self.text.len());
                Civil::from_unix_us(unix_us).write_rfc3339(&mut text);
                self.text.copy_from_slice(&text);
            }
            self.unix_us = unix_us;
        }
        &self.text
    }
}

/// Writes `number` into all of `out` in decimal, with leading zeros.
fn digits(out: &mut [u8], mut number: u32) {
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
    /// 9999-12-31T23:59:59Z, the last second that four digits of a year can name.
    const LAST_SECOND: i64 = 253_402_300_799;

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
    fn it_is_the_same_text_whatever_was_asked_for_before() {
        let second = 1_767_323_045 * US_PER_SECOND;
        let mut times = vec![0, -1, -US_PER_SECOND, i64::MAX, i64::MIN];
        // Within a second and across the ends of a second, a minute, an hour, a day and a year.
        for border in [
            second,
            1_767_323_100,
            1_767_324_000,
            1_767_312_000,
            1_767_225_600,
        ]
        .map(|at| if at == second { at } else { at * US_PER_SECOND })
        {
            times.extend([border, border + 1, border - 1, border - 1, border + 999_999]);
        }
        let mut stamp = Stamp::default();
        for from in &times {
            for to in &times {
                stamp.at(*from);
                let text = stamp.at(*to).to_vec();
                assert_eq!(String::from_utf8(text), Ok(crate::clock::rfc3339(*to)));
            }
        }
    }
}
