//! The payload of a record: its members in their order, each only where it is not empty or 0.
//!
//! Each member is written with a comma after it; [`close`] makes the last comma the end of the object.

use std::borrow::Cow;

use crate::http::write_number;
use crate::ingest::text::write_lossy;
use crate::ingest::time::{Time, Unit};
use crate::limits::PAYLOAD_MAX_DEPTH;

use super::walk::Bad;

/// Levels that enclose the values of attributes: the payload, and the object of the attributes.
pub(super) const ATTRIBUTES_DEPTH: usize = 2;
/// The payload.
pub(super) const BODY_DEPTH: usize = 1;

/// The members of a record that are the same in both encodings. What is absent is empty or 0.
#[derive(Debug, Default)]
pub(super) struct Plain<'a> {
    pub(super) time: u64,
    pub(super) observed_time: u64,
    pub(super) severity_number: i32,
    pub(super) severity_text: Cow<'a, [u8]>,
    pub(super) event_name: Cow<'a, [u8]>,
    pub(super) trace_id: Option<[u8; 16]>,
    pub(super) span_id: Option<[u8; 8]>,
    pub(super) flags: u32,
    pub(super) dropped_attributes: u32,
}

impl Plain<'_> {
    pub(super) fn time(&self) -> Time<'static> {
        let nanos = if self.time > 0 {
            self.time
        } else {
            self.observed_time
        };
        Time::Number(nanos, Unit::Nanos)
    }

    /// Appends the members that come before the body.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        write_count(out, b"\"severityNumber\":", self.severity_number.into());
        write_text(out, b"\"severityText\":", &self.severity_text);
        write_text(out, b"\"eventName\":", &self.event_name);
    }

    /// Appends the members that come after the attributes.
    pub(super) fn write_tail(&self, out: &mut Vec<u8>) {
        if let Some(id) = self.trace_id {
            write_id(out, b"\"traceId\":\"", &id);
        }
        if let Some(id) = self.span_id {
            write_id(out, b"\"spanId\":\"", &id);
        }
        write_count(out, b"\"flags\":", self.flags.into());
        let dropped = self.dropped_attributes;
        write_count(out, b"\"droppedAttributesCount\":", dropped.into());
    }
}

/// Appends a number that is not 0.
fn write_count(out: &mut Vec<u8>, key: &[u8], number: i64) {
    if number != 0 {
        out.extend_from_slice(key);
        write_number(out, number);
        out.push(b',');
    }
}

/// Appends a string that is not empty.
pub(super) fn write_text(out: &mut Vec<u8>, key: &[u8], text: &[u8]) {
    if !text.is_empty() {
        out.extend_from_slice(key);
        write_lossy(text, out);
        out.push(b',');
    }
}

fn write_id(out: &mut Vec<u8>, key: &[u8], id: &[u8]) {
    out.extend_from_slice(key);
    for byte in id {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    out.extend_from_slice(b"\",");
}

/// An id of this many bytes that is not all zero.
pub(super) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok().filter(|id| *id != [0; N])
}

/// Appends a double; what JSON has no number for is a string.
pub(super) fn write_double(number: f64, out: &mut Vec<u8>) {
    let text: &[u8] = match number {
        _ if number.is_nan() => b"\"NaN\"",
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => return serde_json::to_writer(out, &number).expect("a Vec takes every write"),
    };
    out.extend_from_slice(text);
}

/// The levels inside of an array or object that `depth` levels enclose.
pub(super) fn deeper(depth: usize) -> Result<usize, Bad> {
    if depth < PAYLOAD_MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(Bad::TooDeep)
    }
}

/// Ends an object whose members have been written.
pub(super) fn close(out: &mut Vec<u8>) {
    end(out, b'}');
}

/// Ends an array whose elements have been written.
pub(super) fn close_array(out: &mut Vec<u8>) {
    end(out, b']');
}

fn end(out: &mut Vec<u8>, bracket: u8) {
    // A comma at the end follows a member: no value ends with one.
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}

/// Whether a value that has been written says nothing. 0 and `false` say something.
pub(super) fn is_empty_value(text: &[u8]) -> bool {
    matches!(
        text,
        b"" | b"null" | b"\"\"" | b"[]" | b"{}" | b"{\"base64\":\"\"}"
    )
}
