//! The errors of a peer that the connection itself finds, beside those of heads and bodies.

use crate::http::protocol::ProtocolError;

pub(super) const HEAD_TOO_SLOW: ProtocolError = ProtocolError::new(
    408,
    "The request head was not complete within 10 s; send it in one go.",
);
pub(super) const BODY_TOO_SLOW: ProtocolError = ProtocolError::new(
    408,
    "The body brought less than 1 KiB in 20 s; send it without pauses.",
);
pub(super) const BODY_STOPPED: ProtocolError = ProtocolError::new(
    408,
    "The body brought nothing for 20 s; end the request and send the rest in another.",
);
pub(super) const CUT_SHORT: ProtocolError = ProtocolError::new(
    400,
    "The request ended before it was complete; send all of it before closing.",
);
pub(super) const UNKNOWN_EXPECTATION: ProtocolError = ProtocolError::new(
    417,
    "Only the expectation 100-continue is known here; leave out Expect.",
);
