//! A push request in JSON, a stream and a value at a time.

use super::labels::Stream;
use crate::api::json::write_string;
use crate::event::{compact, TooDeep};
use crate::ingest::adapter::ReadStatus;
use crate::ingest::json::{elements, member, members, string, Elements};
use crate::ingest::record::Record;
use crate::ingest::records::{Records, TOO_DEEP};
use crate::ingest::time::{Time, Unit};

/// How far it has been read, as offsets into the text.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Where the next stream is looked for; none before the first.
    streams: Option<usize>,
    /// Where the next value of the present stream is; none between two streams.
    values: Option<usize>,
    /// The stream, or why its entries are rejected.
    stream: Option<Result<Stream, String>>,
}

/// Where `part`, which must be a slice of `text`, starts in it.
fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// Where the streams of a request begin. `text` is JSON.
///
/// # Errors
/// What is missing.
pub(super) fn begin(text: &str) -> Result<Cursor, &'static str> {
    let streams = member(text, "streams").filter(|streams| streams.starts_with('['));
    let streams = streams.ok_or("the request must be an object with an array `streams`")?;
    Ok(Cursor {
        streams: Some(offset_in(text, streams) + elements(streams).offset()),
        ..Cursor::default()
    })
}

/// How many entries a request has, and how many bytes they take of their streams' labels.
pub(super) fn measure(text: &str, cursor: &Cursor) -> (usize, usize) {
    let (mut count, mut repeated) = (0, 0_usize);
    for stream in Elements::at(text, cursor.streams.unwrap_or(text.len())) {
        let entries = member(stream, "values").map_or(0, |values| elements(values).count());
        let labels = member(stream, "stream").map_or(0, str::len);
        count += entries;
        repeated = repeated.saturating_add(entries.saturating_mul(labels));
    }
    (count, repeated)
}

/// Reads values of a request until the records are full. `text` is the one that [`begin`] took.
pub(super) fn read(text: &str, cursor: &mut Cursor, records: &mut Records) -> ReadStatus {
    loop {
        if let (Some(values), Some(stream)) = (cursor.values, &cursor.stream) {
            let mut values = Elements::at(text, values);
            loop {
                if records.is_full() {
                    cursor.values = Some(values.offset());
                    return ReadStatus::More;
                }
                let Some(value) = values.next() else {
                    break;
                };
                let result = stream
                    .as_ref()
                    .map_err(String::clone)
                    .and_then(|stream| push(value, stream, records).map_err(str::to_owned));
                if let Err(reason) = result {
                    records.reject(reason, value.as_bytes());
                }
            }
            cursor.values = None;
        }
        let mut streams = Elements::at(text, cursor.streams.unwrap_or(text.len()));
        let Some(stream) = streams.next() else {
            return ReadStatus::Done;
        };
        cursor.streams = Some(streams.offset());
        match member(stream, "values").filter(|values| values.starts_with('[')) {
            Some(values) => {
                cursor.values = Some(offset_in(text, values) + elements(values).offset());
                cursor.stream = Some(stream_of(stream));
            }
            None => records.reject("a stream has no values".to_owned(), stream.as_bytes()),
        }
    }
}

fn stream_of(stream: &str) -> Result<Stream, String> {
    const WRONG: &str = "the labels of a stream must be an object of strings";
    let labels = member(stream, "stream").filter(|labels| labels.starts_with('{'));
    let labels: Option<Vec<(String, String)>> = members(labels.ok_or(WRONG)?)
        .map(|(name, value)| Some((string(name)?.into_owned(), string(value)?.into_owned())))
        .collect();
    Ok(Stream::new(&labels.ok_or(WRONG)?))
}

/// `["NANOSECONDS","line",{metadata}?]`.
fn push(value: &str, stream: &Stream, records: &mut Records) -> Result<(), &'static str> {
    let mut parts = elements(value);
    let (Some(time), Some(line)) = (parts.next(), parts.next()) else {
        return Err("a value must be an array of a time and a line");
    };
    if !line.starts_with('"') {
        return Err("a line must be a string");
    }
    let out = records.payload();
    out.extend_from_slice(&stream.prefix);
    match string(line) {
        Some(line) => write_string(out, &line),
        // Its escapes leave a lone surrogate, which JSON allows.
        None => out.extend_from_slice(line.as_bytes()),
    }
    let metadata = parts
        .next()
        .filter(|metadata| members(metadata).next().is_some());
    if let Some(metadata) = metadata {
        out.extend_from_slice(b",\"metadata\":");
        match compact(metadata, out) {
            Ok(true) => {}
            Ok(false) => out.extend_from_slice(metadata.as_bytes()),
            Err(TooDeep) => {
                records.abandon();
                return Err(TOO_DEEP);
            }
        }
    }
    out.push(b'}');
    let time = string(time).map_or(time.into(), |time| time);
    records.finish(&Record {
        topic: Some(stream.topic.as_str().into()),
        source: Some(stream.source.as_str().into()),
        time: Some(Time::Text(&time, Unit::Nanos)),
        identity: None,
    });
    Ok(())
}
