//! Makes gzip (RFC 1952) in pieces of bounded work. One compressor serves all bodies: each piece is compressed by
//! itself, and a body keeps no more than its checksum and its length between two pieces.

use crc32fast::Hasher;
use miniz_oxide::deflate::core::{compress, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus};

use crate::limits::COMPRESSED_PIECE_BYTES;

/// Deflate, no flags, no time, the fastest level, an unknown system (RFC 1952 §2.3.1).
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// An empty block that is the last one (RFC 1951 §3.2.6).
const LAST_BLOCK: [u8; 2] = [3, 0];
/// The fastest level: some 100 MB/s, and JSON becomes a fourth.
const LEVEL: i32 = 1;
/// No zlib head around the blocks.
const RAW: i32 = -15;

/// What all bodies are compressed with: some 350 kB.
pub struct Compressor(Box<CompressorOxide>);

impl Default for Compressor {
    fn default() -> Self {
        let flags = create_comp_flags_from_zip_params(LEVEL, RAW, 0);
        Compressor(Box::new(CompressorOxide::new(flags)))
    }
}

impl Compressor {
    /// Appends a piece as whole blocks, none of which is the last.
    fn write_blocks(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.0.reset();
        let from = out.len();
        // What cannot be compressed is stored as it is, in a few blocks.
        out.resize(from + piece.len() + piece.len() / 4 + 1024, 0);
        let room = &mut out[from..];
        let (status, taken, written) = compress(&mut self.0, piece, room, TDEFLFlush::Sync);
        let is_whole = status == TDEFLStatus::Okay && taken == piece.len() && written < room.len();
        assert!(is_whole, "a piece has room");
        out.truncate(from + written);
    }
}

/// A body that becomes gzip.
#[derive(Clone, Debug, Default)]
pub struct GzipBody {
    checksum: Hasher,
    /// Bytes so far, modulo 2^32.
    len: u32,
    has_begun: bool,
}

impl GzipBody {
    /// Appends the next part of the body. The work is in proportion to its length.
    pub fn write(&mut self, part: &[u8], compressor: &mut Compressor, out: &mut Vec<u8>) {
        self.begin(out);
        self.checksum.update(part);
        self.len = self.len.wrapping_add(part.len() as u32);
        for piece in part.chunks(COMPRESSED_PIECE_BYTES) {
            compressor.write_blocks(piece, out);
        }
    }

    /// Appends the end of the body.
    pub fn end(mut self, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(&LAST_BLOCK);
        out.extend_from_slice(&self.checksum.finalize().to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.has_begun {
            self.has_begun = true;
            out.extend_from_slice(&HEAD);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn gunzip(coded: &[u8]) -> Vec<u8> {
        let (mut plain, mut decoder) = (Vec::new(), GzDecoder::new(coded));
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "one member");
        plain
    }

    fn gzip(parts: &[&[u8]], compressor: &mut Compressor) -> Vec<u8> {
        let (mut body, mut out) = (GzipBody::default(), Vec::new());
        for part in parts {
            body.write(part, compressor, &mut out);
        }
        body.end(&mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_comes_out_reads_back(
            noise in prop::collection::vec(any::<u8>(), 0..3_000),
            times in 1_usize..120,
            cut in 0.0..1.0,
        ) {
            let mut compressor = Compressor::default();
            let plain = noise.repeat(times);
            let (front, back) = plain.split_at((plain.len() as f64 * cut) as usize);
            for parts in [&[&plain[..]][..], &[front, b"", back], &[]] {
                let coded = gzip(parts, &mut compressor);
                prop_assert_eq!(gunzip(&coded), parts.concat());
            }
        }
    }

    #[test]
    fn what_cannot_be_compressed_grows_little() {
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        let noise: Vec<u8> = noise.take(3 * COMPRESSED_PIECE_BYTES + 1).collect();
        let coded = gzip(&[&noise], &mut Compressor::default());
        assert!(coded.len() < noise.len() + noise.len() / 100);
        assert!(gunzip(&coded) == noise);
    }
}
