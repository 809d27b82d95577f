//! Request heads: where one ends, what it says, and how the body after it is framed (RFC 9112 §2 to §6). `httparse`
//! finds the parts; what it accepts and the RFC does not is refused here, each case with its clause beside it.

use std::mem::MaybeUninit;

use memchr::memchr;

use super::protocol::{Method, ProtocolError, Version};
use super::target::{self, is_authority};
use crate::limits::{CONTENT_LENGTH_MAX, HEADERS_MAX, HEAD_MAX_BYTES, TARGET_MAX_BYTES};

const LONG_TARGET: ProtocolError = ProtocolError::new(
    414,
    "The request target is over 8 KiB; ask for less at a time.",
);
const LONG_HEAD: ProtocolError = ProtocolError::new(
    431,
    "The request head is over 16 KiB or 100 fields; send fewer or shorter fields.",
);
const BAD_LINE_END: ProtocolError = ProtocolError::new(
    400,
    "A line of the request head ends with a bare LF; end lines with CRLF.",
);
const BAD_REQUEST_LINE: ProtocolError = ProtocolError::new(
    400,
    "The request line is malformed; send method, target and HTTP/1.1, one space between.",
);
const BAD_VERSION: ProtocolError = ProtocolError::new(
    505,
    "This server speaks HTTP/1.1 and HTTP/1.0; send the request in one of them.",
);
const BAD_FIELD_NAME: ProtocolError = ProtocolError::new(
    400,
    "A header line is folded, or its name is malformed or followed by white space; send name, colon, value.",
);
const BAD_FIELD_VALUE: ProtocolError = ProtocolError::new(
    400,
    "A header value holds a control character or a bare CR; remove it.",
);
const BAD_HOST: ProtocolError = ProtocolError::new(
    400,
    "Host is missing, repeated or malformed; send exactly one Host field.",
);
const BAD_LENGTH: ProtocolError = ProtocolError::new(
    400,
    "Content-Length is malformed or contradicts itself; send one decimal number.",
);
const LENGTH_AND_CODING: ProtocolError = ProtocolError::new(
    400,
    "Content-Length and Transfer-Encoding exclude each other; send one of them.",
);
const CODING_IN_1_0: ProtocolError = ProtocolError::new(
    400,
    "HTTP/1.0 has no Transfer-Encoding; send Content-Length or use HTTP/1.1.",
);
const BAD_CODING: ProtocolError = ProtocolError::new(
    400,
    "Transfer-Encoding must be exactly one chunked, at the end; send chunked alone.",
);
const UNKNOWN_CODING: ProtocolError = ProtocolError::new(
    501,
    "Only the transfer coding chunked is known here; send chunked alone.",
);

/// Looks for the end of a head, each byte once however they arrive. Refusals come in the order of
/// the bytes, so that the answer does not depend on how these were cut.
#[derive(Default)]
pub(super) struct Scan {
    /// Bytes already looked at.
    seen: usize,
    /// Where the line that is being looked at begins.
    line: usize,
    /// Lines complete, the request line included.
    lines: usize,
}

impl Scan {
    /// The length of the head at the start of `bytes`, its empty line included, once it is there.
    /// The same bytes, and more, must come with each call.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let window = &bytes[..bytes.len().min(HEAD_MAX_BYTES)];
        loop {
            let found = memchr(b'\n', &window[self.seen..]);
            let end = found.map_or(window.len(), |at| self.seen + at);
            if self.lines == 0 && end - self.line > TARGET_MAX_BYTES {
                refuse_long_target(&window[self.line..end])?;
            }
            if found.is_none() {
                self.seen = end;
                return if end == HEAD_MAX_BYTES {
                    Err(LONG_HEAD)
                } else {
                    Ok(None)
                };
            }
            let line = &window[self.line..end];
            // RFC 9112 §2.2 allows a bare LF to be taken for a line end; it is refused here, because
            // a proxy that sees it otherwise would see other requests.
            if line.last() != Some(&b'\r') {
                return Err(BAD_LINE_END);
            }
            if line.len() == 1 {
                // RFC 9112 §2.2: one empty line before the request line is skipped by the caller.
                return if self.lines == 0 {
                    Err(BAD_REQUEST_LINE)
                } else {
                    Ok(Some(end + 1))
                };
            }
            self.lines += 1;
            if self.lines > 1 + HEADERS_MAX {
                return Err(LONG_HEAD);
            }
            self.seen = end + 1;
            self.line = end + 1;
        }
    }
}

