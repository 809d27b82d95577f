//! The lines of a view of a file to the events of a batch: each line, or each record of several lines, is one.
//!
//! A record has the id of its first line. The position moves past its lines only together, so what is not whole yet is
//! read again. It ends before a line that begins another, before NULs, and where it would become too large: all that
//! follows from the file. It also ends if nothing was written for a while; then its end is remembered before it is
//! published, like that of a line without its end.

use super::decoding::Encoding;
use super::event::Template;
use super::lines::{self, Bounds, Line, Next};
use super::multiline::{Multiline, Record};
use super::position::Position;
use super::state::Entry;
use crate::client::Batch;
use crate::limits::{CLIENT_BATCH_BYTES, SHIP_BATCH_EVENTS};

/// Where the lines of a batch come from.
pub(super) struct Source<'a> {
    pub template: &'a Template,
    pub now: &'a str,
    /// The last line of the file counts without its line end.
    pub is_complete: bool,
    /// How lines become records; none if each is one.
    pub multiline: Option<&'a Multiline>,
}

/// What was read of a file.
pub(super) struct View<'a> {
    /// With the tail of the position.
    buffer: &'a [u8],
    /// From the position on.
    bytes: &'a [u8],
    /// The file ends with them.
    pub is_end: bool,
    is_complete: bool,
    /// The last record of the file counts without another one after it.
    is_quiet: bool,
    encoding: Encoding,
}

/// The lines of one batch as they are put together.
pub(super) struct Lines<'a> {
    template: &'a Template,
    multiline: Option<&'a Multiline>,
    pub time: String,
    /// After the lines that have been taken.
    pub position: Position,
    pub must_announce: bool,
    /// The next record may go on.
    pub is_waiting: bool,
    encoding: Encoding,
    pub batch: &'a mut Batch,
    open: Option<Open>,
}

/// A record that may go on.
struct Open {
    event_id: String,
    record: Record,
    /// Where it begins, in the bytes of the view and as a position.
    from: usize,
    before: Position,
}

impl<'a> View<'a> {
    /// `bytes` are the end of `buffer`; the file ends with them, and is quiet, or not.
    pub(super) fn new(
        source: &Source,
        buffer: &'a [u8],
        bytes: &'a [u8],
        (is_end, is_quiet): (bool, bool),
        encoding: Encoding,
    ) -> View<'a> {
        View {
            buffer,
            bytes,
            is_end,
            is_complete: source.is_complete && is_end,
            is_quiet,
            encoding,
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            is_complete: self.is_complete,
            encoding: self.encoding,
        }
    }
}

