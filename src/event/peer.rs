//! Who sent something: the address of the peer, which is the source of a record that names none.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The peer of a connection or of a datagram, without its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peer {
    /// An address. One of IPv4 that came over an IPv6 socket is shown as IPv4.
    Ip(IpAddr),
    /// A Unix socket.
    #[default]
    Unix,
}

impl From<Option<SocketAddr>> for Peer {
    fn from(address: Option<SocketAddr>) -> Self {
        address.map_or(Peer::Unix, |address| Peer::Ip(address.ip().to_canonical()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
        }
    }
}
