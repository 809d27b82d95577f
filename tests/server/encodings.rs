//! Content codings of bodies: which are taken, and what becomes of broken ones and bombs. Also the
//! limit of a body, which holds for what is declared and for what is decoded.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::Compression;
use serde_json::json;

use crate::harness::{event, Response, Server};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    // Without it a changed byte may go unnoticed; the other formats always have one.
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn identity(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

type Encode = fn(&[u8]) -> Vec<u8>;

/// The names of `Content-Encoding`, how each is made, and the name that an error gives it.
const CODINGS: [(&str, Encode, &str); 7] = [
    ("identity", identity, "identity"),
    ("gzip", gzip, "gzip"),
    ("x-gzip", gzip, "gzip"),
    ("deflate", zlib, "deflate"),
    ("zstd", zstd, "zstd"),
    ("GZip", gzip, "gzip"),
    ("ZSTD", zstd, "zstd"),
];

fn publish(server: &Server, coding: &str, body: &[u8]) -> Response {
    let coding = format!("Content-Encoding: {coding}");
    let headers = ["Content-Type: application/json", &coding];
    server.client().request("POST", "/publish", &headers, body)
}

/// An event, padded with white space to `bytes` bytes.
fn padded(event_id: &str, bytes: usize) -> Vec<u8> {
    let mut body = event("t", event_id).to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

#[test]
fn each_coding_is_taken_off() {
    let server = Server::start(&[]);
    for (number, (coding, encode, _)) in CODINGS.iter().enumerate() {
        let lines: String = (0..300)
            .map(|line| event("t", &format!("{number}-{line}")).to_string() + "\n")
            .collect();
        let answer = publish(&server, coding, &encode(lines.as_bytes())).expect(200);
        assert_eq!(answer["accepted"], 300, "{coding}");
    }
    // Several gzip members, or zstd frames, one after another are one body.
    let [one, two] = ["a", "b"].map(|id| event("t", id).to_string());
    for (coding, encode) in [("gzip", gzip as Encode), ("zstd", zstd)] {
        let body = [encode(one.as_bytes()), encode(two.as_bytes())].concat();
        assert_eq!(publish(&server, coding, &body).expect(200)["received"], 2);
    }
}

#[test]
fn what_does_not_decode_is_422_with_the_name_of_the_coding() {
    let server = Server::start(&[]);
    let body = padded("e", 5_000);
    for (coding, encode, name) in CODINGS.iter().skip(1) {
        let whole = encode(&body);
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        let mut with_junk = whole.clone();
        with_junk.extend_from_slice(b"junk behind it");
        let cut = |bytes: usize| whole[..whole.len() - bytes].to_vec();
        for broken in [
            cut(1),
            cut(whole.len() / 2),
            cut(whole.len()),
            flipped,
            with_junk,
            body.clone(),
        ] {
            let answer = publish(&server, coding, &broken).expect(422);
            assert_eq!(
                answer["detail"][0]["loc"],
                json!(["body"]),
                "{coding}: {answer}"
            );
            let message = answer["detail"][0]["msg"].as_str().unwrap();
            assert!(message.contains(name), "{coding}: {message}");
        }
    }
    // `deflate` is the zlib format; the bare one is not it.
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&body).unwrap();
    publish(&server, "deflate", &encoder.finish().unwrap()).expect(422);
    // A frame that wants 128 MiB of window for five thousand bytes.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&body).unwrap();
    publish(&server, "zstd", &encoder.finish().unwrap()).expect(422);
    assert_eq!(server.json("/stats")["received"], 0);
}

#[test]
fn lists_and_other_names_are_415_with_what_is_accepted() {
    let server = Server::start(&[]);
    let body = event("t", "e").to_string();
    for coding in [
        "br",
        "compress",
        "gzip, gzip",
        "gzip,identity",
        "identity, gzip",
        "*",
        "gzip;q=1",
        "zip",
    ] {
        let answer = publish(&server, coding, &gzip(body.as_bytes()));
        assert!(!answer.sentence(415).is_empty());
        let accepted = answer
            .header("accept-encoding")
            .expect("it says what is accepted");
        for name in ["gzip", "deflate", "zstd"] {
            assert!(accepted.contains(name), "{accepted}");
        }
    }
    let headers = [
        "Content-Type: application/json",
        "Content-Encoding: gzip",
        "Content-Encoding: gzip",
    ];
    let body = gzip(&gzip(body.as_bytes()));
    let answer = server.client().request("POST", "/publish", &headers, &body);
    answer.sentence(415);
    assert_eq!(server.json("/stats")["received"], 0);
}

#[test]
fn the_limit_of_a_body_holds_before_and_after_decoding() {
    const LIMIT: usize = 65_536;
    let server = Server::start(&["--max-body-bytes", &LIMIT.to_string()]);
    for (coding, encode, _) in CODINGS.iter().take(5) {
        let fits = encode(&padded(coding, LIMIT));
        assert_eq!(
            publish(&server, coding, &fits).expect(200)["accepted"],
            1,
            "{coding}"
        );
        let over = encode(&padded("over", LIMIT + 1));
        assert!(!publish(&server, coding, &over).sentence(413).is_empty());
    }
    assert_eq!(server.json("/stats")["received"], 5);
}

#[test]
fn a_bomb_is_413_and_the_server_goes_on() {
    let server = Server::start(&[]);
    // 64 MiB of white space after an event, where 16 MiB are allowed.
    let bomb = padded("e", 64 << 20);
    for (coding, encode, _) in CODINGS.iter().take(5).skip(1) {
        let body = encode(&bomb);
        assert!(body.len() < 1 << 20, "{coding}");
        publish(&server, coding, &body).sentence(413);
    }
    // Bombs within a bomb: as many as there are, none is decoded twice.
    publish(&server, "gzip", &gzip(&gzip(&bomb))).expect(422);
    assert_eq!(server.json("/stats")["received"], 0);
    assert_eq!(server.publish(&event("t", "e")).expect(200)["accepted"], 1);
}
