//! A request as the application sees it: the parts of its head, by name.

use super::head::{Framing, Head};
use super::protocol::{Method, Version};
use crate::clock::Now;
use crate::event::Peer;

/// The present request of a connection.
pub struct Request<'a> {
    pub method: Method,
    pub version: Version,
    /// Who sent it.
    pub peer: Peer,
    /// When its head was complete.
    pub arrived: Now,
    head: &'a Head,
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// `bytes` must begin with the bytes that `head` was read from.
    pub(super) fn new(head: &'a Head, bytes: &'a [u8], peer: Peer, arrived: Now) -> Self {
        Request {
            method: head.method,
            version: head.version,
            peer,
            arrived,
            head,
            bytes,
        }
    }

    /// The method as it was sent: also one that this server does not know.
    pub fn method_name(&self) -> &'a str {
        let line = self.bytes;
        let end = line.iter().position(|&byte| byte == b' ');
        std::str::from_utf8(&line[..end.unwrap_or_default()]).expect("a method is ASCII")
    }

    /// Path and query as sent; of an absolute-form target what follows the authority. `*` and the authority of a
    /// CONNECT are kept as they are.
    pub fn target(&self) -> &'a str {
        ascii(self.raw_target())
    }

    fn raw_target(&self) -> &'a [u8] {
        self.head.target.of(self.bytes)
    }

    /// The path, still percent-encoded.
    pub fn path(&self) -> &'a str {
        match ascii(&self.raw_target()[..self.path_end()]) {
            // `http://host?query` has an empty path, which is `/` (RFC 9110 §4.2.3).
            "" => "/",
            path => path,
        }
    }

    /// Most targets are so short that a plain loop is faster than a vectorised search.
    fn path_end(&self) -> usize {
        let target = self.raw_target();
        let mark = target.iter().position(|&byte| byte == b'?');
        mark.unwrap_or(target.len())
    }

    /// What follows the first `?`, still percent-encoded.
    pub fn query(&self) -> Option<&'a str> {
        self.raw_target().get(self.path_end() + 1..).map(ascii)
    }

    /// The first field of that name, in any case, without the white space around its value. A value that is not UTF-8
    /// counts as absent: no field that is read as text needs one.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers(name)
            .next()
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The media type of the body without its parameters; empty where none is named.
    pub fn media_type(&self) -> &'a str {
        essence(self.header("content-type").unwrap_or_default())
    }

    /// All fields of that name, in the order sent.
    pub fn headers<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let bytes = self.bytes;
        let named = self
            .head
            .fields
            .iter()
            .filter(move |(known, _)| known.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        named.map(move |(_, value)| value.of(bytes))
    }

    /// All fields, in the order sent: names as they were sent, and values without the white space around them.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let bytes = self.bytes;
        let fields = self.head.fields.iter();
        fields.map(move |(name, value)| (name.of(bytes), value.of(bytes)))
    }

    /// The declared length, where it is not 0. A chunked body has none.
    pub fn content_length(&self) -> Option<u64> {
        match self.head.framing {
            Framing::Length(length) => Some(length),
            Framing::Nothing | Framing::Chunked => None,
        }
    }

    /// Whether a body follows the head. A declared length of 0 is no body.
    pub fn has_body(&self) -> bool {
        self.head.framing != Framing::Nothing
    }
}

/// A media type without its parameters.
pub(crate) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// A part of a target, which [`Head::read`] has found to be ASCII.
fn ascii(part: &[u8]) -> &str {
    std::str::from_utf8(part).expect("a target is ASCII")
}
