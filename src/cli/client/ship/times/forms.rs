//! The forms in which loggers write a date and a time of day.

use super::clock::{clock, clock_alone};
use super::cursor::Cursor;
use super::stamp::{date, nearest_year, timestamp, Date};

/// A time that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As an event may have it.
    pub timestamp: String,
    /// Whether the year is the one that is nearest to now.
    pub depends_on_now: bool,
}

impl Found {
    pub fn of(timestamp: String) -> Found {
        Found {
            timestamp,
            depends_on_now: false,
        }
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Reads a time of some form from the front; where it is none the cursor may be anywhere.
type Form = fn(&mut Cursor, &str) -> Option<Found>;

const FORMS: [Form; 8] = [
    year_first,
    compact,
    access,
    day_month,
    numbers,
    month_day,
    with_weekday,
    klog,
];

/// Reads the time that is here. None if there is none, or one that is not understood.
pub(super) fn time(cursor: &mut Cursor, now: &str) -> Option<Found> {
    let next = cursor.peek()?;
    match next.is_ascii_alphanumeric() {
        true => first_of(&FORMS, cursor, now),
        false => None,
    }
}

fn first_of(forms: &[Form], cursor: &mut Cursor, now: &str) -> Option<Found> {
    forms.iter().find_map(|form| {
        let mut after = *cursor;
        let found = form(&mut after, now)?;
        *cursor = after;
        Some(found)
    })
}

/// `2026-11-30 01:02:03`, `2026-11-30T01:02:03Z`, `2026/11/30 01:02:03`: ISO 8601, and Go, nginx.
fn year_first(cursor: &mut Cursor, _: &str) -> Option<Found> {
    let date = date(cursor, b"-/.")?;
    let separator = match cursor.eat_any(b"Tt_ \t")? {
        b'T' => 'T',
        b't' => 't',
        _ => ' ',
    };
    cursor.blanks();
    let clock = clock(cursor)?;
    Some(Found::of(timestamp(date, separator, &clock)))
}

/// `20261130T010203Z`: the basic form of ISO 8601.
fn compact(cursor: &mut Cursor, _: &str) -> Option<Found> {
    let date = compact_date(cursor)?;
    let (is_iso, digits) = (cursor.eat(b'T'), cursor.all_digits());
    if !is_iso || digits.len() != 6 {
        return None;
    }
    let text = format!(
        "{}:{}:{}{}",
        &digits[..2],
        &digits[2..4],
        &digits[4..],
        cursor.rest()
    );
    let mut after = Cursor::new(&text);
    let clock = clock(&mut after)?;
    let taken = text.len() - after.rest().len();
    // The colons are not there.
    *cursor = Cursor::new(&cursor.rest()[taken.checked_sub("01:02:03".len())?..]);
    Some(Found::of(timestamp(date, 'T', &clock)))
}

fn compact_date(cursor: &mut Cursor) -> Option<Date> {
    let digits = cursor.number(8, 8)?;
    Some(Date {
        year: digits / 10_000,
        month: digits / 100 % 100,
        day: digits % 100,
    })
}

/// `30/Nov/2026:01:02:03 +0100`: the access logs of Apache, nginx and HAProxy; `30-Nov-2026 01:02:03`: PHP
/// and Tomcat.
fn access(cursor: &mut Cursor, _: &str) -> Option<Found> {
    let day = cursor.number(1, 2)?;
    let separator = cursor.eat_any(b"/-")?;
    let month = month(cursor)?;
    let year = cursor.eat(separator).then(|| cursor.number(4, 4))??;
    cursor.eat_any(b": ")?;
    let clock = clock(cursor)?;
    Some(Found::of(timestamp(Date { year, month, day }, 'T', &clock)))
}

/// `30 Nov 2026 01:02:03`: Redis, and the dates of mails and HTTP. Without a year it is the nearest one.
fn day_month(cursor: &mut Cursor, now: &str) -> Option<Found> {
    let day = cursor.number(1, 2)?;
    cursor.eat(b' ').then_some(())?;
    let month = month(cursor)?;
    cursor.eat(b' ').then_some(())?;
    let mut after = *cursor;
    if let Some(year) = after.number(4, 4) {
        *cursor = after;
        cursor.eat_any(b": ")?;
        let clock = clock(cursor)?;
        return Some(Found::of(timestamp(Date { year, month, day }, 'T', &clock)));
    }
    without_year(cursor, month, day, now)
}

/// `30.11.2026 01:02:03`, and `11/30/2026 01:02:03 PM` where the day shows which number is the month.
fn numbers(cursor: &mut Cursor, _: &str) -> Option<Found> {
    let first = cursor.number(1, 2)?;
    let separator = cursor.eat_any(b"./-")?;
    let second = cursor.number(1, 2)?;
    let year = cursor.eat(separator).then(|| cursor.number(4, 4))??;
    let (day, month) = match (first, second) {
        _ if separator == b'.' => (first, second),
        (13.., 1..=12) => (first, second),
        (1..=12, 13..) => (second, first),
        (1..=12, _) if first == second => (first, second),
        _ => return None,
    };
    cursor.eat(b',');
    cursor.eat_any(b" T")?;
    cursor.blanks();
    let clock = clock(cursor)?;
    // Some write AM and PM in another language.
    let rest = cursor
        .rest()
        .trim_start_matches([' ', '\u{a0}', '\u{202f}']);
    let is_word = |next: char| !next.is_ascii() || separator != b'.' && next.is_ascii_lowercase();
    if clock.hour <= 12 && !clock.has_half && rest.starts_with(is_word) {
        return None;
    }
    Some(Found::of(timestamp(Date { year, month, day }, 'T', &clock)))
}

/// `Nov 30 01:02:03`: RFC 3164; and `Nov 30, 2026 1:02:03 AM`, `Nov 30 2026 01:02:03`: Java, Cisco.
fn month_day(cursor: &mut Cursor, now: &str) -> Option<Found> {
    let month = month(cursor)?;
    let day = (1..=2)
        .contains(&cursor.blanks())
        .then(|| cursor.number(1, 2))??;
    cursor.eat(b',');
    cursor.eat(b' ').then_some(())?;
    let mut after = *cursor;
    if let Some(year) = after.number(4, 4) {
        *cursor = after;
        cursor.eat(b',');
        cursor.eat_any(b": ")?;
        let clock = clock(cursor)?;
        return Some(Found::of(timestamp(Date { year, month, day }, 'T', &clock)));
    }
    without_year(cursor, month, day, now)
}

/// The time of day after a date that has no year: what follows is mostly the name of a host.
fn without_year(cursor: &mut Cursor, month: u32, day: u32, now: &str) -> Option<Found> {
    let mut after = *cursor;
    let clock = match clock(&mut after).filter(|clock| !clock.zone.is_empty()) {
        Some(clock) => {
            *cursor = after;
            clock
        }
        None => {
            let clock = clock_alone(cursor)?;
            // A zone that is not understood.
            super::zone::zone(&mut cursor.clone())?;
            clock
        }
    };
    clock.second?;
    let year = nearest_year(month, day, now)?;
    Some(Found {
        timestamp: timestamp(Date { year, month, day }, 'T', &clock),
        depends_on_now: true,
    })
}

/// `Mon Nov 30 01:02:03 2026`: C, Apache's error log, `date`; and all others with a weekday before them.
fn with_weekday(cursor: &mut Cursor, now: &str) -> Option<Found> {
    position(cursor.letters(), &DAYS)?;
    cursor.eat(b',');
    cursor.eat(b' ').then_some(())?;
    first_of(&[year_last, day_month, month_day, year_first], cursor, now)
}

fn year_last(cursor: &mut Cursor, _: &str) -> Option<Found> {
    let month = month(cursor)?;
    let day = (1..=2)
        .contains(&cursor.blanks())
        .then(|| cursor.number(1, 2))??;
    cursor.eat(b' ').then_some(())?;
    let clock = clock(cursor)?;
    let year = cursor.eat(b' ').then(|| cursor.number(4, 4))??;
    Some(Found::of(timestamp(Date { year, month, day }, 'T', &clock)))
}

/// `I1130 01:02:03.123456`: klog and glog, of which newer ones write the year.
fn klog(cursor: &mut Cursor, now: &str) -> Option<Found> {
    cursor.eat_any(b"IWEFDC")?;
    let mut after = *cursor;
    let date = compact_date(&mut after);
    let Some(date) = date else {
        let digits = cursor.number(4, 4)?;
        cursor.eat(b' ').then_some(())?;
        return without_year(cursor, digits / 100, digits % 100, now)
            .filter(|found| found.timestamp.contains('.'));
    };
    *cursor = after;
    cursor.eat(b' ').then_some(())?;
    let clock = clock_alone(cursor).filter(|clock| !clock.fraction.is_empty())?;
    Some(Found::of(timestamp(date, 'T', &clock)))
}

/// The name of a month, in English, whole or its first three letters.
fn month(cursor: &mut Cursor) -> Option<u32> {
    let month = position(cursor.letters(), &MONTHS)?;
    cursor.eat(b'.');
    u32::try_from(month + 1).ok()
}

/// Which of these names a word is, whole or its first three letters.
fn position(word: &str, names: &[&str]) -> Option<usize> {
    names.iter().position(|name| {
        let short = &name[..3];
        word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(short)
    })
}
