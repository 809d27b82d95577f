//! What has been read of a time, and how an event's timestamp says it.

use std::fmt::Write;

use super::cursor::Cursor;
use crate::clock::Civil;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31; whether the month has it is for the event's own check to say.
    pub day: u32,
}

/// A time of day, and what its zone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clock<'a> {
    pub hour: u32,
    pub minute: u32,
    pub second: Option<u32>,
    /// The digits after the point; empty where there are none.
    pub fraction: &'a str,
    /// Whether it was said which half of the day it is.
    pub has_half: bool,
    /// `Z`, `±hh:mm`, or nothing.
    pub zone: String,
}

/// Digits that the fraction of an event's timestamp has at most.
const FRACTION_MAX: usize = 9;

/// A timestamp as an event may have it.
pub(super) fn timestamp(date: Date, separator: char, clock: &Clock) -> String {
    let Date { year, month, day } = date;
    let Clock { hour, minute, .. } = clock;
    let mut text = format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}");
    if let Some(second) = clock.second {
        // Writing to a `String` does not fail.
        let _ = write!(text, ":{second:02}");
    }
    if !clock.fraction.is_empty() {
        text.push('.');
        text += &clock.fraction[..clock.fraction.len().min(FRACTION_MAX)];
    }
    text + &clock.zone
}

/// Seconds since 1970, with digits after the point, as an event's timestamp.
pub(super) fn timestamp_of_epoch(seconds: i64, fraction: &str) -> Option<String> {
    let civil = Civil::from_unix_us(seconds.checked_mul(1_000_000)?);
    let date = Date {
        year: u32::try_from(civil.year).ok()?,
        month: civil.month,
        day: civil.day,
    };
    let clock = Clock {
        hour: civil.hour,
        minute: civil.minute,
        second: Some(civil.second),
        fraction,
        has_half: false,
        zone: "Z".to_owned(),
    };
    Some(timestamp(date, 'T', &clock))
}

/// The year in which a month and day are nearest to `now`, which is a timestamp.
pub(super) fn nearest_year(month: u32, day: u32, now: &str) -> Option<u32> {
    let now = date(&mut Cursor::new(now), b"-")?;
    let today = days(now)?;
    let candidates = now.year.saturating_sub(1)..=now.year.saturating_add(1);
    let distance = |year: &u32| {
        let year = *year;
        days(Date { year, month, day }).map(|days| days.abs_diff(today))
    };
    candidates
        .filter(|year| distance(year).is_some())
        .min_by_key(distance)
}

/// A date of the form `YYYY-MM-DD`, with one of these separators.
pub(super) fn date(cursor: &mut Cursor, separators: &[u8]) -> Option<Date> {
    let mut after = *cursor;
    let year = after.number(4, 4)?;
    let separator = after.eat_any(separators)?;
    let month = after.number(1, 2)?;
    let day = after.eat(separator).then(|| after.number(1, 2))??;
    *cursor = after;
    Some(Date { year, month, day })
}

/// Days since some day; none if there is no such date.
fn days(date: Date) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let Date { year, month, day } = date;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let before = i64::from(year.saturating_sub(1));
    let leap_days = before / 4 - before / 100 + before / 400 + i64::from(is_leap && month > 2);
    Some(before * 365 + leap_days + BEFORE[month as usize - 1] + i64::from(day))
}
