//! The engine of a front: what it has sent is handed to the application before the phase *drain*, and what the
//! application has for it is sent after that.

use super::{Platform, Reactor};
use crate::app::service::Service;
use crate::net::connection::key_of;

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

    /// Begins the streams for which the engine has said where they begin.
    pub(super) fn begin_streams(&mut self) {
        let mut streams = Vec::new();
        self.app.take_streams(&mut streams);
        for (ticket, stream) in streams {
            let key = key_of(ticket);
            let client = self.clients.get_mut(key);
            let Some(client) = client.filter(|client| client.ticket(key) == ticket) else {
                continue;
            };
            if client.closing {
                continue;
            }
            client.has_committed();
            self.begin_stream(key, *stream);
            if self.clients[key].stream.is_none() {
                self.want_service(key);
            }
            self.after_change(key);
        }
    }
}
