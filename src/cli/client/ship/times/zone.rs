//! What follows a time of day and may be its zone. A zone that is not understood makes the time useless: it could be
//! half a day off.

use super::cursor::{beginning, Cursor};

/// Abbreviations of zones. What they mean depends on who writes them (`CST`, `IST`), on the date, or on a
/// list that grows old, so none of them is understood.
const ABBREVIATIONS: &str = " ACDT ACST ADT AEDT AEST AKDT AKST ART AST AWST BRST BRT BST CAT CDT CEST CET CLST CLT \
     COT CST EAT EDT EEST EET EST GST HDT HKT HST ICT IDT IRST IST JST KST MDT MESZ MEZ MSD MSK MST MYT NDT NPT NST \
     NZDT NZST PDT PET PHT PKT PST PYT SAST SGT SST TRT UYT VET WAT WEST WET WIB WIT WITA ";

/// The areas of the time zone database, as in `Europe/Berlin`.
const AREAS: &str = " Africa America Antarctica Arctic Asia Atlantic Australia Brazil Canada Chile Etc Europe Indian \
     Mexico Pacific US ";

/// Ends of the names that Windows gives zones, as in `W. Europe Standard Time`.
const LONG_NAMES: [&str; 3] = [" Standard Time", " Daylight Time", " Summer Time"];

/// Bytes of a text that are searched for such a name.
const LONG_NAME_MAX: usize = 48;

/// Reads a zone: `Z`, `±hh:mm`, or nothing. None if there is one that is not understood.
pub(super) fn zone(cursor: &mut Cursor) -> Option<String> {
    let mut after = *cursor;
    let is_apart = after.eat(b' ');
    let is_in_brackets = is_apart && after.eat(b'(');
    let zone = match after.peek() {
        Some(b'+' | b'-') => offset(&mut after, is_apart)?,
        Some(byte) if byte.is_ascii_alphabetic() => name(&mut after, is_apart)?,
        _ => None,
    };
    let Some(zone) = zone else {
        return (!has_long_name(cursor.rest())).then(String::new);
    };
    if is_in_brackets && !after.eat(b')') {
        return None;
    }
    *cursor = after;
    Some(zone)
}

fn has_long_name(text: &str) -> bool {
    let head = beginning(text, LONG_NAME_MAX);
    LONG_NAMES.iter().any(|name| head.contains(name))
}

/// An offset; with `Some(None)` what is there is something else.
fn offset(cursor: &mut Cursor, is_apart: bool) -> Option<Option<String>> {
    let something_else = if is_apart { Some(None) } else { None };
    let mut after = *cursor;
    let sign = char::from(after.eat_any(b"+-")?);
    let digits = after.all_digits();
    let (hours, minutes) = match digits.len() {
        // A dash.
        0 => return Some(None),
        2 if after.eat(b':') => (digits, Some(after.all_digits())),
        2 => (digits, None),
        4 => (&digits[..2], Some(&digits[2..])),
        _ => return something_else,
    };
    let is_offset = is_hour(hours) && minutes.is_none_or(is_quarter) && !after.is_in_word();
    // Apart from the time two digits alone may be a number as well, but where a zone is expected.
    let rest = after.rest();
    let is_expected = rest.is_empty() || [")", "]", " ["].iter().any(|end| rest.starts_with(end));
    let is_doubtful = is_apart && minutes.is_none() && !is_expected;
    if !is_offset || is_doubtful {
        return something_else;
    }
    *cursor = after;
    Some(Some(format!("{sign}{hours}:{}", minutes.unwrap_or("00"))))
}

/// Whether a zone can have this offset from UTC.
fn is_hour(digits: &str) -> bool {
    digits.parse().is_ok_and(|hours: u32| hours <= 14)
}

fn is_quarter(minutes: &str) -> bool {
    matches!(minutes, "00" | "15" | "30" | "45")
}

/// The name of a zone; with `Some(None)` what is there is something else.
fn name(cursor: &mut Cursor, is_apart: bool) -> Option<Option<String>> {
    let mut after = *cursor;
    let word = after.letters();
    let is_listed = |list: &str| list.split_ascii_whitespace().any(|name| name == word);
    let is_area = is_listed(AREAS) && after.peek() == Some(b'/');
    let is_utc = match word {
        "UTC" | "GMT" | "Z" => true,
        "z" => !is_apart,
        "Etc" => after.eat_text("/UTC"),
        _ => false,
    };
    if word.len() == 3 && is_utc && matches!(after.peek(), Some(b'+' | b'-')) {
        let zone = distance(&mut after)?;
        *cursor = after;
        return Some(Some(zone));
    }
    if !is_utc || after.is_in_word() {
        let is_zone = is_area || is_listed(ABBREVIATIONS) && !after.is_in_word();
        return if is_zone { None } else { Some(None) };
    }
    *cursor = after;
    Some(Some("Z".to_owned()))
}

/// The distance from UTC, as in `GMT+1` and `UTC+05:30`.
fn distance(cursor: &mut Cursor) -> Option<String> {
    let sign = char::from(cursor.eat_any(b"+-")?);
    let digits = cursor.all_digits();
    let (hours, minutes) = match digits.len() {
        1 | 2 if cursor.eat(b':') => (digits, cursor.all_digits()),
        1 | 2 => (digits, "00"),
        4 => digits.split_at(2),
        _ => return None,
    };
    if !is_hour(hours) || !is_quarter(minutes) || cursor.is_in_word() {
        return None;
    }
    Some(format!("{sign}{hours:0>2}:{minutes}"))
}
