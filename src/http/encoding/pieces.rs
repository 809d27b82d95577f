//! Takes a content coding off a body that arrives in pieces and has no limit of length. What comes out is taken as it
//! comes, so memory holds a piece and the decoder.

use std::io::{self, Read};

use super::decoder::{Coding, DecodeError, Decoder, Portions, WORK_OF_INPUT};

/// What [`PieceDecoding::read`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// This many bytes have been written, perhaps none; there may be more.
    Bytes(usize),
    /// All that was pushed has been decoded; the next piece is needed.
    NeedsPiece,
    /// The body has ended.
    End,
}

/// A body that is decoded as it arrives.
pub struct PieceDecoding {
    coding: Coding,
    decoder: Decoder,
    is_empty: bool,
}

impl PieceDecoding {
    /// Prepares to decode a body of which nothing has arrived.
    ///
    /// # Errors
    /// There is no memory for the decoder.
    pub fn new(coding: Coding) -> Result<PieceDecoding, DecodeError> {
        Ok(PieceDecoding {
            coding,
            decoder: Decoder::new(coding, Portions::default())?,
            is_empty: true,
        })
    }

    /// The next piece of the body; after the last no other may come. What was pushed before has been decoded.
    pub fn push(&mut self, piece: Vec<u8>, is_last: bool) {
        self.is_empty &= piece.is_empty();
        let portions = self.decoder.portions();
        debug_assert!(portions.at == portions.body.len(), "a piece is left");
        *portions = Portions {
            body: piece,
            is_whole: is_last,
            ..Portions::default()
        };
    }

    /// Decodes into `out`, with work in proportion to its length.
    ///
    /// # Errors
    /// The body is broken, and cannot be continued.
    pub fn read(&mut self, out: &mut [u8]) -> Result<Decoded, DecodeError> {
        let portions = self.decoder.portions();
        portions.left = match self.coding {
            Coding::Identity => out.len(),
            _ => out.len().div_ceil(WORK_OF_INPUT),
        };
        let is_whole = portions.is_whole;
        if is_whole && self.is_empty && self.coding == Coding::Zstd {
            return Err(DecodeError::Broken);
        }
        match self.decoder.read(out) {
            Ok(0) => {
                let portions = self.decoder.portions();
                // A format that knows its own end is followed by something.
                if portions.at < portions.body.len() {
                    return Err(DecodeError::Broken);
                }
                Ok(if is_whole {
                    Decoded::End
                } else {
                    Decoded::NeedsPiece
                })
            }
            Ok(n) => Ok(Decoded::Bytes(n)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Decoded::Bytes(0)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let portions = self.decoder.portions();
                match portions.at == portions.body.len() && !is_whole {
                    true => Ok(Decoded::NeedsPiece),
                    false => Ok(Decoded::Bytes(0)),
                }
            }
            Err(_) => Err(DecodeError::Broken),
        }
    }

    /// The piece that it holds, as it came.
    pub(crate) fn piece(&self) -> &[u8] {
        self.held()
    }

    /// Bytes of the piece that it holds.
    pub fn held_bytes(&self) -> usize {
        self.held().capacity()
    }

    fn held(&self) -> &Vec<u8> {
        let portions = match &self.decoder {
            Decoder::Identity(body) => body,
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Deflate(inflate) => &inflate.body,
            Decoder::Zstd(decoder) => decoder.get_ref(),
        };
        &portions.body
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::encode;
    use super::*;

    const CODINGS: [Coding; 4] = [
        Coding::Identity,
        Coding::Gzip,
        Coding::Deflate,
        Coding::Zstd,
    ];

    /// Decodes a body that comes in these pieces, `room` bytes at a time.
    fn decode<'a>(
        coding: Coding,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        room: usize,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut decoding = PieceDecoding::new(coding)?;
        let (mut out, mut buffer) = (Vec::new(), vec![0; room]);
        let mut pieces = pieces.into_iter().peekable();
        loop {
            match decoding.read(&mut buffer)? {
                Decoded::Bytes(n) => out.extend_from_slice(&buffer[..n]),
                Decoded::NeedsPiece => {
                    let piece = pieces.next().unwrap_or_default();
                    decoding.push(piece.to_vec(), pieces.peek().is_none());
                }
                Decoded::End => return Ok(out),
            }
        }
    }

    fn data() -> Vec<u8> {
        (0..5_000_u32)
            .flat_map(|n| (n * n % 977).to_le_bytes())
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_comes_out_does_not_depend_on_the_pieces(
            coding in prop::sample::select(&CODINGS[..]),
            cut in 1_usize..4_000,
            room in 1_usize..3_000,
        ) {
            // Several members or frames are one body.
            let coded = match coding {
                Coding::Gzip | Coding::Zstd => [encode(coding, &data()), encode(coding, &data())].concat(),
                _ => encode(coding, &[data(), data()].concat()),
            };
            let decoded = decode(coding, coded.chunks(cut), room);
            prop_assert!(decoded == Ok([data(), data()].concat()));
        }
    }

    #[test]
    fn bodies_come_a_byte_at_a_time() {
        for coding in CODINGS {
            let coded = encode(coding, &data());
            assert_eq!(
                decode(coding, coded.chunks(1), 700),
                Ok(data()),
                "{coding:?}"
            );
        }
    }

    #[test]
    fn a_cut_and_what_follows_the_end_are_found() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let whole = encode(coding, &data());
            for end in [0, 1, 9, whole.len() / 2, whole.len() - 1] {
                for cut in [1, 1_000, usize::MAX] {
                    let cut = decode(coding, whole[..end].chunks(cut), 1_000);
                    assert!(cut == Err(DecodeError::Broken), "{coding:?} {end}");
                }
            }
            for cut in [1, usize::MAX] {
                let longer = [&whole[..], b"x"].concat();
                let longer = decode(coding, longer.chunks(cut), 1_000);
                assert!(longer == Err(DecodeError::Broken), "{coding:?}");
            }
        }
        assert_eq!(decode(Coding::Identity, [], 10), Ok(vec![]));
    }

    /// What one call does depends on the room that it gets, and not on what the body would become.
    #[test]
    fn a_bomb_is_decoded_a_little_at_a_time() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let bomb = encode(coding, &vec![0; 64 << 20]);
            let mut decoding = PieceDecoding::new(coding).unwrap();
            decoding.push(bomb, true);
            let (mut calls, mut bytes, mut out) = (0_u64, 0, vec![0; 64 * 1024]);
            while let Decoded::Bytes(n) = decoding.read(&mut out).unwrap() {
                (calls, bytes) = (calls + 1, bytes + n);
            }
            assert_eq!(bytes, 64 << 20, "{coding:?}");
            assert!(calls >= 1024, "{coding:?}: {calls}");
        }
    }
}
