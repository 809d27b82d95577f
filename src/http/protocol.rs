//! What all parts of this module share: methods, versions, and the errors of a peer that breaks the protocol.

/// Request methods that this server distinguishes (RFC 9110 §9.3).
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
    /// The method with this name; names are case-sensitive (RFC 9110 §9.1).
    pub(super) fn parse(name: &str) -> Method {
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

    /// The name of a method that this server distinguishes.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "other",
        }
    }
}

/// The versions that are served; every other one is 505.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// An error in what the peer sent, after which its bytes can no longer be divided into messages: the status of the
/// answer and the sentence for the sender. The connection closes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProtocolError {
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

impl ProtocolError {
    pub(super) const fn new(status: u16, detail: &'static str) -> ProtocolError {
        ProtocolError { status, detail }
    }
}
