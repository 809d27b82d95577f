//! RFC 6587: where messages end on a stream. A message is octet-counted where it begins with a digit 1 to 9, else it
//! ends at LF; both may mix.
//!
//! ```text
//!                        digits, blank                    all bytes
//!  Start ── 1 to 9 ──▶ Count ─────────────▶ Counted ───────────────────▶ Start
//!    │                   │ something else
//!    │ something else    ▼            LF
//!    └─────────────────▶ Line ───────────────▶ Start
//! ```
//!
//! Owns the bytes of the message that has begun, at most [`SYSLOG_MESSAGE_BYTES`]; what a longer one has beyond them is
//! discarded as it comes. A message that is whole within the bytes of one read is not copied.

use crate::limits::{BUFFER_KEEP_BYTES, SYSLOG_COUNT_DIGITS, SYSLOG_MESSAGE_BYTES};

/// A message: its bytes without the end of its line, and whether bytes of it were discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub bytes: &'a [u8],
    pub truncated: bool,
}

/// A count of octets with too many digits: nothing tells where the next message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What is known of the message that has begun.
#[derive(Clone, Debug, Default)]
pub struct Framing {
    state: State,
    /// Its bytes so far; of a count, the digits.
    held: Vec<u8>,
    truncated: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Count,
    /// Bytes that are still to come.
    Counted(usize),
    Line,
}

impl Framing {
    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Takes bytes from the front of `input` up to the end of a message, and returns that to `found`, unless it is
    /// empty. Returns whether a message has ended; where none has, all of `input` has been taken.
    ///
    /// # Errors
    /// A count has too many digits. Nothing more can be read.
    pub fn next(&mut self, input: &mut &[u8], found: impl FnOnce(Frame)) -> Result<bool, TooLong> {
        loop {
            match self.state {
                State::Start => match input.first() {
                    None => return Ok(false),
                    Some(b'1'..=b'9') => self.state = State::Count,
                    Some(_) => self.state = State::Line,
                },
                State::Count => {
                    let digits = input.iter().take_while(|b| b.is_ascii_digit()).count();
                    let (digits, rest) = input.split_at(digits);
                    if self.held.len() + digits.len() > SYSLOG_COUNT_DIGITS {
                        return Err(TooLong);
                    }
                    self.held.extend_from_slice(digits);
                    *input = rest;
                    match rest {
                        [] => return Ok(false),
                        [b' ', rest @ ..] => {
                            *input = rest;
                            let number = |n, digit: &u8| n * 10 + usize::from(digit - b'0');
                            self.state = State::Counted(self.held.iter().fold(0, number));
                            self.held.clear();
                        }
                        // The digits were the beginning of a line.
                        _ => self.state = State::Line,
                    }
                }
                State::Counted(left) => {
                    let (bytes, rest) = input.split_at(left.min(input.len()));
                    *input = rest;
                    let is_end = bytes.len() == left;
                    self.state = State::Counted(left - bytes.len());
                    return Ok(self.take(bytes, is_end, found));
                }
                State::Line => {
                    let end = memchr::memchr(b'\n', input);
                    let (bytes, rest) = input.split_at(end.map_or(input.len(), |at| at + 1));
                    *input = rest;
                    return Ok(self.take(bytes, end.is_some(), found));
                }
            }
        }
    }

    /// The stream has ended: an unfinished message is complete.
    pub fn end(&mut self, found: impl FnOnce(Frame)) {
        self.truncated |= matches!(self.state, State::Counted(_));
        self.take(&[], true, found);
    }

    /// Bytes of the message that has begun, and whether they are its last. Returns that.
    fn take(&mut self, bytes: &[u8], is_end: bool, found: impl FnOnce(Frame)) -> bool {
        if is_end && self.held.is_empty() {
            self.give(bytes, found);
            return true;
        }
        // A byte more, which may be the CR before an LF.
        let room = (SYSLOG_MESSAGE_BYTES + 1).saturating_sub(self.held.len());
        self.truncated |= without_line_feed(bytes).len() > room;
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if is_end {
            let mut held = std::mem::take(&mut self.held);
            self.give(&held, found);
            held.clear();
            if held.capacity() <= BUFFER_KEEP_BYTES {
                self.held = held;
            }
        }
        is_end
    }

    fn give(&mut self, bytes: &[u8], found: impl FnOnce(Frame)) {
        let mut truncated = std::mem::take(&mut self.truncated);
        let mut bytes = bytes;
        if self.state == State::Line && !truncated {
            bytes = without_line_feed(bytes);
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        if bytes.len() > SYSLOG_MESSAGE_BYTES {
            bytes = &bytes[..SYSLOG_MESSAGE_BYTES];
            truncated = true;
        }
        self.state = State::Start;
        if !matches!(bytes, [] | b"\n" | b"\r\n") {
            found(Frame { bytes, truncated });
        }
    }
}

fn without_line_feed(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
