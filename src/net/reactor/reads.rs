//! Requests that wait for their turn to read: they get it after all answers of the turn are out, in the part of
//! the turn that streams have too.

use super::{Connection, Platform, Reactor};
use crate::api::reading::Reading;
use crate::api::route::Effort;
use crate::app::service::Service;
use crate::app::{Reply, Ticket};
use crate::http::Response;
use crate::limits;
use crate::net::connection::key_of;
use crate::net::platform::Readiness;
use crate::net::read_queue::PendingRead;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// Defers a request that reads if this turn has read enough. Returns whether it did.
    pub(super) fn has_to_wait_to_read(&mut self, key: usize) -> bool {
        let client = &mut self.clients[key];
        match self.app.has_to_wait(client.route.as_ref()) {
            Some(effort) => {
                self.wait_to_read(key, effort);
                true
            }
            None => false,
        }
    }

    fn wait_to_read(&mut self, key: usize, effort: Effort) {
        let client = &mut self.clients[key];
        client.conn.defer_request();
        client.read = Some(PendingRead {
            page: None,
            since: self.now.mono_ms,
        });
        let ticket = client.ticket(key);
        self.reads.push_new(ticket, effort);
    }

    /// Whether a client has gone whose answer is being made, and ends with it. One that has ended its side may wait for
    /// a stream or a page, not for a search.
    pub(super) fn has_left(&self, key: usize, readiness: Readiness) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let page = client.read.as_ref().and_then(|read| read.page.as_ref());
        let is_made = client.stream.is_some() || page.is_some();
        let has_ended = readiness.gone || readiness.read_closed;
        let searches = || {
            let waits = client.waits_for_commit;
            page.is_some_and(|page| !page.is_found())
                || (waits && self.app.ends_with_client(client.ticket(key)))
        };
        (is_made && readiness.gone) || (has_ended && searches())
    }

    /// A page takes more than the slice that it has had: it goes on in later turns, or waits until there is a place for
    /// it. A client that has ended its side gets only what is found immediately: as far as the server can tell it has
    /// gone.
    pub(super) fn begin_reading(&mut self, key: usize, mut page: Reading, has_place: bool) {
        let client = &mut self.clients[key];
        let ticket = client.ticket(key);
        if client.read_closed {
            let found = match page {
                Reading::Page(_) => None,
                Reading::Search(_) => self.app.read_on(&mut page, self.now),
                // It has been found, and is sent as it is.
                Reading::Compression(compression) => Some(compression.into_plain()),
            };
            return match found {
                Some(response) => {
                    self.clients[key].respond(&response, &mut self.request_log, self.now)
                }
                None => self.want_close(key),
            };
        }
        let has_place = has_place || self.reads.may_begin();
        if has_place {
            self.reads.working += 1;
            self.reads.push_at_work(ticket);
        } else {
            // What has been found is dropped: requests that wait hold no memory.
            client.conn.defer_request();
            self.reads.push_waiting(ticket);
        }
        client.read = Some(PendingRead {
            page: has_place.then_some(page),
            since: self.now.mono_ms,
        });
    }

    /// Gives the next request a slice, or the `share` of one. Returns whether there was one. The first request of a
    /// turn always gets its slice, or requests that are answered at once would leave nothing to the others.
    pub(super) fn read_one(&mut self, share: f32, is_first: bool) -> bool {
        if !(self.app.begin_slice(share) || is_first) {
            return false;
        }
        let Some((ticket, has_place)) = self.reads.next() else {
            return false;
        };
        let key = key_of(ticket);
        let waits = |client: &&mut Connection<P::Socket>| {
            client.ticket(key) == ticket && !client.closing && client.read.is_some()
        };
        let Some(client) = self.clients.get_mut(key).filter(waits) else {
            return true;
        };
        match client.read.take() {
            Some(PendingRead {
                page: Some(page), ..
            }) => self.read_on(key, ticket, page),
            // Only this one request: what follows it may bring events, and the next turn commits them.
            Some(PendingRead { since, .. }) => {
                self.handle_request(key, has_place);
                if let Some(read) = self.clients[key].read.as_mut().filter(|r| r.page.is_none()) {
                    read.since = since;
                }
            }
            None => {}
        }
        let client = &self.clients[key];
        if client.read.is_none() && (client.conn.has_unread() || client.readable) {
            self.want_service(key);
        }
        self.after_change(key);
        self.flush_client(key);
        true
    }

    fn read_on(&mut self, key: usize, ticket: Ticket, mut page: Reading) {
        match self.app.read_on(&mut page, self.now) {
            // What is compressed has its room.
            Some(response) if page.is_found() => {
                self.answer_read(key, &response);
            }
            Some(response) if self.make_room(key, response.held_bytes()) => {
                match self.app.encode(&self.clients[key].conn.request(), response) {
                    Reply::Reading(compression) => {
                        self.keep_page(key, compression);
                        self.reads.push_at_work(ticket);
                    }
                    Reply::Now(response) => self.answer_read(key, &response),
                    Reply::AfterCommit | Reply::Stream(_) => unreachable!("it has been found"),
                }
            }
            // The client keeps the seqs that have been found, and its answer is made again when there is room.
            Some(_) => self.keep_page(key, page),
            None => {
                self.keep_page(key, page);
                self.reads.push_at_work(ticket);
            }
        }
    }

    fn answer_read(&mut self, key: usize, response: &Response) {
        self.reads.working -= 1;
        self.clients[key].respond(response, &mut self.request_log, self.now);
    }

    fn keep_page(&mut self, key: usize, page: Reading) {
        self.clients[key].read = Some(PendingRead {
            page: Some(page),
            since: self.now.mono_ms,
        });
    }

    /// Drops a page at work, and handles its request as if it had just come.
    pub(super) fn begin_again(&mut self, key: usize) {
        let client = &mut self.clients[key];
        client.is_paused = false;
        let read = client.read.take();
        self.end_read(read);
        self.wait_to_read(key, Effort::Slice);
    }

    /// A client is closed, or its request is answered in another way.
    pub(super) fn end_read(&mut self, read: Option<PendingRead>) {
        if read.is_some_and(|read| read.page.is_some()) {
            self.reads.working -= 1;
        }
    }

    /// Answers a request that has waited to read for too long.
    pub(super) fn expire_read(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let is_due =
            |read: &&PendingRead| read.since + limits::READ_WAIT_MAX_MS <= self.now.mono_ms;
        if client.read.as_ref().filter(is_due).is_none() {
            return;
        }
        let read = client.read.take();
        let sentence = "The server is busy reading for other requests; send the request again.";
        let refusal = Response::error(503, sentence).header("Retry-After", "1");
        client.respond(&refusal, &mut self.request_log, self.now);
        self.end_read(read);
        self.want_service(key);
    }
}
