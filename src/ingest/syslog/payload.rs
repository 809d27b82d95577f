//! The payload of a message: one JSON object without white space between its tokens.

use std::borrow::Cow;

use super::message::Message;
use super::structured_data::{self, Parameter};
use crate::api::json::write_escaped;

/// Writes payloads. It keeps its memory from one message to the next.
#[derive(Debug, Default)]
pub struct PayloadWriter {
    order: Vec<Entry>,
}

/// A parameter of the structured data, where it will be written. Sorted, those of one element are together, and of them
/// those of one name, all in the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The places of the first parameter with its identifier, and of the first with its identifier and name.
    first_of_id: u32,
    first_of_name: u32,
    place: u32,
    /// Where its identifier, its name and its value begin, and how long they are.
    id: (u32, u32),
    name: Option<(u32, u32)>,
    value: (u32, u32),
}

impl PayloadWriter {
    /// Appends the payload of a message, whose text is written in this way.
    pub fn write(&mut self, message: &Message, text: Text, truncated: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"facility\":");
        write_small(message.facility(), out);
        out.extend_from_slice(b",\"severity\":");
        write_small(message.severity(), out);
        for (key, value) in [
            (&b",\"hostname\":\""[..], message.hostname),
            (b",\"appname\":\"", message.app_name),
            (b",\"procid\":\"", message.proc_id),
            (b",\"msgid\":\"", message.msg_id),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(key);
                text.write(value, out);
                out.push(b'"');
            }
        }
        if let Some(data) = message.structured_data {
            out.extend_from_slice(b",\"structured_data\":");
            self.write_structured_data(data, text, out);
        }
        if let Some(value) = message.text {
            out.extend_from_slice(b",\"message\":\"");
            text.write(value, out);
            out.push(b'"');
        }
        if text.is_escaped {
            out.extend_from_slice(b",\"escaped\":true");
        }
        if truncated {
            out.extend_from_slice(b",\"truncated\":true");
        }
        out.push(b'}');
    }

    fn write_structured_data(&mut self, data: &[u8], text: Text, out: &mut Vec<u8>) {
        self.sort(data);
        let of = |(start, length): (u32, u32)| &data[start as usize..(start + length) as usize];
        out.push(b'{');
        let mut rest = &self.order[..];
        while let Some(first) = rest.first() {
            let same_id = |entry: &Entry| entry.first_of_id == first.first_of_id;
            let (element, others) = rest.split_at(rest.partition_point(same_id));
            out.push(b'"');
            text.write(of(first.id), out);
            out.extend_from_slice(b"\":{");
            write_element(element, of, text, out);
            out.push(b'}');
            rest = others;
            if !rest.is_empty() {
                out.push(b',');
            }
        }
        out.push(b'}');
    }

    /// Puts the parameters in the order in which they are written. What a message can make this do is bounded by the
    /// sort: it compares no parameter with all others.
    fn sort(&mut self, data: &[u8]) {
        self.order.clear();
        let order = &mut self.order;
        let range = |part: &[u8]| {
            let start = part.as_ptr() as usize - data.as_ptr() as usize;
            (start as u32, part.len() as u32)
        };
        structured_data::read(data, |Parameter { id, pair }| {
            let (name, value) = pair.unwrap_or_default();
            order.push(Entry {
                place: order.len() as u32,
                id: range(id),
                name: pair.map(|_| range(name)),
                value: if pair.is_some() { range(value) } else { (0, 0) },
                ..Entry::default()
            });
        });
        let of = |(start, length): (u32, u32)| &data[start as usize..(start + length) as usize];
        order.sort_unstable_by(|a, b| {
            let name = |entry: &Entry| entry.name.map(of);
            (of(a.id), name(a), a.place).cmp(&(of(b.id), name(b), b.place))
        });
        // The first in this order of an identifier need not be its first in the message.
        let mut from = 0;
        while from < order.len() {
            let id = of(order[from].id);
            let length = order[from..].partition_point(|entry| of(entry.id) == id);
            let element = &mut order[from..from + length];
            let first_of_id = element.iter().map(|entry| entry.place).min().unwrap_or(0);
            let mut first_of_name: Option<(Option<&[u8]>, u32)> = None;
            for entry in element {
                let name = entry.name.map(of);
                let first = match first_of_name {
                    Some((known, place)) if known == name => place,
                    _ => entry.place,
                };
                first_of_name = Some((name, first));
                entry.first_of_id = first_of_id;
                entry.first_of_name = first;
            }
            from += length;
        }
        order.sort_unstable();
    }
}

/// The members of an element.
fn write_element<'a>(
    element: &[Entry],
    of: impl Fn((u32, u32)) -> &'a [u8],
    text: Text,
    out: &mut Vec<u8>,
) {
    let mut rest = element;
    let mut separator = &b"\""[..];
    while let Some(first) = rest.first() {
        let same_name = |entry: &Entry| entry.first_of_name == first.first_of_name;
        let (values, others) = rest.split_at(rest.partition_point(same_name));
        rest = others;
        let Some(name) = first.name else { continue };
        out.extend_from_slice(separator);
        separator = b",\"";
        text.write(of(name), out);
        out.extend_from_slice(b"\":");
        let is_array = values.len() > 1;
        if is_array {
            out.push(b'[');
        }
        for (at, value) in values.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",\"" } else { b"\"" });
            structured_data::pieces(of(value.value)).for_each(|piece| text.write(piece, out));
            out.push(b'"');
        }
        if is_array {
            out.push(b']');
        }
    }
}

/// How the text of a message is written: where some of it is not UTF-8, the bytes that are not as `\xHH`, and each
/// backslash of all of it as two, so that a reader can undo both.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    is_escaped: bool,
}

impl Text {
    pub fn of(message: &Message) -> Self {
        let fields = [
            message.hostname,
            message.app_name,
            message.proc_id,
            message.msg_id,
            message.structured_data,
            message.text,
        ];
        let is_utf8 = |field: &[u8]| field.is_ascii() || std::str::from_utf8(field).is_ok();
        let is_escaped = !fields.into_iter().flatten().all(is_utf8);
        Self { is_escaped }
    }

    /// The text of a field as it is before JSON escapes it.
    pub(super) fn plain(self, field: &[u8]) -> Cow<'_, str> {
        if let (false, Ok(text)) = (self.is_escaped, std::str::from_utf8(field)) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(field.len() + 16);
        for chunk in field.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character == '\\' {
                    out.push('\\');
                }
                out.push(character);
            }
            for byte in chunk.invalid() {
                out.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
                }
            }
        }
        Cow::Owned(out)
    }

    /// Appends a field as it is written between the quotes of a JSON string.
    fn write(self, field: &[u8], out: &mut Vec<u8>) {
        if self.is_escaped {
            write_escaped(out, self.plain(field).as_bytes());
        } else {
            write_escaped(out, field);
        }
    }
}

/// A number below 100.
fn write_small(number: u8, out: &mut Vec<u8>) {
    if number >= 10 {
        out.push(b'0' + number / 10);
    }
    out.push(b'0' + number % 10);
}

#[cfg(test)]
mod tests;
