//! Addresses to bind sockets to, and what is the same for all kinds of them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A host name or an IP address without brackets, and a port; 0 lets the system pick one.
    Tcp { host: String, port: u16 },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Listen::Tcp { host, port } => write!(f, "{host}:{port}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address of a protocol other than HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAddress {
    /// Connections, of TCP or on a Unix socket.
    Stream(Listen),
    /// Datagrams, of UDP or on a Unix socket.
    Datagrams(Listen),
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketAddress::Stream(listen @ Listen::Tcp { .. }) => write!(f, "tcp:{listen}"),
            SocketAddress::Datagrams(listen @ Listen::Tcp { .. }) => write!(f, "udp:{listen}"),
            SocketAddress::Stream(listen) | SocketAddress::Datagrams(listen) => listen.fmt(f),
        }
    }
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) enum BindError {
    /// Its name has no address.
    Name(io::Error),
    /// The system refuses it.
    Socket(io::Error),
}

/// Binds to the first address of a name that can be bound to.
pub(super) fn bind_first<T>(
    host: &str,
    port: u16,
    bind: fn(SocketAddr) -> io::Result<T>,
) -> Result<T, BindError> {
    let missing = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut result = Err(BindError::Name(missing));
    for address in (host, port).to_socket_addrs().map_err(BindError::Name)? {
        result = bind(address).map_err(BindError::Socket);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Removes a stale socket file. One on which a server still answers, or a file that is no socket, is an error.
/// `connect` tries the kind of socket that is about to be made; one of another kind counts as in use.
pub(super) fn remove_stale(
    path: &Path,
    connect: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let in_use = |what: &str| io::Error::new(io::ErrorKind::AddrInUse, what.to_owned());
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            Err(in_use("a file that is not a socket has this name"))
        }
        Ok(_) => match connect(path) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            _ => Err(in_use("the address is in use")),
        },
        Err(_) => Ok(()),
    }
}
