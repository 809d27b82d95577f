//! New connections, as many as there may be.

use super::lifecycle::Lifecycle;
use super::Reactor;
use crate::app::service::Service;
use crate::http::Conn;
use crate::net::connection::Connection;
use crate::net::platform::{Accepted, Platform, Socket};

impl<P: Platform, S: Service> Reactor<P, S> {
    pub(super) fn accept(&mut self) {
        while self.has_room() {
            let Some(Accepted { socket, protocol }) = self.platform.accept(self.now) else {
                break;
            };
            match protocol {
                None => self.admit(socket),
                Some(protocol) => self.admit_input(socket, protocol),
            }
        }
        if !self.has_room() {
            self.platform.log_full(self.connections(), self.now);
        }
        if self.lifecycle != Lifecycle::Serving {
            // Connections from before the signal have been accepted; from now on none is.
            self.platform.stop_accepting();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.connections() < self.options.max_connections
    }

    /// Connections of all kinds.
    pub(super) fn connections(&self) -> usize {
        self.clients.len() + self.inputs.connections
    }

    pub(super) fn admit(&mut self, mut stream: P::Socket) {
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        if let Err(e) = self.platform.register(&mut stream, key) {
            log::warn!("a connection cannot be added to the poll: {e}");
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        let mut conn = Conn::new(self.options.max_body_bytes, self.now);
        conn.set_peer(stream.peer().into());
        let peer = self.request_log.peer(&stream);
        entry.insert(Connection::new(stream, conn, self.generation, peer));
        self.want_service(key);
        self.app.set_connections(self.connections());
    }
}
