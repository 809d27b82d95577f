//! Socket activation: listening sockets that the service manager opened, and keeps open when the server ends
//! (sd_listen_fds(3)). A connection that comes between two servers waits for the second.

use std::fmt;
use std::io;

use listenfd::ListenFd;
use socket2::SockRef;

use super::listener::Listener;
use crate::limits;

/// The descriptors that the environment names (`LISTEN_FDS`, `LISTEN_PID`), as long as nothing else has used them.
pub struct Inherited(ListenFd);

impl Inherited {
    /// Takes them over. To be called first in `main`: a descriptor that is opened before could get the number of one
    /// that the environment names and that is missing.
    pub fn take() -> Inherited {
        Inherited(ListenFd::from_env())
    }

    /// The inherited listeners, if any. The error is one sentence.
    pub(crate) fn into_listeners(mut self) -> Result<Vec<Listener>, String> {
        let count = self.0.len();
        if count > limits::LISTENERS_MAX {
            return Err(format!(
                "LISTEN_FDS names {count} sockets, more than {}",
                limits::LISTENERS_MAX
            ));
        }
        let listener = |at| {
            self.listener(at)
                .map_err(|why| format!("LISTEN_FDS: socket {at}: {why}"))
        };
        (0..count).map(listener).collect()
    }

    fn listener(&mut self, at: usize) -> io::Result<Listener> {
        let taken = || io::Error::other("it was taken before");
        if let Ok(socket) = self.0.take_tcp_listener(at) {
            let socket = socket.ok_or_else(taken)?;
            check(&SockRef::from(&socket))?;
            return Ok(Listener::inherited_tcp(socket));
        }
        let socket = self.0.take_unix_listener(at)?.ok_or_else(taken)?;
        check(&SockRef::from(&socket))?;
        Ok(Listener::inherited_unix(socket))
    }
}

/// A socket that one accepts from without waiting.
fn check(socket: &SockRef) -> io::Result<()> {
    if !socket.is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    socket.set_nonblocking(true)
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inherited({})", self.0.len())
    }
}
