//! Records out of a body in protobuf (opentelemetry-proto: `logs_service.proto`, `logs.proto`, `common.proto`,
//! `resource.proto`). Fields are named by their numbers in comments.

use std::borrow::Cow;
use std::ops::Range;

use super::context::{end_member, Context};
use super::payload::{
    close, close_array, deeper, id, write_double, write_text, Plain, ATTRIBUTES_DEPTH, BODY_DEPTH,
};
use super::walk::{self, Bad, UID};
use crate::http::write_number;
use crate::ingest::protobuf::{Fields, Malformed, Value};
use crate::ingest::records::Records;
use crate::ingest::text::{write_bytes, write_lossy};

impl From<Malformed> for Bad {
    fn from(malformed: Malformed) -> Self {
        Bad::Malformed(malformed.0)
    }
}

/// How far a body has been read: what is left of it, and of the messages that are open.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Where the rest of the request begins.
    request: usize,
    /// The rest of the `ResourceLogs`.
    resource: Range<usize>,
    /// The rest of the `ScopeLogs`.
    scope: Range<usize>,
    context: Context,
}

impl walk::Walk for Walk {
    #[inline]
    fn next<'b>(&mut self, body: &'b [u8]) -> Result<Option<&'b [u8]>, &'static str> {
        self.advance(body).map_err(|malformed| malformed.0)
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
        let identity = log
            .write(context.tail(), records.payload())
            .map(|identity| identity.map(Cow::Borrowed));
        context.add(log.plain.time(), identity, records)
    }
}

/// The next field of this number in a part of the body, which is left after it. The field must be a message.
#[inline]
fn next_message<'b>(
    body: &'b [u8],
    part: &mut Range<usize>,
    number: u32,
) -> Result<Option<&'b [u8]>, Malformed> {
    let mut fields = Fields::of(&body[part.clone()]);
    while let Some((found, value)) = fields.next()? {
        if found == number {
            part.start = part.end - fields.rest();
            return value.bytes().map(Some);
        }
    }
    part.start = part.end;
    Ok(None)
}

impl Walk {
    fn advance<'b>(&mut self, body: &'b [u8]) -> Result<Option<&'b [u8]>, Malformed> {
        loop {
            // ScopeLogs.log_records = 2
            if let Some(record) = next_message(body, &mut self.scope, 2)? {
                return Ok(Some(record));
            }
            // ResourceLogs.scope_logs = 2
            if let Some(scope_logs) = next_message(body, &mut self.resource, 2)? {
                self.scope = self.resource.start - scope_logs.len()..self.resource.start;
                self.read_scope(scope_logs)?;
                continue;
            }
            // ExportLogsServiceRequest.resource_logs = 1
            let mut request = self.request..body.len();
            let Some(resource_logs) = next_message(body, &mut request, 1)? else {
                self.request = body.len();
                return Ok(None);
            };
            self.request = request.start;
            self.resource = request.start - resource_logs.len()..request.start;
            self.read_resource(resource_logs)?;
        }
    }

    fn read_resource(&mut self, resource_logs: &[u8]) -> Result<(), Malformed> {
        self.context.begin_resource();
        let mut fields = Fields::of(resource_logs);
        while let Some((number, value)) = fields.next()? {
            // ResourceLogs.resource = 1; several are merged, as everywhere in protobuf.
            if number != 1 {
                continue;
            }
            let mut resource = Fields::of(value.bytes()?);
            while let Some((number, value)) = resource.next()? {
                // Resource.attributes = 1
                if number != 1 {
                    continue;
                }
                let out = self.context.resource();
                let attribute = attribute(value.bytes()?, ATTRIBUTES_DEPTH, out);
                match unless_deep(attribute)? {
                    Some((key, Some(text))) => self.context.note(key, text),
                    Some((_, None)) => {}
                    None => self.context.set_resource_deep(),
                }
            }
        }
        self.context.end_resource();
        Ok(())
    }

    fn read_scope(&mut self, scope_logs: &[u8]) -> Result<(), Malformed> {
        let (mut name, mut version): (&[u8], &[u8]) = (b"", b"");
        let mut fields = Fields::of(scope_logs);
        let mut scopes = fields;
        while let Some((number, value)) = fields.next()? {
            // ScopeLogs.scope = 1
            if number != 1 {
                continue;
            }
            let mut scope = Fields::of(value.bytes()?);
            while let Some((number, value)) = scope.next()? {
                match number {
                    1 => name = value.bytes()?,
                    2 => version = value.bytes()?,
                    _ => {}
                }
            }
        }
        let out = self.context.begin_scope();
        write_text(out, b"\"name\":", name);
        write_text(out, b"\"version\":", version);
        let start = out.len();
        out.extend_from_slice(b"\"attributes\":{");
        let mut is_deep = false;
        while let Some((number, value)) = scopes.next()? {
            if number != 1 {
                continue;
            }
            let mut scope = Fields::of(value.bytes()?);
            while let Some((number, value)) = scope.next()? {
                // InstrumentationScope.attributes = 3
                if number == 3 {
                    let attribute = attribute(value.bytes()?, ATTRIBUTES_DEPTH + 1, out);
                    is_deep |= unless_deep(attribute)?.is_none();
                }
            }
        }
        close(out);
        end_member(out, b"\"attributes\":".len(), start);
        if is_deep {
            self.context.set_scope_deep();
        }
        self.context.end_scope();
        Ok(())
    }
}

