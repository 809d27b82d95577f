//! Requests that are too large for one turn: their bodies are received and decoded in parts, so that small requests
//! are served in between.

use super::{Platform, Reactor};
use crate::app::service::Service;
use crate::limits;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// The client's request has become large: it is read further when its turn comes.
    pub(super) fn queue_large(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.on_large_list {
            client.on_large_list = true;
            self.large_requests.push_back(key);
        }
    }

    /// Continues to read the next large request.
    pub(super) fn serve_large(&mut self) {
        while let Some(key) = self.large_requests.pop_front() {
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            client.on_large_list = false;
            if !client.closing {
                return self.serve(key, Some(limits::LARGE_READS_PER_TURN));
            }
        }
    }

    /// The phase *decode*: bodies with a content coding, within the budget of the turn.
    pub(super) fn decode(&mut self) {
        if !self.app.is_decoding() {
            return;
        }
        let begun = self.platform.instant();
        let budget = self.spare_time(self.app.has_waiting());
        // New bodies are tried first, and leave the others half of the time. What is decoded well is
        // stored with the other publications of its turn, as a body without a coding is.
        let mut brought = 0;
        while let Some(bytes) = self.app.decode_arrived(self.now) {
            brought += bytes;
            let is_free = bytes > 0 && brought <= limits::DECODED_PER_TURN_BYTES;
            if !is_free && self.platform.instant().duration_since(begun) >= budget / 2 {
                break;
            }
        }
        while self.app.decode_piece(self.now)
            && self.platform.instant().duration_since(begun) < budget
        {}
    }
}
