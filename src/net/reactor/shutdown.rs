//! The life of the server as the loop sees it: signals, and when everything has been answered.

use super::{Client, Platform, Reactor};
use crate::limits;
use crate::net::connection::key_of;
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
            let under_way = |(key, client): (usize, &Client<P::Stream>)| {
                let is_under_way = client.stream.is_some() || client.read.is_some();
                is_under_way.then(|| client.ticket(key))
            };
            self.unchecked = self.clients.iter().filter_map(under_way).collect();
        }
    }

    /// Looks whether answers that go on may do so with the tokens as they are now. Each is compared with all
    /// tokens, so a turn looks at some of them.
    pub(super) fn check_tokens(&mut self) {
        for _ in 0..limits::TOKENS_CHECKED_PER_TURN {
            let Some(ticket) = self.unchecked.pop() else {
                return;
            };
            let key = key_of(ticket);
            let client = self.clients.get(key);
            let client = client.filter(|client| client.ticket(key) == ticket && !client.closing);
            let is_under_way =
                |client: &&Client<P::Stream>| client.stream.is_some() || client.read.is_some();
            let Some(client) = client.filter(is_under_way) else {
                continue;
            };
            if self.app.may_go_on(&client.conn.request()) {
                continue;
            }
            if client.stream.is_some() {
                self.break_stream(key);
            } else {
                self.begin_again(key);
            }
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
