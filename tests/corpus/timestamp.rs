//! Which timestamps are legal, against the `time` crate: a text is brought into the form of RFC 3339,
//! which that crate reads, by the shapes that the interface allows and by nothing else.

use logagg::event::timestamp_is_valid;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

#[allow(dead_code, reason = "the target for publications needs the rest")]
pub fn check(text: &[u8]) {
    let expected = is_legal(text);
    assert_eq!(
        timestamp_is_valid(text),
        expected,
        "{}",
        text.escape_ascii()
    );
    // What is RFC 3339 word by word is legal, whatever shapes are listed below. That crate takes any
    // byte for the separator, and fractions of any length.
    let as_it_is = std::str::from_utf8(text).is_ok_and(parses);
    let digits = text.iter().skip(20).take_while(|b| b.is_ascii_digit());
    let separated = matches!(text.get(10), Some(b'T' | b't' | b' '));
    if as_it_is && separated && digits.count() <= 9 {
        assert!(expected, "{}", text.escape_ascii());
    }
}

/// Whether the interface takes a text for a timestamp.
pub fn is_legal(text: &[u8]) -> bool {
    in_rfc3339(text).is_some_and(|text| parses(&text))
}

fn parses(text: &str) -> bool {
    OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

/// Writes a timestamp as RFC 3339 has it, its numbers as they are.
fn in_rfc3339(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.is_ascii() {
        return None;
    }
    if text.len() == 10 {
        return Some(format!("{text}T00:00:00Z"));
    }
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (hours_minutes, rest) = rest.split_at_checked(5)?;
    let (seconds, fraction, offset) = match rest.starts_with(':') {
        true => seconds_and_fraction(rest)?,
        false => (":00", "", rest),
    };
    if !offset.is_empty() && !offset.starts_with(['Z', 'z', '+', '-']) {
        return None;
    }
    let offset = match offset.len() {
        0 => "Z".to_owned(),
        1 => offset.to_owned(),
        3 => format!("{offset}:00"),
        5 => format!("{}:{}", &offset[..3], &offset[3..]),
        6 => offset.to_owned(),
        _ => return None,
    };
    Some(format!("{date}T{hours_minutes}{seconds}{fraction}{offset}"))
}

/// Splits a text that begins with seconds: these, their fraction, and the rest.
fn seconds_and_fraction(text: &str) -> Option<(&str, &str, &str)> {
    let (seconds, rest) = text.split_at_checked(3)?;
    // That crate takes a leap second at the end of a month only. An interface that does not know where
    // leap seconds will be takes them anywhere.
    let seconds = if seconds == ":60" { ":59" } else { seconds };
    let Some(behind) = rest.strip_prefix('.') else {
        return Some((seconds, "", rest));
    };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, offset) = rest.split_at(1 + digits);
    (1..=9)
        .contains(&digits)
        .then_some((seconds, fraction, offset))
}
