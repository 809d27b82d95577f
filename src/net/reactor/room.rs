//! The clients' shares of the memory that all of them have: who holds how much, who has to wait until
//! there is room, and who is served again when there is.

use super::{Platform, Reactor};
use crate::net::memory::Share;

impl<P: Platform> Reactor<P> {
    /// What a client holds may have changed.
    pub(super) fn account(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let held = Share {
            received: client.conn.received() + client.in_hand,
            to_send: client.conn.to_send(),
        };
        self.memory.account(client.accounted, held);
        client.accounted = held;
        if !client.conn.is_receiving() {
            let ticket = client.ticket(key);
            self.memory.done_receiving(ticket);
        }
    }

    /// The client is not read further until there is room for it.
    pub(super) fn pause(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if client.pause(self.now) {
            self.memory.wait(key, client.accounted.received);
        }
    }

    /// Puts off the request in hand where its answer can be long, until there is room for answers. Says
    /// whether it did.
    pub(super) fn put_off(&mut self, key: usize) -> bool {
        let client = &mut self.clients[key];
        if !self.app.answers_at_length(&client.conn.request()) {
            return false;
        }
        client.conn.put_off();
        if client.pause(self.now) {
            self.memory.wait_to_answer(key);
        }
        true
    }

    /// Serves those again that waited for memory, behind all phases that give some back.
    pub(super) fn wake_paused(&mut self) {
        self.memory.wake(|key| {
            let waiting = self.clients.get_mut(key);
            let Some(client) = waiting.filter(|client| client.is_paused) else {
                return false;
            };
            client.is_paused = false;
            if !client.on_ready_list {
                client.on_ready_list = true;
                self.ready.push(key);
            }
            true
        });
    }
}
