//! Which clients are served, written to, timed or closed next: the lists of the loop.

use super::Reactor;
use crate::app::service::Service;
use crate::limits;
use crate::net::platform::Platform;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// To be called after every change of a client's connection.
    pub(super) fn after_change(&mut self, key: usize) {
        self.account(key);
        let client = &self.clients[key];
        if !client.conn.output().is_empty() || client.conn.wants_shutdown() || client.conn.is_done()
        {
            self.want_flush(key);
        }
        self.schedule(key);
    }

    /// After a write: closes a client that is done, or sets its timer.
    pub(super) fn after_write(&mut self, key: usize) {
        if self.clients[key].conn.is_done() {
            self.want_close(key);
        } else {
            self.schedule(key);
        }
    }

    pub(super) fn schedule(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let Some(at) = client.deadline(limits::PAUSE_MAX_MS) else {
            return;
        };
        if client.scheduled.is_none_or(|scheduled| at < scheduled) {
            client.scheduled = Some(at);
            self.deadlines.push(at, client.ticket(key));
        }
    }

    pub(super) fn want_service(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.on_ready_list {
            client.on_ready_list = true;
            self.ready.push(key);
        }
    }

    pub(super) fn want_flush(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.on_flush_list {
            client.on_flush_list = true;
            self.flush.push(key);
        }
    }

    pub(super) fn want_close(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.closing {
            client.closing = true;
            self.closing.push(key);
        }
    }
}
