//! What signals ask of the loop: to read the tokens again, to stop, or to stop at once.

use std::time::Duration;

use signal_hook::consts::SIGHUP;

use super::{Life, Reactor};
use crate::limits;
use crate::net::tokens_file;

impl Reactor {
    /// Does what the signals that have come ask for.
    pub(super) fn take_signals(&mut self) {
        let taken: Vec<i32> = self.signals.pending().collect();
        for signal in taken {
            if signal == SIGHUP {
                if let Some(tokens) = tokens_file::reload(self.tokens_file.as_deref()) {
                    self.app.set_tokens(tokens);
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
}