/// RFC 9112 §3: a target longer than the server wishes to parse is 414, also while its end is out.
fn refuse_long_target(line: &[u8]) -> Result<(), ProtocolError> {
    let Some(space) = memchr(b' ', line) else {
        return Ok(());
    };
    let target = &line[space + 1..];
    if target.len() > TARGET_MAX_BYTES && !target[..=TARGET_MAX_BYTES].contains(&b' ') {
        return Err(LONG_TARGET);
    }
    Ok(())
}

/// A range of bytes in a head.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    start: u16,
    len: u16,
}

impl Span {
    pub(super) fn of(self, head: &[u8]) -> &[u8] {
        &head[usize::from(self.start)..usize::from(self.start) + usize::from(self.len)]
    }

    /// The range that `part`, a slice of `head`, takes up in it.
    fn find(part: &[u8], head: &[u8]) -> Span {
        if part.is_empty() {
            return Span::default();
        }
        let start = part.as_ptr() as usize - head.as_ptr() as usize;
        let narrow = |n: usize| u16::try_from(n).expect("a head is shorter than 64 KiB");
        Span {
            start: narrow(start),
            len: narrow(part.len()),
        }
    }
}

/// How the body after a head is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    #[default]
    Nothing,
    Length(u64),
    Chunked,
}

/// What the sender expects before it sends the body (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expectation {
    #[default]
    Nothing,
    Continue,
    /// Something that this server does not know.
    Other,
}

/// What a head says, as ranges of its bytes. Reused from request to request.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) target: Span,
    /// Names and values, in the order sent.
    pub(super) fields: Vec<(Span, Span)>,
    pub(super) framing: Framing,
    pub(super) expectation: Expectation,
    /// Whether the sender lets the connection stay open (RFC 9112 §9.3).
    pub(super) keep_alive: bool,
}

impl Default for Head {
    fn default() -> Self {
        Head {
            method: Method::Other,
            version: Version::Http11,
            target: Span::default(),
            fields: Vec::new(),
            framing: Framing::Nothing,
            expectation: Expectation::Nothing,
            keep_alive: false,
        }
    }
}

impl Head {
    /// Reads a whole head, as long as [`Scan::end`] said.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(bytes, &mut slots) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(BAD_REQUEST_LINE),
            Err(error) => return Err(error_for(error, bytes)),
        }
        let (Some(method), Some(path), Some(minor)) = (parsed.method, parsed.path, parsed.version)
        else {
            return Err(BAD_REQUEST_LINE);
        };
        self.method = Method::parse(method);
        self.version = if minor == 0 {
            Version::Http10
        } else {
            Version::Http11
        };
        let target = target::reduce(method, path)?;
        self.target = Span::find(target.as_bytes(), bytes);

        self.fields.clear();
        let mut connection = ConnectionFields::default();
        for field in parsed.headers.iter() {
            let (name, value) = (field.name, field.value.trim_ascii());
            self.fields
                .push((Span::find(name.as_bytes(), bytes), Span::find(value, bytes)));
            connection.take(name, value)?;
        }
        self.framing = connection.framing(self.version)?;
        // RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0, and a legal one.
        if connection.hosts > 1 || (connection.hosts == 0 && self.version == Version::Http11) {
            return Err(BAD_HOST);
        }
        // RFC 9110 §10.1.1: an expectation in HTTP/1.0 is ignored.
        self.expectation = match self.version {
            Version::Http10 => Expectation::Nothing,
            Version::Http11 => connection.expectation,
        };
        self.keep_alive =
            !connection.close && (connection.keep_alive || self.version == Version::Http11);
        Ok(())
    }
}

