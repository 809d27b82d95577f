//! Bytes that come once, as those of a pipe, to events. Nothing can be read again, so each event gets its id before it
//! is published for the first time.
//!
//! It holds the bytes of an incomplete line and the lines of one record, both bounded.

use std::fs::File;
use std::io::{self, Read};
use std::time::SystemTime;

use super::decoding::Encoding;
use super::event::Template;
use super::lines::{self, Bounds, Line, Next};
use super::members::{members, text_of};
use super::multiline::{Multiline, Record};
use crate::client::Batch;
use crate::event::name_error;
use crate::limits::{CLIENT_BATCH_BYTES, SHIP_BATCH_EVENTS, SHIP_LINE_MAX_BYTES, SHIP_READ_BYTES};
use crate::uuid;

/// What is known of what comes after the bytes that have come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// They may go on.
    More,
    /// Nothing has come for a while: the last record is whole.
    Quiet,
    /// Nothing more is read: the last line counts without its line end.
    Nothing,
}

/// The bytes as they come.
pub(super) struct LineStream<'a> {
    buffer: Vec<u8>,
    /// The bytes before it have become events.
    taken: usize,
    encoding: Encoding,
    /// Whether the beginning, where a byte order mark is, has been taken.
    has_begun: bool,
    /// The piece of a line that was taken last; 0 where a line begins.
    part: u32,
    records: Records<'a>,
}

/// How lines become events.
pub(super) struct Records<'a> {
    template: &'a Template,
    multiline: Option<&'a Multiline>,
    /// The member that holds the id.
    id_member: Option<&'a str>,
    /// Whether an event had no such member.
    pub lacks_ids: bool,
    /// What may go on, and when it began.
    open: Option<(Record, String)>,
}

impl<'a> LineStream<'a> {
    pub(super) fn new(records: Records<'a>) -> LineStream<'a> {
        LineStream {
            buffer: Vec::new(),
            taken: 0,
            encoding: Encoding::Bytes,
            has_begun: false,
            part: 0,
            records,
        }
    }

    /// Reads once. Returns the number of bytes; 0 is the end, and none that nothing is there.
    pub(super) fn receive(&mut self, source: &mut File) -> io::Result<Option<usize>> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + SHIP_READ_BYTES, 0);
        let result = loop {
            match source.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The pipe may be shared with a program that has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(None),
                result => break result.map(Some),
            }
        };
        let count = result.as_ref().ok().copied().flatten();
        self.buffer.truncate(length + count.unwrap_or(0));
        result
    }

    /// Whether the lines of a record wait for others.
    pub(super) fn has_record(&self) -> bool {
        self.records.open.is_some()
    }

    /// Whether an event lacked the member that should hold its id.
    pub(super) fn lacks_ids(&self) -> bool {
        self.records.lacks_ids
    }

    /// Bytes that have come and are in no event yet.
    pub(super) fn rest(&self) -> usize {
        let record = self.records.open.as_ref();
        self.buffer.len() - self.taken + record.map_or(0, |(record, _)| record.text.len())
    }

    /// Takes events until the batch is full or the bytes are used up. `now` is the time of those without one.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(super) fn take(&mut self, after: After, now: &str, batch: &mut Batch) -> io::Result<()> {
        while !is_full(batch) {
            let mut bytes = &self.buffer[self.taken..];
            let mut mark = 0;
            if !self.has_begun {
                self.encoding = Encoding::of(bytes);
                mark = self.encoding.mark_length(bytes);
                bytes = &bytes[mark..];
            }
            let (encoding, part) = (self.encoding, self.part);
            let bounds = Bounds {
                is_complete: after == After::Nothing,
                encoding,
            };
            let length = match lines::next(bytes, part, bounds) {
                Next::Line(line) => {
                    self.part = line.part_before_next();
                    self.records.add(&line, encoding, now, batch)?;
                    line.length
                }
                Next::Hole(length) => {
                    self.records.end(batch)?;
                    length
                }
                Next::Unfinished(written) => match nuls(bytes, written, part, encoding) {
                    Some(Nuls::BetweenLines(length)) => {
                        self.records.end(batch)?;
                        length
                    }
                    Some(Nuls::WithinLine) => {
                        let line = lines::unended(bytes, written, part, encoding);
                        self.part = 0;
                        self.records.add(&line, encoding, now, batch)?;
                        line.length
                    }
                    None => {
                        let fits = |(record, _): &(Record, _)| record.has_room_for(written);
                        let goes_on = self.records.open.as_ref().is_none_or(fits);
                        if after != After::More || !goes_on {
                            self.records.end(batch)?;
                        }
                        return Ok(());
                    }
                },
            };
            self.has_begun = true;
            self.taken += mark + length;
        }
        Ok(())
    }
}

