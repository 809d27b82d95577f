//! From the bytes of a connection to records and acknowledgements.
//!
//! A message is looked at as a whole before any of it becomes a record: what is broken is not stored in part. Then it
//! is processed in pieces of bounded work.

use std::borrow::Cow;

use super::entry::{self, BadEntry};
use super::message::{self, Entries};
use super::msgpack::{length, Broken, Reader, Scanner};
use crate::http::encoding::{Coding, Decoding};
use crate::ingest::record::Record;
use crate::ingest::records::{Records, TOO_DEEP};
use crate::ingest::socket_decoder::{SocketDecoder, Unreadable};
use crate::limits::{DECODED_SHORT_BYTES, SOCKET_EVENTS_PER_TURN};

/// What closes a connection.
const BROKEN: &str = "it is no message of the forward protocol, or larger than a body may be";

/// The decoder of a connection.
pub(crate) struct Forward {
    /// Received bytes; the message in progress is at their beginning.
    held: Vec<u8>,
    /// Of the message that begins there.
    scanner: Scanner,
    work: Option<Work>,
    /// Acknowledgements of messages all of whose records have been given.
    answer: Vec<u8>,
    /// There may be more to do with the received bytes.
    has_more: bool,
    /// Most bytes of a message, and of its entries.
    limit: usize,
}

/// A message that is complete.
struct Work {
    /// Bytes of it in `held`.
    length: usize,
    tag: String,
    chunk: Option<Vec<u8>>,
    entries: WorkEntries,
    /// The place of the next one.
    place: u64,
}

enum WorkEntries {
    /// In `held`, from one place to another.
    Held {
        at: usize,
        end: usize,
        is_one: bool,
    },
    Compressed(Box<Decoding>),
    Own {
        bytes: Vec<u8>,
        at: usize,
    },
}

impl Forward {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            scanner: Scanner::default(),
            work: None,
            answer: Vec::new(),
            has_more: false,
            limit,
        }
    }

    /// Processes the complete message, or looks for the end of the next. Returns whether there may be more to do.
    fn step(&mut self, records: &mut Records) -> Result<bool, Broken> {
        if self.work.is_none() {
            let Some(length) = self.scanner.scan(&self.held, self.limit)? else {
                return Ok(false);
            };
            self.scanner = Scanner::default();
            self.begin(length)?;
            records.begin_request();
            return Ok(true);
        }
        let is_done = self.work_on(records)?;
        if is_done {
            self.finish();
        }
        Ok(true)
    }

    /// A message has come whole.
    fn begin(&mut self, length: usize) -> Result<(), Broken> {
        let bytes = &self.held[..length];
        let Some(message) = message::parse(bytes)? else {
            self.held.drain(..length);
            return Ok(());
        };
        let range = |part: &[u8]| {
            let at = part.as_ptr() as usize - bytes.as_ptr() as usize;
            (at, at + part.len())
        };
        let entries = match message.entries {
            Entries::One(part) => {
                let (at, end) = range(part);
                WorkEntries::Held {
                    at,
                    end,
                    is_one: true,
                }
            }
            Entries::Many(part) => {
                check(part)?;
                let (at, end) = range(part);
                WorkEntries::Held {
                    at,
                    end,
                    is_one: false,
                }
            }
            Entries::Compressed(coding, part) => {
                let decoding = self.decoding(coding, part.to_vec())?;
                WorkEntries::Compressed(Box::new(decoding))
            }
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.work = Some(Work {
            length,
            tag: text(message.tag),
            chunk: message.chunk.map(<[u8]>::to_vec),
            entries,
            place: 0,
        });
        Ok(())
    }

    fn decoding(&self, coding: Coding, part: Vec<u8>) -> Result<Decoding, Broken> {
        Decoding::new(coding, part, self.limit).map_err(|_| Broken)
    }

    /// Decompresses a piece, or makes records of some entries. Returns whether all of the message is done.
    fn work_on(&mut self, records: &mut Records) -> Result<bool, Broken> {
        let Self { held, work, .. } = self;
        let Some(work) = work else { return Ok(true) };
        if let WorkEntries::Compressed(decoding) = &mut work.entries {
            if let Some(bytes) = decoding.go_on(DECODED_SHORT_BYTES).map_err(|_| Broken)? {
                check(&bytes)?;
                work.entries = WorkEntries::Own { bytes, at: 0 };
            }
            return Ok(false);
        }
        let (bytes, is_one) = match &work.entries {
            WorkEntries::Held { at, end, is_one } => (&held[*at..*end], *is_one),
            WorkEntries::Own { bytes, at } => (&bytes[*at..], false),
            WorkEntries::Compressed(_) => return Ok(false),
        };
        let mut reader = Reader::new(bytes);
        let mut place = work.place;
        while !reader.rest().is_empty() && !records.is_full() {
            let entry = if is_one {
                let entry = reader.rest();
                reader = Reader::new(&[]);
                entry
            } else {
                reader.object()?
            };
            let chunk = work.chunk.as_deref();
            give(
                entry,
                is_one,
                &work.tag,
                chunk.map(|chunk| (chunk, place)),
                records,
            );
            place += 1;
        }
        let taken = bytes.len() - reader.rest().len();
        let is_done = reader.rest().is_empty();
        work.place = place;
        match &mut work.entries {
            WorkEntries::Held { at, .. } | WorkEntries::Own { at, .. } => *at += taken,
            WorkEntries::Compressed(_) => {}
        }
        Ok(is_done)
    }

    /// All records of the message have been given.
    fn finish(&mut self) {
        let Some(work) = self.work.take() else { return };
        self.held.drain(..work.length);
        if let Some(chunk) = work.chunk {
            self.answer.extend_from_slice(b"\x81\xa3ack");
            let length = chunk.len() as u32;
            match length {
                0..32 => self.answer.push(0xa0 | length as u8),
                32..256 => self.answer.extend_from_slice(&[0xd9, length as u8]),
                _ => {
                    self.answer.push(0xdb);
                    self.answer.extend_from_slice(&length.to_be_bytes());
                }
            }
            self.answer.extend_from_slice(&chunk);
        }
    }
}

