//! Listening sockets, and the connected sockets that they give: TCP and Unix.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::unix::{self, fs::FileTypeExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Type};

use crate::limits;
use crate::net::platform::Socket;

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

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) enum BindError {
    /// Its name has no address.
    Name(io::Error),
    /// The system refuses it.
    Socket(io::Error),
}

/// A socket that listens.
pub(crate) struct Listener {
    socket: ListenerSocket,
    /// The service manager holds it too, and keeps it when this program ends.
    inherited: bool,
}

enum ListenerSocket {
    Tcp(TcpListener),
    /// With the name of its file. The file of a socket that is not inherited is removed when the listener
    /// goes.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds and listens, with a backlog of [`limits::BACKLOG`].
    pub(crate) fn bind(listen: &Listen) -> Result<Listener, BindError> {
        let socket = match listen {
            Listen::Tcp { host, port } => {
                let missing = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                let mut result = Err(BindError::Name(missing));
                let addresses = (host.as_str(), *port).to_socket_addrs();
                for address in addresses.map_err(BindError::Name)? {
                    result = bind_tcp(address).map_err(BindError::Socket);
                    if result.is_ok() {
                        break;
                    }
                }
                ListenerSocket::Tcp(result?)
            }
            Listen::Unix(path) => {
                let socket = bind_unix(path).map_err(BindError::Socket)?;
                ListenerSocket::Unix(socket, path.clone())
            }
        };
        Ok(Listener {
            socket,
            inherited: false,
        })
    }

    /// An inherited listening socket, which must not block.
    pub(crate) fn inherited_tcp(socket: net::TcpListener) -> Listener {
        Listener {
            socket: ListenerSocket::Tcp(TcpListener::from_std(socket)),
            inherited: true,
        }
    }

    /// An inherited listening socket, which must not block.
    pub(crate) fn inherited_unix(socket: unix::net::UnixListener) -> Listener {
        let address = socket.local_addr().ok();
        let path = address.and_then(|address| address.as_pathname().map(Path::to_owned));
        Listener {
            socket: ListenerSocket::Unix(
                UnixListener::from_std(socket),
                // One in the abstract namespace has a name, but no file.
                path.unwrap_or_else(|| "@".into()),
            ),
            inherited: true,
        }
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// The address as a client writes it.
    pub(crate) fn address(&self) -> String {
        match &self.socket {
            ListenerSocket::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(_) => "an unknown address".into(),
            },
            ListenerSocket::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether others than this machine's own users can connect.
    pub(crate) fn is_public(&self) -> bool {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                listener.local_addr().is_ok_and(|a| !a.ip().is_loopback())
            }
            ListenerSocket::Unix(..) => false,
        }
    }

    /// Accepts one connection. `WouldBlock` when there is none.
    pub(crate) fn accept(&self) -> io::Result<ClientSocket> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                // An answer is written whole; waiting to fill a segment would only delay it.
                stream.set_nodelay(true)?;
                Ok(ClientSocket::Tcp(stream, peer))
            }
            ListenerSocket::Unix(listener, _) => listener
                .accept()
                .map(|(stream, _)| ClientSocket::Unix(stream)),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            ListenerSocket::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            ListenerSocket::Unix(listener, _) => {
                listener.register(registry, token, Interest::READABLE)
            }
        }
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.socket {
            ListenerSocket::Tcp(listener) => listener.deregister(registry),
            ListenerSocket::Unix(listener, _) => listener.deregister(registry),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (ListenerSocket::Unix(_, path), false) = (&self.socket, self.inherited) {
            // Failing leaves a stale file, which the next start removes.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit it. A kernel without it only buffers more.
    let _ = socket.set_tcp_notsent_lowat(limits::UNSENT_MAX_BYTES);
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Binds a Unix socket. A stale socket file is removed; one on which a server still answers, or a file that is no
/// socket, is an error.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let in_use = |what: &str| io::Error::new(io::ErrorKind::AddrInUse, what.to_owned());
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(in_use("a file that is no socket has this name"))
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(in_use("the address is in use")),
        },
        Err(_) => {}
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(limits::BACKLOG)?;
    Ok(UnixListener::from_std(socket.into()))
}

/// A connected socket.
pub(crate) enum ClientSocket {
    /// With the address of the other end.
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket for ClientSocket {
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            ClientSocket::Tcp(_, peer) => Some(*peer),
            ClientSocket::Unix(_) => None,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            ClientSocket::Tcp(stream, _) => stream.read(into),
            ClientSocket::Unix(stream) => stream.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            ClientSocket::Tcp(stream, _) => stream.write(bytes),
            ClientSocket::Unix(stream) => stream.write(bytes),
        }
    }

    fn shutdown_write(&self) -> io::Result<()> {
        match self {
            ClientSocket::Tcp(stream, _) => stream.shutdown(Shutdown::Write),
            ClientSocket::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl ClientSocket {
    /// Registers for both directions, once and for all: readiness is edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            ClientSocket::Tcp(stream, _) => stream.register(registry, token, both),
            ClientSocket::Unix(stream) => stream.register(registry, token, both),
        }
    }
}
