//! Sockets that receive datagrams: UDP and Unix.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IoSliceMut, Read};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::os::unix;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{UdpSocket, UnixDatagram};
use mio::{Interest, Registry, Token};
use nix::cmsg_space;
use nix::sys::socket::{
    recvmsg, setsockopt, sockopt, ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage,
};
use socket2::{Domain, Protocol, SockAddr, Type};

use super::address::{bind_first, remove_stale, BindError, Listen};
use crate::limits;
use crate::net::platform::Datagram;

/// A bound socket that receives datagrams.
pub(crate) struct DatagramSocket {
    socket: Bound,
    /// For what the kernel reports beside a datagram.
    control: Vec<u8>,
}

enum Bound {
    Udp(UdpSocket),
    /// With the name of its file, which is removed when the socket goes.
    Unix(UnixDatagram, PathBuf),
}

impl DatagramSocket {
    /// Binds to an address: of UDP where it has a host.
    pub(crate) fn bind(listen: &Listen) -> Result<Self, BindError> {
        let socket = match listen {
            Listen::Tcp { host, port } => Bound::Udp(bind_first(host, *port, bind_udp)?),
            Listen::Unix(path) => {
                let socket = bind_unix(path).map_err(BindError::Socket)?;
                Bound::Unix(socket, path.clone())
            }
        };
        Ok(Self {
            socket,
            control: cmsg_space!(u32),
        })
    }

    /// The address as the setting has it.
    pub(crate) fn address(&self) -> String {
        match &self.socket {
            Bound::Udp(socket) => match socket.local_addr() {
                Ok(address) => format!("udp:{address}"),
                Err(_) => "an unknown address".into(),
            },
            Bound::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether datagrams come from programs of this machine alone, through its file system.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.socket, Bound::Unix(..))
    }

    /// Takes the next datagram. `WouldBlock` when there is none.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> io::Result<Datagram> {
        let fd = match &self.socket {
            Bound::Udp(socket) => socket.as_raw_fd(),
            Bound::Unix(socket, _) => socket.as_raw_fd(),
        };
        let mut parts = [IoSliceMut::new(into)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut self.control), flags)?;
        let dropped = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|control| match control {
                ControlMessageOwned::RxqOvfl(count) => Some(count),
                _ => None,
            })
        });
        Ok(Datagram {
            length: message.bytes,
            is_cut: message.flags.contains(MsgFlags::MSG_TRUNC),
            peer: message.address.as_ref().and_then(socket_addr),
            dropped,
        })
    }

    /// How many datagrams the kernel has dropped since the socket was made. It is read from a table of the kernel's, so
    /// it is known also where no datagram has come since.
    pub(crate) fn dropped(&self) -> Option<u32> {
        let Bound::Udp(socket) = &self.socket else {
            return None;
        };
        let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
        let table = match socket.local_addr().ok()? {
            SocketAddr::V4(_) => "/proc/self/net/udp",
            SocketAddr::V6(_) => "/proc/self/net/udp6",
        };
        let table = File::open(table).ok()?.take(limits::DATAGRAM_TABLE_BYTES);
        dropped_of(BufReader::new(table), inode.ino())
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Bound::Udp(socket) => socket.register(registry, token, Interest::READABLE),
            Bound::Unix(socket, _) => socket.register(registry, token, Interest::READABLE),
        }
    }
}

/// What such a table says of the socket with this inode: the tenth column is the inode, the last the count.
fn dropped_of(table: impl BufRead, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    let mut lines = table.lines().map_while(Result::ok);
    let line = lines.find(|line| line.split_ascii_whitespace().nth(9) == Some(&inode))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        if let Bound::Unix(_, path) = &self.socket {
            // Failing leaves a stale file, which the next start removes.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The address of a peer; a Unix socket has none.
fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    // An unnamed peer leaves no family.
    address.family()?;
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::from(*v6).into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A longer queue loses less; a kernel that gives less is no fault.
    let _ = socket.set_recv_buffer_size(limits::DATAGRAM_BUFFER_BYTES);
    // With each datagram the kernel says how many it has dropped. One that cannot is no fault either.
    let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

fn bind_unix(path: &Path) -> io::Result<UnixDatagram> {
    remove_stale(path, |path| {
        unix::net::UnixDatagram::unbound()?.connect(path)
    })?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::DGRAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(UnixDatagram::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_says_how_many_were_dropped() {
        let table = "\
            sl local_address rem_address st tx:rx tr:tm->when retrnsmt uid timeout inode ref pointer drops\n \
            5141: 0100007F:CD0F 00000000:0000 07 0:7FF800 00:0 0 0 0 5137404 2 00000000c5424904 21360   \n \
            5142: 0100007F:CD10 00000000:0000 07 0:0 00:0 0 0 0 5137405 2 00000000c5424905 0\n";
        for (inode, dropped) in [(5_137_404, Some(21_360)), (5_137_405, Some(0)), (7, None)] {
            assert_eq!(dropped_of(table.as_bytes(), inode), dropped);
        }
    }
}
