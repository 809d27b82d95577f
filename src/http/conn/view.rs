//! What can be asked of a connection, and how long it waits for what (RFC 9112 §9.5). Only reads the
//! state, so that no deadline can disagree with it.

use super::{Conn, Receiving, Request, Sending};
use crate::clock::earlier;
use crate::limits::{
    BODY_PIECE_BYTES, BODY_TIMEOUT_MS, HEAD_TIMEOUT_MS, IDLE_TIMEOUT_MS, OUTPUT_WAIT_MAX_BYTES,
    READ_AHEAD_MAX_BYTES, WRITE_TIMEOUT_MS,
};

impl Conn {
    /// The present request, from [`Step::Head`](super::Step::Head) or
    /// [`Step::Request`](super::Step::Request) until its answer. Panics when there is none.
    pub fn request(&self) -> Request<'_> {
        assert!(self.has_request(), "there is no request");
        Request::new(&self.head, self.input.request(), self.peer, self.arrived)
    }

    /// Whether a head has been read whose request has no answer yet.
    pub(super) fn has_request(&self) -> bool {
        matches!(
            self.receiving,
            Receiving::Declared
                | Receiving::Body(_)
                | Receiving::Pieces { .. }
                | Receiving::Complete { .. }
        )
    }

    /// Whether the present answer is a stream that has begun and not ended.
    pub fn is_streaming(&self) -> bool {
        matches!(self.sending, Sending::Streaming(_))
    }

    /// What is to be sent next. Where that has left there may be more.
    pub fn output(&self) -> &[u8] {
        self.output.waiting()
    }

    /// Bytes that wait to be sent.
    pub fn unsent(&self) -> usize {
        self.output.unsent()
    }

    /// Whether bytes from the peer are of use now. Only what is read can say that the peer has
    /// finished.
    pub fn wants_read(&self) -> bool {
        if self.ended || self.sending == Sending::Done {
            return false;
        }
        match self.receiving {
            Receiving::Head => {
                !self.is_stalled() && self.input.unread().len() < READ_AHEAD_MAX_BYTES
            }
            Receiving::Body(_) | Receiving::Discarding { .. } | Receiving::Closed => true,
            Receiving::Pieces { is_taken, .. } => !is_taken && self.body.len() < BODY_PIECE_BYTES,
            Receiving::Declared | Receiving::Complete { .. } => false,
        }
    }

    /// Whether too much waits for the client, so that its next request has to wait too.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self.receiving, Receiving::Head) && self.output.unsent() > OUTPUT_WAIT_MAX_BYTES
    }

    /// When [`Conn::expire`] is to be called, in milliseconds on the monotonic clock.
    pub fn deadline(&self) -> Option<u64> {
        earlier(self.send_deadline(), self.receive_deadline())
    }

    /// Until when a byte of what waits must be taken, or the lingering lasts.
    pub fn send_deadline(&self) -> Option<u64> {
        match self.sending {
            Sending::Done => None,
            Sending::Lingering { until } => Some(until),
            _ if self.output.is_empty() => None,
            _ => Some(self.taken_at + WRITE_TIMEOUT_MS),
        }
    }

    /// Until when the peer must have sent more of the request. While one waits for its answer, nothing is expected.
    pub(super) fn receive_deadline(&self) -> Option<u64> {
        let timeout = match self.receiving {
            Receiving::Head if self.is_stalled() => return None,
            Receiving::Head if !self.input.unread().is_empty() => HEAD_TIMEOUT_MS,
            Receiving::Head if self.output.is_empty() => IDLE_TIMEOUT_MS,
            Receiving::Body(_) | Receiving::Discarding { .. } => BODY_TIMEOUT_MS,
            Receiving::Pieces {
                is_taken: false, ..
            } => BODY_TIMEOUT_MS,
            _ => return None,
        };
        Some(self.waiting_since + timeout)
    }

    /// Whether something has arrived of a body that is taken in pieces.
    pub fn has_piece(&self) -> bool {
        let may_take = matches!(
            self.receiving,
            Receiving::Pieces {
                is_taken: false,
                ..
            }
        );
        may_take && !self.body.is_empty()
    }

    /// The last answer has left: shut the write side down and call [`Conn::shutdown_done`].
    pub fn wants_shutdown(&self) -> bool {
        self.sending == Sending::Closing && self.output.is_empty()
    }

    /// The socket may be closed.
    pub fn is_done(&self) -> bool {
        self.sending == Sending::Done
    }

    /// Bytes held of requests that are not answered yet.
    pub fn received(&self) -> usize {
        let body = if self.body.is_empty() {
            0
        } else {
            self.body.capacity()
        };
        self.input.len() + body
    }

    /// Bytes held of answers that the client has not taken. What is a part of the program is not held.
    pub fn to_send(&self) -> usize {
        self.output.len()
    }

    /// Whether a request has begun to arrive and is not complete.
    pub fn is_receiving(&self) -> bool {
        match self.receiving {
            Receiving::Head => self.has_unread(),
            Receiving::Declared | Receiving::Body(_) => true,
            Receiving::Pieces { is_taken, .. } => !is_taken,
            Receiving::Complete { .. } | Receiving::Discarding { .. } | Receiving::Closed => false,
        }
    }

    /// Whether what is read is thrown away.
    pub fn is_discarding(&self) -> bool {
        matches!(
            self.receiving,
            Receiving::Discarding { .. } | Receiving::Closed
        )
    }

    /// Whether bytes have been received that have not been looked at.
    pub fn has_unread(&self) -> bool {
        !self.input.unread().is_empty()
    }

    /// Whether a request is complete that [`Conn::next`] has not reported.
    pub fn has_unreported_request(&self) -> bool {
        matches!(self.receiving, Receiving::Complete { reported: false })
    }

    /// Whether something is still to be done: a request to be received or answered, an answer to be sent, a close to be
    /// completed.
    pub fn is_busy(&self) -> bool {
        match self.sending {
            Sending::Done => false,
            Sending::Open if matches!(self.receiving, Receiving::Head) => {
                self.has_unread() || !self.output.is_empty()
            }
            _ => true,
        }
    }

    /// Panics when the two directions are in a pair of states that must not occur.
    pub fn check_invariants(&self) {
        self.input.check_invariants();
        self.output.check_invariants();
        let closed = matches!(self.receiving, Receiving::Closed);
        assert!(match self.sending {
            Sending::Open => !closed,
            Sending::Streaming(_) => matches!(self.receiving, Receiving::Complete { .. }),
            Sending::Closing | Sending::Lingering { .. } | Sending::Done => closed,
        });
    }
}
