//! Decoding of request bodies as they arrive: by length and in chunks (RFC 9112 §6 and §7.1).
//!
//! Owns the transfer coding and nothing else: content codings are another module's, and what happens
//! to a refused body is the connection's.

use super::protocol::ProtocolError;
use crate::limits::{
    BODY_RESERVE_BYTES, CHUNK_EXCESS_MAX_BYTES, CHUNK_FRAMING_BYTES, CHUNK_FRAMING_PER_BYTE,
    CHUNK_LINE_MAX_BYTES, HEADERS_MAX, TRAILERS_MAX_BYTES,
};

pub(super) const TOO_LARGE: ProtocolError = ProtocolError::new(
    413,
    "The body is larger than this server takes; send the events in several requests.",
);
const BAD_SIZE: ProtocolError = ProtocolError::new(
    400,
    "A chunk size is not a hexadecimal number; send 1*HEXDIG, then CRLF.",
);
const BAD_LINE: ProtocolError = ProtocolError::new(
    400,
    "A chunk's size line holds a control character; end it with CRLF.",
);
const LONG_LINE: ProtocolError =
    ProtocolError::new(400, "A chunk's size line is longer than 4 KiB; shorten it.");
const TOO_MUCH_FRAMING: ProtocolError = ProtocolError::new(
    400,
    "The chunks have far more framing than data; send larger chunks, without extensions.",
);
const BAD_END: ProtocolError = ProtocolError::new(
    400,
    "A chunk is not followed by CRLF; send as many bytes as its size says.",
);
const BAD_TRAILER: ProtocolError = ProtocolError::new(
    400,
    "A trailer field is malformed; send name, colon, value and CRLF.",
);
const LONG_TRAILERS: ProtocolError = ProtocolError::new(
    431,
    "The trailer section is over 8 KiB or 100 fields; send fewer.",
);

/// What remains of one body.
pub(super) enum Decoder {
    Length { remaining: u64 },
    Chunked(Chunked),
}

impl Decoder {
    /// A body of a declared length, which the caller has found to be within the limit.
    pub(super) fn length(length: u64) -> Decoder {
        Decoder::Length { remaining: length }
    }

    /// A chunked body that may bring `limit` bytes of data.
    pub(super) fn chunked(limit: usize) -> Decoder {
        Decoder::Chunked(Chunked {
            at: At::Size,
            size: 0,
            line_bytes: 0,
            excess: 0,
            lines: 0,
            room: limit as u64,
        })
    }

    /// Takes the next bytes of the body and appends its data to `body`. When the body ends within
    /// them, returns how many of them belonged to it; otherwise all did.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        body: &mut Vec<u8>,
    ) -> Result<Option<usize>, ProtocolError> {
        match self {
            Decoder::Length { remaining } => {
                let taken = bytes
                    .len()
                    .min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                // The buffer grows with what arrives: a length is only a claim.
                if body.capacity() - body.len() < taken {
                    let whole = usize::try_from(*remaining).unwrap_or(usize::MAX);
                    let wanted = taken.max(body.len()).max(BODY_RESERVE_BYTES).min(whole);
                    body.reserve_exact(wanted);
                }
                body.extend_from_slice(&bytes[..taken]);
                *remaining -= taken as u64;
                Ok((*remaining == 0).then_some(taken))
            }
            Decoder::Chunked(chunked) => chunked.decode(bytes, body),
        }
    }
}

/// Where in a chunked body the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    Size,
    /// After at least one digit.
    SizeMore,
    /// In white space between size and extension.
    SizeSpace,
    Extension,
    /// After the CR of a size line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

/// The state of the chunked coding. One byte at a time outside the data, so that it does not matter
/// how the bytes were cut on their way.
pub(super) struct Chunked {
    at: At,
    /// While a size line is read, its number; then the bytes that its chunk has still to bring.
    size: u64,
    /// Bytes of the size line, or of the whole trailer section.
    line_bytes: usize,
    /// Bytes of framing beyond what the chunks so far may have.
    excess: u64,
    /// Trailer fields so far.
    lines: usize,
    /// Bytes of data that the body limit still allows.
    room: u64,
}

