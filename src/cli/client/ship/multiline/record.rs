//! The lines of one record as they come, within its bounds.

use std::borrow::Cow;

use super::rule::Multiline;
use super::traces::State;
use crate::limits::{SHIP_RECORD_BYTES, SHIP_RECORD_LINES};

/// A record that may go on.
pub(crate) struct Record {
    /// As it becomes an event.
    pub text: Vec<u8>,
    lines: usize,
    /// Bytes of its lines as they are written in the input.
    length: usize,
    state: State,
}

impl Record {
    /// `length` is the number of bytes that the line takes in the input.
    pub(crate) fn begin(multiline: &Multiline, line: Cow<[u8]>, length: usize) -> Record {
        Record {
            state: multiline.begin(&String::from_utf8_lossy(&line)),
            text: line.into_owned(),
            lines: 1,
            length,
        }
    }

    /// Takes the next line; false where that does not belong to it, or is too much.
    pub(crate) fn goes_on(&mut self, multiline: &Multiline, line: &[u8], length: usize) -> bool {
        let text = String::from_utf8_lossy(line);
        let fits = self.has_room_for(length) && self.lines < SHIP_RECORD_LINES;
        if !fits || !multiline.continues(&mut self.state, &text) {
            return false;
        }
        self.text.push(b'\n');
        self.text.extend_from_slice(line);
        self.lines += 1;
        self.length += length;
        true
    }

    /// Whether a line of this number of bytes would not be too long for it.
    pub(crate) fn has_room_for(&self, length: usize) -> bool {
        self.length + length <= SHIP_RECORD_BYTES
    }
}
