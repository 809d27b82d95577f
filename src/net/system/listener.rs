//! Listening sockets, and the connected sockets that they give: TCP and Unix.

use std::io::{self, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::unix;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, SockRef, TcpKeepalive, Type};

use super::address::{bind_first, remove_stale, BindError, Listen};
use super::datagrams::DatagramSocket;
use crate::ingest::SocketProtocol;
use crate::limits;
#[cfg(feature = "fleet")]
use crate::net::platform::EngineAddress;
use crate::net::platform::{Accepted, Datagram, Socket};

/// A socket that listens.
pub(crate) struct Listener {
    socket: ListenerSocket,
    /// The service manager holds it too, and keeps it when this program ends.
    inherited: bool,
    /// What its connections speak; none is HTTP.
    protocol: Option<SocketProtocol>,
}

enum ListenerSocket {
    Tcp(TcpListener),
    /// With the name of its file. The file of a socket that is not inherited is removed when the listener
    /// goes.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds and listens, with a backlog of [`limits::BACKLOG`].
    pub(crate) fn bind(
        listen: &Listen,
        protocol: Option<SocketProtocol>,
    ) -> Result<Listener, BindError> {
        let socket = match listen {
            Listen::Tcp { host, port } => ListenerSocket::Tcp(bind_first(host, *port, bind_tcp)?),
            Listen::Unix(path) => {
                let socket = bind_unix(path).map_err(BindError::Socket)?;
                ListenerSocket::Unix(socket, path.clone())
            }
        };
        Ok(Listener {
            socket,
            inherited: false,
            protocol,
        })
    }

    /// An inherited listening socket, which must not block.
    pub(crate) fn inherited_tcp(socket: net::TcpListener) -> Listener {
        Listener {
            socket: ListenerSocket::Tcp(TcpListener::from_std(socket)),
            inherited: true,
            protocol: None,
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
            protocol: None,
        }
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// The address as a client writes it.
    pub(crate) fn address(&self) -> String {
        match &self.socket {
            ListenerSocket::Tcp(listener) => match listener.local_addr() {
                Ok(address) if self.protocol.is_some() => format!("tcp:{address}"),
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

    /// The TCP port; 0 where there is none.
    pub(crate) fn port(&self) -> u16 {
        match &self.socket {
            ListenerSocket::Tcp(listener) => listener.local_addr().map_or(0, |a| a.port()),
            ListenerSocket::Unix(..) => 0,
        }
    }

    /// What its connections speak; none is HTTP.
    pub(crate) fn protocol(&self) -> Option<SocketProtocol> {
        self.protocol
    }

    /// Accepts one connection. `WouldBlock` when there is none.
    pub(crate) fn accept(&self) -> io::Result<Accepted<ClientSocket>> {
        let socket = match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                // An answer is written whole; waiting to fill a segment would only delay it.
                stream.set_nodelay(true)?;
                if self.protocol.is_some() {
                    keep_alive(&stream)?;
                }
                ClientSocket::Tcp(stream, peer)
            }
            ListenerSocket::Unix(listener, _) => ClientSocket::Unix(listener.accept()?.0),
        };
        Ok(Accepted {
            socket,
            protocol: self.protocol,
        })
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

/// Has the system find out whether the peer of a connection that is never closed for being idle is still there.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let idle = Duration::from_millis(limits::KEEP_ALIVE_MS);
    let times = TcpKeepalive::new().with_time(idle).with_interval(idle / 4);
    SockRef::from(stream).set_tcp_keepalive(&times)
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

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    remove_stale(path, |path| {
        unix::net::UnixStream::connect(path).map(|_| ())
    })?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(limits::BACKLOG)?;
    Ok(UnixListener::from_std(socket.into()))
}

/// A connected socket, or one that receives datagrams.
pub(crate) enum ClientSocket {
    /// With the address of the other end.
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
    Datagrams(Box<DatagramSocket>),
}

/// A socket of datagrams is no stream, and a stream gives no datagrams.
fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Socket for ClientSocket {
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            ClientSocket::Tcp(_, peer) => Some(*peer),
            ClientSocket::Unix(_) | ClientSocket::Datagrams(_) => None,
        }
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<Datagram> {
        match self {
            ClientSocket::Datagrams(socket) => socket.receive(into),
            ClientSocket::Tcp(..) | ClientSocket::Unix(_) => unsupported(),
        }
    }

    fn dropped(&self) -> Option<u32> {
        match self {
            ClientSocket::Datagrams(socket) => socket.dropped(),
            ClientSocket::Tcp(..) | ClientSocket::Unix(_) => None,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            ClientSocket::Tcp(stream, _) => stream.read(into),
            ClientSocket::Unix(stream) => stream.read(into),
            ClientSocket::Datagrams(_) => unsupported(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            ClientSocket::Tcp(stream, _) => stream.write(bytes),
            ClientSocket::Unix(stream) => stream.write(bytes),
            ClientSocket::Datagrams(_) => unsupported(),
        }
    }

    fn shutdown_write(&self) -> io::Result<()> {
        match self {
            ClientSocket::Tcp(stream, _) => stream.shutdown(Shutdown::Write),
            ClientSocket::Unix(stream) => stream.shutdown(Shutdown::Write),
            ClientSocket::Datagrams(_) => unsupported(),
        }
    }
}

impl ClientSocket {
    /// Begins to connect to an engine, whose silence ends the connection.
    #[cfg(feature = "fleet")]
    pub(crate) fn connect(address: &EngineAddress) -> io::Result<ClientSocket> {
        Ok(match address {
            EngineAddress::Unix(path) => ClientSocket::Unix(UnixStream::connect(path)?),
            EngineAddress::Tcp(peer) => {
                let stream = TcpStream::connect(*peer)?;
                stream.set_nodelay(true)?;
                let silence = Duration::from_millis(limits::FRONT_SILENCE_MS);
                SockRef::from(&stream).set_tcp_user_timeout(Some(silence))?;
                ClientSocket::Tcp(stream, *peer)
            }
        })
    }

    /// Registers for both directions, once and for all: readiness is edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            ClientSocket::Tcp(stream, _) => stream.register(registry, token, both),
            ClientSocket::Unix(stream) => stream.register(registry, token, both),
            ClientSocket::Datagrams(socket) => socket.register(registry, token),
        }
    }
}
