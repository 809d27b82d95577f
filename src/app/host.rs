//! An application that takes publications in, as the code for requests sees it: a node's commits them to its database,
//! a front's to the store that it shares. How requests become publications, and outcomes their answers, is the same
//! for both.

use super::buffers::BufferPool;
use super::commit_queue::Waiting;
use super::counters::Counters;
use super::decode_queue::DecodeQueue;
use super::gate::Gate;
use super::ingest_state::IngestState;
use super::options::Options;
use super::reply::{Completion, Reply, Ticket};
use crate::api::ingest as interface;
use crate::clock::Now;
use crate::event::{Protocol, Publication};
use crate::http::{Refusal, Request, Response};
use crate::ingest::adapter::ServerState;
use crate::ingest::query::IngestQuery;
use crate::ingest::records::{Defaults, Origin, Records};
use crate::ingest::IngestRoute;
use crate::ring::{Full, Slot};

/// What requests change.
pub(super) struct Desk<'a> {
    pub(super) ingest: &'a mut IngestState,
    pub(super) encoded: &'a mut DecodeQueue,
    pub(super) counters: &'a mut Counters,
    pub(super) buffers: &'a mut BufferPool,
    /// Answers that have become possible.
    pub(super) committed: &'a mut Vec<Completion>,
}

/// The application.
pub(super) trait Host: Sized {
    fn options(&self) -> Options;
    fn gate(&self) -> &Gate;
    fn ingest_state(&self) -> &IngestState;
    /// What the server reports about itself.
    fn server_state(&self) -> ServerState<'_>;
    fn desk(&mut self) -> Desk<'_>;

    /// Queues a publication for the next commit.
    ///
    /// # Errors
    /// The publication, where there is no room for it.
    fn try_push(&mut self, slot: Slot<Waiting>, now: Now) -> Result<(), Full<Waiting>>;

    /// Makes room for a publication, if that is possible without waiting.
    fn make_room(&mut self, now: Now);

    /// Why there is no room.
    fn no_room(&self, now: Now) -> Refusal;

    /// This request has brought a publication, which has been committed, and it has more.
    fn push_unfinished(&mut self, waiting: Waiting, now: Now);

    /// Queues a publication, or refuses it where there is no room.
    fn push(&mut self, waiting: Waiting, publication: Publication, now: Now) -> Reply {
        let slot = Slot {
            ticket: waiting,
            publication,
        };
        let Err(Full(slot)) = self.try_push(slot, now) else {
            return Reply::AfterCommit;
        };
        self.make_room(now);
        match self.try_push(*slot, now) {
            Ok(()) => Reply::AfterCommit,
            Err(Full(slot)) => Reply::Now(slot.ticket.work.refuse(&self.no_room(now))),
        }
    }

    /// Answers a request whose publication has been committed or refused.
    fn finish(&mut self, ticket: Ticket, publication: Publication, response: Response) {
        let desk = self.desk();
        desk.buffers.give_back(publication.events);
        desk.committed.push(Completion {
            ticket,
            response,
            buffer: publication.body,
        });
    }

    /// What the settings say about the records of a protocol.
    fn ingest_setting(&self, protocol: Protocol) -> IngestQuery {
        let settings = self.ingest_state().settings.iter();
        let of_protocol = settings.filter(|setting| setting.protocol == protocol);
        of_protocol.fold(IngestQuery::default(), |query, setting| {
            query.or(&setting.query)
        })
    }

    /// Where the records of a request go.
    ///
    /// # Errors
    /// Its query is bad.
    fn records_for(
        &self,
        request: &Request,
        route: &IngestRoute,
        now: Now,
    ) -> Result<Records, Refusal> {
        let adapter = route.adapter();
        let protocol = adapter.protocol();
        let query = interface::query(request)?;
        let defaults = Defaults {
            protocol,
            topic: adapter.default_topic(),
            identity: adapter.default_identity(),
        };
        let options = self.options();
        let origin = Origin {
            peer: request.peer,
            received_at: now.unix_us,
            query: query.or(&self.ingest_setting(protocol)),
            max_events: options.ring_capacity,
            max_body_bytes: options.max_body_bytes,
        };
        Ok(Records::new(defaults, origin))
    }
}
