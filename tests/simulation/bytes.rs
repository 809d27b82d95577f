//! The bytes of requests: heads, bodies, codings, and all that does not matter in them.

use std::io::Write as _;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;

use crate::random::Random;
use crate::request::{Request, Stays, Wanted};

/// The head of a request to be.
pub struct Head {
    pub method: &'static str,
    pub target: String,
    fields: Vec<String>,
}

impl Head {
    pub fn new(method: &'static str, target: impl Into<String>) -> Head {
        Head {
            method,
            target: target.into(),
            fields: Vec::new(),
        }
    }

    pub fn field(&mut self, line: impl Into<String>) {
        self.fields.push(line.into());
    }
}

/// Several JSON texts as one body.
pub fn form(random: &mut Random, texts: &[String]) -> String {
    match (random.below(5), texts) {
        (0, [one]) => one.clone(),
        (1, [one]) => format!("\u{feff}{{\"events\":{one}}}"),
        (0 | 1, _) => format!("[{}]", texts.join(" , ")),
        (2, _) => format!("{{\"a\":1,\"events\":[{}]}}", texts.join(",")),
        (3, _) => texts.join("\n") + "\n",
        _ => texts.concat(),
    }
}

/// A body in the content coding of that name.
pub fn coded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let all = "a Vec takes every write";
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).expect(all);
            encoder.finish().expect(all)
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).expect(all);
            encoder.finish().expect(all)
        }
        "zstd" => zstd::encode_all(bytes, 1).expect(all),
        _ => bytes.to_vec(),
    }
}

/// A text with every byte as an escape.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

pub fn request(bytes: Vec<u8>, head_bytes: usize, wanted: Wanted) -> Request {
    Request {
        bytes,
        line_at: 0,
        head_bytes,
        is_head: false,
        is_old: false,
        expects_continue: false,
        wanted,
        stays: Stays::Open,
        is_early: false,
    }
}

pub fn plain(head: &Head) -> (Vec<u8>, usize) {
    let text = format!(
        "{} {} HTTP/1.1\r\nHost: h\r\n\r\n",
        head.method, head.target
    );
    let length = text.len();
    (text.into_bytes(), length)
}

pub fn without_body(random: &mut Random, head: Head, wanted: Wanted) -> Request {
    finish(random, head, b"", false, wanted)
}

/// Adds a body by length or in chunks.
pub fn with_body(random: &mut Random, mut head: Head, body: &[u8], wanted: Wanted) -> Request {
    let in_chunks = random.chance(3);
    let mut framed = Vec::new();
    if in_chunks {
        head.field("Transfer-Encoding: chunked");
        let mut rest = body;
        while !rest.is_empty() {
            let most = if random.chance(2) {
                20
            } else {
                rest.len() as u64
            };
            let size = (1 + random.below(most) as usize).min(rest.len());
            let extension = ["", ";a=\"b\"", " ;c"][random.below(3) as usize];
            framed.extend_from_slice(format!("{size:X}{extension}\r\n").as_bytes());
            framed.extend_from_slice(&rest[..size]);
            framed.extend_from_slice(b"\r\n");
            rest = &rest[size..];
        }
        let trailer = ["", "T: t\r\n"][random.below(2) as usize];
        framed.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
    } else {
        head.field(format!("Content-Length: {}", body.len()));
        framed.extend_from_slice(body);
    }
    let is_refused_by_head = matches!(wanted, Wanted::Status(404 | 405 | 415));
    let expects_continue = !framed.is_empty() && random.chance(10);
    if expects_continue {
        head.field("Expect: 100-continue");
    }
    let mut request = finish(random, head, &framed, in_chunks, wanted);
    request.expects_continue = expects_continue;
    if is_refused_by_head && !framed.is_empty() {
        request.is_early = true;
        // A body that may be held back, or of unknown length, is not waited for.
        if in_chunks || expects_continue {
            request.stays = Stays::Closes;
        }
    }
    request
}

/// Puts head and body together, in a version and with a `Connection` of chance.
fn finish(
    random: &mut Random,
    mut head: Head,
    body: &[u8],
    in_chunks: bool,
    wanted: Wanted,
) -> Request {
    let has_expectation = head.fields.iter().any(|field| field.starts_with("Expect"));
    let is_old = !in_chunks && !has_expectation && random.chance(10);
    let mut stays = Stays::Open;
    if is_old {
        if random.chance(2) {
            head.field("Connection: keep-alive");
        } else {
            stays = Stays::Closes;
        }
    } else {
        head.fields
            .insert(0, "hOsT: simulation.example:80".to_owned());
        if random.chance(15) {
            head.field("Connection: close, te");
            stays = Stays::Closes;
        }
    }
    if random.chance(10) {
        head.field(format!(
            "X-Filling: {}",
            "f".repeat(random.below(6_000) as usize)
        ));
    }
    let line_at = if random.chance(8) { 2 } else { 0 };
    let version = if is_old { "1.0" } else { "1.1" };
    let empty = &"\r\n"[..line_at];
    let mut text = format!("{empty}{} {} HTTP/{version}\r\n", head.method, head.target);
    for field in &head.fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    let head_bytes = bytes.len();
    bytes.extend_from_slice(body);
    let mut request = request(bytes, head_bytes, wanted);
    request.line_at = line_at;
    request.is_head = head.method == "HEAD";
    // HTTP/1.0 knows no other end of a stream.
    if is_old && matches!(request.wanted, Wanted::Stream(_)) {
        stays = Stays::Closes;
    }
    request.is_old = is_old;
    request.stays = stays;
    request
}
