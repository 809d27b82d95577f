//! The states of a connection, and what it says to its caller.

use crate::http::body::Decoder;
use crate::http::response::End;

/// What `Conn::next` has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do until bytes arrive, answers leave, or the present request is answered.
    Idle,
    /// A head is complete, and it declares a body or expects something unknown. The caller looks at
    /// `Conn::request` and then calls `Conn::admit`, or `Conn::respond` to turn it away.
    Head,
    /// A request is complete with its body. The caller uses `Conn::request` and
    /// `Conn::take_body`, and answers it, now or later.
    Request,
    /// The connection has itself refused what came, with this status, and will close.
    Refused(u16),
}

pub(super) enum Receiving {
    /// Waiting for a head, or in the middle of one.
    Head,
    /// A head is complete, and the caller has not said whether it wants the body.
    Declared,
    Body(Decoder),
    /// A body that the caller takes in pieces.
    Pieces {
        decoder: Decoder,
        /// The caller has one and is not done with it.
        is_taken: bool,
    },
    /// A whole request waits for its answer.
    Complete {
        /// `Conn::next` has reported it.
        reported: bool,
    },
    /// The request has been answered; this much of its body is still to be passed by.
    Discarding {
        remaining: usize,
    },
    /// Nothing is read for its meaning any more.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    Open,
    /// A stream whose end is found like this; a length is what is still to come of it.
    Streaming(End),
    Closing,
    /// Until that time on the monotonic clock.
    Lingering {
        until: u64,
    },
    Done,
}
