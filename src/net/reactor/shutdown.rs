//! What a signal to stop does, and when the loop has ended.

use super::{Connection, Lifecycle, Platform, Reactor};
use crate::app::service::Service;
use crate::limits;

impl<P: Platform, S: Service> Reactor<P, S> {
    pub(super) fn stop(&mut self, signal: i32) {
        if self.lifecycle != Lifecycle::Serving {
            log::warn!("second signal: exiting at once");
            self.platform.exit(128 + signal);
        }
        log::info!("signal {signal}: answering what has been received, then stopping");
        self.lifecycle = Lifecycle::Draining(self.now.mono_ms + limits::DRAIN_MS);
        self.platform.stopping();
    }

    /// Whether everything that was received has been answered after a signal.
    pub(super) fn is_finished(&self) -> bool {
        let Lifecycle::Draining(until) = self.lifecycle else {
            return false;
        };
        let busy =
            |client: &Connection<P::Socket>| client.waits_for_commit || client.conn.is_busy();
        if self.now.mono_ms >= until {
            log::warn!(
                "{} connections were not finished in time and are cut off",
                self.clients.iter().filter(|(_, c)| busy(c)).count() + self.inputs.count_busy()
            );
            return true;
        }
        !self.app.has_waiting()
            && self.ready.is_empty()
            && self.inputs.have_ended()
            && !self.clients.iter().any(|(_, client)| busy(client))
    }
}
