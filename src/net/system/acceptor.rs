//! Accepting: owns the listening sockets, which of them may have a connection waiting, and the pause after the system
//! refused one. Logs that accepting waits, at most once a minute.

use std::io;

use mio::{Registry, Token};

use super::listener::{ClientSocket, Listener};
use crate::clock::Now;
use crate::limits;
use crate::net::platform::Accepted;

/// The listening sockets.
pub(super) struct Acceptor {
    listening: Vec<Listening>,
    paused_until: u64,
    /// Pauses since one was last logged.
    pauses: u64,
    /// When it was last logged that accepting waits, for either reason.
    logged_at: Option<u64>,
}

struct Listening {
    listener: Listener,
    /// No accept has found the backlog empty since the last readiness.
    ready: bool,
    /// Connections that may still be accepted in this turn.
    budget: usize,
}

impl Acceptor {
    /// Registers the listeners with tokens from `first` on.
    pub(super) fn new(
        listeners: Vec<Listener>,
        registry: &Registry,
        first: usize,
    ) -> io::Result<Self> {
        let mut listening = Vec::with_capacity(listeners.len());
        for (at, mut listener) in listeners.into_iter().enumerate() {
            listener.register(registry, Token(first + at))?;
            listening.push(Listening {
                listener,
                ready: true,
                budget: 0,
            });
        }
        Ok(Self {
            listening,
            paused_until: 0,
            pauses: 0,
            logged_at: None,
        })
    }

    /// The listener with this index is ready. It may have been closed meanwhile.
    pub(super) fn set_ready(&mut self, at: usize) {
        if let Some(listening) = self.listening.get_mut(at) {
            listening.ready = true;
        }
    }

    /// A new turn: each listener may give [`limits::ACCEPTS_PER_TURN`] connections.
    pub(super) fn begin_turn(&mut self) {
        for listening in &mut self.listening {
            listening.budget = limits::ACCEPTS_PER_TURN;
        }
    }

    /// The next connection that waits, if this turn may still take one.
    pub(super) fn accept(&mut self, now: Now) -> Option<Accepted<ClientSocket>> {
        if now.mono_ms < self.paused_until {
            return None;
        }
        for listening in &mut self.listening {
            while listening.ready && listening.budget > 0 {
                listening.budget -= 1;
                let error = match listening.listener.accept() {
                    Ok(stream) => return Some(stream),
                    Err(error) => error,
                };
                match error.kind() {
                    io::ErrorKind::WouldBlock => listening.ready = false,
                    // The peer has gone, or a signal came: there may be more connections.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        // Out of descriptors or memory. Connections wait in the backlog.
                        self.pause(&error, now);
                        return None;
                    }
                }
            }
        }
        None
    }

    fn pause(&mut self, error: &io::Error, now: Now) {
        self.paused_until = now.mono_ms + limits::ACCEPT_PAUSE_MS;
        self.pauses += 1;
        if self.may_log(now) {
            let pauses = std::mem::take(&mut self.pauses);
            log::warn!(
                "accepting pauses: {error}; new connections wait in the backlog ({pauses} pauses since this \
                 was last logged)"
            );
        }
    }

    /// There is no room for more than these connections: accepting waits until one has gone.
    pub(super) fn log_full(&mut self, connections: usize, now: Now) {
        if self.may_log(now) {
            log::warn!(
                "accepting waits: connection limit reached ({connections} open); new connections wait in the \
                 backlog"
            );
        }
    }

    fn may_log(&mut self, now: Now) -> bool {
        let is_due = self
            .logged_at
            .is_none_or(|at| at + limits::ACCEPT_WARN_INTERVAL_MS <= now.mono_ms);
        if is_due {
            self.logged_at = Some(now.mono_ms);
        }
        is_due
    }

    /// When there is a connection to be accepted, given that there is room for it.
    pub(super) fn deadline(&self) -> Option<u64> {
        let waiting = self.listening.iter().any(|listening| listening.ready);
        waiting.then_some(self.paused_until)
    }

    /// Stops listening on inherited sockets: connections that wait there are left to the next server.
    pub(super) fn leave_inherited(&mut self, registry: &Registry) {
        self.listening.retain_mut(|listening| {
            let listener = &mut listening.listener;
            if listener.is_inherited() {
                // As long as others hold the socket, closing it does not take it out of the poll.
                if let Err(e) = listener.deregister(registry) {
                    log::debug!("a socket could not be taken out of the poll: {e}");
                }
            }
            !listener.is_inherited()
        });
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        self.listening.clear();
    }
}
