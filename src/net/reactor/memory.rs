//! Memory accounting: keeps the sums of what clients hold up to date, makes clients wait that find no room, and serves
//! them again when there is room. The rules are those of [`SharedMemory`].

use super::{Platform, Reactor};
use crate::api::route::AnswerSize;
use crate::app::service::Service;
use crate::app::Reply;
use crate::http::Method;
use crate::net::memory::{AnswerKind, AnswerMemory, SharedMemory, Usage};

impl<P: Platform, S: Service> Reactor<P, S> {
    /// What a client holds may have changed.
    pub(super) fn account(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let to_send = client.to_send();
        if to_send == 0 && client.stream.is_none() {
            client.answer_memory = AnswerMemory::Small;
        }
        let held = Usage {
            received: client.conn.received() + client.body_in_app,
            to_send,
            answers: client.answer_memory,
        };
        self.memory.account(client.usage, held);
        client.usage = held;
        if !client.conn.is_receiving() {
            let ticket = client.ticket(key);
            self.memory.done_receiving(ticket);
        }
    }

    /// The client is not read further until there is room for it.
    pub(super) fn pause(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let received = client.usage.received;
        let place = self.memory.wait_to_receive(key, client.place, received);
        client.pause(place, self.now);
    }

    /// Without room for long answers: defers a request whose answer can be too long even to be made. Returns whether
    /// it did.
    pub(super) fn defer_long_answer(&mut self, key: usize) -> bool {
        let client = &mut self.clients[key];
        if self.memory.may_begin_long(client.place) {
            return false;
        }
        let received = client.usage.received;
        let (request, route) = (client.conn.request(), client.route.as_ref());
        let is_long = self.app.answers_at_length(&request, route, received);
        if is_long {
            self.wait_to_answer(key, AnswerKind::Long);
        }
        is_long
    }

    /// Whether there is room for an answer. If there is none, its request is deferred.
    pub(super) fn may_be_answered(&mut self, key: usize, answer: &Reply) -> bool {
        let place = self.clients[key].place;
        let may = match answer {
            Reply::Now(response) => return self.make_room(key, response.held_bytes()),
            Reply::AfterCommit => true,
            Reply::Reading(reading) => match reading.held_bytes() {
                0 => true,
                bytes => return self.make_room(key, bytes),
            },
            Reply::Stream(stream) => self.memory.may_stream(stream.first.len(), place),
        };
        if !may {
            self.wait_to_answer(key, AnswerKind::Long);
        }
        may
    }

    /// Finds room for `bytes` of an answer. If there is none, the request is deferred; returns whether it may be
    /// answered. A request that has changed something cannot be deferred any more: its answer is small, or as long as
    /// the request is.
    pub(super) fn make_room(&mut self, key: usize, bytes: usize) -> bool {
        let place = match self.kind_that_may_wait(key, bytes) {
            None => SharedMemory::place_of(bytes),
            Some(kind) => {
                let place = self.clients[key].place;
                let Some(part) = self.memory.room_for_answer(bytes, kind, place) else {
                    self.wait_to_answer(key, kind);
                    return false;
                };
                part
            }
        };
        let client = &mut self.clients[key];
        client.answer_memory = client.answer_memory.max(place);
        true
    }

    /// The kind of an answer of `bytes`, if memory is short and its request is one that can be deferred.
    fn kind_that_may_wait(&self, key: usize, bytes: usize) -> Option<AnswerKind> {
        if !self.memory.is_short() {
            return None;
        }
        let client = &self.clients[key];
        let request = client.conn.request();
        if !matches!(request.method, Method::Get | Method::Head) {
            return None;
        }
        let size = self.app.answer_size(&request, client.route.as_ref());
        Some(AnswerKind::of(bytes, size == AnswerSize::Fixed))
    }

    fn wait_to_answer(&mut self, key: usize, kind: AnswerKind) {
        let client = &mut self.clients[key];
        client.conn.defer_request();
        let place = self.memory.wait_to_answer(key, client.place, kind);
        client.pause(place, self.now);
    }

    /// The client's request makes progress: it is answered, or waits for its commit, or takes several turns. In that
    /// case it keeps its place, since the answer may have to wait again.
    pub(super) fn stop_waiting(&mut self, key: usize, keeps_place: bool) {
        let client = &mut self.clients[key];
        client.paused_since = None;
        if let Some(place) = client.place {
            self.memory.leave(place);
        }
        if !keeps_place {
            client.place = None;
        }
    }

    /// Serves clients again that waited for memory. Comes after all phases that give some back.
    pub(super) fn wake_paused(&mut self) {
        self.memory.wake(|key, place| {
            let waiting = self.clients.get_mut(key);
            let client = waiting.filter(|client| client.place == Some(place))?;
            let ticket = client.ticket(key);
            if std::mem::take(&mut client.is_paused) {
                if client.read.is_some() {
                    self.reads.push_at_work(ticket);
                } else if !client.on_ready_list {
                    client.on_ready_list = true;
                    self.ready.push(key);
                }
            }
            Some(ticket)
        });
    }
}
