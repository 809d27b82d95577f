//! Requests of other protocols: from an adapter's records to the ring, a publication at a time, and back to its answer.
//!
//! What a request brings beyond one publication waits for its turn after the commit, so that neither memory nor a
//! turn grows with the number of its records.

use super::commit_queue::{Waiting, Work};
use super::ingest_work::{IngestWork, Next};
use super::reply::{shutting_down, Completion, Reply, Ticket};
use super::App;
use crate::api::ingest as interface;
use crate::clock::Now;
use crate::event::{Protocol, Publication, RejectedRecord};
use crate::http::encoding::Coding;
use crate::http::{Method, Refusal, Request, Response};
use crate::ingest::adapter::ServerState;
use crate::ingest::query::IngestQuery;
use crate::ingest::records::{Defaults, Origin, Records};
use crate::ingest::{IngestRoute, IngestSetting};
use crate::ring::Slot;
use crate::store::Outcome;

impl App {
    /// What the settings say about the records of protocols where a request says nothing; of several settings for one
    /// protocol the first wins.
    pub fn set_ingest(&mut self, settings: Vec<IngestSetting>) {
        self.ingest.settings = settings;
    }

    pub(super) fn has_ingest_settings(&self) -> bool {
        !self.ingest.settings.is_empty()
    }

    pub(super) fn ingest_setting(&self, protocol: Protocol) -> IngestQuery {
        let settings = self.ingest.settings.iter();
        let of_protocol = settings.filter(|setting| setting.protocol == protocol);
        of_protocol.fold(IngestQuery::default(), |query, setting| {
            query.or(&setting.query)
        })
    }

    /// Refuses a request of another protocol by its head alone, before its body is asked for.
    pub(super) fn precheck_ingest(
        &self,
        request: &Request,
        route: &IngestRoute,
    ) -> Option<Response> {
        // It may have a body, which is ignored.
        if self.probe(request, route).is_some() {
            return None;
        }
        let result = match route.adapter().takes_pieces() {
            true => self.check_upload(request, route).map(|_| ()),
            false => interface::begin(request, route, self.server_state()).map(|_| ()),
        };
        let refusal = result.err()?;
        Some(refusal.shaped(interface::error_shape(request, route)))
    }

    /// The answer to a request that brings no records.
    fn probe(&self, request: &Request, route: &IngestRoute) -> Option<Response> {
        let (adapter, state) = (route.adapter(), self.server_state());
        let answer = adapter.answer(route.endpoint(), request, state);
        answer.or_else(|| (request.method == Method::Options).then(|| interface::options(route)))
    }

