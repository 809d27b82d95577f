//! The socket of a connection to an engine. Each of its waits ends: at a signal, and after a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::{Domain, SockAddr, Socket as Inner, Type};

use super::error::EngineError;
use crate::client::interrupt::Interrupt;
use crate::limits::ENGINE_SILENCE_MS;
use crate::postgres::url::Host;

const SILENCE: Duration = Duration::from_millis(ENGINE_SILENCE_MS);

pub(in crate::client) struct Socket {
    inner: Inner,
    interrupt: Arc<Interrupt>,
}

impl Socket {
    /// Connects to the first address of a host that answers.
    pub(in crate::client) fn connect(
        host: &Host,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Socket, EngineError> {
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

    fn open(address: &SockAddr, interrupt: &Arc<Interrupt>) -> Result<Socket, EngineError> {
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
        Ok(Socket {
            inner: socket,
            interrupt: interrupt.clone(),
        })
    }

    /// Writes all of it.
    pub(in crate::client) fn send(&self, bytes: &[u8]) -> Result<(), EngineError> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.write(&bytes[sent..])? {
                Some(count) => sent += count,
                None => self.wait(PollFlags::OUT, SILENCE)?,
            }
        }
        Ok(())
    }

    /// Reads what is there, waiting for it for a time at most.
    pub(in crate::client) fn receive(
        &self,
        into: &mut [u8],
        most: Duration,
    ) -> Result<usize, EngineError> {
        loop {
            match unless_blocked(|| (&self.inner).read(into))? {
                Some(0) => return Err(EngineError::Lost("it ended the connection".to_owned())),
                Some(count) => return Ok(count),
                None => self.wait(PollFlags::IN, most)?,
            }
        }
    }

    /// Writes what it takes at once; none if that is nothing.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        unless_blocked(|| (&self.inner).write(bytes))
    }

    fn wait(&self, flags: PollFlags, most: Duration) -> Result<(), EngineError> {
        let fd = self.inner.as_fd();
        match self.interrupt.wait(fd, flags, Some(most))? {
            true => Ok(()),
            false => Err(EngineError::Lost(format!(
                "it was silent for {} s",
                most.as_secs()
            ))),
        }
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
