//! What an answer looks like, given the request that it belongs to and the state of its connection.
//! Writes to the output; changes no state but by methods of [`Conn`].

use std::borrow::Cow;
use std::convert::Infallible;

use super::{Conn, Receiving, Sending};
use crate::clock::Now;
use crate::http::head::{Expectation, Framing};
use crate::http::protocol::{Method, Version};
use crate::http::response::{write_head, End, Persistence, Response};
use crate::limits::DISCARD_MAX_BYTES;

impl Conn {
    /// Whether the answer to the present request is this connection's last (RFC 9112 §9.3, §9.6).
    pub(super) fn closes_after(&self, response: &Response) -> bool {
        // A body that the client may be holding back, or that is long, is not worth waiting for.
        let body_in_the_way = match (&self.receiving, self.head.framing) {
            (Receiving::Pieces { .. }, _) => true,
            (Receiving::Declared, Framing::Chunked) => true,
            (Receiving::Declared, Framing::Length(length)) => {
                self.head.expectation != Expectation::Nothing || length > DISCARD_MAX_BYTES as u64
            }
            _ => false,
        };
        response.close || self.draining || !self.head.keep_alive || body_in_the_way
    }

    /// What the answer has to say of the connection.
    pub(super) fn persistence(&self, closes: bool) -> Persistence {
        match (closes, self.head.version) {
            (true, _) => Persistence::Closed,
            (false, Version::Http11) => Persistence::Kept,
            (false, Version::Http10) => Persistence::KeptAsAsked,
        }
    }

    /// Queues a whole answer.
    pub(super) fn write(&mut self, response: &Response, closes: bool, now: Now) {
        let stays = self.persistence(closes);
        // A head that could not be read leaves the method to its first bytes.
        let to_head = if self.has_request() {
            self.head.method == Method::Head
        } else {
            self.input.unread().starts_with(b"HEAD ")
        };
        // RFC 9110 §8.6: no length with 204. §9.3.2: HEAD gets the length that GET would get, if it is known.
        let end = match response.status {
            204 => End::Unsaid,
            _ if to_head && response.is_unmeasured => End::Unsaid,
            _ => End::Length(response.body.len()),
        };
        let out = self.tail(now);
        write_head(out, response, end, stays, now);
        if to_head || response.status == 204 {
            return;
        }
        match &response.body {
            Cow::Borrowed(part) => self.output.write_fixed(part),
            Cow::Owned(body) => out.extend_from_slice(body),
        }
    }

    /// Where answers are written. The wait for the client begins with the first of them.
    pub(super) fn tail(&mut self, now: Now) -> &mut Vec<u8> {
        if self.output.is_empty() {
            self.taken_at = now.mono_ms;
        }
        self.output.tail()
    }

    /// The next part of a stream.
    pub fn stream(&mut self, part: &[u8], now: Now) {
        if self.is_streaming() {
            let write = |out: &mut Vec<u8>| {
                out.extend_from_slice(part);
                Ok::<_, Infallible>(())
            };
            self.stream_with(write, now)
                .unwrap_or_else(|none| match none {});
        }
    }

    /// The next part of a stream is what `write` appends to the output; nothing if it fails. Panics
    /// if there is no stream.
    pub fn stream_with<T, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
        now: Now,
    ) -> Result<T, E> {
        let Sending::Streaming(end) = self.sending else {
            panic!("no stream has begun, or it is over");
        };
        if self.output.is_empty() {
            self.taken_at = now.mono_ms;
        }
        if end == End::Chunked {
            return self.output.write_chunk(write);
        }
        let waiting = self.output.unsent();
        let result = self.output.write_plain(write);
        self.count_streamed(self.output.unsent() - waiting);
        result
    }

    /// If nothing waits to be sent, what comes next is written into the memory of `spare`, until
    /// [`Conn::give_back`]: connections whose clients keep up share one large buffer.
    pub fn lend(&mut self, spare: &mut Vec<u8>) {
        self.output.lend(spare);
    }

    /// If everything has been sent, gives the memory back that was lent.
    pub fn give_back(&mut self, spare: &mut Vec<u8>) {
        self.output.give_back(spare);
    }
}