impl Chunked {
    fn decode(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, ProtocolError> {
        let mut next = 0;
        while next < bytes.len() {
            if self.at == At::Data {
                let left = bytes.len() - next;
                let taken = left.min(usize::try_from(self.size).unwrap_or(usize::MAX));
                body.extend_from_slice(&bytes[next..next + taken]);
                next += taken;
                self.size -= taken as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let byte = bytes[next];
            next += 1;
            if self.step(byte)? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// Takes one byte that is not data; true when it was the body's last.
    fn step(&mut self, byte: u8) -> Result<bool, ProtocolError> {
        self.at = match (self.at, byte) {
            (At::Size | At::SizeMore, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char)
                    .to_digit(16)
                    .expect("the pattern is hexadecimal");
                // RFC 9112 §7.1: a size must not overflow unnoticed.
                self.size = self
                    .size
                    .checked_mul(16)
                    .map(|size| size + u64::from(digit))
                    .ok_or(BAD_SIZE)?;
                self.in_size_line(At::SizeMore)?
            }
            (At::SizeMore, b'\r') | (At::Extension, b'\r') => self.in_size_line(At::SizeLf)?,
            (At::SizeMore | At::SizeSpace, b';') => self.in_size_line(At::Extension)?,
            (At::SizeMore | At::SizeSpace, b' ' | b'\t') => self.in_size_line(At::SizeSpace)?,
            (At::Size | At::SizeMore | At::SizeSpace, _) => return Err(BAD_SIZE),
            // Extensions are not understood, so they are ignored (RFC 9112 §7.1.1); a line end that
            // is not one must not hide in them.
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.in_size_line(At::Extension)?,
            (At::Extension, _) => return Err(BAD_LINE),
            (At::SizeLf, b'\n') => self.end_size_line()?,
            (At::SizeLf, _) => return Err(BAD_LINE),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::DataCr | At::DataLf, _) => return Err(BAD_END),
            (At::TrailerStart, b'\r') => At::EndLf,
            (At::EndLf, b'\n') => return Ok(true),
            (At::TrailerStart, _) if self.lines == HEADERS_MAX => return Err(LONG_TRAILERS),
            (At::TrailerStart, _) if is_token(byte) => {
                self.lines += 1;
                self.in_trailers(At::TrailerName)?
            }
            (At::TrailerName, b':') => self.in_trailers(At::TrailerValue)?,
            (At::TrailerName, _) if is_token(byte) => self.in_trailers(At::TrailerName)?,
            (At::TrailerValue, b'\r') => self.in_trailers(At::TrailerLf)?,
            (At::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => {
                self.in_trailers(At::TrailerValue)?
            }
            (At::TrailerLf, b'\n') => self.in_trailers(At::TrailerStart)?,
            (
                At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf | At::EndLf,
                _,
            ) => return Err(BAD_TRAILER),
            (At::Data, _) => unreachable!("data is copied, not stepped through"),
        };
        Ok(false)
    }

    /// Checks a size against the limits: that of the data, and that of the framing, without which a body could be
    /// endless and hold nothing.
    fn end_size_line(&mut self) -> Result<At, ProtocolError> {
        if self.size > self.room {
            return Err(TOO_LARGE);
        }
        self.room -= self.size;
        // The LF, and the CRLF after the data.
        let framing = self.line_bytes as u64 + 3;
        let allowed = CHUNK_FRAMING_BYTES + self.size * CHUNK_FRAMING_PER_BYTE;
        self.excess = (self.excess + framing).saturating_sub(allowed);
        if self.excess > CHUNK_EXCESS_MAX_BYTES {
            return Err(TOO_MUCH_FRAMING);
        }
        self.line_bytes = 0;
        Ok(if self.size == 0 {
            At::TrailerStart
        } else {
            At::Data
        })
    }

    /// Counts a byte of a size line.
    fn in_size_line(&mut self, then: At) -> Result<At, ProtocolError> {
        self.line_bytes += 1;
        if self.line_bytes > CHUNK_LINE_MAX_BYTES {
            return Err(LONG_LINE);
        }
        Ok(then)
    }

    /// Counts a byte of the trailer section.
    fn in_trailers(&mut self, then: At) -> Result<At, ProtocolError> {
        self.line_bytes += 1;
        if self.line_bytes > TRAILERS_MAX_BYTES {
            return Err(LONG_TRAILERS);
        }
        Ok(then)
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
