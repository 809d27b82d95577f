//! Notifications to the service manager: systemd, or another that speaks sd_notify(3). Without one nothing is sent.
//!
//! Sends that the server is ready, that it stops, and, if the watchdog is on, at intervals that the loop still runs.
//! Only the loop may send the last: the watchdog must notice a loop that hangs.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::clock::Now;
use crate::limits;

/// The service manager's socket, and when the next watchdog message is due.
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// Milliseconds between two watchdog messages; none if the watchdog is off.
    interval_ms: Option<u64>,
    next_sign: u64,
    /// The last message could not be sent. That is logged once, until one can be sent again.
    is_failing: bool,
}

impl Supervisor {
    /// The supervisor that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub(super) fn from_environment() -> Supervisor {
        let address = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let socket = address.and_then(|address| match connect(&address) {
            Ok(socket) => Some(socket),
            Err(e) => {
                log::warn!("NOTIFY_SOCKET {}: {e}", address.display());
                None
            }
        });
        let number = |name| {
            env::var(name)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
        };
        // sd_watchdog_enabled(3): the variables may be meant for the process that has started this one.
        let is_meant =
            number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog_us = number("WATCHDOG_USEC").filter(|us| is_meant && *us > 0);
        Supervisor {
            interval_ms: watchdog_us
                .filter(|_| socket.is_some())
                .map(|us| (us / 2_000).max(1)),
            socket,
            next_sign: 0,
            is_failing: false,
        }
    }

    /// The server answers.
    pub(super) fn ready(&mut self) {
        self.notify("READY=1");
    }

    /// The server has begun to stop.
    pub(super) fn stopping(&mut self) {
        self.notify("STOPPING=1");
    }

    /// The loop has turned once more.
    pub(super) fn turned(&mut self, now: Now) {
        let Some(interval_ms) = self.interval_ms.filter(|_| now.mono_ms >= self.next_sign) else {
            return;
        };
        let is_notified = self.notify("WATCHDOG=1");
        let pause_ms = if is_notified {
            interval_ms
        } else {
            interval_ms.min(limits::RETRY_MS)
        };
        self.next_sign = now.mono_ms + pause_ms;
    }

    /// When the loop has to turn at the latest, in `mono_ms`.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.interval_ms.map(|_| self.next_sign)
    }

    fn notify(&mut self, state: &str) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        let sent = socket.send(state.as_bytes());
        if let (Err(e), false) = (&sent, self.is_failing) {
            log::warn!("{state} could not be sent to the supervisor: {e}");
        }
        self.is_failing = sent.is_err();
        sent.is_ok()
    }
}

/// A socket to a supervisor's address: a path, or after an `@` a name in the abstract namespace.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // Sending blocks while the supervisor does not read.
    socket.set_write_timeout(Some(Duration::from_millis(limits::SUPERVISOR_WAIT_MS)))?;
    Ok(socket)
}
