//! Which timestamps are legal: a profile of ISO 8601, checked byte by byte without allocation.
//!
//! A timestamp is only checked, never converted: it is kept and shown as it was sent.

/// Whether `text` is a legal timestamp.
///
/// `YYYY-MM-DD`, optionally followed by `T`, `t` or a space and `hh:mm[:ss[.fraction]]` with a fraction of 1 to 9
/// digits, optionally followed by `Z`, `z`, `±hh:mm`, `±hhmm` or `±hh`. Years are 0000 to 9999 in the proleptic
/// Gregorian calendar, hours 00 to 23, seconds 00 to 60 (a leap second in any minute). An offset is legal only after a
/// time.
pub fn timestamp_is_valid(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_first_chunk::<10>() else {
        return false;
    };
    if !date_is_valid(date) {
        return false;
    }
    match rest {
        [] => true,
        [b'T' | b't' | b' ', rest @ ..] => time_is_valid(rest),
        _ => false,
    }
}

/// The number that two decimal digits make.
fn two_digits(tens: u8, units: u8) -> Option<u32> {
    (tens.is_ascii_digit() && units.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(units - b'0'))
}

/// Whether two bytes are decimal digits that make at most `max`.
fn is_at_most(tens: u8, units: u8, max: u32) -> bool {
    two_digits(tens, units).is_some_and(|number| number <= max)
}

fn date_is_valid(date: &[u8; 10]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
        return false;
    };
    let (Some(century), Some(year_of_century), Some(month), Some(day)) = (
        two_digits(y1, y2),
        two_digits(y3, y4),
        two_digits(m1, m2),
        two_digits(d1, d2),
    ) else {
        return false;
    };
    let year = century * 100 + year_of_century;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// `hh:mm[:ss[.fraction]]` and an optional offset.
fn time_is_valid(time: &[u8]) -> bool {
    let [h1, h2, b':', m1, m2, rest @ ..] = time else {
        return false;
    };
    if !is_at_most(*h1, *h2, 23) || !is_at_most(*m1, *m2, 59) {
        return false;
    }
    let [b':', s1, s2, rest @ ..] = rest else {
        return offset_is_valid(rest);
    };
    if !is_at_most(*s1, *s2, 60) {
        return false;
    }
    let [b'.', rest @ ..] = rest else {
        return offset_is_valid(rest);
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=9).contains(&digits) && offset_is_valid(&rest[digits..])
}