/// Whether all of `bytes` are objects.
fn check(bytes: &[u8]) -> Result<(), Broken> {
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[length(rest)?..];
    }
    Ok(())
}

/// Makes a record of an entry, or rejects it.
fn give(
    bytes: &[u8],
    is_one: bool,
    tag: &str,
    identity: Option<(&[u8], u64)>,
    records: &mut Records,
) {
    match try_give(bytes, is_one, tag, identity, records) {
        Ok(()) => {}
        Err(bad) => {
            records.abandon();
            let reason = match bad {
                BadEntry::NotARecord => "the entry is not a time and a map",
                BadEntry::TooDeep => TOO_DEEP,
            };
            records.reject(reason.to_owned(), bytes);
        }
    }
}

fn try_give(
    bytes: &[u8],
    is_one: bool,
    tag: &str,
    identity: Option<(&[u8], u64)>,
    records: &mut Records,
) -> Result<(), BadEntry> {
    use super::msgpack::Token;
    let mut reader = Reader::new(bytes);
    let body = records.payload();
    if !is_one && !matches!(reader.token()?, Token::Array(2..)) {
        return Err(BadEntry::NotARecord);
    }
    let time = entry::time(&mut reader)?;
    let about = entry::record(&mut reader, body)?;
    let identity = identity.map(|(chunk, place)| {
        let chunk = String::from_utf8_lossy(chunk);
        Cow::Owned(format!("{chunk}:{place}"))
    });
    records.finish(&Record {
        topic: Some(Cow::Borrowed(tag)),
        source: about.host.map(String::from_utf8_lossy),
        time,
        identity,
    });
    Ok(())
}

impl SocketDecoder for Forward {
    fn receive(&mut self, bytes: &mut &[u8], records: &mut Records) -> Result<(), Unreadable> {
        self.held.extend_from_slice(bytes);
        *bytes = &[];
        let mut steps = 0;
        self.has_more = true;
        while self.has_more && !records.is_full() && steps < SOCKET_EVENTS_PER_TURN {
            steps += match self.work.as_ref().map(|work| &work.entries) {
                // A piece costs as much as many events.
                Some(WorkEntries::Compressed(_)) => SOCKET_EVENTS_PER_TURN,
                _ => 1,
            };
            self.has_more = match self.step(records) {
                Ok(has_more) => has_more,
                Err(Broken) => {
                    records.reject(BROKEN.to_owned(), &self.held);
                    return Err(Unreadable);
                }
            };
        }
        Ok(())
    }

    fn end(&mut self, _records: &mut Records) {
        // A message that is not complete is not stored: its sender keeps it.
        self.held = Vec::new();
        self.work = None;
        self.has_more = false;
    }

    fn datagram(&mut self, _: &[u8], _is_cut: bool, _now_ms: u64, _: &mut Records) {}

    fn held_bytes(&self) -> usize {
        let own = match self.work.as_ref().map(|work| &work.entries) {
            Some(WorkEntries::Own { bytes, .. }) => bytes.capacity(),
            Some(WorkEntries::Compressed(decoding)) => decoding.held_bytes(),
            _ => 0,
        };
        self.held.capacity() + own
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn take_answer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answer)
    }

    fn is_acknowledged(&self) -> bool {
        true
    }
}
