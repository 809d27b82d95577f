//! Times of the calendar, and as the text of RFC 3339.

/// A wall-clock time split into the calendar of RFC 3339, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub micros: u32,
    /// Days since Sunday.
    pub weekday: u32,
}

impl Civil {
    /// Splits microseconds since the epoch, by the algorithm of Howard Hinnant's "chrono-compatible
    /// low-level date algorithms" (`civil_from_days`).
    pub fn from_unix_us(unix_us: i64) -> Self {
        let seconds = unix_us.div_euclid(1_000_000);
        let days = seconds.div_euclid(86_400);
        let in_day = seconds.rem_euclid(86_400) as u32;
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32,
            hour: in_day / 3_600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
            micros: unix_us.rem_euclid(1_000_000) as u32,
            weekday: (days + 4).rem_euclid(7) as u32,
        }
    }

    /// Appends the time as RFC 3339 with six decimals, as in `2026-01-02T03:04:05.678901Z`.
    pub fn write_rfc3339(&self, out: &mut Vec<u8>) {
        let year = self.year.clamp(0, 9_999) as u32;
        for (number, digits, after) in [
            (year, 4, b'-'),
            (self.month, 2, b'-'),
            (self.day, 2, b'T'),
            (self.hour, 2, b':'),
            (self.minute, 2, b':'),
            (self.second, 2, b'.'),
            (self.micros, 6, b'Z'),
        ] {
            write_digits(out, number, digits);
            out.push(after);
        }
    }
}

/// Appends a number of at most nine digits with leading zeros.
fn write_digits(out: &mut Vec<u8>, number: u32, digits: usize) {
    let mut text = [b'0'; 9];
    let mut rest = number;
    for digit in text[..digits].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[..digits]);
}

/// Microseconds since the epoch as RFC 3339 text.
pub fn rfc3339(unix_us: i64) -> String {
    let mut out = Vec::with_capacity(27);
    Civil::from_unix_us(unix_us).write_rfc3339(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (unix_us, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_767_323_045_678_901, "2026-01-02T03:04:05.678901Z"),
        ] {
            assert_eq!(rfc3339(unix_us), text);
        }
        assert_eq!(
            Civil::from_unix_us(1_767_323_045_678_901).weekday,
            5,
            "a Friday"
        );
    }
}
