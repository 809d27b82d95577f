//! The phase *expire*: gives up clients whose deadline has passed, and never one whose socket has not been tried since.
//!
//! A deadline says how long nothing has been received or sent, as far as the loop knows. The process may have been
//! stopped meanwhile, a turn may have taken long, or the poll may have had more events than one turn takes. So the
//! socket is tried once more, in the next turn, before its client is given up.

use super::{Platform, Reactor};
use crate::app::service::Service;
use crate::http::Response;
use crate::limits;
use crate::net::connection::key_of;

impl<P: Platform, S: Service> Reactor<P, S> {
    pub(super) fn expire(&mut self) {
        while let Some(due) = self.deadlines.pop_due(self.now.mono_ms) {
            let key = key_of(due);
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if client.ticket(key) != due || client.closing {
                continue;
            }
            client.scheduled = None;
            if client.is_paused_for(limits::PAUSE_MAX_MS, self.now) {
                self.refuse_paused(key);
            } else if let Some(at) = client.peer_deadline().filter(|at| *at <= self.now.mono_ms) {
                if !client.was_tried_since(at) {
                    // Its timer comes back when it has been served.
                    self.try_again(key);
                    continue;
                }
                client.conn.expire(self.now);
                self.want_service(key);
            }
            self.expire_read(key);
            self.drop_given_up(key);
            self.send_heartbeat(key);
            self.after_change(key);
        }
        self.app.tick(self.now);
    }

    /// Has the next turn read and write, whatever the poll reports.
    fn try_again(&mut self, key: usize) {
        let client = &mut self.clients[key];
        client.readable = true;
        client.writable = true;
        self.want_service(key);
        self.want_flush(key);
    }

    fn refuse_paused(&mut self, key: usize) {
        let sentence =
            "The server's memory for requests and answers is in use; send the request again.";
        let refusal = Response::error(503, sentence).header("Retry-After", "1");
        let client = &mut self.clients[key];
        client.is_paused = false;
        let read = client.read.take();
        client.was_answered(503, Some(refusal.body.len()), &mut self.request_log);
        client.conn.refuse(&refusal, self.now);
        self.end_read(read);
        self.want_service(key);
    }
}
