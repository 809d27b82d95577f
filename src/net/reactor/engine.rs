//! The engine of a front: what it has sent is handed to the application before the phase *drain*, and what the
//! application has for it is sent after that.

use super::{Platform, Reactor};
use crate::app::service::Service;

impl<P: Platform, S: Service> Reactor<P, S> {
    pub(super) fn receive_from_engine(&mut self) {
        if let Some(links) = self.app.engine() {
            self.engine.receive(links, &mut self.read_buffer, self.now);
        }
    }

    pub(super) fn send_to_engine(&mut self) {
        if let Some(links) = self.app.engine() {
            self.engine.send(links, &mut self.platform, self.now);
        }
    }
}
