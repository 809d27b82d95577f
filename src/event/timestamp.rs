//! Which timestamps are legal: a profile of ISO 8601, checked byte by byte without allocation.
//!
//! A timestamp is only checked, never converted: it is kept and shown as it was sent.

/// Whether `text` is a legal timestamp.
///
/// `YYYY-MM-DD`, optionally followed by `T`, `t` or a space and `hh:mm[:ss[.fraction]]` with a
/// fraction of 1 to 9 digits, optionally followed by `Z`, `z`, `±hh:mm`, `±hhmm` or `±hh`. Years are
/// 0000 to 9999 in the proleptic Gregorian calendar, hours 00 to 23, seconds 00 to 60 (a leap second
/// in any minute). An offset stands only behind a time.
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
