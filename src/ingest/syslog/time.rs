//! Times of RFC 3164, which have neither year nor zone, as RFC 3339 text.

use super::message::Time;
use crate::clock::Civil;
use crate::ingest::socket_decoder::Zone;

/// Bytes of the longest such text.
const TEXT_MAX: usize = "2026-01-02T03:04:05+00:00".len();
/// Years in which February 29 comes at least once, whatever century begins.
const LEAP_YEARS: i64 = 8;

/// A time as text, without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct TimeText {
    text: [u8; TEXT_MAX],
    len: usize,
}

impl TimeText {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).expect("digits and separators")
    }

    fn push(&mut self, bytes: &[u8]) {
        self.text[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_two(&mut self, number: u32) {
        self.push(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
    }
}

/// The text of a time without a year, in the year that brings it nearest to `now`, in microseconds since the epoch.
/// `None` for a time that has a text of its own.
pub fn write_time(time: Time, now: i64, zone: &(impl Zone + ?Sized)) -> Option<TimeText> {
    let Time::Yearless {
        month,
        day,
        hour,
        minute,
        second,
    } = time
    else {
        return None;
    };
    let now = now.div_euclid(1_000_000);
    let in_year = |year: i64| {
        let days = days_from_civil(year, month, day);
        let clock = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        let local = days * 86_400 + clock;
        // The offset at a time near it, then at that time itself.
        let near = local - i64::from(zone.offset_at(local));
        let offset = zone.offset_at(near);
        (local - i64::from(offset), offset)
    };
    let this_year = Civil::from_unix_us(now.saturating_mul(1_000_000)).year;
    let years = if (month, day) == (2, 29) {
        this_year - LEAP_YEARS..=this_year + LEAP_YEARS
    } else {
        this_year - 1..=this_year + 1
    };
    let candidates = years.filter(|year| (month, day) != (2, 29) || is_leap(*year));
    let (year, offset) = candidates
        .filter(|year| (0..=9_999).contains(year))
        .map(|year| (year, in_year(year)))
        .min_by_key(|(_, (unix, _))| unix.abs_diff(now))
        .map(|(year, (_, offset))| (year, offset))?;
    let mut text = TimeText {
        text: [0; TEXT_MAX],
        len: 0,
    };
    text.push_two(year as u32 / 100);
    text.push_two(year as u32);
    for (before, number) in [
        (b"-", month),
        (b"-", day),
        (b"T", hour),
        (b":", minute),
        (b":", second),
    ] {
        text.push(before);
        text.push_two(number.into());
    }
    match offset / 60 {
        0 => text.push(b"Z"),
        minutes => {
            text.push(if minutes < 0 { b"-" } else { b"+" });
            text.push_two(minutes.unsigned_abs() / 60);
            text.push(b":");
            text.push_two(minutes.unsigned_abs() % 60);
        }
    }
    Some(text)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days since the epoch, by the algorithm of Howard Hinnant's "chrono-compatible low-level date algorithms".
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use time::format_description::well_known::Rfc3339;
    use time::OffsetDateTime;

    use super::*;

    struct Fixed(i32);

    impl Zone for Fixed {
        fn offset_at(&self, _: i64) -> i32 {
            self.0
        }
    }

    fn at(text: &str) -> i64 {
        let time = OffsetDateTime::parse(text, &Rfc3339).unwrap();
        (time.unix_timestamp_nanos() / 1_000) as i64
    }

    fn yearless(month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Time<'static> {
        Time::Yearless {
            month,
            day,
            hour,
            minute,
            second,
        }
    }

    fn text(time: Time, now: &str, zone: &(impl Zone + ?Sized)) -> String {
        write_time(time, at(now), zone).unwrap().as_str().to_owned()
    }

    #[test]
    fn the_year_is_the_nearest_one() {
        let new_year = yearless(1, 1, 0, 0, 5);
        let eve = yearless(12, 31, 23, 59, 55);
        for (now, first, last) in [
            ("2026-01-01T00:00:00Z", "2026", "2025"),
            ("2025-12-31T23:59:59Z", "2026", "2025"),
            ("2026-06-15T00:00:00Z", "2026", "2025"),
            ("2026-07-15T00:00:00Z", "2027", "2026"),
        ] {
            assert_eq!(text(new_year, now, &()), format!("{first}-01-01T00:00:05Z"));
            assert_eq!(text(eve, now, &()), format!("{last}-12-31T23:59:55Z"));
        }
        let leap_day = yearless(2, 29, 12, 0, 0);
        for (now, year) in [
            ("2024-02-29T12:00:00Z", 2024),
            ("2025-06-01T00:00:00Z", 2024),
            ("2027-06-01T00:00:00Z", 2028),
            ("2100-02-28T00:00:00Z", 2096),
        ] {
            let expected = format!("{year}-02-29T12:00:00Z");
            assert_eq!(text(leap_day, now, &()), expected);
        }
    }

    #[test]
    fn a_zone_is_written_as_an_offset() {
        let time = yearless(10, 11, 22, 14, 15);
        let now = "2026-10-11T20:14:16Z";
        for (offset, ending) in [
            (0, "Z"),
            (7_200, "+02:00"),
            (-12_600, "-03:30"),
            (20_700, "+05:45"),
        ] {
            let expected = format!("2026-10-11T22:14:15{ending}");
            assert_eq!(text(time, now, &Fixed(offset)), expected);
        }
        // Near the end of a year the zone decides which year it is.
        let time = yearless(1, 1, 1, 0, 0);
        assert_eq!(
            text(time, "2025-12-31T23:00:00Z", &Fixed(7_200)),
            "2026-01-01T01:00:00+02:00"
        );
    }

    #[test]
    fn days_agree_with_the_calendar() {
        for days in (-800_000..3_000_000).step_by(13) {
            let civil = Civil::from_unix_us(days * 86_400_000_000);
            let back = days_from_civil(civil.year, civil.month as u8, civil.day as u8);
            assert_eq!(back, days);
        }
    }
}
