//! Answers in gzip: which are, and how a long one is compressed in pieces of bounded work.
//!
//! What a client takes is in `Accept-Encoding` (RFC 9110 §12.5.3). An answer that is short stays as it is, and so does
//! one that does not become smaller.

use std::borrow::Cow;

use super::accept::thousandths;
use crate::http::encoding::{Compressor, GzipBody};
use crate::http::{Method, Request, Response};
use crate::limits::{COMPRESSED_MIN_BYTES, COMPRESSED_PIECE_BYTES};

/// The field by which caches tell answers with and without a content coding apart (RFC 9110 §12.5.5).
pub(crate) const VARY: (&str, &str) = ("Vary", "Accept-Encoding");

/// The field that says that a body is gzip.
pub(crate) const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

/// Whether the client takes gzip, and does not prefer a body as it is. Malformed elements are ignored.
pub(crate) fn takes_gzip(request: &Request) -> bool {
    let (mut gzip, mut identity, mut others) = (None, None, None);
    let fields = request.headers("accept-encoding");
    let fields = fields.filter_map(|field| std::str::from_utf8(field).ok());
    for element in fields.flat_map(|field| field.split(',')) {
        let (name, parameter) = element.split_once(';').unwrap_or((element, "q=1"));
        let Some(weight) = weight(parameter) else {
            continue;
        };
        match &*name.trim().to_ascii_lowercase() {
            "gzip" | "x-gzip" => gzip = gzip.max(Some(weight)),
            "identity" => identity = Some(weight),
            "*" => others = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(others).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let is_weight = name.trim().eq_ignore_ascii_case("q");
    is_weight.then(|| thousandths(value.trim())).flatten()
}

/// An answer that becomes gzip.
#[derive(Debug)]
pub struct Compression {
    /// As it was made.
    plain: Response,
    /// How much of its body has been compressed.
    at: usize,
    gzip: GzipBody,
    out: Vec<u8>,
}

impl Compression {
    /// Begins to compress an answer. Gives it back if it is sent as it is.
    pub(crate) fn begin(request: &Request, mut answer: Response) -> Result<Compression, Response> {
        let is_long = answer.held_bytes() > COMPRESSED_MIN_BYTES;
        let may_be = matches!(request.method, Method::Get | Method::Head) && answer.status == 200;
        if !is_long || !may_be {
            return Err(answer);
        }
        answer = answer.header(VARY.0, VARY.1);
        if !takes_gzip(request) {
            return Err(answer);
        }
        Ok(Compression {
            plain: answer,
            at: 0,
            gzip: GzipBody::default(),
            out: Vec::new(),
        })
    }

    /// Whether it is one piece of work.
    pub(crate) fn is_short(&self) -> bool {
        self.plain.body.len() <= COMPRESSED_PIECE_BYTES
    }

    /// The answer as it is.
    pub fn into_plain(self) -> Response {
        self.plain
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.plain.body.len() + self.out.len()
    }

    /// Compresses the next piece. Returns how many bytes that were, and the answer once it is whole.
    pub(crate) fn go_on(&mut self, compressor: &mut Compressor) -> (usize, Option<Response>) {
        let rest = &self.plain.body[self.at..];
        let piece = &rest[..rest.len().min(COMPRESSED_PIECE_BYTES)];
        self.gzip.write(piece, compressor, &mut self.out);
        self.at += piece.len();
        (piece.len(), self.finished())
    }

    fn finished(&mut self) -> Option<Response> {
        // Images, or what is compressed already.
        let pays = self.out.len() < self.at - self.at / 16;
        let is_whole = self.at == self.plain.body.len();
        if pays && !is_whole {
            return None;
        }
        let mut answer = std::mem::replace(&mut self.plain, Response::empty(200));
        if pays {
            std::mem::take(&mut self.gzip).end(&mut self.out);
            answer.body = Cow::Owned(std::mem::take(&mut self.out));
            answer = answer.header(GZIP.0, GZIP.1);
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::http::Conn;

    fn takes(fields: &[&str]) -> bool {
        let now = Now::default();
        let mut conn = Conn::new(0, now);
        let fields: String = fields
            .iter()
            .map(|field| format!("Accept-Encoding: {field}\r\n"))
            .collect();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        conn.receive(head.as_bytes(), now);
        conn.next(now);
        takes_gzip(&conn.request())
    }

    #[test]
    fn the_client_chooses_by_its_weights() {
        for yes in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip, br, zstd",
            "gzip;q=0.5",
            "gzip ; q=0.001",
            "gzip;Q=1.000",
            "*",
            "*;q=0.1",
            "br, *;q=0.1",
            "gzip, *;q=0",
            "identity;q=0.5, gzip;q=0.5",
            "identity;q=0, gzip;q=0.1",
            "gzip;q=bad, gzip",
            ", ,gzip",
        ] {
            assert!(takes(&[yes]), "{yes}");
        }
        for no in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "gzip;q=0.5, identity",
            "*;q=0.5, identity;q=0.6",
            "gzip;q=2",
            "gzip;level=1",
            "gzipped",
        ] {
            assert!(!takes(&[no]), "{no}");
        }
        assert!(!takes(&[]));
        assert!(takes(&["br", "gzip"]), "several fields are one list");
    }
}
