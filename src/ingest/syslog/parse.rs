//! Which of the two formats a message is read as.

use super::message::{Message, Place};
use super::{rfc3164, rfc5424};

/// The priority of a message that has none: facility user, severity notice (RFC 3164 §4.3.3).
const DEFAULT_PRIORITY: u8 = 13;
/// The greatest priority: facility 23, severity 7.
const PRIORITY_MAX: u32 = 191;

/// Reads a message. One LF, CR LF or NUL at its end does not belong to it.
pub fn parse(bytes: &[u8], place: Place) -> Message<'_> {
    let bytes = without_end(bytes);
    let Some((priority, rest)) = priority(bytes) else {
        return Message::plain(DEFAULT_PRIORITY, bytes);
    };
    rest.strip_prefix(b"1 ")
        .and_then(|rest| rfc5424::parse(priority, rest))
        .unwrap_or_else(|| rfc3164::parse(priority, rest, place))
}

fn without_end(bytes: &[u8]) -> &[u8] {
    match bytes {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n' | 0] => rest,
        _ => bytes,
    }
}

/// `<PRI>`, and what comes after it.
fn priority(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let digits = rest
        .iter()
        .take(4)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let (digits, rest) = rest.split_at(digits);
    let rest = rest.strip_prefix(b">")?;
    if !(1..=3).contains(&digits.len()) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    let priority = u8::try_from(number)
        .ok()
        .filter(|_| number <= PRIORITY_MAX)?;
    Some((priority, rest))
}

#[cfg(test)]
mod tests;
