//! The life of the server as the loop sees it: signals, and when everything has been answered.

use std::time::Duration;

use signal_hook::consts::SIGHUP;

use super::{Client, Reactor};
use crate::limits;
use crate::net::tokens_file;

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Serving,
    /// Answers what has been received, until this time at the latest.
    Draining(u64),
}

impl Reactor {
    pub(super) fn take_signals(&mut self) {
        let taken: Vec<i32> = self.signals.pending().collect();
        for signal in taken {
            if signal == SIGHUP {
                if let Some(tokens) = tokens_file::reload(self.tokens_file.as_deref()) {
                    self.app.set_tokens(tokens);
                    self.check_streams();
                }
                continue;
            }
            if self.life != Life::Serving {
                log::warn!("second signal: exiting at once");
                self.logger
                    .flush_blocking(Duration::from_millis(limits::LAST_LINES_MS));
                std::process::exit(128 + signal);
            }
            log::info!("signal {signal}: answering what has been received, then stopping");
            self.life = Life::Draining(self.now.mono_ms + limits::DRAIN_MS);
            self.supervisor.stopping();
            self.acceptor.leave_inherited(self.poll.registry());
        }
    }

    /// Whether everything that was received has been answered after a signal.
    pub(super) fn is_finished(&self) -> bool {
        let Life::Draining(until) = self.life else {
            return false;
        };
        let busy = |client: &Client| client.waits_for_commit || client.conn.is_busy();
        if self.now.mono_ms >= until {
            log::warn!(
                "{} connections were not done in time",
                self.clients.iter().filter(|(_, c)| busy(c)).count()
            );
            return true;
        }
        !self.app.has_waiting()
            && self.ready.is_empty()
            && !self.clients.iter().any(|(_, client)| busy(client))
    }
}
