//! The Journal Export Format as a stream: finds where entries end, however the bytes are cut, and takes an entry
//! apart into its fields. Owns the bytes of one entry and never more than the limit of them; knows nothing of HTTP.
//!
//! An entry is lines and an empty line. A line with `=` is a field as text. One without is the name of a binary field:
//! after its line feed come the size of the value (64 bits, little-endian), the value, and a line feed.

use std::fmt;

use memchr::memchr;

use crate::limits::{JOURNAL_FIELDS_MAX, JOURNAL_VALUE_MAX_BYTES, REJECTED_RECORD_BYTES};

/// Bytes of the size of a binary field.
const SIZE_BYTES: usize = 8;

/// Why the rest of a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// A line without `=` is followed by a size that no field has.
    Size,
    /// A binary field is not followed by a line feed.
    FieldEnd,
    /// The body ends within a field.
    CutShort,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadError::Size => "A line without '=' is followed by a size above 768 MiB.",
            ReadError::FieldEnd => "A binary field is not followed by a line feed.",
            ReadError::CutShort => "The body ends within a field.",
        })
    }
}

/// What [`Reader::take`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All bytes were taken, and no entry has ended.
    Nothing,
    /// An entry has ended: [`Reader::entry`].
    Entry,
    /// An entry of this many bytes has ended, of which [`Reader::entry`] is only the beginning: it is above the limit.
    TooLarge(u64),
}

/// Where in an entry the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    Line { has_equals: bool },
    Size { read: usize, size: u64 },
    Value { left: u64 },
    ValueEnd,
}

/// Reads entries from bytes that come in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    at: At,
    /// The entry so far, as it came; of one that is too large only the beginning.
    entry: Vec<u8>,
    /// Bytes of the entry so far, and its fields.
    length: u64,
    fields: usize,
    is_too_large: bool,
    /// The entry has been reported.
    has_ended: bool,
}

impl Reader {
    /// Entries may have `limit` bytes; larger ones are skipped.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            at: At::LineStart,
            entry: Vec::new(),
            length: 0,
            fields: 0,
            is_too_large: false,
            has_ended: false,
        }
    }

    /// Takes bytes from the front of `bytes` until an entry has ended or none is left.
    ///
    /// # Errors
    /// The rest cannot be read. Nothing may be taken after that.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Result<Found, ReadError> {
        if self.has_ended {
            self.begin();
        }
        while let Some(&first) = bytes.first() {
            match self.at {
                At::LineStart if first == b'\n' => {
                    *bytes = &bytes[1..];
                    // Several empty lines count as one, and those before the first entry are ignored.
                    if self.length > 0 {
                        return Ok(self.end());
                    }
                }
                At::LineStart => self.at = At::Line { has_equals: false },
                At::Line { has_equals } => self.take_line(bytes, has_equals),
                At::Size { read, size } => {
                    let size = size | u64::from(first) << (8 * read);
                    self.keep(bytes, 1);
                    self.at = match read + 1 {
                        SIZE_BYTES if size > JOURNAL_VALUE_MAX_BYTES => {
                            return Err(ReadError::Size)
                        }
                        SIZE_BYTES if size == 0 => At::ValueEnd,
                        SIZE_BYTES => At::Value { left: size },
                        read => At::Size { read, size },
                    };
                }
                At::Value { left } => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.keep(bytes, taken);
                    self.at = match left - taken as u64 {
                        0 => At::ValueEnd,
                        left => At::Value { left },
                    };
                }
                At::ValueEnd if first == b'\n' => {
                    self.keep(bytes, 1);
                    self.end_field();
                }
                At::ValueEnd => return Err(ReadError::FieldEnd),
            }
        }
        Ok(Found::Nothing)
    }

    /// The body has ended. That ends an entry too.
    ///
    /// # Errors
    /// It has ended within a field.
    pub fn finish(&mut self) -> Result<Found, ReadError> {
        if self.has_ended {
            self.begin();
        }
        match self.at {
            At::LineStart if self.length == 0 => Ok(Found::Nothing),
            At::LineStart => Ok(self.end()),
            _ => Err(ReadError::CutShort),
        }
    }

    /// The entry that has just ended, without its empty line, or what there is of one that has not.
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// Bytes of memory that it holds between two entries or within one.
    pub fn held_bytes(&self) -> usize {
        self.entry.capacity()
    }

    fn take_line(&mut self, bytes: &mut &[u8], has_equals: bool) {
        let end = memchr(b'\n', bytes);
        let line = end.unwrap_or(bytes.len());
        let has_equals = has_equals || memchr(b'=', &bytes[..line]).is_some();
        self.keep(bytes, line + usize::from(end.is_some()));
        match end {
            None => self.at = At::Line { has_equals },
            Some(_) if has_equals => self.end_field(),
            Some(_) => self.at = At::Size { read: 0, size: 0 },
        }
    }

    fn end_field(&mut self) {
        self.at = At::LineStart;
        self.fields += 1;
        if self.fields > JOURNAL_FIELDS_MAX {
            self.pass_over();
        }
    }

    /// Takes the first `n` of the bytes into the entry.
    fn keep(&mut self, bytes: &mut &[u8], n: usize) {
        let (kept, rest) = bytes.split_at(n);
        *bytes = rest;
        self.length += n as u64;
        if self.length > self.limit as u64 {
            self.pass_over();
        }
        let room = match self.is_too_large {
            true => REJECTED_RECORD_BYTES.saturating_sub(self.entry.len()),
            false => n,
        };
        self.entry.extend_from_slice(&kept[..n.min(room)]);
    }

    /// The entry is too large: only its beginning stays.
    fn pass_over(&mut self) {
        if !self.is_too_large {
            self.is_too_large = true;
            self.entry.truncate(REJECTED_RECORD_BYTES);
            self.entry.shrink_to_fit();
        }
    }

    fn end(&mut self) -> Found {
        self.has_ended = true;
        match self.is_too_large {
            true => Found::TooLarge(self.length),
            false => Found::Entry,
        }
    }

    fn begin(&mut self) {
        self.has_ended = false;
        self.is_too_large = false;
        self.length = 0;
        self.fields = 0;
        // One large entry does not keep its memory.
        self.entry.clear();
        self.entry.shrink_to(REJECTED_RECORD_BYTES);
    }
}

/// The fields of an entry that [`Reader`] has found whole, in order: name and value. Those whose name no journal
/// has are left out.
pub fn fields(entry: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut rest = entry;
    let mut next = move || {
        let end = memchr(b'\n', rest)?;
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        if let Some(equals) = memchr(b'=', line) {
            rest = after;
            return Some((&line[..equals], &line[equals + 1..]));
        }
        let (size, after) = after.split_first_chunk::<SIZE_BYTES>()?;
        let size = usize::try_from(u64::from_le_bytes(*size)).ok()?;
        let value = after.get(..size)?;
        rest = after.get(size + 1..)?;
        Some((line, value))
    };
    std::iter::from_fn(move || loop {
        let (name, value) = next()?;
        if let Some(name) = legal_name(name) {
            return Some((name, value));
        }
    })
}

/// The name of a field as text, if it is one: `[A-Z0-9_]{1,64}` that does not begin with a digit.
fn legal_name(name: &[u8]) -> Option<&str> {
    let is_legal = (1..=64).contains(&name.len())
        && !name[0].is_ascii_digit()
        && name
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    std::str::from_utf8(name).ok().filter(|_| is_legal)
}

#[cfg(test)]
mod tests;
