//! What must be true between two turns. The loop itself does not check it; the simulation does, after each turn.

use super::{Connection, Platform, Reactor};
use crate::app::service::Service;
use crate::limits;
use crate::net::platform::Socket;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// Panics when a list, a timer or a sum disagrees with the clients, or when a client would never be
    /// served again.
    pub fn check_invariants(&self) {
        self.app.check_invariants();
        let shares = self.clients.iter().map(|(_, client)| client.usage);
        self.memory.check_invariants(shares);
        assert!(
            self.closing.is_empty() && self.committed.is_empty() && self.poll_events.is_empty()
        );
        let streams = self.clients.iter().filter(|(_, c)| c.stream.is_some());
        assert_eq!(self.streams.count, streams.count(), "streams");
        let works = |client: &Connection<P::Socket>| {
            let page = client.read.as_ref().map(|read| read.page.is_some());
            page.unwrap_or(false)
        };
        let working = self.clients.iter().filter(|(_, client)| works(client));
        assert_eq!(self.reads.working, working.count(), "pages at work");
        for (key, client) in &self.clients {
            client.check_invariants();
            self.check_lists(key, client);
            assert!(
                !client.waits_for_commit
                    || self.app.has_waiting()
                    || self.app.is_decoding()
                    || self.app.holds_uploads(),
                "client {key} waits for a commit that does not come"
            );
            let due = client.deadline(limits::PAUSE_MAX_MS);
            // A client that is about to be served gets a timer then.
            if let Some(at) = due.filter(|_| !client.on_ready_list) {
                let ticket = client.ticket(key);
                let timer = client.scheduled.filter(|scheduled| *scheduled <= at);
                let has_timer = timer.is_some_and(|at| self.deadlines.holds(at, ticket));
                assert!(has_timer, "client {key} is due at {at} and has no timer");
            }
        }
    }

    fn check_lists(&self, key: usize, client: &Connection<P::Socket>) {
        let lists = [
            (client.on_ready_list, self.ready.contains(&key)),
            (client.on_flush_list, self.flush.contains(&key)),
            (client.on_large_list, self.large_requests.contains(&key)),
        ];
        for (is_marked, is_there) in lists {
            assert_eq!(is_marked, is_there, "client {key} and its lists");
        }
        assert!(
            !client.is_paused
                || client
                    .place
                    .is_some_and(|place| self.memory.is_waiting(place)),
            "client {key} waits for memory and will not be woken"
        );
        assert!(
            client.read.is_none() || client.is_paused || self.reads.holds(client.ticket(key)),
            "client {key} waits to read and is in no queue"
        );
        if let Some(stream) = client.stream.as_ref().filter(|stream| stream.queued) {
            let ticket = client.ticket(key);
            assert!(
                self.streams.holds(ticket),
                "stream {key} is {:?} and in no queue",
                stream.status
            );
        }
    }
}

impl<S: Socket> Connection<S> {
    /// Readiness is reported once, so a client that can go on must be on a list.
    fn check_invariants(&self) {
        let conn = &self.conn;
        conn.check_invariants();
        assert!(!self.closing, "closing is the last phase that meets it");
        let held = (conn.received() + self.body_in_app, self.to_send());
        let usage = (self.usage.received, self.usage.to_send);
        assert_eq!(usage, held, "what it holds");
        let has_to_read = self.readable && conn.wants_read();
        assert!(
            !has_to_read || self.is_paused || self.on_ready_list || self.on_large_list,
            "nobody will read what has arrived"
        );
        let can_be_handled = conn.has_unreported_request() && conn.output().is_empty();
        assert!(
            !can_be_handled || self.is_paused || self.on_ready_list || self.read.is_some(),
            "nobody will handle a request that is complete"
        );
        assert!(
            !conn.has_piece() || self.is_paused || self.on_ready_list || self.on_large_list,
            "nobody will take a piece that has arrived"
        );
        let has_to_write = self.writable && !conn.output().is_empty();
        assert!(
            !(has_to_write || conn.wants_shutdown() || conn.is_done()) || self.on_flush_list,
            "nobody will write what waits, or close"
        );
        let is_full = conn.unsent() > limits::OUTPUT_WAIT_MAX_BYTES;
        if let Some(stream) = &self.stream {
            assert!(conn.is_streaming(), "a stream that is no answer");
            assert!(stream.queued || is_full, "nobody will feed the stream");
        }
    }
}