/// None if it is nested too deeply, which is the fault of records and not of the body.
fn unless_deep<T>(result: Result<T, Bad>) -> Result<Option<T>, Malformed> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Bad::TooDeep) => Ok(None),
        Err(Bad::Malformed(reason)) => Err(Malformed(reason)),
    }
}

/// A `LogRecord`, not yet looked into further than its own fields.
#[derive(Debug, Default)]
struct LogRecord<'a> {
    plain: Plain<'a>,
    body: Any<'a>,
    /// The fields from the first of the attributes to the last.
    attributes: &'a [u8],
}

impl<'a> LogRecord<'a> {
    fn read(record: &'a [u8]) -> Result<Self, Malformed> {
        let mut log = LogRecord::default();
        let plain = &mut log.plain;
        let mut attributes: Option<Range<usize>> = None;
        let mut fields = Fields::of(record);
        let mut start = 0;
        while let Some((number, value)) = fields.next()? {
            let end = record.len() - fields.rest();
            match number {
                1 => plain.time = value.fixed64()?,
                // An enum has 32 bits, which are sent as 64.
                2 => plain.severity_number = value.varint()? as i32,
                3 => plain.severity_text = Cow::Borrowed(value.bytes()?),
                5 => log.body = Any::read(value.bytes()?)?.or(log.body),
                6 => {
                    value.bytes()?;
                    attributes = Some(attributes.map_or(start, |range| range.start)..end);
                }
                7 => plain.dropped_attributes = value.varint()? as u32,
                8 => plain.flags = value.fixed32()?,
                9 => plain.trace_id = id(value.bytes()?),
                10 => plain.span_id = id(value.bytes()?),
                11 => plain.observed_time = value.fixed64()?,
                12 => plain.event_name = Cow::Borrowed(value.bytes()?),
                _ => {}
            }
            start = end;
        }
        log.attributes = attributes.map_or(&[], |range| &record[range]);
        Ok(log)
    }

