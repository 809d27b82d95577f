//! Publications: from a request to the queue of the next transaction. Content codings are taken off in the phase
//! *decode*, as at a node.

use super::transaction::Pending;
use super::Front;
use crate::api::{content, publish};
use crate::app::commit_queue::{Waiting, Work};
use crate::app::decode_queue::{DecodeResult, DecodeStep, Encoded};
use crate::app::reply::{Completion, Reply, Ticket};
use crate::clock::Now;
use crate::event::Protocol;
use crate::http::encoding::Coding;
use crate::http::{Refusal, Request, Response};
use crate::ingest::query::IngestQuery;
use crate::limits::{DECODED_FREE_BYTES, RING_MAX_BYTES};
use crate::ring::Slot;

const TOO_MANY: &str =
    "The server has more events that wait for the engine than it can hold; send the request again.";

impl Front {
    pub(super) fn publish(
        &mut self,
        ticket: Ticket,
        request: &Request,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        let params = match request.query() {
            None => Ok(publish::PublishParams::default()),
            Some(_) => publish::read_query(request, &IngestQuery::default(), now.unix_us),
        };
        let params = match params {
            Ok(params) => params,
            Err(refused) => return Reply::Now(self.reject(refused)),
        };
        let coding = content::coding_of(request).unwrap_or(Coding::Identity);
        let work = Work::Publish(params);
        let waiting = Waiting { ticket, work };
        if coding == Coding::Identity {
            return self.enqueue(waiting, body, now);
        }
        self.encoded.push(Encoded { waiting, coding }, body, now);
        Reply::AfterCommit
    }

    fn reject(&mut self, refused: publish::Rejection) -> Response {
        self.counters.rejected(Protocol::Publish, refused.rejected);
        refused.response
    }

    /// Takes the events of a decoded body in for the next transaction.
    fn enqueue(&mut self, waiting: Waiting, body: Vec<u8>, now: Now) -> Reply {
        let Waiting { ticket, work } = waiting;
        let Work::Publish(params) = work else {
            return Reply::Now(work.refuse(&Refusal::new(501, "A front does not take this.")));
        };
        let events = self.buffers.take();
        let max_events = self.options.ring_capacity;
        let (publication, params) = match publish::read(params, body, events, max_events) {
            Ok(read) => read,
            Err(refused) => return Reply::Now(self.reject(refused)),
        };
        if publication.events.is_empty() {
            self.counters.rejected(Protocol::Publish, params.rejected());
            return Reply::Now(params.answer(&[]));
        }
        let (events, bytes) = (publication.events.len(), publication.held_bytes());
        let is_full =
            self.queued_events + events > max_events || self.queued_bytes + bytes > RING_MAX_BYTES;
        let work = Work::Publish(params);
        if is_full && !self.queue.is_empty() {
            let seconds = self.health.retry_after(now);
            return Reply::Now(work.refuse(&Refusal::unavailable_for(seconds, TOO_MANY)));
        }
        self.queued_events += events;
        self.queued_bytes += bytes;
        self.queue.push_back(Pending {
            slot: Slot {
                ticket: Waiting { ticket, work },
                publication,
            },
            since: now.mono_ms,
        });
        Reply::AfterCommit
    }

    pub(super) fn decode_next(&mut self, now: Now) -> Option<usize> {
        let (tried, coded) = self.encoded.try_arrived(now)?;
        let brought = match &tried {
            DecodeStep::Done(_, DecodeResult::Body(body))
                if coded <= body.len().max(DECODED_FREE_BYTES) =>
            {
                body.len().max(1)
            }
            _ => 0,
        };
        self.decoded(tried, now);
        Some(brought)
    }

    pub(super) fn decode_on(&mut self, now: Now) -> bool {
        let Some(step) = self.encoded.go_on(now) else {
            return false;
        };
        self.decoded(step, now);
        true
    }

    fn decoded(&mut self, step: DecodeStep, now: Now) {
        let DecodeStep::Done(Encoded { waiting, coding }, result) = step else {
            return;
        };
        let ticket = waiting.ticket;
        let answer = match result {
            DecodeResult::Body(body) => self.enqueue(waiting, body, now),
            DecodeResult::Failed(error, _) => {
                let limit = self.options.max_body_bytes;
                Reply::Now(self.reject(publish::undecodable(coding, error, limit)))
            }
            DecodeResult::TooLate => Reply::Now(waiting.work.refuse(&Refusal::unavailable(
                "The server has more compressed bodies than it can take in; send the request again.",
            ))),
        };
        if let Reply::Now(response) = answer {
            self.committed.push(Completion::bare(ticket, response));
        }
    }
}
