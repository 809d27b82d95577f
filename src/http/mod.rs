//! HTTP/1.1 without I/O: bytes in, requests out; answers in, bytes out (RFC 9110, RFC 9112).
//!
//! Nothing in here knows a socket, a clock or what the requests mean. Time comes in as an argument.

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
