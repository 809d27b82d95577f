//! HTTP/1.1 without I/O: bytes in, requests out; answers in, bytes out (RFC 9110, RFC 9112).
//!
//! Nothing in here knows a socket, a clock or what the requests mean. Time comes in as an argument.
//! [`Conn`] is one connection; the other modules are the parts that it is made of.

mod body;
mod conn;
pub mod encoding;
mod head;
mod input;
mod output;
mod protocol;
mod refusal;
mod request;
mod response;
mod target;

pub use conn::{Conn, Step};
pub use protocol::{Method, Version};
pub(crate) use refusal::plain_shape;
pub use refusal::{detail_shape, ErrorShape, Refusal};
pub(crate) use request::essence;
pub use request::Request;
pub(crate) use response::reason;
pub use response::{write_number, Response};