impl<'a> Lines<'a> {
    /// What has perhaps been published is read with the time that it had, and no further; `None` if the file has other
    /// bytes there.
    pub(super) fn new(
        source: &Source<'a>,
        entry: &Entry,
        view: &mut View,
        batch: &'a mut Batch,
    ) -> Option<Lines<'a>> {
        let mut time = source.now;
        if let Some(pending) = &entry.pending {
            time = &pending.read_at;
            let rest = pending.until.saturating_sub(entry.position.offset) as usize;
            let tail = view.buffer.len() - view.bytes.len();
            match pending.tail {
                Some(known) if rest <= view.bytes.len() => {
                    if !known.is_end_of(&view.buffer[..tail + rest]) {
                        return None;
                    }
                    view.bytes = &view.bytes[..rest];
                    (view.is_end, view.is_complete) = (false, true);
                }
                Some(_) if view.is_end => return None,
                _ => {}
            }
        }
        Some(Lines {
            template: source.template,
            multiline: source.multiline,
            time: time.to_owned(),
            position: entry.position.clone(),
            // The first lines identify a file that is truncated before the state is written.
            must_announce: entry.position.offset == 0,
            is_waiting: false,
            encoding: view.encoding,
            batch,
            open: None,
        })
    }

    /// Takes lines until the batch is full or the next one has no end. Returns the number of bytes taken, and
    /// how many there are of a line or record that is not whole yet.
    pub(super) fn take(&mut self, view: &View) -> (usize, usize) {
        // The byte order mark is taken together with what follows it.
        let mut at = self.length_of_mark(view);
        at += self.position.pass_late_end(view.bytes, self.encoding);
        while self.has_room() {
            match lines::next(&view.bytes[at..], self.position.part, view.bounds()) {
                Next::Unfinished(written) => {
                    self.end_before_unfinished(view, at, written);
                    return self.rest(view, at, written);
                }
                Next::Hole(length) => {
                    self.end_record();
                    self.pass_mark(view);
                    at += length;
                    self.position.skip(length);
                }
                Next::Line(line) => {
                    if !self.add(view, &line, at) {
                        break;
                    }
                    at += line.length;
                }
            }
        }
        self.rest(view, at, 0)
    }

    fn has_room(&self) -> bool {
        self.batch.len() < SHIP_BATCH_EVENTS && self.batch.size() < CLIENT_BATCH_BYTES
    }

    /// Takes the line at `at`. False where there is no room for it.
    fn add(&mut self, view: &View, line: &Line, at: usize) -> bool {
        let Some(multiline) = self.multiline.filter(|_| line.part == 0) else {
            self.end_record();
            if !self.has_room() {
                return false;
            }
            self.pass_mark(view);
            match line.has_more || line.has_end {
                true => self.push(line),
                false => self.push_unended(line),
            }
            return true;
        };
        let text = self.encoding.decode(line.text);
        if let Some(open) = &mut self.open {
            if open.record.goes_on(multiline, &text, line.length) {
                self.position.pass(line);
                return true;
            }
        }
        self.end_record();
        if !self.has_room() {
            return false;
        }
        let before = self.position.clone();
        let skipped = self.pass_mark(view);
        self.open = Some(Open {
            event_id: self.position.pass(line),
            record: Record::begin(multiline, text, line.length + skipped),
            from: at - skipped,
            before,
        });
        true
    }

    /// Ends the record that is open where no line that follows can belong to it.
    fn end_before_unfinished(&mut self, view: &View, at: usize, written: usize) {
        let Some(open) = &self.open else {
            return;
        };
        if !open.record.has_room_for(written) {
            return self.end_record();
        }
        let is_before_nuls = at + written < view.bytes.len();
        if view.is_complete || view.is_quiet && (view.is_end || is_before_nuls) {
            self.end_record();
            // It could have gone on when it is read again.
            self.must_announce = true;
        }
    }

    /// The record that is open becomes an event.
    fn end_record(&mut self) {
        if let Some(open) = self.open.take() {
            let line = Line {
                text: &open.record.text,
                length: 0,
                part: 0,
                has_more: false,
                has_end: true,
            };
            self.push_event(&open.event_id, &line);
        }
    }

    /// Goes back before a record that may go on.
    fn rest(&mut self, view: &View, at: usize, written: usize) -> (usize, usize) {
        match self.open.take() {
            Some(open) => {
                self.position = open.before;
                self.is_waiting = true;
                (open.from, at + written - open.from)
            }
            None => {
                let begin = self.length_of_mark(view);
                (at - begin, begin + written)
            }
        }
    }

    /// The length of the byte order mark that is to be skipped; 0 where lines have been read.
    fn length_of_mark(&self, view: &View) -> usize {
        match self.position.offset {
            0 => self.encoding.mark_length(view.bytes),
            _ => 0,
        }
    }

    fn pass_mark(&mut self, view: &View) -> usize {
        let length = self.length_of_mark(view);
        self.position.skip(length);
        length
    }

    fn push(&mut self, line: &Line) {
        let event_id = self.position.pass(line);
        let text = self.encoding.decode(line.text);
        let decoded = Line {
            text: &text,
            ..*line
        };
        self.push_event(&event_id, &decoded);
    }

    fn push_event(&mut self, event_id: &str, line: &Line) {
        let event = self.template.event(event_id, line, &self.time);
        self.must_announce |= event.has_read_time;
        self.batch.push(event.json.as_bytes());
    }

    /// Where it was cut is remembered with the time: it is cut there when it is read again.
    fn push_unended(&mut self, line: &Line) {
        self.push(line);
        self.must_announce = true;
    }

    /// Takes the line before NULs into which nothing will be written any more. The tail of the position is the first
    /// `tail` bytes of the view's buffer.
    pub(super) fn push_before_hole(&mut self, view: &View, tail: usize, written: usize) {
        let begin = self.pass_mark(view);
        let (bytes, length) = (&view.bytes[begin..], written - begin);
        let line = lines::unended(bytes, length, self.position.part, self.encoding);
        self.push_unended(&line);
        self.position.remember_tail(&view.buffer[..tail + written]);
    }
}
