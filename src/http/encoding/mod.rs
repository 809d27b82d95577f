//! Content codings (RFC 9110 §8.4). Decodes a request's body with one coding, in pieces of bounded work and in bounded
//! memory. A body is whole ([`Decoding`]), or arrives in pieces itself ([`PieceDecoding`]). What happens to a body that
//! cannot be decoded is not decided here. Answers become gzip ([`GzipBody`]).

mod decoder;
mod encoder;
mod pieces;
#[cfg(test)]
mod tests;

pub use decoder::{Coding, DecodeError};
pub(crate) use encoder::{Compressor, GzipBody};
pub use pieces::{Decoded, PieceDecoding};

use std::io::{self, Read};

use decoder::{Decoder, Portions, WORK_OF_INPUT};

/// The least room that a decoder gets to write into.
const STEP_BYTES: usize = 8 * 1024;
/// The most bytes that are decoded between two checks of the budget.
const PIECE_BYTES: usize = 64 * 1024;

/// A whole body that is decoded a piece at a time, so that no other request waits long for it. At most one byte beyond
/// the limit is ever decoded: a bomb costs what an honest body of that size costs.
pub struct Decoding {
    decoder: Decoder,
    /// Decoded as far as `len`; the rest is room.
    out: Vec<u8>,
    len: usize,
    /// Bytes of the body as it came.
    coded: usize,
    limit: usize,
}

impl Decoding {
    /// Prepares to decode `body`; at most `limit` bytes may come out.
    ///
    /// # Errors
    /// If the body is refused before anything is decoded.
    pub fn new(coding: Coding, body: Vec<u8>, limit: usize) -> Result<Decoding, DecodeError> {
        let coded = body.len();
        // An empty body is not a frame; the decoder would accept it as zero frames.
        if coding == Coding::Zstd && coded == 0 {
            return Err(DecodeError::Broken);
        }
        let body = Portions {
            body,
            is_whole: true,
            ..Portions::default()
        };
        Ok(Decoding {
            decoder: Decoder::new(coding, body)?,
            out: Vec::new(),
            len: 0,
            coded,
            limit,
        })
    }

    /// Continues until about `budget` bytes have come out, or as much other work has been done. Returns the decoded
    /// body once it is whole.
    ///
    /// # Errors
    /// Those of the body, after which it cannot be continued.
    pub fn go_on(&mut self, budget: usize) -> Result<Option<Vec<u8>>, DecodeError> {
        self.decoder.portions().left = budget.div_ceil(WORK_OF_INPUT);
        let end = self.len.saturating_add(budget);
        while self.len < end {
            if self.len == self.out.len() {
                self.make_room()?;
            }
            match self.decoder.read(&mut self.out[self.len..]) {
                Ok(0) => {
                    self.out.truncate(self.len);
                    return Ok(Some(std::mem::take(&mut self.out)));
                }
                Ok(n) => self.len += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(DecodeError::Broken),
            }
            if self.len > self.limit {
                return Err(DecodeError::TooLarge);
            }
        }
        Ok(None)
    }

    /// Bytes of memory that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.coded + self.out.capacity()
    }

    /// Drops what has been decoded and returns the body back.
    pub fn into_body(self) -> Vec<u8> {
        match self.decoder {
            Decoder::Identity(body) => body,
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Deflate(inflate) => inflate.body,
            Decoder::Zstd(decoder) => decoder.into_inner(),
        }
        .body
    }

    /// Room for the next piece. What is not written to yet is not filled with zeros either.
    fn make_room(&mut self) -> Result<(), DecodeError> {
        if self.len == self.out.capacity() {
            let size = grown(self.len, self.coded, self.limit)?;
            self.out.reserve_exact(size - self.len);
        }
        let piece = (self.out.capacity() - self.len).min(PIECE_BYTES);
        self.out.resize(self.len + piece, 0);
        Ok(())
    }
}

/// The next size of an output buffer that is full at `len`: doubled, but one byte past the limit at
/// most. A buffer that is full there has gone too far.
fn grown(len: usize, hint: usize, limit: usize) -> Result<usize, DecodeError> {
    let end = limit.saturating_add(1);
    if len >= end {
        return Err(DecodeError::TooLarge);
    }
    let wanted = if len == 0 {
        hint.saturating_mul(3)
    } else {
        len.saturating_mul(2)
    };
    Ok(wanted.max(STEP_BYTES).min(end))
}
