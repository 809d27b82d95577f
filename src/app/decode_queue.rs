//! The queue of bodies whose content coding is still to be taken off.
//!
//! Each is tried when it has arrived. What takes longer, as a bomb does, is decoded a piece at a time, one body after
//! the other, so that neither the turns nor the memory grow with what clients send. The shell decides how many pieces a
//! turn has time for.

use std::collections::VecDeque;

use super::commit_queue::Waiting;
use super::reply::Ticket;
use crate::clock::Now;
use crate::http::encoding::{Coding, DecodeError, Decoding};
use crate::limits::{DECODED_FREE_BYTES, DECODED_PIECE_BYTES, DECODED_SHORT_BYTES, PAUSE_MAX_MS};

/// A request whose body came with a content coding.
pub(super) struct Encoded {
    pub(super) waiting: Waiting,
    pub(super) coding: Coding,
}

/// What became of a body.
pub(super) enum DecodeResult {
    Body(Vec<u8>),
    /// With the body as it came.
    Failed(DecodeError, Vec<u8>),
    /// Its turn came too late.
    TooLate,
}

struct Queued {
    encoded: Encoded,
    body: Vec<u8>,
    since: u64,
}

/// What a piece of work has come to.
pub(super) enum DecodeStep {
    Done(Encoded, DecodeResult),
    /// There is more to do.
    More,
}

impl DecodeStep {
    /// Bytes that came out of a body of `coded` bytes if they are at least as many as went in, as with any honest
    /// body; else 0.
    pub(super) fn brought(&self, coded: usize) -> usize {
        match self {
            DecodeStep::Done(_, DecodeResult::Body(body))
                if coded <= body.len().max(DECODED_FREE_BYTES) =>
            {
                body.len().max(1)
            }
            _ => 0,
        }
    }
}

/// The queue.
pub(super) struct DecodeQueue {
    /// Bytes that may come out of a body.
    limit: usize,
    /// Those that have not been tried yet.
    arrived: VecDeque<Queued>,
    /// Those that take longer; the one that is being decoded is `current`.
    long: VecDeque<Queued>,
    current: Option<(Encoded, Decoding)>,
}

