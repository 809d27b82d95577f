//! Content codings of request bodies (RFC 9110 §8.4): one of them, removed whole, in bounded work
//! and bounded memory.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::ZSTD_WINDOW_LOG_MAX;

/// Least room that a decoder gets to write into.
const STEP_BYTES: usize = 8 * 1024;

/// The codings that are taken off request bodies.
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

/// Removes `coding` from a whole body. At most `limit` bytes come out, and at most one byte beyond
/// the limit is ever decoded, so that a bomb costs what an honest body of that size costs.
pub fn decode(coding: Coding, input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    match coding {
        Coding::Identity if input.len() > limit => Err(DecodeError::TooLarge),
        Coding::Identity => Ok(input.to_vec()),
        // Several members one after another are one body (RFC 1952 §2.2).
        Coding::Gzip => drain(MultiGzDecoder::new(input), input.len(), limit),
        Coding::Deflate => inflate(input, limit),
        Coding::Zstd => {
            // An empty body is no frame at all; the decoder would take it for none of zero frames.
            if input.is_empty() {
                return Err(DecodeError::Broken);
            }
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(input).map_err(|_| DecodeError::Broken)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|_| DecodeError::Broken)?;
            drain(decoder, input.len(), limit)
        }
    }
}

/// Reads a decoder to its end.
fn drain(mut decoder: impl Read, hint: usize, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let mut len = 0;
    loop {
        if len == out.len() {
            let size = grown(len, hint, limit)?;
            out.reserve_exact(size - len);
            out.resize(size, 0);
        }
        match decoder.read(&mut out[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(DecodeError::Broken),
        }
    }
    out.truncate(len);
    if len > limit {
        return Err(DecodeError::TooLarge);
    }
    Ok(out)
}

/// The zlib format by hand: `flate2`'s reader takes an input that is cut short for a whole one.
fn inflate(input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        if out.len() == out.capacity() {
            let size = grown(out.len(), input.len(), limit)?;
            out.reserve_exact(size - out.len());
        }
        let (taken, given) = (decoder.total_in() as usize, out.len());
        let status = decoder
            .decompress_vec(&input[taken..], &mut out, FlushDecompress::None)
            .map_err(|_| DecodeError::Broken)?;
        if out.len() > limit {
            return Err(DecodeError::TooLarge);
        }
        if status == Status::StreamEnd {
            break;
        }
        if decoder.total_in() as usize == taken && out.len() == given {
            return Err(DecodeError::Broken);
        }
    }
    if decoder.total_in() != input.len() as u64 {
        return Err(DecodeError::Broken);
    }
    Ok(out)
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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use flate2::Compression;
    use proptest::prelude::*;
    use std::io::Write;

    const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];

    fn encode(coding: Coding, data: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Identity => data.to_vec(),
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Zstd => zstd::encode_all(data, 3).unwrap(),
        }
    }

    #[test]
    fn names() {
        for (value, coding) in [
            ("gzip", Some(Coding::Gzip)),
            (" X-GZip\t", Some(Coding::Gzip)),
            ("Deflate", Some(Coding::Deflate)),
            ("zstd", Some(Coding::Zstd)),
            ("identity", Some(Coding::Identity)),
            ("br", None),
            ("gzip, gzip", None),
            ("gzip,", None),
            ("", None),
        ] {
            assert_eq!(Coding::parse(value), coding, "{value}");
        }
    }

    #[test]
    fn a_body_may_be_as_large_as_the_limit() {
        let data = vec![b'a'; 100_000];
        for coding in [
            Coding::Identity,
            Coding::Gzip,
            Coding::Deflate,
            Coding::Zstd,
        ] {
            let coded = encode(coding, &data);
            let fits = decode(coding, &coded, data.len()).unwrap();
            assert!(
                fits == data && fits.capacity() <= data.len() + 1,
                "{coding:?}"
            );
            let over = decode(coding, &coded, data.len() - 1);
            assert_eq!(over, Err(DecodeError::TooLarge), "{coding:?}");
            assert_eq!(
                decode(coding, &encode(coding, b""), 0),
                Ok(vec![]),
                "{coding:?}"
            );
            assert_eq!(
                decode(coding, &encode(coding, b"a"), 0),
                Err(DecodeError::TooLarge)
            );
            assert_eq!(
                decode(coding, &encode(coding, b"a"), usize::MAX),
                Ok(vec![b'a'])
            );
        }
    }

    #[test]
    fn a_bomb_goes_off_at_the_limit() {
        let data = vec![0; 64 << 20];
        for coding in CODINGS {
            let bomb = encode(coding, &data);
            assert_eq!(
                decode(coding, &bomb, 1 << 20),
                Err(DecodeError::TooLarge),
                "{coding:?}"
            );
        }
    }

    #[test]
    fn damage_is_found() {
        let data: Vec<u8> = (0..5_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        for coding in CODINGS {
            let whole = encode(coding, &data);
            for end in [
                0,
                1,
                3,
                9,
                whole.len() / 2,
                whole.len() - 4,
                whole.len() - 1,
            ] {
                let cut = decode(coding, &whole[..end], 1 << 20);
                assert_eq!(cut, Err(DecodeError::Broken), "{coding:?} cut at {end}");
            }
            for junk in [&b"x"[..], b"\0", b"junk behind the end"] {
                let long = decode(coding, &[&whole, junk].concat(), 1 << 20);
                assert_eq!(
                    long,
                    Err(DecodeError::Broken),
                    "{coding:?} with {junk:?} behind it"
                );
            }
            assert_eq!(
                decode(coding, b"{\"topic\":1}", 1 << 20),
                Err(DecodeError::Broken)
            );
        }
        // A checksum that does not fit.
        for coding in [Coding::Gzip, Coding::Deflate] {
            let mut wrong = encode(coding, &data);
            let at = wrong.len() - if coding == Coding::Gzip { 8 } else { 1 };
            wrong[at] ^= 1;
            assert_eq!(
                decode(coding, &wrong, 1 << 20),
                Err(DecodeError::Broken),
                "{coding:?}"
            );
        }
        // Deflate without the zlib format around it is not what HTTP means.
        let raw = &encode(Coding::Deflate, &data)[2..];
        assert_eq!(
            decode(Coding::Deflate, raw, 1 << 20),
            Err(DecodeError::Broken)
        );
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let two = [encode(coding, b"one "), encode(coding, b"two")].concat();
            assert_eq!(
                decode(coding, &two, 7),
                Ok(b"one two".to_vec()),
                "{coding:?}"
            );
            assert_eq!(
                decode(coding, &two, 6),
                Err(DecodeError::TooLarge),
                "{coding:?}"
            );
        }
    }

    #[test]
    fn a_zstd_window_has_a_bound() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(&vec![0; 32 << 20]).unwrap();
        let wide = encoder.finish().unwrap();
        assert_eq!(
            decode(Coding::Zstd, &wide, 64 << 20),
            Err(DecodeError::Broken)
        );
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(data in prop::collection::vec(any::<u8>(), 0..20_000)) {
            for coding in CODINGS {
                let decoded = decode(coding, &encode(coding, &data), data.len());
                prop_assert_eq!(decoded.as_ref(), Ok(&data));
            }
        }

        #[test]
        fn noise_never_panics(data in prop::collection::vec(any::<u8>(), 0..200)) {
            for coding in CODINGS {
                let _ = decode(coding, &data, 1_000);
            }
        }
    }
}
