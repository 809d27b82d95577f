//! syslog: RFC 5424, RFC 3164 as it is found, and RFC 6587's framing of both on streams.
//!
//! Owns how the bytes of a message become the members of a record. No message is rejected for its form: what cannot be
//! read as RFC 5424 is read as RFC 3164, and at worst all of it is the text of the message. Reading a message
//! allocates nothing.

mod decoder;
mod framing;
mod message;
mod parse;
mod payload;
mod rfc3164;
mod rfc5424;
mod structured_data;
mod time;

pub(crate) use decoder::Syslog;
pub use framing::{Frame, Framing, TooLong};
pub use message::{Message, Place, Time};
pub use parse::parse;
pub use payload::{PayloadWriter, Text};
pub use time::{write_time, TimeText};
