//! From complete requests to answers, or to the wait for one: the only place that hands requests to the application.

use super::{Platform, Reactor};
use crate::api::route::error_shape;
use crate::app::service::Service;
use crate::app::Reply;
use crate::http::Step;
use crate::limits;
use crate::net::connection::key_of;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// Hands every complete request of a client to the application, until one has to wait.
    pub(super) fn handle_requests(&mut self, key: usize) {
        while self.handle_request(key, false) {}
        if self.request_log.is_full() {
            let now = self.platform.instant();
            self.report_answered(now);
        }
    }

    /// Hands the next request to the application if it is complete. `has_its_turn` says that it has waited to read
    /// and a place among the pages at work is kept for it. Returns whether there may be another request.
    pub(super) fn handle_request(&mut self, key: usize, has_its_turn: bool) -> bool {
        let now = self.now;
        let is_short = self.memory.is_short();
        let client = &mut self.clients[key];
        let output_max = if is_short {
            0
        } else {
            limits::OUTPUT_WAIT_MAX_BYTES
        };
        let is_deferred = client.is_paused && client.conn.has_unreported_request();
        let waits = client.waits_for_commit || client.read.is_some() || is_deferred;
        if waits || client.conn.unsent() > output_max {
            return false;
        }
        let step = client.conn.next(now);
        if matches!(step, Step::Head | Step::Request) {
            client.begin_request(&self.request_log);
        }
        match step {
            Step::Idle => return false,
            Step::Head => {
                let (request, route) = (client.conn.request(), client.route.as_ref());
                match self.app.precheck(&request, route) {
                    None => {
                        let shape = error_shape(&request, route);
                        let in_pieces = self.app.takes_pieces(route);
                        client.conn.set_error_shape(shape);
                        match in_pieces {
                            true => client.conn.admit_in_pieces(now),
                            false => client.conn.admit(now),
                        }
                    }
                    Some(response) => client.respond(&response, &mut self.request_log, now),
                }
            }
            Step::Request if self.defer_long_answer(key) => return false,
            Step::Request if self.has_to_wait_to_read(key) => return false,
            Step::Request => {
                let client = &mut self.clients[key];
                let (ticket, body) = (client.ticket(key), client.conn.take_body());
                let held = body.capacity();
                let (request, route) = (client.conn.request(), client.route.as_ref());
                let answer = self.app.handle(ticket, &request, route, body, now);
                if !self.may_be_answered(key, &answer) {
                    return false;
                }
                self.stop_waiting(key, matches!(answer, Reply::Reading(_)));
                let client = &mut self.clients[key];
                match answer {
                    Reply::Now(response) => client.respond(&response, &mut self.request_log, now),
                    Reply::AfterCommit => client.wait_for_commit(client.body_in_app + held),
                    Reply::Stream(stream) => self.begin_stream(key, *stream),
                    Reply::Reading(page) => self.begin_reading(key, page, has_its_turn),
                }
            }
            Step::Refused(status) => {
                log::debug!("a connection was refused with {status}");
                let client = &mut self.clients[key];
                self.app.cancel_upload(client.ticket(key));
                client.has_committed();
                self.clients[key].was_answered(status, None, &mut self.request_log);
            }
        }
        true
    }

    /// Hands what has arrived of a body that is taken in pieces to the application. Nothing more of it is read before
    /// [`ask_for_pieces`](Self::ask_for_pieces).
    pub(super) fn hand_over_piece(&mut self, key: usize) {
        let now = self.now;
        let client = &mut self.clients[key];
        if !client.conn.has_piece() {
            return;
        }
        let (ticket, piece) = (client.ticket(key), client.conn.take_piece());
        let held = client.body_in_app + piece.capacity();
        let (request, route) = (client.conn.request(), client.route.as_ref());
        let reply = self.app.take_piece(ticket, &request, route, piece, now);
        self.stop_waiting(key, false);
        let client = &mut self.clients[key];
        client.is_paused = false;
        match reply {
            Reply::Now(response) => {
                client.has_committed();
                client.respond(&response, &mut self.request_log, now);
            }
            _ => client.wait_for_commit(held),
        }
    }

    /// Reads on the clients of whose bodies the application wants the next piece.
    pub(super) fn ask_for_pieces(&mut self) {
        let mut hungry = std::mem::take(&mut self.hungry);
        self.app.take_hungry(&mut hungry);
        for (ticket, held) in hungry.drain(..) {
            let key = key_of(ticket);
            let client = self.clients.get_mut(key);
            let Some(client) = client.filter(|client| client.ticket(key) == ticket) else {
                continue;
            };
            client.has_committed();
            client.body_in_app = held;
            client.conn.next_piece(self.now);
            if !client.closing {
                self.want_service(key);
                self.after_change(key);
            }
        }
        self.hungry = hungry;
    }
}
