//! An entry: its time, and its record as JSON.

use super::msgpack::{Broken, Reader, Token};
use crate::api::json::{write_string, write_to};
use crate::ingest::text::{write_any, write_bytes};
use crate::ingest::time::{Time, Unit};
use crate::limits::PAYLOAD_MAX_DEPTH;

/// A time with nanoseconds: the type of its extension.
const EVENT_TIME: i8 = 0;

/// Why an entry cannot become an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadEntry {
    /// It has no record that is a map.
    NotARecord,
    TooDeep,
}

impl From<Broken> for BadEntry {
    fn from(_: Broken) -> Self {
        BadEntry::NotARecord
    }
}

/// The next time; none for what is no time. Newer versions put metadata beside it, in an array.
pub(super) fn time(reader: &mut Reader) -> Result<Option<Time<'static>>, Broken> {
    let mut object = Reader::new(reader.object()?);
    let mut token = object.token()?;
    if let Token::Array(1..) = token {
        token = object.token()?;
    }
    Ok(match token {
        Token::Unsigned(seconds) => Some(Time::Number(seconds, Unit::Seconds)),
        Token::Extension(EVENT_TIME, data) => event_time(data),
        _ => None,
    })
}

fn event_time(data: &[u8]) -> Option<Time<'static>> {
    let (seconds, nanos) = data.split_first_chunk::<4>()?;
    let nanos: [u8; 4] = nanos.try_into().ok()?;
    let [seconds, nanos] = [*seconds, nanos].map(|part| u64::from(u32::from_be_bytes(part)));
    let total = seconds * 1_000_000_000 + nanos;
    (nanos < 1_000_000_000).then_some(Time::Number(total, Unit::Nanos))
}

/// What is known of a record besides its JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct About<'a> {
    /// The member `host`, else `hostname`.
    pub(super) host: Option<&'a [u8]>,
}

/// Appends the next object, a map, as JSON.
pub(super) fn record<'a>(
    reader: &mut Reader<'a>,
    out: &mut Vec<u8>,
) -> Result<About<'a>, BadEntry> {
    let Token::Map(pairs) = reader.token()? else {
        return Err(BadEntry::NotARecord);
    };
    let (mut host, mut hostname) = (None, None);
    let mut writer = Writer {
        out,
        is_escaped: false,
    };
    writer.out.push(b'{');
    for place in 0..pairs {
        writer.separate(place);
        let key = reader.token()?;
        writer.key(key, reader, 2)?;
        let mut ahead = *reader;
        let slot = match key {
            Token::Text(b"host") => Some(&mut host),
            Token::Text(b"hostname") => Some(&mut hostname),
            _ => None,
        };
        if let (Some(slot), Token::Text(name)) = (slot, ahead.token()?) {
            *slot = Some(name);
        }
        writer.value(reader, 2)?;
    }
    if writer.is_escaped {
        writer.separate(pairs);
        writer.out.extend_from_slice(b"\"escaped\":true");
    }
    out.push(b'}');
    let named = |name: &&[u8]| !name.is_empty();
    let host = host.filter(named).or(hostname.filter(named));
    Ok(About { host })
}

struct Writer<'b> {
    out: &'b mut Vec<u8>,
    /// Some text is not UTF-8.
    is_escaped: bool,
}

impl Writer<'_> {
    fn separate(&mut self, place: u32) {
        if place > 0 {
            self.out.push(b',');
        }
    }

    /// A key, which JSON has only as text, and its colon.
    fn key(&mut self, key: Token, reader: &mut Reader, depth: usize) -> Result<(), BadEntry> {
        match key {
            Token::Text(text) | Token::Binary(text) => self.is_escaped |= write_any(text, self.out),
            key => {
                let mut text = Vec::new();
                let mut writer = Writer {
                    out: &mut text,
                    is_escaped: false,
                };
                writer.rest_of(key, reader, depth)?;
                self.is_escaped |= writer.is_escaped;
                write_string(self.out, &String::from_utf8_lossy(&text));
            }
        }
        self.out.push(b':');
        Ok(())
    }

    /// The next object. `depth` is that of an array or map, if it is one.
    fn value(&mut self, reader: &mut Reader, depth: usize) -> Result<(), BadEntry> {
        let token = reader.token()?;
        self.rest_of(token, reader, depth)
    }

    fn rest_of(&mut self, token: Token, reader: &mut Reader, depth: usize) -> Result<(), BadEntry> {
        if matches!(token, Token::Array(_) | Token::Map(_)) && depth > PAYLOAD_MAX_DEPTH {
            return Err(BadEntry::TooDeep);
        }
        match token {
            Token::Nil => self.out.extend_from_slice(b"null"),
            Token::Bool(is) => write_to(self.out, format_args!("{is}")),
            Token::Unsigned(number) => write_to(self.out, format_args!("{number}")),
            Token::Negative(number) => write_to(self.out, format_args!("{number}")),
            Token::Float32(number) => self.float(number.into(), |out| {
                serde_json::to_writer(out, &number).is_ok()
            }),
            Token::Float64(number) => {
                self.float(number, |out| serde_json::to_writer(out, &number).is_ok());
            }
            Token::Text(text) => self.is_escaped |= write_any(text, self.out),
            Token::Binary(bytes) | Token::Extension(_, bytes) => write_bytes(bytes, self.out),
            Token::Array(elements) => {
                self.out.push(b'[');
                for place in 0..elements {
                    self.separate(place);
                    self.value(reader, depth + 1)?;
                }
                self.out.push(b']');
            }
            Token::Map(pairs) => {
                self.out.push(b'{');
                for place in 0..pairs {
                    self.separate(place);
                    let key = reader.token()?;
                    self.key(key, reader, depth + 1)?;
                    self.value(reader, depth + 1)?;
                }
                self.out.push(b'}');
            }
        }
        Ok(())
    }

    fn float(&mut self, number: f64, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let text = match number {
            _ if number.is_nan() => "\"NaN\"",
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => {
                let is_written = write(self.out);
                debug_assert!(is_written, "a Vec takes every write");
                return;
            }
        };
        self.out.extend_from_slice(text.as_bytes());
    }
}
