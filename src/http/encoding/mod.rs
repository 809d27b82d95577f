//! Content codings of request bodies (RFC 9110 §8.4): decodes a whole body with one coding, in pieces of bounded work
//! and in bounded memory. It never decides what happens to a body that cannot be decoded.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::ZSTD_WINDOW_LOG_MAX;

/// Least room that a decoder gets to write into.
const STEP_BYTES: usize = 8 * 1024;
/// Most bytes that are decoded between two looks at the budget.
const PIECE_BYTES: usize = 64 * 1024;
/// A byte of input can be as much work as this many bytes of output, if it belongs to a member or a block that holds
/// next to nothing.
const WORK_OF_INPUT: usize = 8;

/// The codings that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
    /// The zlib format around deflate (RFC 9110 §8.4.1.2).
    Deflate,
    Zstd,
}

impl Coding {
    /// What to put into `Accept-Encoding` of a 415 (RFC 9110 §12.5.3).
    pub const ACCEPTED: &'static str = "gzip, deflate, zstd, identity";

    /// The coding that a `Content-Encoding` value names, in any case; a list or another name is none.
    pub fn parse(field_value: &str) -> Option<Coding> {
        const NAMES: [(&str, Coding); 5] = [
            ("identity", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("zstd", Coding::Zstd),
        ];
        let value = field_value.trim_matches([' ', '\t']);
        let found = NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(value));
        found.map(|&(_, coding)| coding)
    }

    /// The coding's registered name.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
        }
    }
}

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// More than the limit would come out.
    TooLarge,
    /// Damaged, cut short, followed by something else, or (zstd) in need of too large a window.
    Broken,
}

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

enum Decoder {
    Identity(Portions),
    /// Several members one after another are one body (RFC 1952 §2.2).
    Gzip(MultiGzDecoder<Portions>),
    Deflate(Inflate),
    Zstd(zstd::stream::read::Decoder<'static, Portions>),
}

impl Decoding {
    /// Prepares to decode `body`; at most `limit` bytes may come out.
    ///
    /// # Errors
    /// If the body is refused before anything is decoded.
    pub fn new(coding: Coding, body: Vec<u8>, limit: usize) -> Result<Decoding, DecodeError> {
        let coded = body.len();
        let body = Portions {
            body,
            at: 0,
            left: 0,
        };
        let decoder = match coding {
            Coding::Identity => Decoder::Identity(body),
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(body)),
            Coding::Deflate => Decoder::Deflate(Inflate {
                decoder: Decompress::new(true),
                body,
                has_ended: false,
            }),
            // An empty body is no frame at all; the decoder would take it for none of zero frames.
            Coding::Zstd if coded == 0 => return Err(DecodeError::Broken),
            Coding::Zstd => Decoder::Zstd(zstd_decoder(body).map_err(|_| DecodeError::Broken)?),
        };
        Ok(Decoding {
            decoder,
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

    /// Drops what has been decoded and gives the body back.
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

impl Decoder {
    fn portions(&mut self) -> &mut Portions {
        match self {
            Decoder::Identity(body) => body,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Deflate(inflate) => &mut inflate.body,
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Identity(body) => body.read(into),
            Decoder::Gzip(decoder) => decoder.read(into),
            Decoder::Deflate(inflate) => inflate.read(into),
            Decoder::Zstd(decoder) => decoder.read(into),
        }
    }
}

fn zstd_decoder(body: Portions) -> io::Result<zstd::stream::read::Decoder<'static, Portions>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

/// A body whose reader gets `WouldBlock` at the end of the present portion.
struct Portions {
    body: Vec<u8>,
    at: usize,
    /// Bytes that may still be taken.
    left: usize,
}

impl BufRead for Portions {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = &self.body[self.at..];
        if self.left == 0 && !rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&rest[..rest.len().min(self.left)])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
        self.left -= n;
    }
}

impl Read for Portions {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

/// The zlib format, because `flate2`'s reader accepts an input that is cut short.
struct Inflate {
    decoder: Decompress,
    body: Portions,
    has_ended: bool,
}

impl Read for Inflate {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        while !self.has_ended {
            let (taken, given) = (self.decoder.total_in(), self.decoder.total_out());
            let input = self.body.fill_buf()?;
            let status = self
                .decoder
                .decompress(input, into, FlushDecompress::None)
                .map_err(|_| broken())?;
            let taken = (self.decoder.total_in() - taken) as usize;
            let given = (self.decoder.total_out() - given) as usize;
            self.body.consume(taken);
            self.has_ended = status == Status::StreamEnd;
            if self.has_ended && self.body.at < self.body.body.len() {
                return Err(broken());
            }
            if given > 0 {
                return Ok(given);
            }
            // The body has ended and the format has not.
            if taken == 0 && !self.has_ended {
                return Err(broken());
            }
        }
        Ok(0)
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
