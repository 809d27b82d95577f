//! A `PushRequest` in protobuf (logproto's `push.proto`), a stream and an entry at a time.

use super::labels::{self, Stream};
use crate::api::json::write_string;
use crate::ingest::adapter::ReadStatus;
use crate::ingest::protobuf::{Fields, Malformed};
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::text::write_lossy;
use crate::ingest::time::{Time, Unit};

/// How far it has been read. Offsets are counted from the end of what contains them, as [`Fields`] does.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Bytes of the request that are left; none before the first stream.
    request: Option<usize>,
    /// Bytes of the stream that are left; none between two streams.
    stream: Option<usize>,
    /// The stream, or why its entries are rejected.
    labels: Option<Result<Stream, String>>,
}

const REQUEST_STREAM: u32 = 1;
const STREAM_LABELS: u32 = 1;
const STREAM_ENTRY: u32 = 2;

/// Looks at all of a request: how many entries it has, and how many bytes they take of their streams' labels.
///
/// # Errors
/// It cannot be read.
pub(super) fn check(request: &[u8]) -> Result<(usize, usize), Malformed> {
    let (mut count, mut repeated) = (0, 0_usize);
    let mut streams = Fields::of(request);
    while let Some((number, value)) = streams.next()? {
        if number != REQUEST_STREAM {
            continue;
        }
        let (mut entries, mut labels) = (0_usize, 0);
        let mut fields = Fields::of(value.bytes()?);
        while let Some((number, value)) = fields.next()? {
            match number {
                STREAM_LABELS => labels = value.bytes()?.len(),
                STREAM_ENTRY => {
                    Entry::read(value.bytes()?)?;
                    entries += 1;
                }
                _ => {}
            }
        }
        count += entries;
        repeated = repeated.saturating_add(entries.saturating_mul(labels));
    }
    Ok((count, repeated))
}

/// An entry of a stream.
struct Entry<'a> {
    /// Nanoseconds since the epoch; 0 where there is no time, or one before that.
    nanos: u64,
    line: &'a [u8],
    /// The message itself, to read the metadata from.
    message: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut entry = Self {
            nanos: 0,
            line: b"",
            message,
        };
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => entry.nanos = timestamp(value.bytes()?)?,
                2 => entry.line = value.bytes()?,
                3 => drop(pair(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// Appends the metadata as a member of the payload, if there is some.
    fn write_metadata(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut fields = Fields::of(self.message);
        let mut is_first = true;
        while let Some((number, value)) = fields.next()? {
            if number != 3 {
                continue;
            }
            let (name, value) = pair(value.bytes()?)?;
            out.extend_from_slice(if is_first { b",\"metadata\":{" } else { b"," });
            is_first = false;
            write_lossy(name, out);
            out.push(b':');
            write_lossy(value, out);
        }
        if !is_first {
            out.push(b'}');
        }
        Ok(())
    }
}

/// A `google.protobuf.Timestamp`, in nanoseconds; 0 for one that is before the epoch or too late for 64 bits.
fn timestamp(message: &[u8]) -> Result<u64, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => seconds = value.varint()?,
            2 => nanos = value.varint()?,
            _ => {}
        }
    }
    let total = seconds.checked_mul(1_000_000_000);
    let total = total.and_then(|total| total.checked_add(nanos));
    Ok(total.filter(|_| nanos < 1_000_000_000).unwrap_or_default())
}

/// A name and a value.
fn pair(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut name, mut of_name) = (&b""[..], &b""[..]);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.bytes()?,
            2 => of_name = value.bytes()?,
            _ => {}
        }
    }
    Ok((name, of_name))
}

/// The labels of a stream. They may come after its entries.
fn stream_of(message: &[u8]) -> Result<Result<Stream, String>, Malformed> {
    let mut text = &b""[..];
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if number == STREAM_LABELS {
            text = value.bytes()?;
        }
    }
    let text = String::from_utf8_lossy(text);
    let labels = labels::parse(&text).map(|labels| Stream::new(&labels));
    Ok(labels.ok_or_else(|| unreadable(&text)))
}

/// Each entry of a stream has this reason, so it is short however long the labels are.
fn unreadable(labels: &str) -> String {
    match labels.char_indices().nth(200) {
        None => format!("the labels {labels} cannot be read"),
        Some((end, _)) => format!("the labels {}… cannot be read", &labels[..end]),
    }
}

/// Reads entries of a request that [`check`] has let pass until the records are full.
///
/// # Errors
/// None for such a request.
pub(super) fn read(
    request: &[u8],
    cursor: &mut Cursor,
    records: &mut Records,
) -> Result<ReadStatus, Malformed> {
    let left = cursor.request.unwrap_or(request.len());
    let mut streams = Fields::of(&request[request.len() - left..]);
    loop {
        if let (Some(left), Some(labels)) = (cursor.stream, &cursor.labels) {
            // The stream is the last field that was read.
            let end = request.len() - streams.rest();
            let mut fields = Fields::of(&request[end - left..end]);
            while !records.is_full() {
                let Some((number, value)) = fields.next()? else {
                    cursor.stream = None;
                    break;
                };
                if number == STREAM_ENTRY {
                    push(value.bytes()?, labels, records)?;
                }
            }
            if cursor.stream.is_some() {
                cursor.stream = Some(fields.rest());
                cursor.request = Some(streams.rest());
                return Ok(ReadStatus::More);
            }
        }
        let Some((number, value)) = streams.next()? else {
            return Ok(ReadStatus::Done);
        };
        if number == REQUEST_STREAM {
            let message = value.bytes()?;
            cursor.stream = Some(message.len());
            cursor.labels = Some(stream_of(message)?);
        }
    }
}

fn push(
    message: &[u8],
    stream: &Result<Stream, String>,
    records: &mut Records,
) -> Result<(), Malformed> {
    let entry = Entry::read(message)?;
    let stream = match stream {
        Ok(stream) => stream,
        Err(reason) => {
            records.reject(reason.clone(), message);
            return Ok(());
        }
    };
    let out = records.payload();
    out.extend_from_slice(&stream.prefix);
    match std::str::from_utf8(entry.line) {
        Ok(line) => write_string(out, line),
        Err(_) => write_lossy(entry.line, out),
    }
    entry.write_metadata(out)?;
    out.push(b'}');
    records.finish(&Record {
        topic: Some(stream.topic.as_str().into()),
        source: Some(stream.source.as_str().into()),
        time: Some(Time::Number(entry.nanos, Unit::Nanos)),
        identity: None,
    });
    Ok(())
}
