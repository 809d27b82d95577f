//! Records out of a body in OTLP's JSON: protobuf's JSON mapping with lowerCamelCase names, ids in hexadecimal and
//! enums as integers. `null` is the same as absent.

use std::borrow::Cow;

use super::context::{end_member, Context};
use super::cursor::{self, Cursor};
use super::payload::{close, id, write_text, Plain, ATTRIBUTES_DEPTH, BODY_DEPTH};
use super::text_values::{attribute, write_any, write_attributes};
use super::walk::{self, Bad};
use crate::ingest::records::{Records, TOO_DEEP};

/// What is read next, at the place where the walk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Level {
    #[default]
    Start,
    /// The members of the request.
    Request,
    /// The elements of its `resourceLogs`.
    ResourceLogs,
    /// The members of one of them.
    Resource,
    /// The elements of its `scopeLogs`.
    ScopeLogs,
    /// The members of one of them.
    Scope,
    /// The elements of its `logRecords`.
    LogRecords,
    End,
}

/// How far a body has been read.
#[derive(Debug, Default)]
pub(super) struct Walk {
    level: Level,
    at: usize,
    context: Context,
}

impl walk::Walk for Walk {
    fn check(body: &[u8]) -> Result<(), String> {
        cursor::check(body).map_err(|error| error.to_string())
    }

    fn next<'b>(&mut self, body: &'b [u8]) -> Result<Option<&'b [u8]>, &'static str> {
        let mut cursor = Cursor::new(body, self.at);
        let found = self.advance(&mut cursor);
        self.at = cursor.offset();
        found.map_err(|bad| match bad {
            Bad::Malformed(reason) => reason,
            Bad::TooDeep => TOO_DEEP,
        })
    }

    fn repeated_bytes(&self) -> usize {
        self.context.repeated_bytes()
    }

    fn add(&mut self, record: &[u8], records: &mut Records) -> Result<(), Bad> {
        let context = &self.context;
        if context.is_too_deep() {
            return Err(Bad::TooDeep);
        }
        let log = LogRecord::read(record)?;
        let identity = log.write(context.tail(), records.payload());
        context.add(log.plain.time(), identity, records)
    }
}

impl Walk {
    fn advance<'b>(&mut self, cursor: &mut Cursor<'b>) -> Result<Option<&'b [u8]>, Bad> {
        loop {
            let is_there = |is_there, there, not| if is_there { there } else { not };
            self.level = match self.level {
                Level::Start => is_there(cursor.enter_object()?, Level::Request, Level::End),
                Level::Request => {
                    let below = (Level::ResourceLogs, Level::End);
                    list(cursor, b"resourceLogs", Level::Request, below)?
                }
                Level::ResourceLogs => is_there(
                    self.enter_resource(cursor)?,
                    Level::Resource,
                    Level::Request,
                ),
                Level::Resource => {
                    let below = (Level::ScopeLogs, Level::ResourceLogs);
                    list(cursor, b"scopeLogs", Level::Resource, below)?
                }
                Level::ScopeLogs => {
                    is_there(self.enter_scope(cursor)?, Level::Scope, Level::Resource)
                }
                Level::Scope => {
                    let below = (Level::LogRecords, Level::ScopeLogs);
                    list(cursor, b"logRecords", Level::Scope, below)?
                }
                Level::LogRecords if cursor.next_element() => return Ok(Some(cursor.skip())),
                Level::LogRecords => Level::Scope,
                Level::End => return Ok(None),
            };
        }
    }

    /// Goes into the next of the `resourceLogs`, which is an object, and reads its resource, wherever that is in it.
    fn enter_resource(&mut self, cursor: &mut Cursor) -> Result<bool, Bad> {
        while cursor.next_element() {
            if !cursor.enter_object()? {
                continue;
            }
            self.context.begin_resource();
            if let Some(mut resource) = member(cursor, b"resource")? {
                while let Some(key) = resource.next_key() {
                    if &*key != b"attributes" {
                        resource.skip();
                    } else if resource.enter_array()? {
                        self.read_resource(&mut resource)?;
                    }
                }
            }
            self.context.end_resource();
            return Ok(true);
        }
        Ok(false)
    }

    fn read_resource(&mut self, attributes: &mut Cursor) -> Result<(), Bad> {
        while attributes.next_element() {
            let start = attributes.clone();
            let out = self.context.resource();
            let length = out.len();
            match attribute(attributes, ATTRIBUTES_DEPTH, out) {
                Ok(Some((key, Some(text)))) => self.context.note(&key, &text),
                Ok(_) => {}
                // It is the fault of records, and not of the body.
                Err(Bad::TooDeep) => {
                    out.truncate(length);
                    self.context.set_resource_deep();
                    *attributes = start;
                    attributes.skip();
                }
                Err(bad) => return Err(bad),
            }
        }
        Ok(())
    }

    /// The same of the `scopeLogs` and their scope.
    fn enter_scope(&mut self, cursor: &mut Cursor) -> Result<bool, Bad> {
        while cursor.next_element() {
            if !cursor.enter_object()? {
                continue;
            }
            let out = self.context.begin_scope();
            let is_deep = match member(cursor, b"scope")? {
                Some(mut scope) => write_scope(&mut scope, out)?,
                None => false,
            };
            if is_deep {
                self.context.set_scope_deep();
            }
            self.context.end_scope();
            return Ok(true);
        }
        Ok(false)
    }
}

