//! Content codings: what is encoded comes out as it was, within its limit and not beyond; what is cut
//! short, prolonged or damaged is never taken for something else; any bytes at all cost what the limit
//! says.
//!
//! The input is three bytes of choices, and the content or what stands for encoded content.

use std::io::Write;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;
use logagg::http::encoding::{Coding, DecodeError, Decoding};

const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];
/// A limit that nothing small can reach.
const ROOMY: usize = 256 * 1024;
const PIECE_BYTES: usize = 1_000;

pub fn check(input: &[u8]) {
    let Some((&[kind, choice, place], content)) = input.split_first_chunk() else {
        return;
    };
    let coding = CODINGS[usize::from(kind) % CODINGS.len()];
    match kind / 3 % 2 {
        0 => any_bytes(coding, content, usize::from(choice) << (place % 9)),
        _ => round_trip(coding, content, choice, usize::from(place)),
    }
    names(content);
}

/// Decodes bytes that nobody has encoded.
fn any_bytes(coding: Coding, input: &[u8], limit: usize) {
    let tight = within(coding, input, limit);
    let roomy = within(coding, input, ROOMY);
    match (&tight, &roomy) {
        (Ok(_), _) => assert_eq!(tight, roomy),
        (Err(DecodeError::Broken), _) => assert_eq!(roomy, Err(DecodeError::Broken)),
        (Err(DecodeError::TooLarge), Ok(content)) => assert!(content.len() > limit),
        (Err(DecodeError::TooLarge), Err(_)) => {}
    }
    if let Ok(content) = roomy {
        limits(coding, input, &content);
    }
    if coding == Coding::Deflate {
        by_another_decoder(input);
    }
    let as_it_is = within(Coding::Identity, input, limit);
    let expected = (input.len() <= limit).then(|| input.to_vec());
    assert_eq!(as_it_is, expected.ok_or(DecodeError::TooLarge));
}

/// Takes the coding off in small pieces.
fn decode(coding: Coding, input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoding = Decoding::new(coding, input.to_vec(), limit)?;
    loop {
        if let Some(content) = decoding.go_on(PIECE_BYTES)? {
            return Ok(content);
        }
    }
}

/// Decodes, and looks at the memory that what comes out takes.
fn within(coding: Coding, input: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let result = decode(coding, input, limit);
    if let Ok(content) = &result {
        assert!(content.len() <= limit && content.capacity() <= limit + 1);
    }
    result
}

/// Decodes once more with just as much room as is needed, and with one byte less.
fn limits(coding: Coding, encoded: &[u8], content: &[u8]) {
    let enough = within(coding, encoded, content.len());
    assert_eq!(enough.as_deref(), Ok(content), "{coding:?}");
    if let Some(less) = content.len().checked_sub(1) {
        let result = within(coding, encoded, less);
        assert_eq!(result, Err(DecodeError::TooLarge), "{coding:?}");
    }
}

/// Compares with a decoder that shares no code with ours. It stops at the end of the stream and does
/// not look at what follows, and it may go on where the rules of the format are stretched; but where
/// both find a content, it is the same.
fn by_another_decoder(input: &[u8]) {
    let theirs = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(input, ROOMY);
    match (decode(Coding::Deflate, input, ROOMY), theirs) {
        (Ok(ours), Ok(theirs)) => assert!(ours == theirs, "two decoders disagree"),
        (Ok(_), Err(error)) => panic!("only ours decodes it: {error:?}"),
        (Err(_), _) => {}
    }
}

fn round_trip(coding: Coding, content: &[u8], choice: u8, place: usize) {
    let encoded = match choice & 1 {
        0 => encode(coding, content, choice / 2),
        _ => in_two_parts(coding, content, choice / 2),
    };
    let decoded = within(coding, &encoded, ROOMY);
    assert_eq!(decoded.as_deref(), Ok(content), "{coding:?}");
    limits(coding, &encoded, content);

    // The cut must not fall between two members, which are whole without each other.
    if choice & 1 == 0 {
        let cut = &encoded[..place * encoded.len() / 256];
        assert_eq!(within(coding, cut, ROOMY), Err(DecodeError::Broken));
    }
    let longer = [&encoded[..], &[place as u8]].concat();
    assert_eq!(within(coding, &longer, ROOMY), Err(DecodeError::Broken));

    // Each format has a checksum over the content. What the flip of a bit may change is a time stamp or
    // an operating system's name in a header.
    let mut damaged = encoded;
    let bit = place * damaged.len() / 32;
    damaged[bit / 8] ^= 1 << (bit % 8);
    if let Ok(decoded) = within(coding, &damaged, ROOMY) {
        assert!(decoded == content, "{coding:?} hides damage at {bit}");
    }
}

/// Two members or frames are one body; a zlib stream stands alone.
fn in_two_parts(coding: Coding, content: &[u8], level: u8) -> Vec<u8> {
    if coding == Coding::Deflate {
        return encode(coding, content, level);
    }
    let (first, second) = content.split_at(content.len() / 3);
    [
        encode(coding, first, level),
        encode(coding, second, level / 2),
    ]
    .concat()
}

fn encode(coding: Coding, content: &[u8], level: u8) -> Vec<u8> {
    let zlib = Compression::new(u32::from(level % 10));
    match coding {
        Coding::Identity => content.to_vec(),
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), zlib);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), zlib);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), i32::from(level % 8) - 2).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// The names of codings, in a field value.
fn names(value: &[u8]) {
    let Ok(value) = std::str::from_utf8(value) else {
        return;
    };
    let bare = value
        .trim_matches(|c| c == ' ' || c == '\t')
        .to_ascii_lowercase();
    let expected = match &bare[..] {
        "identity" => Some("identity"),
        "gzip" | "x-gzip" => Some("gzip"),
        "deflate" => Some("deflate"),
        "zstd" => Some("zstd"),
        _ => None,
    };
    assert_eq!(Coding::parse(value).map(Coding::name), expected);
}
