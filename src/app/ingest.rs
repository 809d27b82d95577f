//! Requests of other protocols: from an adapter's records to the next commit, a publication at a time, and back to its
//! answer.
//!
//! What a request brings beyond one publication waits for its turn after the commit, so that neither memory nor a
//! turn grows with the number of its records.

use super::commit_queue::{Waiting, Work};
use super::host::Host;
use super::ingest_work::{IngestWork, Next};
use super::reply::{shutting_down, Completion, Reply, Ticket};
use super::upload::Uploading;
use crate::api::ingest as interface;
use crate::clock::Now;
use crate::event::{Publication, RejectedRecord};
use crate::http::encoding::Coding;
use crate::http::{Method, Refusal, Request, Response};
use crate::ingest::IngestRoute;
use crate::store::Outcome;

/// A body that is to be read when its content coding has been taken off.
pub(super) struct CodedBody {
    pub(super) waiting: Waiting,
    pub(super) coding: Coding,
    pub(super) body: Vec<u8>,
}

/// Requests of other protocols at an application.
pub(super) trait Ingesting: Host {
    /// Refuses a request of another protocol by its head alone, before its body is asked for.
    fn precheck_ingest(&self, request: &Request, route: &IngestRoute) -> Option<Response> {
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

    /// Answers a request of another protocol, or gives back its body, which is to be read.
    fn begin_ingest(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: &IngestRoute,
        body: Vec<u8>,
        now: Now,
    ) -> Result<CodedBody, Reply> {
        let shape = interface::error_shape(request, route);
        if self.gate().draining && !request.has_body() {
            return Err(Reply::Now(shutting_down().shaped(shape)));
        }
        if let Some(response) = self.probe(request, route) {
            return Err(Reply::Now(response));
        }
        if route.adapter().takes_pieces() {
            return Err(self.upload(ticket, request, route, (body, true), now));
        }
        match self.begin_work(request, route, now) {
            Ok((work, coding)) => {
                let work = Work::Ingest(Box::new(work));
                Ok(CodedBody {
                    waiting: Waiting { ticket, work },
                    coding,
                    body,
                })
            }
            Err(refusal) => {
                let response = refusal.shaped(shape);
                if response.status != 400 || body.is_empty() {
                    return Err(Reply::Now(response));
                }
                let protocol = route.adapter().protocol();
                let kept = RejectedRecord::new(
                    protocol,
                    &request.peer.to_string(),
                    refusal.sentence.into_owned(),
                    &body,
                );
                Err(self.refuse_body(ticket, response, kept, now))
            }
        }
    }

    fn begin_work(
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

    /// Accepts a decoded body.
    fn ingest_body(
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
    fn refuse_body(
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

    /// Reads the next publication of a request that has more. None if it is answered instead.
    fn next_publication(&mut self, mut waiting: Waiting) -> Option<(Waiting, Publication)> {
        let Work::Ingest(work) = &mut waiting.work else {
            return None;
        };
        match work.next() {
            Next::Publication(publication) => Some((waiting, publication)),
            Next::Answer(response) | Next::Refused(response, _) => {
                self.complete(waiting, response);
                None
            }
        }
    }

    /// A publication of this request has been committed. The request is answered, or has more to read.
    fn ingest_committed(
        &mut self,
        ticket: Ticket,
        mut work: Box<IngestWork>,
        publication: Publication,
        outcomes: &[Outcome],
        now: Now,
    ) {
        let (protocol, rejected, identities) = work.counts();
        let counters = self.desk().counters;
        counters.ingested(protocol, outcomes, identities);
        counters.rejected(protocol, rejected as u64);
        let answer = work.committed(publication, outcomes, now.unix_us);
        let waiting = Waiting {
            ticket,
            work: Work::Ingest(work),
        };
        match answer {
            Some(response) => self.complete(waiting, response),
            None => self.push_unfinished(waiting, now),
        }
    }

    fn complete(&mut self, waiting: Waiting, response: Response) {
        let buffer = match waiting.work {
            Work::Ingest(work) => work.into_body(),
            Work::Publish(_) | Work::Upload(_) | Work::Refused(..) | Work::Socket(_) => Vec::new(),
        };
        self.desk().committed.push(Completion {
            ticket: waiting.ticket,
            response,
            buffer,
        });
    }
}

impl<H: Host> Ingesting for H {}