/// In an object: skips a member, or goes into its array if it has this name. Gives `here`, or which of
/// `below` is next: the elements of the array, or what comes after the object.
fn list(
    cursor: &mut Cursor,
    name: &[u8],
    here: Level,
    below: (Level, Level),
) -> Result<Level, Bad> {
    match cursor.next_key() {
        None => Ok(below.1),
        Some(key) if &*key == name => Ok(if cursor.enter_array()? { below.0 } else { here }),
        Some(_) => {
            cursor.skip();
            Ok(here)
        }
    }
}

/// A place in the object that is the first member of this name in the object where the cursor is; none if that
/// is absent. The cursor stays.
fn member<'a>(cursor: &Cursor<'a>, name: &[u8]) -> Result<Option<Cursor<'a>>, Bad> {
    let mut ahead = cursor.clone();
    while let Some(key) = ahead.next_key() {
        if &*key == name {
            return Ok(ahead.enter_object()?.then_some(ahead));
        }
        ahead.skip();
    }
    Ok(None)
}

/// Appends the members of a scope, and returns whether one is nested too deeply.
fn write_scope(scope: &mut Cursor, out: &mut Vec<u8>) -> Result<bool, Bad> {
    let (mut name, mut version) = (None, None);
    let mut attributes = None;
    while let Some(key) = scope.next_key() {
        match &*key {
            b"name" => name = scope.string()?,
            b"version" => version = scope.string()?,
            b"attributes" => {
                attributes = Some(scope.clone());
                scope.skip();
            }
            _ => {
                scope.skip();
            }
        }
    }
    write_text(out, b"\"name\":", &name.unwrap_or_default());
    write_text(out, b"\"version\":", &version.unwrap_or_default());
    let Some(mut attributes) = attributes else {
        return Ok(false);
    };
    match write_attributes(&mut attributes, ATTRIBUTES_DEPTH + 1, out) {
        Ok(_) => Ok(false),
        Err(Bad::TooDeep) => Ok(true),
        Err(bad) => Err(bad),
    }
}

/// A record, whose body and attributes have not been looked into.
#[derive(Debug, Default)]
struct LogRecord<'a> {
    plain: Plain<'a>,
    body: Option<Cursor<'a>>,
    attributes: Option<Cursor<'a>>,
}

impl<'a> LogRecord<'a> {
    fn read(record: &'a [u8]) -> Result<Self, Bad> {
        let mut log = LogRecord::default();
        let plain = &mut log.plain;
        let mut cursor = Cursor::new(record, 0);
        // A record that is null has no members, as `{}`.
        if !cursor.enter_object()? {
            return Ok(log);
        }
        let unsigned = |cursor: &mut Cursor, most: u64| -> Result<u64, Bad> {
            let number = cursor.integer(0, most.into())?;
            Ok(number.map_or(0, |number| number as u64))
        };
        while let Some(key) = cursor.next_key() {
            match &*key {
                b"timeUnixNano" => plain.time = unsigned(&mut cursor, u64::MAX)?,
                b"observedTimeUnixNano" => {
                    plain.observed_time = unsigned(&mut cursor, u64::MAX)?;
                }
                b"severityNumber" => {
                    let number = cursor.integer(i32::MIN.into(), i32::MAX.into())?;
                    plain.severity_number = number.map_or(0, |number| number as i32);
                }
                b"severityText" => plain.severity_text = cursor.string()?.unwrap_or_default(),
                b"eventName" => plain.event_name = cursor.string()?.unwrap_or_default(),
                b"traceId" => plain.trace_id = hex(cursor.string()?),
                b"spanId" => plain.span_id = hex(cursor.string()?),
                b"flags" => plain.flags = unsigned(&mut cursor, u32::MAX.into())? as u32,
                b"droppedAttributesCount" => {
                    plain.dropped_attributes = unsigned(&mut cursor, u32::MAX.into())? as u32;
                }
                b"body" => {
                    log.body = Some(cursor.clone());
                    cursor.skip();
                }
                b"attributes" => {
                    log.attributes = Some(cursor.clone());
                    cursor.skip();
                }
                _ => {
                    cursor.skip();
                }
            }
        }
        Ok(log)
    }

    /// Appends the payload, and returns the record's identity.
    fn write(&self, tail: [&[u8]; 2], out: &mut Vec<u8>) -> Result<Option<Cow<'a, [u8]>>, Bad> {
        out.push(b'{');
        self.plain.write_head(out);
        if let Some(mut body) = self.body.clone() {
            let start = out.len();
            out.extend_from_slice(b"\"body\":");
            write_any(&mut body, BODY_DEPTH, out)?;
            end_member(out, b"\"body\":".len(), start);
        }
        let mut identity = None;
        if let Some(mut attributes) = self.attributes.clone() {
            identity = write_attributes(&mut attributes, ATTRIBUTES_DEPTH, out)?;
        }
        self.plain.write_tail(out);
        for part in tail {
            out.extend_from_slice(part);
        }
        close(out);
        Ok(identity)
    }
}

/// An id in hexadecimal.
fn hex<const N: usize>(text: Option<Cow<[u8]>>) -> Option<[u8; N]> {
    let text = text?;
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(digits[0])? * 16 + digit(digits[1])?) as u8;
    }
    id(&bytes)
}
