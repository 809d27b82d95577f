//! What goes in comes out, damage is found, and no body is more work than its limit allows.

use super::*;
use crate::limits::ZSTD_WINDOW_LOG_MAX;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;
use proptest::prelude::*;
use std::io::Write;

const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];

/// Takes a coding off in pieces of `budget` bytes.
fn decode_in(
    budget: usize,
    coding: Coding,
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoding = Decoding::new(coding, input.to_vec(), limit)?;
    loop {
        if let Some(body) = decoding.go_on(budget)? {
            return Ok(body);
        }
    }
}

fn decode(coding: Coding, input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    decode_in(usize::MAX, coding, input, limit)
}

pub(super) fn encode(coding: Coding, data: &[u8]) -> Vec<u8> {
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
        for junk in [&b"x"[..], b"\0", b"junk after the end"] {
            let long = decode(coding, &[&whole, junk].concat(), 1 << 20);
            assert_eq!(
                long,
                Err(DecodeError::Broken),
                "{coding:?} with {junk:?} after it"
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

/// Neither what comes out nor what goes in may keep the others waiting: a bomb is much of the one and
/// empty members or frames are much of the other.
#[test]
fn a_budget_bounds_the_work() {
    const BUDGET: usize = 100_000;
    for coding in CODINGS {
        let bomb = encode(coding, &vec![b' '; 2_000_000]);
        let empty = encode(coding, b"").repeat(100_000);
        for body in [bomb, empty] {
            let mut decoding = Decoding::new(coding, body.clone(), 4_000_000).unwrap();
            let mut turns = 0;
            loop {
                let (taken, given) = (decoding.decoder.portions().at, decoding.len);
                let result = decoding.go_on(BUDGET);
                assert!(decoding.decoder.portions().at - taken <= BUDGET / WORK_OF_INPUT);
                if !matches!(result, Ok(None)) {
                    break;
                }
                assert!(decoding.len - given < BUDGET + PIECE_BYTES);
                turns += 1;
            }
            // Deflate has no members: it ends after the first.
            assert!(turns >= 4 || coding == Coding::Deflate, "{coding:?}");
        }
    }
}

#[test]
fn a_body_comes_back() {
    let bomb = vec![b' '; 2_000_000];
    for coding in [
        Coding::Identity,
        Coding::Gzip,
        Coding::Deflate,
        Coding::Zstd,
    ] {
        let coded = encode(coding, &bomb);
        let mut decoding = Decoding::new(coding, coded.clone(), bomb.len()).unwrap();
        assert_eq!(decoding.go_on(10_000), Ok(None));
        let body = decoding.into_body();
        assert!(body == coded, "{coding:?}");
        assert!(decode(coding, &body, bomb.len()) == Ok(bomb.clone()));
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        data in prop::collection::vec(any::<u8>(), 0..20_000),
        budget in 1..30_000_usize,
    ) {
        for coding in CODINGS {
            let decoded = decode_in(budget, coding, &encode(coding, &data), data.len());
            prop_assert_eq!(decoded.as_ref(), Ok(&data));
        }
    }

    #[test]
    fn noise_never_panics(
        data in prop::collection::vec(any::<u8>(), 0..200),
        budget in 1..200_usize,
    ) {
        for coding in CODINGS {
            let decoded = decode_in(budget, coding, &data, 1_000);
            prop_assert_eq!(decoded, decode(coding, &data, 1_000));
        }
    }
}
