//! RFC 5424 after `<PRI>1 `.

use super::message::{without_bom, Message, Time};
use super::structured_data;
use crate::event::timestamp_is_valid;

/// Reads the rest of a message whose version is 1; `None` where it is not such a message.
pub(super) fn parse(priority: u8, rest: &[u8]) -> Option<Message<'_>> {
    let (time, rest) = word(rest)?;
    let (hostname, rest) = word(rest)?;
    let (app_name, rest) = word(rest)?;
    let (proc_id, rest) = word(rest)?;
    let (msg_id, rest) = word(rest)?;
    let time = match not_nil(time) {
        Some(text) => Some(timestamp(text)?),
        None => None,
    };
    let length = match rest {
        [b'-', ..] => 1,
        _ => structured_data::length(rest)?,
    };
    let (structured_data, rest) = rest.split_at(length);
    let text = match rest {
        [] => None,
        [b' ', text @ ..] => Some(without_bom(text)),
        _ => return None,
    };
    Some(Message {
        priority,
        time,
        hostname: not_nil(hostname),
        app_name: not_nil(app_name),
        proc_id: not_nil(proc_id),
        msg_id: not_nil(msg_id),
        structured_data: not_nil(structured_data),
        text,
    })
}

/// A field that is not empty, and what comes after the blank that ends it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes).filter(|end| *end > 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn not_nil(field: &[u8]) -> Option<&[u8]> {
    (field != b"-").then_some(field)
}

fn timestamp(text: &[u8]) -> Option<Time<'_>> {
    let is_time = text.len() > "2026-01-02T".len() && timestamp_is_valid(text);
    let text = std::str::from_utf8(text).ok().filter(|_| is_time)?;
    Some(Time::AsSent(text))
}
