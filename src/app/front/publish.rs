//! What a front takes in: publications for its queue, and requests that bring more of them than one.

use super::transaction::Pending;
use super::Front;
use crate::app::commit_queue::{Waiting, Work};
use crate::app::gate::Gate;
use crate::app::host::{Desk, Host};
use crate::app::ingest::Ingesting;
use crate::app::ingest_state::IngestState;
use crate::app::options::Options;
use crate::app::reply::Completion;
use crate::app::upload::Uploading;
use crate::clock::Now;
use crate::http::Refusal;
use crate::ingest::adapter::ServerState;
use crate::ingest::IngestSetting;
use crate::ring::{Full, Slot};

const TOO_MANY: &str =
    "The server has more events that wait for the engine than it can hold; send the request again.";

impl Front {
    /// What the settings say about the records of protocols where a request says nothing; of several settings for one
    /// protocol the first wins.
    pub(crate) fn set_ingest(&mut self, settings: Vec<IngestSetting>) {
        self.ingest.settings = settings;
    }

    /// Queues the next publication of the oldest request that has more, if there is room. One a turn: a publication may
    /// be large.
    pub(super) fn read_on_ingest(&mut self) {
        if !self.queue.has_room() {
            return;
        }
        let Some((waiting, since)) = self.queue.pop_unfinished() else {
            return;
        };
        if let Some((ticket, publication)) = self.next_publication(waiting) {
            let slot = Slot {
                ticket,
                publication,
            };
            self.queue.push(Pending::new(slot, since));
        }
    }

    /// Refuses what has waited for its turn to bring more.
    pub(super) fn refuse_unfinished(&mut self, waiting: &Waiting, refusal: &Refusal) {
        if matches!(waiting.work, Work::Upload(_)) {
            return self.refuse_upload(waiting.ticket, refusal);
        }
        let response = waiting.work.refuse(refusal);
        self.committed
            .push(Completion::bare(waiting.ticket, response));
    }
}

impl Host for Front {
    fn options(&self) -> Options {
        self.options
    }

    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn ingest_state(&self) -> &IngestState {
        &self.ingest
    }

    fn server_state(&self) -> ServerState<'_> {
        ServerState {
            is_healthy: self.health.fault().is_none(),
            database_id: &self.store_id,
            last_seq: self.head.last.max(self.last_committed),
        }
    }

    fn desk(&mut self) -> Desk<'_> {
        Desk {
            ingest: &mut self.ingest,
            encoded: &mut self.encoded,
            counters: &mut self.counters,
            buffers: &mut self.buffers,
            committed: &mut self.committed,
        }
    }

    fn try_push(&mut self, slot: Slot<Waiting>, now: Now) -> Result<(), Full<Waiting>> {
        let since = now.mono_ms;
        let pending = Pending::new(slot, since);
        self.queue.try_push(pending, self.options.ring_capacity)
    }

    /// Only the engine does, and it takes its time.
    fn make_room(&mut self, _now: Now) {}

    fn no_room(&self, now: Now) -> Refusal {
        Refusal::unavailable_for(self.health.retry_after(now), TOO_MANY)
    }

    fn push_unfinished(&mut self, waiting: Waiting, now: Now) {
        self.queue.push_unfinished(waiting, now);
    }
}