pub(super) fn is_full(batch: &Batch) -> bool {
    batch.len() >= SHIP_BATCH_EVENTS || batch.size() >= CLIENT_BATCH_BYTES
}

/// NULs do not wait. In a file they may become text later, in a pipe they cannot.
enum Nuls {
    /// This number of bytes.
    BetweenLines(usize),
    /// More bytes than a line may have: it ends before them.
    WithinLine,
}

fn nuls(bytes: &[u8], written: usize, part: u32, encoding: Encoding) -> Option<Nuls> {
    let length = bytes.len() - bytes.len() % encoding.width();
    if written == 0 && part == 0 && length > 0 {
        return Some(Nuls::BetweenLines(length));
    }
    let is_too_long = bytes.len() >= SHIP_LINE_MAX_BYTES + encoding.width();
    is_too_long.then_some(Nuls::WithinLine)
}

impl<'a> Records<'a> {
    pub(super) fn new(
        template: &'a Template,
        multiline: Option<&'a Multiline>,
        id_member: Option<&'a str>,
    ) -> Records<'a> {
        Records {
            template,
            multiline,
            id_member,
            lacks_ids: false,
            open: None,
        }
    }

    fn add(
        &mut self,
        line: &Line,
        encoding: Encoding,
        now: &str,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let text = encoding.decode(line.text);
        let Some(multiline) = self.multiline.filter(|_| line.part == 0) else {
            self.end(batch)?;
            let decoded = Line {
                text: &text,
                ..*line
            };
            return self.push(&decoded, now, batch);
        };
        if let Some((record, _)) = &mut self.open {
            if record.goes_on(multiline, &text, line.length) {
                return Ok(());
            }
        }
        self.end(batch)?;
        let record = Record::begin(multiline, text, line.length);
        self.open = Some((record, now.to_owned()));
        Ok(())
    }

    /// The record that is open becomes an event.
    fn end(&mut self, batch: &mut Batch) -> io::Result<()> {
        let Some((record, began_at)) = self.open.take() else {
            return Ok(());
        };
        let line = Line {
            text: &record.text,
            length: 0,
            part: 0,
            has_more: false,
            has_end: true,
        };
        self.push(&line, &began_at, batch)
    }

    fn push(&mut self, line: &Line, read_at: &str, batch: &mut Batch) -> io::Result<()> {
        let known = self.id_member.and_then(|member| id_in(line, member));
        self.lacks_ids |= self.id_member.is_some() && known.is_none();
        let event_id = match known {
            Some(id) => id,
            None => uuid::timed(SystemTime::now())?,
        };
        let event = self.template.event(&event_id, line, read_at);
        batch.push(event.json.as_bytes());
        Ok(())
    }
}

/// The event id that a member of a line holds; none if it cannot be one.
fn id_in(line: &Line, member: &str) -> Option<String> {
    let text = std::str::from_utf8(line.text).ok()?;
    if line.part > 0 {
        return None;
    }
    let [value] = members(text, [member])?;
    let id = text_of(value?)?;
    name_error(&id).is_none().then(|| id.into_owned())
}
