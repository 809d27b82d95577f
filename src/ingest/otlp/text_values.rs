//! Attributes and values in OTLP's JSON, as JSON of payloads.

use std::borrow::Cow;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, Engine as _};

use super::context::end_member;
use super::cursor::Cursor;
use super::payload::{close, close_array, deeper, write_double};
use super::walk::{Bad, UID};
use crate::http::write_number;
use crate::ingest::text::{write_bytes, write_lossy};

/// Appends the member `attributes`, if there are any, and returns the identity that is among them.
pub(super) fn write_attributes<'a>(
    cursor: &mut Cursor<'a>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<Option<Cow<'a, [u8]>>, Bad> {
    let mut identity = None;
    if !cursor.enter_array()? {
        return Ok(None);
    }
    let start = out.len();
    out.extend_from_slice(b"\"attributes\":{");
    while cursor.next_element() {
        if let Some((key, text)) = attribute(cursor, depth, out)? {
            if &*key == UID && identity.is_none() {
                identity = text;
            }
        }
    }
    close(out);
    end_member(out, b"\"attributes\":".len(), start);
    Ok(identity)
}

/// A key, and its value where that is a string.
pub(super) type Attribute<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// Appends a `KeyValue` as a member, with a comma after it; `depth` levels enclose its value. None is `null`.
pub(super) fn attribute<'a>(
    cursor: &mut Cursor<'a>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<Option<Attribute<'a>>, Bad> {
    if !cursor.enter_object()? {
        return Ok(None);
    }
    let start = out.len();
    let (mut key, mut text) = (None, None);
    // Where the value begins, after the key if that has been written.
    let mut value = start;
    while let Some(name) = cursor.next_key() {
        match &*name {
            b"key" if key.is_none() => key = cursor.string()?,
            b"value" => {
                out.truncate(start);
                if let Some(key) = &key {
                    write_lossy(key, out);
                    out.push(b':');
                }
                value = out.len();
                text = write_any(cursor, depth, out)?;
            }
            _ => {
                cursor.skip();
            }
        }
    }
    let key = key.unwrap_or_default();
    if out.len() == value {
        out.extend_from_slice(b"null");
    }
    if value == start {
        // The value came before its key.
        let middle = out.len();
        write_lossy(&key, out);
        out.push(b':');
        out[start..].rotate_left(middle - start);
    }
    out.push(b',');
    Ok(Some((key, text)))
}

/// Appends an `AnyValue` as JSON; `depth` levels enclose it. Returns a value that is a string. Of several members the
/// last counts.
pub(super) fn write_any<'a>(
    cursor: &mut Cursor<'a>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<Option<Cow<'a, [u8]>>, Bad> {
    let start = out.len();
    let mut found = None;
    if cursor.enter_object()? {
        while let Some(name) = cursor.next_key() {
            let before = out.len();
            let mut text = None;
            match &*name {
                b"stringValue" => {
                    text = cursor.string()?;
                    if let Some(text) = &text {
                        write_lossy(text, out);
                    }
                }
                b"arrayValue" => write_values(cursor, depth, out, [b'[', b']'])?,
                b"kvlistValue" => write_values(cursor, depth, out, [b'{', b'}'])?,
                _ => write_plain(&name, cursor, depth, out)?,
            }
            if out.len() > before {
                // It replaces an earlier one.
                out.drain(start..before);
                found = text;
            }
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    Ok(found)
}

/// Appends the value of a member of `AnyValue` that has no others in it, if it has one.
fn write_plain(
    name: &[u8],
    cursor: &mut Cursor,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Bad> {
    match name {
        b"boolValue" => {
            if let Some(value) = cursor.boolean()? {
                let text: &[u8] = if value { b"true" } else { b"false" };
                out.extend_from_slice(text);
            }
        }
        b"intValue" => {
            if let Some(number) = cursor.integer(i64::MIN.into(), i64::MAX.into())? {
                write_number(out, number);
            }
        }
        b"doubleValue" => {
            if let Some(number) = cursor.double()? {
                write_double(number, out);
            }
        }
        b"bytesValue" => {
            if let Some(text) = cursor.string()? {
                deeper(depth)?;
                let bytes = base64(&text).ok_or(Bad::Malformed("a value should be in base64"))?;
                write_bytes(&bytes, out);
            }
        }
        _ => {
            cursor.skip();
        }
    }
    Ok(())
}

/// Appends what is in an `ArrayValue` or a `KeyValueList`, between these brackets.
fn write_values(
    cursor: &mut Cursor,
    depth: usize,
    out: &mut Vec<u8>,
    [open, end]: [u8; 2],
) -> Result<(), Bad> {
    if !cursor.enter_object()? {
        return Ok(());
    }
    let depth = deeper(depth)?;
    out.push(open);
    while let Some(name) = cursor.next_key() {
        if &*name != b"values" {
            cursor.skip();
            continue;
        }
        if !cursor.enter_array()? {
            continue;
        }
        while cursor.next_element() {
            if open == b'{' {
                attribute(cursor, depth, out)?;
            } else {
                write_any(cursor, depth, out)?;
                out.push(b',');
            }
        }
    }
    if end == b']' {
        close_array(out);
    } else {
        close(out);
    }
    Ok(())
}

/// What Base64 means, in the alphabet for URLs too, with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabets = [&alphabet::STANDARD, &alphabet::URL_SAFE];
    alphabets
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, CONFIG).decode(text).ok())
}