/// What the fields that concern the connection have said so far.
#[derive(Default)]
struct ConnectionFields {
    hosts: usize,
    length: Option<u64>,
    codings: usize,
    chunked: usize,
    chunked_last: bool,
    malformed_coding: bool,
    expectation: Expectation,
    close: bool,
    keep_alive: bool,
}

impl ConnectionFields {
    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), ProtocolError> {
        // The length distinguishes most fields before any letter is compared.
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => {
                self.hosts += 1;
                if !value.is_empty() && !is_authority(value) {
                    return Err(BAD_HOST);
                }
            }
            6 if is("expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                self.expectation = match self.expectation {
                    Expectation::Nothing | Expectation::Continue if known => Expectation::Continue,
                    _ => Expectation::Other,
                };
            }
            10 if is("connection") => {
                for option in elements(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is("content-length") => {
                // RFC 9112 §6.3, rule 5: a repeated length is taken where all are valid and equal.
                for element in elements(value) {
                    let length = decimal(element).ok_or(BAD_LENGTH)?;
                    if self.length.is_some_and(|earlier| earlier != length) {
                        return Err(BAD_LENGTH);
                    }
                    self.length = Some(length);
                }
            }
            17 if is("transfer-encoding") => {
                for coding in elements(value) {
                    self.codings += 1;
                    self.chunked_last = coding.eq_ignore_ascii_case(b"chunked");
                    self.chunked += usize::from(self.chunked_last);
                    self.malformed_coding |= coding.is_empty();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 §6.3, for requests.
    fn framing(&self, version: Version) -> Result<Framing, ProtocolError> {
        if self.codings == 0 {
            return Ok(match self.length {
                // Rule 7: neither field, no body. A length of 0 comes to the same.
                None | Some(0) => Framing::Nothing,
                // Rule 6.
                Some(length) => Framing::Length(length),
            });
        }
        // §6.1: a coding in HTTP/1.0 means that the framing is faulty.
        if version == Version::Http10 {
            return Err(CODING_IN_1_0);
        }
        // Rule 3: both fields, which smells of request smuggling (§11.2).
        if self.length.is_some() {
            return Err(LENGTH_AND_CODING);
        }
        // Rule 4: where chunked is not the last coding, the length cannot be known. §7: it must not
        // be applied twice.
        if self.malformed_coding || !self.chunked_last || self.chunked > 1 {
            return Err(BAD_CODING);
        }
        // §6.1: a coding that is not understood is 501.
        if self.codings > 1 {
            return Err(UNKNOWN_CODING);
        }
        Ok(Framing::Chunked)
    }
}

/// The elements of a list (RFC 9110 §5.6.1), empty ones included.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// RFC 9110 §8.6: `1*DIGIT`, nothing else, and no silent overflow.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let number = text.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })?;
    (number <= CONTENT_LENGTH_MAX).then_some(number)
}

/// Tells apart the faults that `httparse` reports.
fn error_for(error: httparse::Error, head: &[u8]) -> ProtocolError {
    match error {
        // RFC 9110 §15.6.6: 505 for what looks like a version (RFC 9112 §2.3) but is not served.
        httparse::Error::Version => {
            let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
            let mut parts = line.split(|&byte| byte == b' ').skip(2);
            match (parts.next(), parts.next()) {
                (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
                    if major.is_ascii_digit() && minor.is_ascii_digit() =>
                {
                    BAD_VERSION
                }
                _ => BAD_REQUEST_LINE,
            }
        }
        // RFC 9112 §5.1 (white space before the colon) and §5.2 (obs-fold).
        httparse::Error::HeaderName => BAD_FIELD_NAME,
        // RFC 9110 §5.5: NUL, CR and other controls.
        httparse::Error::HeaderValue => BAD_FIELD_VALUE,
        httparse::Error::TooManyHeaders => LONG_HEAD,
        _ => BAD_REQUEST_LINE,
    }
}
