//! From a head to its body: whole, or in pieces.

use super::errors::UNKNOWN_EXPECTATION;
use super::{Conn, Receiving};
use crate::clock::Now;
use crate::http::body::{self, Decoder};
use crate::http::head::{Expectation, Framing};

impl Conn {
    /// After [`Step::Head`]: goes on with the body, or refuses what the head alone rules out.
    pub fn admit(&mut self, now: Now) {
        let limit = self.max_body_bytes;
        self.admit_up_to(limit, now, Receiving::Body);
    }

    /// After [`Step::Head`]: goes on with the body, which may have any length and comes out in pieces:
    /// [`Conn::has_piece`]. The last one comes with [`Step::Request`].
    pub fn admit_in_pieces(&mut self, now: Now) {
        let receiving = |decoder| Receiving::Pieces {
            decoder,
            is_taken: false,
        };
        self.admit_up_to(usize::MAX, now, receiving);
    }

    fn admit_up_to(&mut self, limit: usize, now: Now, receiving: fn(Decoder) -> Receiving) {
        assert!(
            matches!(self.receiving, Receiving::Declared),
            "no head waits to be admitted"
        );
        if self.head.expectation == Expectation::Other {
            return self.reject(UNKNOWN_EXPECTATION, now);
        }
        let mut decoder = match self.head.framing {
            Framing::Length(length) if length > limit as u64 => {
                return self.reject(body::TOO_LARGE, now);
            }
            Framing::Length(length) => Decoder::length(length),
            Framing::Chunked => Decoder::chunked(limit),
            Framing::Nothing => unreachable!("a head without body and expectation is a request"),
        };
        self.wait_from(now);
        // RFC 9110 §10.1.1: no 100 where content has arrived already.
        let unread = self.input.unread();
        if self.head.expectation == Expectation::Continue && unread.is_empty() {
            self.tail(now)
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.receiving = receiving(decoder);
            return;
        }
        let arrived = unread.len();
        match decoder.decode(unread, &mut self.body) {
            Ok(Some(taken)) => {
                self.input.consume(taken);
                self.receiving = Receiving::Complete { reported: false };
            }
            Ok(None) => {
                self.input.consume(arrived);
                self.receiving = receiving(decoder);
            }
            Err(why) => self.reject(why, now),
        }
    }

    /// Takes what has arrived of a body that comes in pieces, if [`Conn::has_piece`]. Nothing more is read until
    /// [`Conn::next_piece`].
    pub fn take_piece(&mut self) -> Vec<u8> {
        if let Receiving::Pieces { is_taken, .. } = &mut self.receiving {
            *is_taken = true;
        }
        std::mem::take(&mut self.body)
    }

    /// The caller is done with the piece that it has taken, and wants the next one.
    pub fn next_piece(&mut self, now: Now) {
        if let Receiving::Pieces { is_taken, .. } = &mut self.receiving {
            *is_taken = false;
            // Nothing was expected of the client meanwhile.
            self.wait_from(now);
        }
    }
}
