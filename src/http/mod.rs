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
mod request;
mod response;

pub use conn::{Conn, Step};
pub use request::Request;
pub use response::{write_number, Response};

/// Request methods that this server tells apart (RFC 9110 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    /// Any other token.
    Other,
}

impl Method {
    /// The method of that name; names are case-sensitive (RFC 9110 §9.1).
    fn parse(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

/// The versions that are served; every other one is 505.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// Why the connection itself turns a message away: the answer's status and the sentence for the
/// sender. The connection closes behind it, because what follows can no longer be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    status: u16,
    detail: &'static str,
}

const fn refusal(status: u16, detail: &'static str) -> Refusal {
    Refusal { status, detail }
}
