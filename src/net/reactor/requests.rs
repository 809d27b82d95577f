//! From complete requests to answers, or to the wait for one.

use super::{Platform, Reactor};
use crate::app::Answer;
use crate::http::Step;
use crate::limits;

impl<P: Platform> Reactor<P> {
    /// Hands every complete request of a client to the application, until one has to wait.
    pub(super) fn handle_requests(&mut self, key: usize) {
        let now = self.now;
        loop {
            let is_short = !self.memory.may_answer();
            let client = &mut self.clients[key];
            let output_max = if is_short {
                0
            } else {
                limits::OUTPUT_WAIT_MAX_BYTES
            };
            if client.waits_for_commit || client.conn.output().len() > output_max {
                break;
            }
            match client.conn.next(now) {
                Step::Idle => break,
                Step::Head => {
                    self.journal.begin(client);
                    match self.app.screen(&client.conn.request()) {
                        None => client.conn.admit(now),
                        Some(response) => self.journal.respond(client, &response, now),
                    }
                }
                Step::Request if is_short && self.put_off(key) => break,
                Step::Request => {
                    let client = &mut self.clients[key];
                    self.journal.begin(client);
                    let (ticket, body) = (client.ticket(key), client.conn.take_body());
                    let held = body.capacity();
                    client.paused_since = None;
                    match self.app.handle(ticket, &client.conn.request(), body, now) {
                        Answer::Now(response) => self.journal.respond(client, &response, now),
                        Answer::AfterCommit => client.wait_for_commit(held),
                        Answer::Stream(stream) => self.begin_stream(key, *stream),
                    }
                }
                Step::Refused(status) => self.journal.refused(&mut self.clients[key], status),
            }
        }
        if self.journal.is_full() {
            let now = self.platform.instant();
            self.settle_journal(now);
        }
    }
}