impl DecodeQueue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            arrived: VecDeque::new(),
            long: VecDeque::new(),
            current: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.arrived.is_empty() && self.long.is_empty()
    }

    pub(super) fn push(&mut self, encoded: Encoded, body: Vec<u8>, now: Now) {
        self.arrived.push_back(Queued {
            encoded,
            body,
            since: now.mono_ms,
        });
    }

    /// Tries the next; also returns how many bytes it had.
    pub(super) fn try_arrived(&mut self, now: Now) -> Option<(DecodeStep, usize)> {
        let queued = self.arrived.pop_front()?;
        let (since, coded) = (queued.since, queued.body.len());
        let (encoded, mut decoding) = match self.begin(queued, now) {
            Ok(begun) => begun,
            Err(done) => return Some((done, coded)),
        };
        let step = match decoding.go_on(DECODED_SHORT_BYTES) {
            Ok(Some(body)) => DecodeStep::Done(encoded, DecodeResult::Body(body)),
            Err(error) => {
                DecodeStep::Done(encoded, DecodeResult::Failed(error, decoding.into_body()))
            }
            Ok(None) => {
                if self.current.is_none() {
                    self.current = Some((encoded, decoding));
                } else {
                    // Only one may have memory to be decoded into; it starts over when its turn comes.
                    self.long.push_back(Queued {
                        encoded,
                        body: decoding.into_body(),
                        since,
                    });
                }
                DecodeStep::More
            }
        };
        Some((step, coded))
    }

    pub(super) fn go_on(&mut self, now: Now) -> Option<DecodeStep> {
        if self.current.is_none() {
            let queued = self.long.pop_front()?;
            match self.begin(queued, now) {
                Ok(begun) => self.current = Some(begun),
                Err(done) => return Some(done),
            }
        }
        let (_, decoding) = self.current.as_mut()?;
        let result = match decoding.go_on(DECODED_PIECE_BYTES) {
            Ok(None) => return Some(DecodeStep::More),
            Ok(Some(body)) => Ok(body),
            Err(error) => Err(error),
        };
        let (encoded, decoding) = self.current.take()?;
        let result = match result {
            Ok(body) => DecodeResult::Body(body),
            Err(error) => DecodeResult::Failed(error, decoding.into_body()),
        };
        Some(DecodeStep::Done(encoded, result))
    }

    fn begin(&self, queued: Queued, now: Now) -> Result<(Encoded, Decoding), DecodeStep> {
        let Queued {
            encoded,
            body,
            since,
        } = queued;
        if since + PAUSE_MAX_MS <= now.mono_ms {
            return Err(DecodeStep::Done(encoded, DecodeResult::TooLate));
        }
        match Decoding::new(encoded.coding, body, self.limit) {
            Ok(decoding) => Ok((encoded, decoding)),
            // The only one that is refused at once is empty.
            Err(error) => Err(DecodeStep::Done(
                encoded,
                DecodeResult::Failed(error, Vec::new()),
            )),
        }
    }

    /// The client that waited for this answer has gone, so its body is dropped.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        for queue in [&mut self.arrived, &mut self.long] {
            queue.retain(|queued| queued.encoded.waiting.ticket != ticket);
        }
        self.current
            .take_if(|(encoded, _)| encoded.waiting.ticket == ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::publish::PublishParams;
    use crate::app::commit_queue::Work;

    const LIMIT: usize = 16 << 20;
    const SHORT: usize = DECODED_SHORT_BYTES / 2;
    const LONG: usize = 5 * DECODED_SHORT_BYTES;

    fn at(mono_ms: u64) -> Now {
        Now {
            mono_ms,
            ..Now::default()
        }
    }

    /// A queue with bodies of these sizes, all white space, their tickets and times from 1 on.
    fn queue(sizes: &[usize]) -> DecodeQueue {
        let mut queue = DecodeQueue::new(LIMIT);
        for (size, ticket) in sizes.iter().zip(1..) {
            let work = Work::Publish(PublishParams::default());
            let encoded = Encoded {
                waiting: Waiting { ticket, work },
                coding: Coding::Zstd,
            };
            let body = zstd::encode_all(&vec![b' '; *size][..], 1).unwrap();
            queue.push(encoded, body, at(ticket));
        }
        queue
    }

    /// A ticket, and how many bytes were decoded; `None` if they were too many, or it was too late.
    fn done(step: DecodeStep) -> Option<(Ticket, Option<usize>)> {
        let DecodeStep::Done(encoded, outcome) = step else {
            return None;
        };
        let bytes = match outcome {
            DecodeResult::Body(body) => Some(body.len()),
            DecodeResult::Failed(DecodeError::TooLarge, _) | DecodeResult::TooLate => None,
            DecodeResult::Failed(DecodeError::Broken, _) => panic!("nothing is broken"),
        };
        Some((encoded.waiting.ticket, bytes))
    }

    #[test]
    fn short_bodies_pass_long_ones_which_come_one_after_the_other() {
        let mut queue = queue(&[LONG, SHORT, LONG, SHORT, 4 * LIMIT]);
        let mut tried = Vec::new();
        while let Some((step, _)) = queue.try_arrived(at(0)) {
            tried.push(done(step));
        }
        let [second, fourth] = [2, 4].map(|ticket| Some((ticket, Some(SHORT))));
        assert_eq!(tried, [None, second, None, fourth, None]);
        let (mut pieces, mut finished) = (vec![0; 3], Vec::new());
        while let Some(step) = queue.go_on(at(0)) {
            pieces[finished.len()] += 1;
            finished.extend(done(step));
        }
        assert_eq!(finished, [(1, Some(LONG)), (3, Some(LONG)), (5, None)]);
        assert!(queue.is_empty());
        // The first went on where it was when it was tried.
        for (pieces, bytes) in pieces.iter().zip([LONG - DECODED_SHORT_BYTES, LONG, LIMIT]) {
            let least = bytes / DECODED_PIECE_BYTES;
            assert!((least..least + 3).contains(pieces), "{pieces}");
        }
    }

    #[test]
    fn whoever_has_gone_is_forgotten_and_whoever_waited_too_long_is_refused() {
        let mut queue = queue(&[LONG, LONG, LONG, LONG, SHORT, SHORT]);
        for _ in 0..4 {
            queue.try_arrived(at(0));
        }
        for ticket in [1, 3, 5] {
            queue.remove(ticket);
        }
        let mut finished = Vec::new();
        let now = at(PAUSE_MAX_MS + 3);
        let mut next = || {
            let tried = queue.try_arrived(now).map(|(step, _)| step);
            tried.or_else(|| queue.go_on(now))
        };
        while let Some(step) = next() {
            finished.extend(done(step));
        }
        assert_eq!(finished, [(6, Some(SHORT)), (2, None), (4, Some(LONG))]);
    }
}
