//! The queue of bodies whose content coding is still to be taken off.
//!
//! Most bodies are decoded when they arrive. What takes longer, as a bomb does, is decoded a piece a turn,
//! one body after the other, so that neither the turns nor the memory grow with what clients send.

use std::collections::VecDeque;

use super::{unavailable, Answer, App, Committed, Ticket, Waiting};
use crate::api::publish;
use crate::clock::Now;
use crate::http::encoding::{Coding, DecodeError, Decoding};
use crate::limits;

impl App {
    /// Goes on with the bodies that are still to be decoded, for a share of the turn.
    pub fn decode(&mut self, now: Now) {
        let mut budget = limits::DECODED_PER_TURN_BYTES;
        while let Some((encoded, outcome)) = self.encoded.go_on(&mut budget, now) {
            let ticket = encoded.waiting.ticket;
            if let Answer::Now(response) = self.decoded(encoded, outcome, now) {
                self.committed.push(Committed {
                    ticket,
                    response,
                    buffer: Vec::new(),
                });
            }
        }
        self.encoded.begin_turn();
    }

    /// Whether [`App::decode`] has something to do.
    pub fn is_decoding(&self) -> bool {
        !self.encoded.is_empty()
    }

    /// A client that waited for an answer has gone. What is on the ring is committed all the same.
    pub fn forget(&mut self, ticket: Ticket) {
        self.encoded.forget(ticket);
    }

    /// Takes in a body that has been decoded, or answers for one that has not.
    pub(super) fn decoded(&mut self, encoded: Encoded, outcome: Outcome, now: Now) -> Answer {
        let Encoded { waiting, coding } = encoded;
        let limit = self.options.max_body_bytes;
        match outcome {
            Outcome::Decoded(body) => self.take_in(waiting, body, now),
            Outcome::Failed(error) => {
                Answer::Now(self.refuse(publish::undecodable(coding, error, limit)))
            }
            Outcome::Late => Answer::Now(unavailable(
                "The server has more compressed bodies than it can take in; send the request again.",
            )),
        }
    }
}

/// A request whose body came with a content coding.
pub(super) struct Encoded {
    pub(super) waiting: Waiting,
    pub(super) coding: Coding,
}

/// What became of a body.
pub(super) enum Outcome {
    Decoded(Vec<u8>),
    Failed(DecodeError),
    /// Its turn came too late.
    Late,
}

struct Queued {
    encoded: Encoded,
    body: Vec<u8>,
    since: u64,
}

/// The queue.
pub(super) struct DecodeQueue {
    /// Bytes that may come out of a body.
    limit: usize,
    current: Option<(Encoded, Decoding)>,
    queue: VecDeque<Queued>,
    /// Bytes that may still be decoded on arrival in this turn.
    at_once: usize,
}

impl DecodeQueue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            current: None,
            queue: VecDeque::new(),
            at_once: limits::DECODED_AT_ONCE_PER_TURN_BYTES,
        }
    }

    /// Whether bodies wait.
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.queue.is_empty()
    }

    /// Decodes a body that has arrived, or queues it where that would take too long.
    pub(super) fn take_in(
        &mut self,
        encoded: Encoded,
        mut body: Vec<u8>,
        now: Now,
    ) -> Option<(Encoded, Outcome)> {
        let budget = self.at_once.min(limits::DECODED_AT_ONCE_BYTES);
        if budget > 0 {
            let mut decoding = match Decoding::new(encoded.coding, body, self.limit) {
                Ok(decoding) => decoding,
                Err(error) => return Some((encoded, Outcome::Failed(error))),
            };
            let result = decoding.go_on(budget);
            self.at_once -= match &result {
                Ok(Some(body)) => body.len().min(budget),
                _ => budget,
            };
            match result {
                Ok(Some(body)) => return Some((encoded, Outcome::Decoded(body))),
                Err(error) => return Some((encoded, Outcome::Failed(error))),
                Ok(None) if self.current.is_none() => {
                    self.current = Some((encoded, decoding));
                    return None;
                }
                // Only one may have memory to be decoded into; it begins anew when its turn comes.
                Ok(None) => body = decoding.into_body(),
            }
        }
        self.queue.push_back(Queued {
            encoded,
            body,
            since: now.mono_ms,
        });
        None
    }

    /// Goes on with the queue for `budget` bytes at most; gives the next body that is done with.
    pub(super) fn go_on(&mut self, budget: &mut usize, now: Now) -> Option<(Encoded, Outcome)> {
        if self.current.is_none() {
            let Queued {
                encoded,
                body,
                since,
            } = self.queue.pop_front()?;
            if since + limits::PAUSE_MAX_MS <= now.mono_ms {
                return Some((encoded, Outcome::Late));
            }
            match Decoding::new(encoded.coding, body, self.limit) {
                Ok(decoding) => self.current = Some((encoded, decoding)),
                Err(error) => return Some((encoded, Outcome::Failed(error))),
            }
        }
        let (_, decoding) = self.current.as_mut().filter(|_| *budget > 0)?;
        let outcome = match decoding.go_on(*budget) {
            Ok(None) => {
                *budget = 0;
                return None;
            }
            Ok(Some(body)) => {
                *budget -= body.len().min(*budget);
                Outcome::Decoded(body)
            }
            Err(error) => {
                *budget = 0;
                Outcome::Failed(error)
            }
        };
        let (encoded, _) = self.current.take()?;
        Some((encoded, outcome))
    }

    /// From now on as much may be decoded on arrival as in any turn.
    pub(super) fn begin_turn(&mut self) {
        self.at_once = limits::DECODED_AT_ONCE_PER_TURN_BYTES;
    }

    /// Nobody waits for this answer any more, so its body is let go.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.queue
            .retain(|queued| queued.encoded.waiting.ticket != ticket);
        self.current
            .take_if(|(encoded, _)| encoded.waiting.ticket == ticket);
    }
}
