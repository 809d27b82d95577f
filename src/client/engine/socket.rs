//! The socket of a connection to an engine. It never waits by itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::{Domain, SockAddr, Socket as Inner, Type};

use super::error::EngineError;
use crate::client::interrupt::Interrupt;
use crate::limits::ENGINE_SILENCE_MS;
use crate::postgres::url::Host;

const SILENCE: Duration = Duration::from_millis(ENGINE_SILENCE_MS);

pub(super) struct Socket(Inner);

impl Socket {
    /// Connects to the first address of a host that answers.
    pub(super) fn connect(host: &Host, interrupt: &Interrupt) -> Result<Socket, EngineError> {
        if host.is_unix() {
            let path = format!("{}/.s.PGSQL.{}", host.name, host.port);
            return Socket::open(&SockAddr::unix(path)?, interrupt);
        }
        let addresses = (host.name.as_str(), host.port).to_socket_addrs()?;
        let mut last = EngineError::Lost("it has no address".to_owned());
        for address in addresses {
            match Socket::open(&address.into(), interrupt) {
                Err(EngineError::Lost(what)) => last = EngineError::Lost(what),
                done => return done,
            }
        }
        Err(last)
    }

    fn open(address: &SockAddr, interrupt: &Interrupt) -> Result<Socket, EngineError> {
        let socket = Inner::new(address.domain(), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if address.domain() != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
            // What is sent and never confirmed ends the connection, and so does a peer that has gone silently.
            socket.set_tcp_user_timeout(Some(SILENCE))?;
            socket.set_keepalive(true)?;
        }
        match socket.connect(address) {
            Ok(()) => {}
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                if !interrupt.wait(socket.as_fd(), PollFlags::OUT, Some(SILENCE))? {
                    return Err(EngineError::Lost("it does not answer".to_owned()));
                }
                if let Some(error) = socket.take_error()? {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Socket(socket))
    }

    /// Reads what is there; none if that is nothing, 0 at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        unless_blocked(|| (&self.0).read(into))
    }

    /// Writes what it takes at once; none if that is nothing.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        unless_blocked(|| (&self.0).write(bytes))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn unless_blocked(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