    fn server_state(&self) -> ServerState<'_> {
        ServerState {
            is_healthy: self.health.fault().is_none(),
            database_id: &self.store.identity().database_id,
            last_seq: self.store.last_seq(),
        }
    }

    /// Answers a request of another protocol, or accepts it for the next commits.
    pub(super) fn ingest(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: &IngestRoute,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        let shape = interface::error_shape(request, route);
        if self.gate.draining && !request.has_body() {
            return Reply::Now(shutting_down().shaped(shape));
        }
        if let Some(response) = self.probe(request, route) {
            return Reply::Now(response);
        }
        if route.adapter().takes_pieces() {
            return self.upload(ticket, request, route, (body, true), now);
        }
        match self.begin_ingest(request, route, now) {
            Ok((work, coding)) => {
                let work = Work::Ingest(Box::new(work));
                self.take_body(Waiting { ticket, work }, coding, body, now)
            }
            Err(refusal) => {
                let response = refusal.shaped(shape);
                if response.status != 400 || body.is_empty() {
                    return Reply::Now(response);
                }
                let protocol = route.adapter().protocol();
                let kept = RejectedRecord::new(
                    protocol,
                    &request.peer.to_string(),
                    refusal.sentence.into_owned(),
                    &body,
                );
                self.refuse_body(ticket, response, kept, now)
            }
        }
    }

    fn begin_ingest(
        &self,
        request: &Request,
        route: &IngestRoute,
        now: Now,
    ) -> Result<(IngestWork, Coding), Refusal> {
        let (intake, coding) = interface::begin(request, route, self.server_state())?;
        let records = self.records_for(request, route, now)?;
        let work = IngestWork::new(intake, records, interface::error_shape(request, route));
        Ok((work, coding))
    }

    /// Where the records of a request go.
    ///
    /// # Errors
    /// Its query is bad.
    pub(super) fn records_for(
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
        let origin = Origin {
            peer: request.peer,
            received_at: now.unix_us,
            query: query.or(&self.ingest_setting(protocol)),
            max_events: self.options.ring_capacity,
            max_body_bytes: self.options.max_body_bytes,
        };
        Ok(Records::new(defaults, origin))
    }

    /// Accepts a decoded body.
    pub(super) fn ingest_body(
        &mut self,
        ticket: Ticket,
        mut work: Box<IngestWork>,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        work.set_body(body);
        match work.next() {
            Next::Answer(response) => Reply::Now(response),
            Next::Publication(publication) => {
                let work = Work::Ingest(work);
                self.push(Waiting { ticket, work }, publication, now)
            }
            Next::Refused(response, reason) => {
                let kept = work.rejected_body(reason);
                self.refuse_body(ticket, response, kept, now)
            }
        }
    }

    /// Answers a request whose body cannot be read after the body, or what is kept of it, has been stored.
    pub(super) fn refuse_body(
        &mut self,
        ticket: Ticket,
        response: Response,
        kept: RejectedRecord,
        now: Now,
    ) -> Reply {
        let kept_of = kept.protocol;
        let publication = Publication {
            rejected: vec![kept],
            ..Publication::default()
        };
        let work = Work::Refused(kept_of, Box::new(response));
        self.push(Waiting { ticket, work }, publication, now)
    }

    /// Whether a request has more to bring that can be committed in the next turn.
    pub fn has_unfinished(&self, now: Now) -> bool {
        self.queue.has_unfinished() && self.health.may_commit(now)
    }

    /// Puts the next publication of the oldest request that has more on the ring, if nothing else is on it.
    pub(super) fn read_on_ingest(&mut self) {
        while self.queue.ring().is_empty() {
            let Some(mut waiting) = self.queue.next_unfinished() else {
                return;
            };
            let Work::Ingest(work) = &mut waiting.work else {
                continue;
            };
            match work.next() {
                Next::Publication(publication) => {
                    let slot = Slot {
                        ticket: waiting,
                        publication,
                    };
                    // An empty ring takes any one publication.
                    let _ = self.queue.push(slot);
                }
                Next::Answer(response) | Next::Refused(response, _) => {
                    self.complete(waiting, response);
                }
            }
        }
    }

    /// A publication of this request has been committed. The request is answered, or has more to read.
    pub(super) fn ingest_committed(
        &mut self,
        ticket: Ticket,
        mut work: Box<IngestWork>,
        publication: Publication,
        outcomes: &[Outcome],
        committed_at: i64,
    ) {
        let (protocol, rejected, identities) = work.counts();
        self.counters.ingested(protocol, outcomes, identities);
        self.counters.rejected(protocol, rejected as u64);
        let answer = work.committed(publication, outcomes, committed_at);
        let waiting = Waiting {
            ticket,
            work: Work::Ingest(work),
        };
        match answer {
            Some(response) => self.complete(waiting, response),
            None => self.queue.push_unfinished(waiting),
        }
    }

    fn complete(&mut self, waiting: Waiting, response: Response) {
        let buffer = match waiting.work {
            Work::Ingest(work) => work.into_body(),
            Work::Publish(_) | Work::Upload(_) | Work::Refused(..) | Work::Socket(_) => Vec::new(),
        };
        self.committed.push(Completion {
            ticket: waiting.ticket,
            response,
            buffer,
        });
    }
}
