//! The decoders of the codings, over a body of which a portion may be taken at a time.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::ZSTD_WINDOW_LOG_MAX;

/// A byte of input can be as much work as this many bytes of output, if it belongs to a member or a block that holds
/// almost nothing.
pub(super) const WORK_OF_INPUT: usize = 8;

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

    /// The coding that a `Content-Encoding` value names, in any case; a list or another name is `None`.
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

pub(super) enum Decoder {
    Identity(Portions),
    /// Several members one after another are one body (RFC 1952 §2.2).
    Gzip(MultiGzDecoder<Portions>),
    Deflate(Inflate),
    Zstd(zstd::stream::read::Decoder<'static, Portions>),
}

impl Decoder {
    pub(super) fn new(coding: Coding, body: Portions) -> Result<Decoder, DecodeError> {
        Ok(match coding {
            Coding::Identity => Decoder::Identity(body),
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(body)),
            Coding::Deflate => Decoder::Deflate(Inflate {
                decoder: Decompress::new(true),
                body,
                has_ended: false,
            }),
            Coding::Zstd => Decoder::Zstd(zstd_decoder(body).map_err(|_| DecodeError::Broken)?),
        })
    }

    pub(super) fn portions(&mut self) -> &mut Portions {
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

/// A body whose reader gets `WouldBlock` at the end of the present portion, and of what has arrived.
#[derive(Default)]
pub(super) struct Portions {
    pub(super) body: Vec<u8>,
    pub(super) at: usize,
    /// Bytes that may still be taken.
    pub(super) left: usize,
    /// All of the body has arrived.
    pub(super) is_whole: bool,
}

impl BufRead for Portions {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = &self.body[self.at..];
        let may_wait = !rest.is_empty() || !self.is_whole;
        if may_wait && (self.left == 0 || rest.is_empty()) {
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
pub(super) struct Inflate {
    decoder: Decompress,
    pub(super) body: Portions,
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
