//! The phase *decode* of a turn: bodies with a content coding.

use super::commit_queue::{Waiting, Work};
use super::decode_queue::{DecodeResult, DecodeStep, Encoded};
use super::host::Host;
use super::ingest::Ingesting;
use super::publish::Publishing;
use super::reply::{Completion, Reply};
use super::upload::Uploading;
use crate::api::{content, publish};
use crate::clock::Now;
use crate::http::encoding::{Coding, DecodeError};
use crate::http::Refusal;

/// The phase at an application.
pub(super) trait Decoding: Host {
    /// Tries to decode the next body that has arrived. Returns how many bytes came out if they are at least as many as
    /// went in, as with any honest body; 0 if it was refused or takes longer; `None` if no body has arrived.
    fn decode_arrived(&mut self, now: Now) -> Option<usize> {
        let (tried, coded) = self.desk().encoded.try_arrived(now)?;
        let brought = tried.brought(coded);
        self.decoded(tried, now);
        Some(brought)
    }

    /// Decodes a piece of the body whose turn it is, among those that take longer, and one of a body that is read as it
    /// arrives. False where there is neither.
    fn decode_piece(&mut self, now: Now) -> bool {
        let has_worked = self.work_on_upload(now);
        let Some(gone_on) = self.desk().encoded.go_on(now) else {
            return has_worked;
        };
        self.decoded(gone_on, now);
        true
    }

    /// Accepts a body that has been decoded, or answers for one that cannot be.
    fn decoded(&mut self, step: DecodeStep, now: Now) {
        let DecodeStep::Done(Encoded { waiting, coding }, outcome) = step else {
            return;
        };
        let ticket = waiting.ticket;
        let answer = match outcome {
            DecodeResult::Body(body) => self.enqueue(waiting, body, now),
            DecodeResult::Failed(error, body) => {
                self.undecodable(waiting, coding, error, body, now)
            }
            DecodeResult::TooLate => Reply::Now(waiting.work.refuse(&Refusal::unavailable(
                "The server has more compressed bodies than it can hold; send the request again.",
            ))),
        };
        if let Reply::Now(response) = answer {
            self.desk()
                .committed
                .push(Completion::bare(ticket, response));
        }
    }

    fn undecodable(
        &mut self,
        waiting: Waiting,
        coding: Coding,
        error: DecodeError,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        let limit = self.options().max_body_bytes;
        let Work::Ingest(mut work) = waiting.work else {
            return Reply::Now(self.refuse(publish::undecodable(coding, error, limit)));
        };
        let refusal = content::undecodable_refusal(coding, error, limit);
        let response = refusal.shaped(work.shape());
        if response.status != 400 {
            return Reply::Now(response);
        }
        work.set_body(body);
        let kept = work.rejected_body(refusal.sentence.into_owned());
        self.refuse_body(waiting.ticket, response, kept, now)
    }
}

impl<H: Host> Decoding for H {}
