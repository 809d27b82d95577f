//! What each kind of bad client does: what it sends when it is connected, and whether it reads.

use std::io::Write;
use std::sync::Arc;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;

use crate::load::request::{SOURCE, TIMESTAMP};

/// Bytes that come out of a bomb, four times what is allowed.
const BOMB_BYTES: usize = 64 << 20;
/// Bytes of a large body: what is allowed.
const LARGE_BYTES: usize = 16 << 20;
/// Members without content in a body of them.
const EMPTY_MEMBERS: usize = 50_000;
/// Pages that one who does not read asks for at once.
const PAGES: usize = 20;

/// What a member of the crowd does.
#[derive(Clone)]
pub enum Habit {
    /// Connects and says nothing.
    Idle,
    /// Opens with this and goes on with a byte a second.
    Slow(Arc<[u8]>),
    /// Opens with this and never reads.
    Deaf(Arc<[u8]>),
    /// Sends this request, reads the answer, and sends it again.
    Sends(Arc<[u8]>),
}

impl Habit {
    pub fn opening(&self) -> &[u8] {
        match self {
            Habit::Idle => b"",
            Habit::Slow(opening) | Habit::Deaf(opening) | Habit::Sends(opening) => opening,
        }
    }

    pub fn reads(&self) -> bool {
        !matches!(self, Habit::Deaf(_))
    }
}

/// The slow ones: half of them in a head, half in a body that claims to become large.
pub fn slow() -> [Habit; 2] {
    let in_head = "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    let in_body = format!("{POST}Content-Length: {LARGE_BYTES}\r\n\r\n");
    [in_head.as_bytes(), in_body.as_bytes()].map(|opening| Habit::Slow(opening.into()))
}

/// One who asks for the largest pages there are and does not read them.
pub fn deaf() -> Habit {
    let page = "GET /events?after=0&limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    Habit::Deaf(page.repeat(PAGES).into_bytes().into())
}

/// One event of the greatest size, the same each time: it is received, parsed and recognised whole, and
/// stored once.
pub fn large_body() -> Habit {
    let text = "x".repeat(LARGE_BYTES / 2);
    let mut body = event("bench.large", 0, &text).into_bytes();
    body.resize(LARGE_BYTES, b' ');
    Habit::Sends(request("identity", &body))
}

/// Bodies that grow when they are decoded, or are much work for little: each with its name.
pub fn bombs() -> Vec<(&'static str, Habit)> {
    let mut large = event("bench.bomb", 0, "").into_bytes();
    large.resize(BOMB_BYTES, b' ');
    let gzip = |data: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    };
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&large).expect("memory takes all");
    let zlib = zlib.finish().expect("memory takes all");
    let zstd = |window: u32| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("the level exists");
        encoder.window_log(window).expect("the window is legal");
        encoder.write_all(&large).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    };
    let bodies = [
        ("gzip", "gzip", gzip(&large)),
        ("deflate", "deflate", zlib),
        ("zstd", "zstd", zstd(23)),
        ("zstd window", "zstd", zstd(27)),
        ("gzip members", "gzip", gzip(b"").repeat(EMPTY_MEMBERS)),
    ];
    bodies
        .into_iter()
        .map(|(name, coding, body)| (name, Habit::Sends(request(coding, &body))))
        .collect()
}

const POST: &str =
    "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

pub fn request(coding: &str, body: &[u8]) -> Arc<[u8]> {
    let length = body.len();
    let head = format!("{POST}Content-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat().into()
}

/// An event with this text in its payload.
pub fn event(topic: &str, number: usize, text: &str) -> String {
    format!(
        "{{\"topic\":\"{topic}\",\"event_id\":\"{number}\",\"timestamp\":\"{TIMESTAMP}\",\
         \"source\":\"{SOURCE}\",\"payload\":{{\"text\":\"{text}\"}}}}"
    )
}
