//! Times, in nanoseconds since 1970.

use time::{Date, Month};

const SECOND: i128 = 1_000_000_000;

/// The value of `since` or `until`: `Some(None)` bounds nothing, `None` is not legal.
pub fn moment(value: &str, now: i64) -> Option<Option<i128>> {
    let now = i128::from(now) * 1_000;
    if value == "now" {
        return Some(Some(now));
    }
    let units = [
        ("s", 1),
        ("m", 60),
        ("h", 3_600),
        ("d", 86_400),
        ("w", 604_800),
    ];
    for (unit, seconds) in units {
        let count = value
            .strip_suffix(unit)
            .filter(|count| is_digits(count, 1..=9));
        if let Some(count) = count {
            let then = now - count.parse::<i128>().unwrap() * seconds * SECOND;
            return Some((then >= instant("0000-01-01").unwrap()).then_some(then));
        }
    }
    instant(value).map(Some)
}

fn is_digits(text: &str, len: std::ops::RangeInclusive<usize>) -> bool {
    len.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A timestamp; `None` where it is not legal.
pub fn instant(text: &str) -> Option<i128> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut seconds = i128::from(days(date)?) * 86_400;
    if rest.is_empty() {
        return Some(seconds * SECOND);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, mut rest) = rest.split_at_checked(5)?;
    let (hour, minute) = clock.split_once(':')?;
    seconds += number(hour, 23)? * 3_600 + number(minute, 59)? * 60;
    let mut nanos = 0;
    if let Some(after) = rest.strip_prefix(':') {
        seconds += number(after.get(..2)?, 60)?;
        rest = &after[2..];
        if let Some(after) = rest.strip_prefix('.') {
            let end = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            if !is_digits(&after[..end], 1..=9) {
                return None;
            }
            nanos = format!("{:0<9}", &after[..end]).parse().unwrap();
            rest = &after[end..];
        }
    }
    if !matches!(rest, "" | "Z" | "z") {
        let sign = match rest.split_at_checked(1)?.0 {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        let (hours, minutes) = match &rest[1..] {
            offset if offset.len() == 2 => (offset, "00"),
            offset if offset.len() == 4 => offset.split_at_checked(2)?,
            offset if offset.len() == 5 => offset.split_once(':')?,
            _ => return None,
        };
        seconds -= sign * (number(hours, 23)? * 3_600 + number(minutes, 59)? * 60);
    }
    Some(seconds * SECOND + nanos)
}

/// Two digits of at most `max`.
fn number(digits: &str, max: i128) -> Option<i128> {
    let number = is_digits(digits, 2..=2).then(|| digits.parse().unwrap())?;
    (number <= max).then_some(number)
}

fn days(date: &str) -> Option<i32> {
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else {
        return None;
    };
    let is_legal = is_digits(year, 4..=4) && is_digits(month, 2..=2) && is_digits(day, 2..=2);
    let month = Month::try_from(is_legal.then(|| month.parse::<u8>().unwrap())?).ok()?;
    let date = Date::from_calendar_date(year.parse().unwrap(), month, day.parse().unwrap()).ok()?;
    Some(date.to_julian_day() - 2_440_588)
}
