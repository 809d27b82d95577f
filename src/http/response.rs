//! An answer as a value, and how it becomes bytes (RFC 9112 §4, RFC 9110 §8 and §10.2).
//!
//! Owns the field lines that every answer carries. Never decides whether a connection is kept.

use std::borrow::Cow;
use std::cell::Cell;

use crate::clock::{Civil, Now};

/// What a request is answered with. `Date`, `Server`, `Content-Length` and `Connection` are not
/// among `headers`: the connection adds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Media type of the body; empty if there is none.
    pub content_type: &'static str,
    /// Further fields. Neither names nor values may hold control characters.
    pub headers: Vec<(&'static str, String)>,
    pub body: Cow<'static, [u8]>,
    /// Close the connection after this answer.
    pub close: bool,
    /// The answer to HEAD where the body of GET was not made, so its length is not known.
    pub is_unmeasured: bool,
}

impl Response {
    pub fn new(
        status: u16,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        let body = body.into();
        Response {
            status,
            content_type,
            headers: Vec::new(),
            body,
            close: false,
            is_unmeasured: false,
        }
    }

    /// An answer of this interface whose body is JSON text. A line end is added to it, so that a shell's prompt begins
    /// a line.
    pub fn json(status: u16, mut body: Vec<u8>) -> Self {
        if !body.is_empty() {
            body.push(b'\n');
        }
        Response::bare_json(status, body)
    }

    /// An answer whose body is JSON text and nothing more, as shippers know it.
    pub(crate) fn bare_json(status: u16, body: Vec<u8>) -> Self {
        Response::new(status, "application/json", body)
    }

    /// An error that one sentence explains: `{"detail":"…"}`.
    pub fn error(status: u16, sentence: &str) -> Self {
        let mut body = b"{\"detail\":".to_vec();
        serde_json::to_writer(&mut body, sentence).expect("a string has a JSON form");
        body.push(b'}');
        Response::json(status, body)
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Response::new(status, "", Vec::new())
    }

    /// Bytes of its body that take memory while it waits to be sent.
    pub fn held_bytes(&self) -> usize {
        match &self.body {
            Cow::Borrowed(_) => 0,
            Cow::Owned(body) => body.len(),
        }
    }

    /// The same answer with one more field.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        debug_assert!(
            !value.bytes().any(|b| b.is_ascii_control()),
            "a field value is one line"
        );
        self.headers.push((name, value));
        self
    }
}

/// How the receiver finds the end of an answer (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Length(usize),
    Chunked,
    /// By closing (HTTP/1.0), or no body by its status.
    Unsaid,
}

/// What an answer says of its connection (RFC 9112 §9.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Kept, as HTTP/1.1 has it by default.
    Kept,
    /// Kept, which is said to an HTTP/1.0 client.
    KeptAsAsked,
    Closed,
}

/// Writes the head of an answer. Every answer says HTTP/1.1, the version of this server (RFC 9110
/// §2.5); nothing that HTTP/1.0 does not know is sent to it.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    answer: &Response,
    end: End,
    stays: Persistence,
    now: Now,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(out, answer.status);
    out.push(b' ');
    out.extend_from_slice(reason(answer.status).as_bytes());
    out.extend_from_slice(b"\r\nServer: log-aggregator\r\nDate: ");
    out.extend_from_slice(&date(now));
    if !answer.content_type.is_empty() {
        out.extend_from_slice(b"\r\nContent-Type: ");
        out.extend_from_slice(answer.content_type.as_bytes());
    }
    match end {
        End::Length(length) => {
            out.extend_from_slice(b"\r\nContent-Length: ");
            write_number(out, length);
        }
        End::Chunked => out.extend_from_slice(b"\r\nTransfer-Encoding: chunked"),
        End::Unsaid => {}
    }
    for (name, value) in &answer.headers {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
    }
    match stays {
        Persistence::Kept => {}
        Persistence::KeptAsAsked => out.extend_from_slice(b"\r\nConnection: keep-alive"),
        Persistence::Closed => out.extend_from_slice(b"\r\nConnection: close"),
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// The most bytes that the line before a chunk takes.
pub(super) const CHUNK_SIZE_BYTES: usize = usize::BITS as usize / 4 + 2;

/// Writes the line before a chunk of `len` bytes (RFC 9112 §7.1) to the end of `room`. Returns where in `room` it
/// begins.
pub(super) fn write_chunk_size(room: &mut [u8; CHUNK_SIZE_BYTES], len: usize) -> usize {
    let mut at = CHUNK_SIZE_BYTES - 2;
    room[at..].copy_from_slice(b"\r\n");
    let mut rest = len;
    while rest > 0 {
        at -= 1;
        room[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    at
}

/// Writes a number in decimal digits.
pub fn write_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The wall clock as an IMF-fixdate (RFC 9110 §5.6.7), made once a second.
fn date(now: Now) -> [u8; 29] {
    thread_local! {
        static LAST: Cell<(i64, [u8; 29])> = const { Cell::new((i64::MIN, [0; 29])) };
    }
    let second = now.unix_us.div_euclid(1_000_000);
    let (made_for, made) = LAST.get();
    if made_for == second {
        return made;
    }
    let made = imf_fixdate(second);
    LAST.set((second, made));
    made
}

/// `unix` seconds as `Sun, 06 Nov 1994 08:49:37 GMT`; right from 1970 to 9999.
fn imf_fixdate(unix: i64) -> [u8; 29] {
    const DAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let civil = Civil::from_unix_us(unix * 1_000_000);
    let year = civil.year as u32;

    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let mut two = |at: usize, number: u32| {
        text[at] = b'0' + (number / 10) as u8;
        text[at + 1] = b'0' + (number % 10) as u8;
    };
    two(5, civil.day);
    two(12, year / 100 % 100);
    two(14, year % 100);
    two(17, civil.hour);
    two(20, civil.minute);
    two(23, civil.second);
    let weekday = 3 * civil.weekday as usize;
    text[..3].copy_from_slice(&DAYS[weekday..weekday + 3]);
    let month = 3 * (civil.month as usize - 1);
    text[8..11].copy_from_slice(&MONTHS[month..month + 3]);
    text
}

/// The reason phrase (RFC 9110 §15). It carries no meaning, so a status without one gets none.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc2822;
    use time::OffsetDateTime;

    #[test]
    fn the_date_of_the_rfc() {
        assert_eq!(&imf_fixdate(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn an_error_is_json_whatever_the_sentence_holds() {
        let answer = Response::error(404, "no \"path\"\n");
        assert_eq!(&*answer.body, b"{\"detail\":\"no \\\"path\\\"\\n\"}\n");
    }

    #[test]
    fn numbers_and_chunks() {
        let mut out = Vec::new();
        write_number(&mut out, 0_u16);
        write_number(&mut out, usize::MAX);
        assert_eq!(out, b"018446744073709551615");
        for (len, line) in [(16, "10\r\n"), (usize::MAX, "ffffffffffffffff\r\n")] {
            let mut room = [0; CHUNK_SIZE_BYTES];
            let at = write_chunk_size(&mut room, len);
            assert_eq!(&room[at..], line.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_date_reads_back(unix in 0_i64..253_402_300_800) {
            let text = imf_fixdate(unix);
            let text = std::str::from_utf8(&text).unwrap();
            prop_assert_eq!(OffsetDateTime::parse(text, &Rfc2822).unwrap().unix_timestamp(), unix);
        }
    }
}
