//! MessagePack as `rmpv` reads and writes it.

use proptest::prelude::*;
use rmpv::Value;
use serde_json::json;

use super::msgpack::{length, Broken, Reader, Token};
use super::{entry, Forward};
use crate::event::{Peer, Protocol};
use crate::ingest::query::{IngestQuery, MadeIdentity};
use crate::ingest::records::{Defaults, Origin, Records};
use crate::ingest::socket_decoder::SocketDecoder;
use crate::limits::DECODED_SHORT_BYTES;

/// The tree of an object.
fn tree(reader: &mut Reader) -> Result<Value, Broken> {
    let text = |bytes: &[u8]| {
        // Text that is not UTF-8 is text in `rmpv`, too, but it cannot be made there.
        let encoded = [&[0xdb][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat();
        rmpv::decode::read_value(&mut &encoded[..]).unwrap()
    };
    Ok(match reader.token()? {
        Token::Nil => Value::Nil,
        Token::Bool(is) => Value::from(is),
        Token::Unsigned(number) => Value::from(number),
        Token::Negative(number) => Value::from(number),
        Token::Float32(number) => Value::F32(number),
        Token::Float64(number) => Value::F64(number),
        Token::Text(bytes) => text(bytes),
        Token::Binary(bytes) => Value::from(bytes),
        Token::Extension(kind, bytes) => Value::Ext(kind, bytes.to_vec()),
        Token::Array(count) => {
            let elements = (0..count).map(|_| tree(reader));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        Token::Map(count) => {
            let pairs = (0..count).map(|_| Ok((tree(reader)?, tree(reader)?)));
            Value::Map(pairs.collect::<Result<_, _>>()?)
        }
    })
}

/// All values, but for NaN, which equals nothing.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..64_u32, any::<i64>()).prop_map(|(bits, number)| Value::from(number >> bits)),
        any::<i16>().prop_map(|eighths| Value::F32(f32::from(eighths) / 8.0)),
        (-1e300..1e300_f64).prop_map(Value::F64),
        "\\PC{0,40}|[a-z]{250,300}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

/// What JSON has in its place. Keys are text and differ.
fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => json!(null),
        Value::Boolean(is) => json!(is),
        Value::Integer(number) => match number.as_i64() {
            Some(number) => json!(number),
            None => json!(number.as_u64()),
        },
        Value::F32(number) => serde_json::from_str(&format!("{number:?}")).unwrap(),
        // Read back, which may be another number in its last bit.
        Value::F64(number) => serde_json::from_str(&json!(number).to_string()).unwrap(),
        Value::String(text) => json!(text.as_str()),
        Value::Binary(bytes) | Value::Ext(_, bytes) => {
            use base64::prelude::{Engine as _, BASE64_STANDARD};
            json!({"base64": BASE64_STANDARD.encode(bytes)})
        }
        Value::Array(elements) => elements.iter().map(as_json).collect(),
        Value::Map(pairs) => {
            let named = |place: usize, value| (place.to_string(), as_json(value));
            let values = pairs.iter().map(|(_, value)| value).enumerate();
            serde_json::Value::Object(values.map(|(place, value)| named(place, value)).collect())
        }
    }
}

/// The same with the place of each pair as its key.
fn with_places(value: Value) -> Value {
    match value {
        Value::Array(elements) => Value::Array(elements.into_iter().map(with_places).collect()),
        Value::Map(pairs) => {
            let values = pairs
                .into_iter()
                .map(|(_, value)| with_places(value))
                .enumerate();
            Value::Map(
                values
                    .map(|(place, value)| (Value::from(place.to_string()), value))
                    .collect(),
            )
        }
        leaf => leaf,
    }
}

proptest! {
    #[test]
    fn what_rmpv_writes_is_read(value in value()) {
        let bytes = encoded(&value);
        prop_assert_eq!(length(&bytes), Ok(bytes.len()));
        prop_assert_eq!(tree(&mut Reader::new(&bytes)), Ok(value));
    }

    /// `rmpv` takes the one byte that stands for nothing for nil.
    #[test]
    fn any_bytes_are_taken_or_refused_as_by_rmpv(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), 0xc0..=0xdf_u8, 0x80..=0x95_u8, 0..4_u8]
                .prop_filter("reserved", |byte| *byte != 0xc1),
            1..40,
        ),
    ) {
        let mut rest = &bytes[..];
        let theirs = rmpv::decode::read_value(&mut rest);
        let mut reader = Reader::new(&bytes);
        match theirs {
            Ok(theirs) => {
                let ours = tree(&mut reader).unwrap();
                // Debug shows NaN, too.
                prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
                prop_assert_eq!((reader.rest(), length(&bytes)), (rest, Ok(bytes.len() - rest.len())));
            }
            Err(_) => prop_assert_eq!((tree(&mut reader).is_err(), length(&bytes)), (true, Err(Broken))),
        }
    }

    #[test]
    fn a_record_is_the_json_of_its_map(values in prop::collection::vec(value(), 0..10)) {
        let pairs = values.into_iter().map(|value| (Value::Nil, value)).collect();
        let map = with_places(Value::Map(pairs));
        let mut json = Vec::new();
        let bytes = encoded(&map);
        entry::record(&mut Reader::new(&bytes), &mut json).unwrap();
        let found: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(found, as_json(&map));
    }
}

/// A turn of the loop takes what one call does.
#[test]
fn a_compressed_message_is_decoded_a_piece_at_a_time() {
    use std::io::Write;
    let text = "x".repeat(8 * DECODED_SHORT_BYTES);
    let record = Value::Map(vec![(Value::from("text"), Value::from(text))]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let entry = Value::Array(vec![Value::from(1_767_323_045), record]);
    encoder.write_all(&encoded(&entry)).unwrap();
    let option = Value::Map(vec![(Value::from("compressed"), Value::from("gzip"))]);
    let packed = Value::from(encoder.finish().unwrap());
    let bytes = encoded(&Value::Array(vec![Value::from("app"), packed, option]));
    let defaults = Defaults {
        protocol: Protocol::Forward,
        topic: "forward",
        identity: MadeIdentity::Auto,
    };
    let limit = 16 * DECODED_SHORT_BYTES;
    let origin = Origin {
        peer: Peer::Unix,
        received_at: 1,
        query: IngestQuery::default(),
        max_events: 10,
        max_body_bytes: limit,
    };
    let mut records = Records::new(defaults, origin);
    let mut decoder = Forward::new(limit);
    let mut rest = &bytes[..];
    let mut calls = 0;
    while calls == 0 || decoder.has_more() {
        decoder.receive(&mut rest, &mut records).unwrap();
        calls += 1;
    }
    assert!(calls > 8, "{calls} calls");
    assert_eq!(records.len(), 1);
}
