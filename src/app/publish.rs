//! Bodies on their way to the next commit, and what becomes of each publication after it. No other code answers 200 to
//! a publication that brought events.

use super::commit_queue::{Waiting, Work};
use super::decode_queue::Encoded;
use super::host::Host;
use super::ingest::{CodedBody, Ingesting};
use super::reply::{Reply, Ticket};
use super::upload::Uploading;
use crate::api::{content, publish};
use crate::clock::Now;
use crate::event::Protocol;
use crate::http::encoding::Coding;
use crate::http::{Refusal, Request, Response};
use crate::ingest::IngestRoute;
use crate::ring::Slot;
use crate::store::Outcome;

/// Publications at an application.
pub(super) trait Publishing: Host {
    /// Takes in what `POST /publish` brings.
    fn publish(&mut self, ticket: Ticket, request: &Request, body: Vec<u8>, now: Now) -> Reply {
        let params = match self.publish_params(request, now) {
            Ok(params) => params,
            Err(refused) => return Reply::Now(self.refuse(refused)),
        };
        let coding = content::coding_of(request).unwrap_or(Coding::Identity);
        let work = Work::Publish(params);
        let waiting = Waiting { ticket, work };
        self.take_body(
            CodedBody {
                waiting,
                coding,
                body,
            },
            now,
        )
    }

    fn publish_params(
        &self,
        request: &Request,
        now: Now,
    ) -> Result<publish::PublishParams, publish::Rejection> {
        // Most requests: no results for each event.
        if request.query().is_none() && self.ingest_state().settings.is_empty() {
            return Ok(publish::PublishParams::default());
        }
        let setting = self.ingest_setting(Protocol::Publish);
        publish::read_query(request, &setting, now.unix_us)
    }

    /// Takes in what a request of another protocol brings.
    fn take_ingest(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: &IngestRoute,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        match self.begin_ingest(ticket, request, route, body, now) {
            Ok(body) => self.take_body(body, now),
            Err(reply) => reply,
        }
    }

    /// Accepts a body, now or after its content coding has been taken off.
    fn take_body(&mut self, taken: CodedBody, now: Now) -> Reply {
        let CodedBody {
            waiting,
            coding,
            body,
        } = taken;
        if coding == Coding::Identity {
            return self.enqueue(waiting, body, now);
        }
        let encoded = Encoded { waiting, coding };
        self.desk().encoded.push(encoded, body, now);
        Reply::AfterCommit
    }

    fn refuse(&mut self, refused: publish::Rejection) -> Response {
        let counters = self.desk().counters;
        counters.rejected(Protocol::Publish, refused.rejected);
        refused.response
    }

    /// Accepts the events of a decoded body for the next commit.
    fn enqueue(&mut self, waiting: Waiting, body: Vec<u8>, now: Now) -> Reply {
        let Waiting { ticket, work } = waiting;
        let params = match work {
            Work::Publish(params) => params,
            Work::Ingest(work) => return self.ingest_body(ticket, work, body, now),
            Work::Refused(_, response) => return Reply::Now(*response),
            Work::Upload(_) => unreachable!("its body is decoded as it arrives"),
            Work::Socket(_) => unreachable!("records of sockets come decoded"),
        };
        let max_events = self.options().ring_capacity;
        let events = self.desk().buffers.take();
        let (publication, params) = match publish::read(params, body, events, max_events) {
            Ok(read) => read,
            Err(refused) => return Reply::Now(self.refuse(refused)),
        };
        if publication.events.is_empty() && publication.rejected.is_empty() {
            let counters = self.desk().counters;
            counters.rejected(Protocol::Publish, params.rejected());
            return Reply::Now(params.answer(&[]));
        }
        let work = Work::Publish(params);
        self.push(Waiting { ticket, work }, publication, now)
    }

    /// Answers, or goes on with, what has been committed with these outcomes.
    fn committed(&mut self, slot: Slot<Waiting>, outcomes: &[Outcome], now: Now) {
        let Slot {
            ticket: Waiting { ticket, work },
            publication,
        } = slot;
        let response = match work {
            Work::Publish(params) => {
                let identities = params.identities(outcomes.len());
                let counters = self.desk().counters;
                counters.ingested(Protocol::Publish, outcomes, identities);
                counters.rejected(Protocol::Publish, params.rejected());
                params.answer(outcomes)
            }
            Work::Ingest(work) => {
                return self.ingest_committed(ticket, work, publication, outcomes, now);
            }
            Work::Upload(protocol) => {
                return self.upload_committed(ticket, protocol, publication, outcomes);
            }
            Work::Refused(protocol, response) => {
                self.desk().counters.rejected(protocol, 1);
                *response
            }
            Work::Socket(_) => unreachable!("nobody waits for an answer"),
        };
        self.finish(ticket, publication, response);
    }

    /// Refuses what has not been committed.
    fn refuse_slot(&mut self, slot: Slot<Waiting>, refusal: &Refusal) {
        let Waiting { ticket, work } = slot.ticket;
        if matches!(work, Work::Upload(_)) {
            return self.refuse_upload(ticket, refusal);
        }
        let response = work.refuse(refusal);
        self.finish(ticket, slot.publication, response);
    }
}

impl<H: Host> Publishing for H {}