    /// Appends the payload, and returns the record's identity.
    fn write(&self, tail: [&[u8]; 2], out: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Bad> {
        out.push(b'{');
        self.plain.write_head(out);
        if self.body != Any::Nothing {
            let start = out.len();
            out.extend_from_slice(b"\"body\":");
            self.body.write(BODY_DEPTH, out)?;
            end_member(out, b"\"body\":".len(), start);
        }
        let mut identity = None;
        if !self.attributes.is_empty() {
            out.extend_from_slice(b"\"attributes\":{");
            let mut fields = Fields::of(self.attributes);
            while let Some((number, value)) = fields.next()? {
                // LogRecord.attributes = 6
                if number == 6 {
                    let (key, text) = attribute(value.bytes()?, ATTRIBUTES_DEPTH, out)?;
                    if key == UID && identity.is_none() {
                        identity = text;
                    }
                }
            }
            close(out);
            out.push(b',');
        }
        self.plain.write_tail(out);
        for part in tail {
            out.extend_from_slice(part);
        }
        close(out);
        Ok(identity)
    }
}

/// Appends a `KeyValue` as a member, with a comma after it; `depth` levels enclose its value. Returns its key, and
/// its value where that is a string.
fn attribute<'a>(
    key_value: &'a [u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(&'a [u8], Option<&'a [u8]>), Bad> {
    let (mut key, mut any): (&[u8], _) = (b"", Any::Nothing);
    let mut fields = Fields::of(key_value);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.bytes()?,
            2 => any = Any::read(value.bytes()?)?.or(any),
            _ => {}
        }
    }
    write_lossy(key, out);
    out.push(b':');
    any.write(depth, out)?;
    out.push(b',');
    let text = match any {
        Any::Text(text) => Some(text),
        _ => None,
    };
    Ok((key, text))
}

/// An `AnyValue`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Any<'a> {
    #[default]
    Nothing,
    Text(&'a [u8]),
    Bool(bool),
    Integer(i64),
    Double(f64),
    /// An `ArrayValue`.
    Array(&'a [u8]),
    /// A `KeyValueList`.
    Object(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Of several members the last counts, as everywhere in protobuf.
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut any = Any::Nothing;
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            any = match number {
                1 => Any::Text(value.bytes()?),
                2 => Any::Bool(value.varint()? != 0),
                3 => Any::Integer(value.varint()? as i64),
                4 => Any::Double(f64::from_bits(value.fixed64()?)),
                5 => Any::Array(value.bytes()?),
                6 => Any::Object(value.bytes()?),
                7 => Any::Bytes(value.bytes()?),
                _ => any,
            };
        }
        Ok(any)
    }

    /// What it says, or else what `earlier` says.
    fn or(self, earlier: Self) -> Self {
        match self {
            Any::Nothing => earlier,
            _ => self,
        }
    }

    /// Appends it as JSON; `depth` levels enclose it.
    fn write(self, depth: usize, out: &mut Vec<u8>) -> Result<(), Bad> {
        match self {
            Any::Nothing => out.extend_from_slice(b"null"),
            Any::Text(text) => write_lossy(text, out),
            Any::Bool(true) => out.extend_from_slice(b"true"),
            Any::Bool(false) => out.extend_from_slice(b"false"),
            Any::Integer(number) => write_number(out, number),
            Any::Double(number) => write_double(number, out),
            Any::Bytes(bytes) => {
                deeper(depth)?;
                write_bytes(bytes, out);
            }
            Any::Array(values) => {
                let depth = deeper(depth)?;
                out.push(b'[');
                for_each(values, |value| {
                    Any::read(value)?.write(depth, out)?;
                    out.push(b',');
                    Ok(())
                })?;
                close_array(out);
            }
            Any::Object(values) => {
                let depth = deeper(depth)?;
                out.push(b'{');
                for_each(values, |value| attribute(value, depth, out).map(|_| ()))?;
                close(out);
            }
        }
        Ok(())
    }
}

/// Each of the messages in an `ArrayValue` or a `KeyValueList`: in both they are field 1, `values`.
fn for_each<'a>(
    list: &'a [u8],
    mut each: impl FnMut(&'a [u8]) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let mut fields = Fields::of(list);
    while let Some((number, value)) = fields.next()? {
        if let (1, Value::Bytes(value)) = (number, value) {
            each(value)?;
        } else if number == 1 {
            value.bytes()?;
        }
    }
    Ok(())
}
