//! RFC 3164 as it is found, after `<PRI>`: perhaps a time, perhaps a host, perhaps a tag, and the text.

use super::message::{without_bom, Message, Place, Time};
use crate::event::timestamp_is_valid;
use crate::limits::NAME_MAX_BYTES;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
/// Days that the months can have.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads the rest of a message; any text can be read.
pub(super) fn parse(priority: u8, rest: &[u8], place: Place) -> Message<'_> {
    let mut message = Message::plain(priority, rest);
    let after_time = match time(rest) {
        Some((time, after)) => {
            message.time = Some(time);
            after
        }
        None => rest,
    };
    // Without a time before it, a first word counts as the beginning of the text.
    let after_host = match host(after_time).filter(|_| message.time.is_some()) {
        Some((host, after)) if place == Place::Network || tag(after).is_some() => {
            message.hostname = Some(host);
            after
        }
        _ => after_time,
    };
    let text = match tag(after_host) {
        Some(tag) => {
            message.app_name = Some(tag.name);
            message.proc_id = tag.pid;
            tag.after
        }
        None => after_host,
    };
    message.text = Some(without_bom(text));
    message
}

/// The time, and what comes after the blank that ends it.
fn time(bytes: &[u8]) -> Option<(Time<'_>, &[u8])> {
    let bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
    month_and_time(bytes).or_else(|| {
        let end = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
        let (text, after) = bytes.split_at(end);
        let is_time = text.len() > "2026-01-02T".len() && timestamp_is_valid(text);
        let text = std::str::from_utf8(text).ok().filter(|_| is_time)?;
        Some((Time::AsSent(text), after_blank(after)))
    })
}

/// `Mmm dd hh:mm:ss`.
fn month_and_time(bytes: &[u8]) -> Option<(Time<'_>, &[u8])> {
    let (name, rest) = bytes.split_first_chunk::<3>()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let (day, rest) = match rest {
        [b' ', b' ' | b'0', units, b' ', rest @ ..] | [b' ', units, b' ', rest @ ..] => {
            (two_digits(b'0', *units)?, rest)
        }
        [b' ', tens, units, b' ', rest @ ..] => (two_digits(*tens, *units)?, rest),
        _ => return None,
    };
    let (clock, after) = rest.split_first_chunk::<8>()?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else {
        return None;
    };
    let (hour, minute, second) = (
        two_digits(h1, h2)?,
        two_digits(m1, m2)?,
        two_digits(s1, s2)?,
    );
    let is_right = (1..=DAYS[month]).contains(&day) && hour <= 23 && minute <= 59 && second <= 60;
    let ends = matches!(after, [] | [b' ', ..]);
    let time = Time::Yearless {
        month: month as u8 + 1,
        day,
        hour,
        minute,
        second,
    };
    (is_right && ends).then_some((time, after_blank(after)))
}

fn two_digits(tens: u8, units: u8) -> Option<u8> {
    let are_digits = tens.is_ascii_digit() && units.is_ascii_digit();
    are_digits.then(|| (tens - b'0') * 10 + (units - b'0'))
}

fn after_blank(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b" ").unwrap_or(bytes)
}

/// A word that can be the name or the address of a host and is no tag, and what comes after its blank.
fn host(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes)?;
    let (word, after) = bytes.split_at(end);
    let may_have = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:/@%".contains(byte);
    let is_host = (1..=NAME_MAX_BYTES).contains(&word.len())
        && word.iter().all(|byte| may_have(byte) || !byte.is_ascii())
        && !word.ends_with(b":");
    is_host.then_some((word, &after[1..]))
}

struct Tag<'a> {
    name: &'a [u8],
    pid: Option<&'a [u8]>,
    /// The text, without the blank after the colon.
    after: &'a [u8],
}

/// `name:` or `name[pid]:`.
fn tag(bytes: &[u8]) -> Option<Tag<'_>> {
    let window = &bytes[..bytes.len().min(NAME_MAX_BYTES + 1)];
    let is_end = |byte: &u8| matches!(byte, b':' | b'[' | b']' | b'"' | 0..=b' ' | 0x7f);
    let end = window.iter().position(is_end).filter(|end| *end > 0)?;
    let (name, rest) = bytes.split_at(end);
    let (pid, rest) = match rest {
        [b'[', inside @ ..] => {
            let window = &inside[..inside.len().min(NAME_MAX_BYTES + 1)];
            let is_end = |byte: &u8| matches!(byte, b'[' | b']' | 0..=b' ');
            let end = window.iter().position(is_end)?;
            let (pid, rest) = inside.split_at(end);
            (Some(pid), rest.strip_prefix(b"]")?)
        }
        _ => (None, rest),
    };
    let after = rest.strip_prefix(b":")?;
    // `http://…`, `C:\…`, `a::b`, `host:80` and `12:34` are words of the text.
    let is_tag = match after {
        _ if pid.is_some() => true,
        [b'/' | b'\\' | b':' | b'0'..=b'9', ..] => false,
        _ => true,
    };
    is_tag.then(|| Tag {
        name,
        pid: pid.filter(|pid| !pid.is_empty()),
        after: after_blank(after),
    })
}
