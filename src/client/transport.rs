//! The connection below HTTP: sockets that do not block, so that every wait has an end and a signal ends it.
//!
//! A server may answer before it has read the whole request, to refuse it, and may close the connection after that
//! answer. So sending stops where an answer comes, or where the other side takes nothing more, and the answer is read;
//! only if there is none, sending has failed.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::interrupt::Interrupt;
use crate::limits::CLIENT_BUFFER_BYTES;

/// Makes connections.
#[derive(Debug)]
pub(super) struct SocketConnector {
    /// The path of a Unix socket, in place of the addresses that the name of the host has.
    pub unix: Option<PathBuf>,
    /// Timeout for connecting, and for a connection without data while something is awaited.
    pub timeout: Duration,
    pub interrupt: Arc<Interrupt>,
    /// Whether the next answer is to be lost: its request is sent, and then the connection closed. Taken back
    /// when that has happened.
    pub loses_answer: Arc<AtomicBool>,
}

impl SocketConnector {
    fn connect_to(&self, address: &SockAddr) -> io::Result<SocketTransport> {
        let socket = Socket::new(address.domain(), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if address.domain() != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(address) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
                self.wait_for(&socket, PollFlags::OUT)?;
                if let Some(error) = socket.take_error()? {
                    return Err(error);
                }
            }
            result => result?,
        }
        Ok(SocketTransport {
            socket,
            buffers: LazyBuffers::new(CLIENT_BUFFER_BYTES, CLIENT_BUFFER_BYTES),
            timeout: self.timeout,
            interrupt: self.interrupt.clone(),
            loses_answer: self.loses_answer.clone(),
            unsent: None,
        })
    }

    fn wait_for(&self, socket: &Socket, flags: PollFlags) -> io::Result<()> {
        wait(&self.interrupt, socket, flags, self.timeout)
    }
}

/// Waits for a socket. A signal is an error of no particular kind: the caller asks the interrupt.
fn wait(
    interrupt: &Interrupt,
    socket: &Socket,
    flags: PollFlags,
    timeout: Duration,
) -> io::Result<()> {
    match interrupt.wait(socket.as_fd(), flags, Some(timeout)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nothing moved for {timeout:?}"),
        )),
        Err(_) => Err(io::Error::other("stopped")),
    }
}

impl Connector<()> for SocketConnector {
    type Out = SocketTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<SocketTransport>, ureq::Error> {
        if let Some(path) = &self.unix {
            return Ok(Some(self.connect_to(&SockAddr::unix(path)?)?));
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in details.addrs.iter().copied() {
            match self.connect_to(&SockAddr::from(address)) {
                Ok(transport) => return Ok(Some(transport)),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}

/// One connection.
pub(super) struct SocketTransport {
    socket: Socket,
    buffers: LazyBuffers,
    timeout: Duration,
    interrupt: Arc<Interrupt>,
    loses_answer: Arc<AtomicBool>,
    /// Why the rest of the request was not sent; then only an answer is awaited.
    unsent: Option<Unsent>,
}

enum Unsent {
    /// An answer was there before.
    Answered,
    /// The other side takes nothing more. Reported if there is no answer either.
    Failed(io::Error),
}

impl SocketTransport {
    fn send(&mut self, amount: usize) -> Result<(), ureq::Error> {
        let mut sent = 0;
        while sent < amount {
            match (&self.socket).write(&self.buffers.output()[sent..amount]) {
                Ok(count) => sent += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        self.wait(PollFlags::OUT | PollFlags::IN)?;
                        self.unsent = self.reason_to_stop();
                        if self.unsent.is_some() {
                            return Ok(());
                        }
                    }
                    _ => {
                        self.unsent = Some(Unsent::Failed(error));
                        return Ok(());
                    }
                },
            }
        }
        Ok(())
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        wait(&self.interrupt, &self.socket, flags, self.timeout)
    }

    /// Looks for an answer before the request has been sent.
    fn reason_to_stop(&self) -> Option<Unsent> {
        match self.socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Some(Unsent::Failed(io::ErrorKind::BrokenPipe.into())),
            Ok(_) => Some(Unsent::Answered),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => None,
                _ => Some(Unsent::Failed(error)),
            },
        }
    }
}

impl Transport for SocketTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if self.unsent.is_some() {
            return Ok(());
        }
        self.send(amount)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        if self.loses_answer.swap(false, Ordering::Relaxed) {
            let reason = "lost on purpose";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason).into());
        }
        loop {
            let error = match (&self.socket).read(self.buffers.input_append_buf()) {
                Ok(count) if count > 0 => {
                    self.buffers.input_appended(count);
                    return Ok(true);
                }
                Ok(_) => None,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock => {
                        self.wait(PollFlags::IN)?;
                        continue;
                    }
                    _ => Some(error),
                },
            };
            return match (self.unsent.take(), error) {
                (Some(Unsent::Failed(cause)), _) | (_, Some(cause)) => Err(cause.into()),
                _ => Ok(false),
            };
        }
    }

    /// Whether a further request may be sent: all of the last one was, and nothing has come since.
    fn is_open(&mut self) -> bool {
        let peeked = self.socket.peek(&mut [MaybeUninit::uninit()]);
        let is_silent = peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.unsent.is_none() && is_silent
    }
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransport")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