fn offset_is_valid(offset: &[u8]) -> bool {
    match *offset {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2] => is_at_most(h1, h2, 23),
        [b'+' | b'-', h1, h2, m1, m2] | [b'+' | b'-', h1, h2, b':', m1, m2] => {
            is_at_most(h1, h2, 23) && is_at_most(m1, m2, 59)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc3339;
    use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

    use super::*;

    const LEGAL: &[&str] = &[
        "2026-01-02",
        "0000-01-01",
        "0000-02-29",
        "9999-12-31",
        "2000-02-29",
        "2024-02-29",
        "2026-01-02T03:04",
        "2026-01-02t03:04",
        "2026-01-02 03:04",
        "2026-01-02T00:00:00",
        "2026-01-02T23:59:59",
        "2026-01-02T23:59:60",
        "2026-01-02T12:34:60Z",
        "2026-01-02T12:34:60.999999999Z",
        "2026-01-02T03:04:05.6",
        "2026-01-02T03:04:05.678901234",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04z",
        "2026-01-02T03:04+07",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05z",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02T03:04:05-23:59",
        "2026-01-02T03:04:05+2359",
        "2026-01-02T03:04:05.123+0530",
        "2026-01-02 03:04:05.123-08",
    ];

    const ILLEGAL: &[&str] = &[
        "",
        "2026",
        "2026-01",
        "2026-1-2",
        "20260102",
        "2026-01-2",
        "2026-00-01",
        "2026-13-01",
        "2026-01-00",
        "2026-01-32",
        "2026-02-29",
        "2026-02-30",
        "1900-02-29",
        "2100-02-29",
        "2026-04-31",
        "10000-01-01",
        "+2026-01-02",
        "-001-01-02",
        " 2026-01-02",
        "2026-01-02 ",
        "2026-01-02T",
        "2026-01-02Z",
        "2026-01-02+00:00",
        "2026-01-02TZ",
        "2026-01-02T03",
        "2026-01-02T03Z",
        "2026-01-02T0304",
        "2026-01-02T03:4",
        "2026-01-02T3:04",
        "2026-01-02T24:00",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60",
        "2026-01-02T03:04:61",
        "2026-01-02T03:04:",
        "2026-01-02T03:04:5",
        "2026-01-02T03:04:05.",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5",
        "2026-01-02T03:04:05.1234567890",
        "2026-01-02T03:04.5",
        "2026-01-02T03:04:05 Z",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05Z ",
        "2026-01-02T03:04:05+",
        "2026-01-02T03:04:05+1",
        "2026-01-02T03:04:05+24",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+00:60",
        "2026-01-02T03:04:05+0060",
        "2026-01-02T03:04:05+000",
        "2026-01-02T03:04:05+00:0",
        "2026-01-02T03:04:05+00:",
        "2026-01-02T03:04:05+00:00:00",
        "2026-01-02T03:04:05\u{2212}01:00",
        "2026-01-02  03:04:05",
        "2026-01-02_03:04:05",
        "2026/01/02",
        "2026-W01-1",
        "2026-002",
        "2026-01-0\u{0662}",
        "yesterday",
    ];

    #[test]
    fn the_profile_is_kept() {
        for text in LEGAL {
            assert!(timestamp_is_valid(text.as_bytes()), "{text:?}");
        }
        for text in ILLEGAL {
            assert!(!timestamp_is_valid(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn every_byte_counts() {
        // Where one byte of a legal timestamp is replaced, only another digit or another spelling of
        // the same separator may be legal.
        let legal = b"2026-01-02T03:04:05.678+07:08";
        for at in 0..legal.len() {
            for byte in 0..=255 {
                let mut text = *legal;
                text[at] = byte;
                let alike = match legal[at] {
                    b'T' => b"Tt ".contains(&byte),
                    b'+' => b"+-".contains(&byte),
                    digit if digit.is_ascii_digit() => byte.is_ascii_digit(),
                    other => byte == other,
                };
                assert!(
                    alike || !timestamp_is_valid(&text),
                    "{}",
                    text.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn the_calendar_agrees_with_the_time_crate() {
        for year in 0..=9999 {
            for month in 0..=13u8 {
                for day in [0, 1, 28, 29, 30, 31, 32] {
                    let expected = Month::try_from(month)
                        .is_ok_and(|month| Date::from_calendar_date(year, month, day).is_ok());
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    assert_eq!(timestamp_is_valid(text.as_bytes()), expected, "{text}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn times_and_offsets_agree_with_the_time_crate(
            (hour, minute, second) in (0..30u8, 0..70u8, 0..70u8),
            fraction in proptest::option::of("[0-9]{0,11}"),
            (offset_hour, offset_minute) in (0..30i8, 0..70i8),
            (has_second, separator, sign, offset_form) in (any::<bool>(), "[Tt ]", "[+-]", 0..5),
        ) {
            let mut text = format!("2026-01-02{separator}{hour:02}:{minute:02}");
            let mut expected = Time::from_hms(hour, minute, 0).is_ok();
            if has_second {
                text += &format!(":{second:02}");
                expected &= second == 60 || Time::from_hms(0, 0, second).is_ok();
                if let Some(digits) = &fraction {
                    text += &format!(".{digits}");
                    expected &= (1..=9).contains(&digits.len());
                }
            }
            let offset = UtcOffset::from_hms(offset_hour, offset_minute, 0);
            // That crate goes up to 25 hours.
            let offset_is_legal = offset.is_ok() && offset_hour <= 23;
            match offset_form {
                0 => {}
                1 => text.push('Z'),
                2 => {
                    text += &format!("{sign}{offset_hour:02}");
                    expected &= offset_hour <= 23;
                }
                3 => {
                    text += &format!("{sign}{offset_hour:02}{offset_minute:02}");
                    expected &= offset_is_legal;
                }
                _ => {
                    text += &format!("{sign}{offset_hour:02}:{offset_minute:02}");
                    expected &= offset_is_legal;
                }
            }
            prop_assert_eq!(timestamp_is_valid(text.as_bytes()), expected, "{}", text);
            // What both profiles have: RFC 3339 requires seconds and an offset with a colon.
            let in_rfc3339 = has_second && second != 60 && matches!(offset_form, 1 | 4);
            let few_digits = fraction.as_ref().is_none_or(|digits| digits.len() <= 9);
            if in_rfc3339 && few_digits {
                let theirs = OffsetDateTime::parse(&text, &Rfc3339).is_ok();
                prop_assert_eq!(timestamp_is_valid(text.as_bytes()), theirs, "{}", text);
            }
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = timestamp_is_valid(&text);
        }

        #[test]
        fn nothing_panics_near_a_timestamp(text in "[0-9TtZz:+. -]{0,36}") {
            let _ = timestamp_is_valid(text.as_bytes());
        }
    }
}
