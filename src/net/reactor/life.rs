//! The life of the server as the loop sees it: signals, and when everything has been answered.

use super::{Client, Platform, Reactor};
use crate::limits;
use crate::net::tokens_file;

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Serving,
    /// Answers what has been received, until this time at the latest.
    Draining(u64),
}

impl<P: Platform> Reactor<P> {
    pub(super) fn reload_tokens(&mut self) {
        if let Some(tokens) = tokens_file::reload(self.tokens_file.as_deref()) {
            self.app.set_tokens(tokens);
            self.check_streams();
        }
    }

    pub(super) fn stop(&mut self, signal: i32) {
        if self.life != Life::Serving {
            log::warn!("second signal: exiting at once");
            self.platform.exit(128 + signal);
        }
        log::info!("signal {signal}: answering what has been received, then stopping");
        self.life = Life::Draining(self.now.mono_ms + limits::DRAIN_MS);
        self.platform.stopping();
    }

    /// Whether everything that was received has been answered after a signal.
    pub(super) fn is_finished(&self) -> bool {
        let Life::Draining(until) = self.life else {
            return false;
        };
        let busy = |client: &Client<P::Stream>| client.waits_for_commit || client.conn.is_busy();
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
