//! The time in a line: what loggers write, as the timestamp of an event.
//!
//! A wrong time is worse than none, since the time of reading is close to the right one. So what follows a time is read
//! as well, and a time is only taken where its date, its half of the day and its zone are understood. A time without a
//! zone is one in UTC, as in all that the server reads.

mod clock;
mod cursor;
mod epoch;
mod forms;
mod logfmt;
mod stamp;
#[cfg(test)]
mod tests;
mod zone;

use std::borrow::Cow;

use cursor::{beginning, Cursor};
use forms::time;
pub use forms::Found;

use crate::event::timestamp_is_valid;

/// Bytes at the beginning of a line that are searched for its time.
const HEAD_BYTES: usize = 1024;
/// Words and brackets that may come before it.
const PREFIXES_MAX: usize = 4;

/// Names of levels, in capitals.
const LEVELS: [&str; 23] = [
    "TRACE",
    "DEBUG",
    "INFO",
    "NOTICE",
    "WARN",
    "WARNING",
    "ERROR",
    "CRITICAL",
    "FATAL",
    "SEVERE",
    "PANIC",
    "ALERT",
    "EMERG",
    "EMERGENCY",
    "ERR",
    "CRIT",
    "DBG",
    "INF",
    "WRN",
    "FINE",
    "FINER",
    "FINEST",
    "CONFIG",
];

/// The time in a line of text, or none; of several lines it is the first. `now` is the time of reading, as a timestamp.
pub fn in_line(line: &str, now: &str) -> Option<Found> {
    let first = line.split('\n').next().unwrap_or_default();
    let head = without_colours(beginning(first, HEAD_BYTES));
    let head = head.trim_ascii_start();
    let found = at_beginning(head, now)
        .or_else(|| in_access_log(head, now))
        .or_else(|| in_value(logfmt::time(head)?, now));
    found.filter(|found| timestamp_is_valid(found.timestamp.as_bytes()))
}

/// The time that the text of a member of a JSON object or of a pair tells, or none.
pub fn in_value(value: &str, now: &str) -> Option<Found> {
    let value = value.trim_ascii();
    if timestamp_is_valid(value.as_bytes()) {
        return Some(Found::of(value.to_owned()));
    }
    let mut cursor = Cursor::new(value);
    let whole = time(&mut cursor, now).filter(|_| cursor.rest().is_empty());
    let found = whole.or_else(|| epoch::epoch(value).map(Found::of));
    found.filter(|found| timestamp_is_valid(found.timestamp.as_bytes()))
}

/// A text without the sequences that colour a terminal (ECMA-48, CSI).
fn without_colours(text: &str) -> Cow<'_, str> {
    const CSI: &str = "\u{1b}[";
    let mut parts = text.split(CSI);
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut plain = first.to_owned();
    for part in parts {
        let is_parameter = |next: char| matches!(next, ' '..='?');
        let rest = part.trim_start_matches(is_parameter);
        // The last byte of a sequence.
        plain += rest
            .strip_prefix(|next| matches!(next, '@'..='~'))
            .unwrap_or(rest);
    }
    Cow::Owned(plain)
}

/// A time at the beginning, after what loggers write before it: a priority, a level, names in brackets.
fn at_beginning(head: &str, now: &str) -> Option<Found> {
    let mut cursor = Cursor::new(head);
    priority(&mut cursor);
    for _ in 0..PREFIXES_MAX {
        cursor.blanks();
        if let Some(found) = time(&mut cursor, now) {
            return Some(found);
        }
        let is_passed = match cursor.peek()? {
            b'[' | b'(' => match in_brackets(&mut cursor, now) {
                Some(found) => return Some(found),
                None => pass_brackets(&mut cursor),
            },
            b'"' | b'\'' | b'*' | b'.' => cursor.eat_any(b"\"'*.").is_some(),
            byte if byte.is_ascii_alphanumeric() => match number(&mut cursor) {
                Some(found) => return Some(found),
                None => pass_word(&mut cursor),
            },
            _ => false,
        };
        if !is_passed {
            return None;
        }
    }
    None
}

/// The priority of syslog, and the version that RFC 5424 has after it.
fn priority(cursor: &mut Cursor) {
    let mut after = *cursor;
    if after.eat(b'<') && after.number(1, 3).is_some() && after.eat(b'>') {
        let mut version = after;
        if version.number(1, 2).is_some() && version.eat(b' ') {
            after = version;
        }
        *cursor = after;
    }
}

/// A time that begins after a bracket, or seconds that are all there is between two.
fn in_brackets(cursor: &mut Cursor, now: &str) -> Option<Found> {
    let mut after = *cursor;
    after.eat_any(b"[(")?;
    after.blanks();
    let seconds = after;
    if let Some(found) = time(&mut after, now) {
        return Some(found);
    }
    let end = seconds.rest().find(']')?;
    let number = &seconds.rest()[..end];
    let is_long = number.find('.').unwrap_or(number.len()) == "1767323045".len();
    epoch::epoch(number).filter(|_| is_long).map(Found::of)
}

/// Skips a short text in brackets.
fn pass_brackets(cursor: &mut Cursor) -> bool {
    const LONGEST: usize = 64;
    let close = if cursor.peek() == Some(b'[') {
        ']'
    } else {
        ')'
    };
    let rest = cursor.rest();
    let Some(end) = rest.find(close).filter(|end| *end <= LONGEST) else {
        return false;
    };
    *cursor = Cursor::new(&rest[end + 1..]);
    pass_separators(cursor);
    true
}

/// Seconds with a fraction, as squid and `ts` write them.
fn number(cursor: &mut Cursor) -> Option<Found> {
    let rest = cursor.rest();
    let end = rest.find([' ', '\t']).unwrap_or(rest.len());
    let number = &rest[..end];
    let is_exact = number.find('.') == Some("1767323045".len());
    epoch::epoch(number).filter(|_| is_exact).map(Found::of)
}

/// Skips a level (`INFO`, `I,`), or the process and role of Redis (`1:M`).
fn pass_word(cursor: &mut Cursor) -> bool {
    let mut after = *cursor;
    if after.number(1, 7).is_some() {
        let is_role = after.eat(b':') && after.letters().len() == 1 && after.eat(b' ');
        if is_role {
            *cursor = after;
        }
        return is_role;
    }
    let word = after.letters();
    let is_level = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    let is_letter = word.len() == 1 && after.peek() == Some(b',');
    if !is_level && !is_letter || after.is_in_word() {
        return false;
    }
    pass_separators(&mut after);
    *cursor = after;
    true
}

fn pass_separators(cursor: &mut Cursor) {
    while cursor.eat_any(b":,;|-").is_some() || cursor.blanks() > 0 {}
}

/// The time in brackets that access logs have after the names of client and user.
fn in_access_log(head: &str, now: &str) -> Option<Found> {
    const SHORTEST: usize = "[30/Nov/2026:01:02:03".len();
    let is_time = |at: &usize| head.as_bytes().get(at + 3) == Some(&b'/');
    let mut brackets = memchr::memchr_iter(b'[', head.as_bytes());
    let at = brackets.find(|at| is_time(at) && head.len() >= at + SHORTEST)?;
    time(&mut Cursor::new(&head[at + 1..]), now)
}
