//! A connection to a NATS server, for a command that may wait. It speaks as much of the core protocol as publishing to
//! JetStream takes: messages with headers, and requests with their answers. There is no TLS.
//!
//! Like a connection to an engine it is dropped after any failure, and never used again.

mod connection;
mod message;
mod url;

pub(crate) use self::connection::Connection;
pub(crate) use self::message::header;
pub(crate) use self::url::StreamUrl;
