//! One connection as a state machine, fed with bytes and time.
//!
//! # Theory
//!
//! A connection has two directions, and each is in one state of its own.
//!
//! *Receiving* runs through its states once for each request; there is one request at a time, so answers leave in the
//! order in which requests came (RFC 9112 §9.3.2), and what was pipelined after it waits unread.
//!
//! ```text
//!           no body                                   respond
//! Head ──────────────────────────────────▶ Complete ──────────▶ Head
//!   │ body, or an unknown expectation          ▲
//!   ▼           admit                 complete │
//! Declared ──────────────▶ Body ───────────────┘
//!   │ │ respond             body passed by
//!   │ └────────▶ Discarding ──────────────▶ Head
//!   │ admit_in_pieces             complete
//!   └────────────────────▶ Pieces ────────▶ Complete
//! ```
//!
//! In *Pieces* the caller takes what has arrived of the body, again and again, and the connection reads no further
//! until it says that it is done with a piece. So such a body may have any length. The last piece comes with
//! `Complete`, as the body of other requests does.
//!
//! *Sending* is `Open` while answers are collected; `Streaming` while the body of an answer comes in parts; `Closing`
//! when the last answer is in the output; `Lingering` when that has left, the write side is shut down, and the peer's
//! bytes are thrown away so that they cause no reset, which would destroy the answer on its way (RFC 9112 §9.6); then
//! `Done`.
//!
//! From any state a refusal, a timeout or an answer with `Connection: close` leads to receiving
//! `Closed` and sending `Closing`, in one step, in [`Conn::close`]. Nothing is parsed afterwards, so
//! bytes after a framing that was refused can never be taken for a request.
//!
//! The pairs that exist: `Closed` with `Closing`, `Lingering` or `Done`; `Complete` with `Streaming`;
//! all but `Closed` with `Open`.
//!
//! Deadlines follow from the state ([`Conn::deadline`]); there is nothing to arm or cancel. Every change of state is in
//! this file, but for those of a body that begins or is taken in pieces, which are in `admit`. The other child modules
//! look at the state and write answers.

mod admit;
mod answer;
mod errors;
mod state;
mod view;

pub use state::Step;

use errors::{BODY_STOPPED, BODY_TOO_SLOW, CUT_SHORT, HEAD_TOO_SLOW};
use state::{Receiving, Sending};

use super::head::{Expectation, Framing, Head, Scan};
use super::input::{empty, Input};
use super::output::Output;
use super::protocol::{Method, ProtocolError, Version};
use super::refusal::{detail_shape, ErrorShape, Refusal};
use super::request::Request;
use super::response::{write_head, End, Response};

use crate::clock::Now;
use crate::event::Peer;
use crate::limits::{BODY_PROGRESS_BYTES, BUFFER_KEEP_BYTES, LINGER_MS};

/// One connection.
pub struct Conn {
    receiving: Receiving,
    sending: Sending,
    input: Input,
    output: Output,
    scan: Scan,
    head: Head,
    body: Vec<u8>,
    max_body_bytes: usize,
    peer: Peer,
    /// When the head of the present request was complete.
    arrived: Now,
    /// What the connection's own refusals of the present request look like.
    error_shape: ErrorShape,
    /// The status of a refusal that [`Conn::next`] has still to report.
    refused: Option<u16>,
    /// The empty line that may come before a request line has come.
    empty_line_passed: bool,
    /// The peer has finished sending.
    ended: bool,
    /// The server is going down: the next answer is the last.
    draining: bool,
    /// When the present wait for bytes began, and what it has brought since.
    waiting_since: u64,
    progress: usize,
    /// When the output last began to wait, or was last taken from.
    taken_at: u64,
}

impl Conn {
    /// A connection that was just accepted. Bodies may be `max_body_bytes` long, without their
    /// transfer coding.
    pub fn new(max_body_bytes: usize, now: Now) -> Conn {
        Conn {
            receiving: Receiving::Head,
            sending: Sending::Open,
            input: Input::default(),
            output: Output::default(),
            scan: Scan::default(),
            head: Head::default(),
            body: Vec::new(),
            max_body_bytes,
            peer: Peer::default(),
            arrived: now,
            error_shape: detail_shape,
            refused: None,
            empty_line_passed: false,
            ended: false,
            draining: false,
            waiting_since: now.mono_ms,
            progress: 0,
            taken_at: now.mono_ms,
        }
    }

    /// Names the other end, for its requests.
    pub fn set_peer(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// From now until the next request, what the connection itself refuses is answered in this shape.
    pub fn set_error_shape(&mut self, shape: ErrorShape) {
        self.error_shape = shape;
    }

    /// Takes bytes from the peer. Call [`Conn::next`] afterwards, until it says [`Step::Idle`].
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        if self.ended || bytes.is_empty() {
            return;
        }
        let nothing_unread = self.input.unread().is_empty();
        match &mut self.receiving {
            Receiving::Closed => return,
            Receiving::Head if nothing_unread => self.wait_from(now),
            Receiving::Body(_) | Receiving::Discarding { .. } => {
                self.progress += bytes.len();
                if self.progress >= BODY_PROGRESS_BYTES {
                    self.wait_from(now);
                }
            }
            Receiving::Pieces { .. } => self.wait_from(now),
            _ => {}
        }
        match &mut self.receiving {
            // A body is decoded directly, without being copied to the input.
            Receiving::Body(decoder) | Receiving::Pieces { decoder, .. } => {
                match decoder.decode(bytes, &mut self.body) {
                    Ok(None) => {}
                    Ok(Some(taken)) => {
                        self.receiving = Receiving::Complete { reported: false };
                        self.input.push(&bytes[taken..]);
                    }
                    Err(why) => self.reject(why, now),
                }
            }
            _ => self.input.push(bytes),
        }
    }

    /// The peer has finished sending. What it has sent before is still answered.
    pub fn receive_end(&mut self) {
        self.ended = true;
        if matches!(self.sending, Sending::Lingering { .. }) {
            self.sending = Sending::Done;
        }
    }

    /// Drives the connection as far as it can go without its caller. To be called until it says [`Step::Idle`], after
    /// each of `receive`, `receive_end`, `admit`, `respond`, `sent`, `expire`.
    pub fn next(&mut self, now: Now) -> Step {
        loop {
            if let Some(status) = self.refused.take() {
                return Step::Refused(status);
            }
            match &mut self.receiving {
                Receiving::Head => {
                    if self.is_stalled() {
                        return Step::Idle;
                    }
                    self.pass_empty_line();
                    match self.scan.end(self.input.unread()) {
                        Ok(Some(length)) => {
                            if let Some(step) = self.take_head(length, now) {
                                return step;
                            }
                        }
                        Ok(None) if self.ended && !self.input.unread().is_empty() => {
                            // RFC 9112 §8: an incomplete request may be answered with an error.
                            self.reject(CUT_SHORT, now);
                        }
                        Ok(None) => {
                            self.leave_if_over();
                            return Step::Idle;
                        }
                        Err(why) => self.reject(why, now),
                    }
                }
                Receiving::Complete { reported } if !*reported => {
                    *reported = true;
                    return Step::Request;
                }
                Receiving::Body(_) if self.ended => self.reject(CUT_SHORT, now),
                // What has come of it is taken first.
                Receiving::Pieces {
                    is_taken: false, ..
                } if self.ended && self.body.is_empty() => self.reject(CUT_SHORT, now),
                Receiving::Discarding { remaining } => {
                    let taken = (*remaining).min(self.input.unread().len());
                    *remaining -= taken;
                    let complete = *remaining == 0;
                    self.input.consume(taken);
                    self.input.release();
                    if complete {
                        self.receiving = Receiving::Head;
                        self.wait_from(now);
                    } else if self.ended {
                        self.close();
                    } else {
                        return Step::Idle;
                    }
                }
                Receiving::Declared
                | Receiving::Body(_)
                | Receiving::Pieces { .. }
                | Receiving::Complete { .. }
                | Receiving::Closed => return Step::Idle,
            }
        }
    }

    /// RFC 9112 §2.2: one empty line before a request line is skipped.
    fn pass_empty_line(&mut self) {
        if !self.empty_line_passed && self.input.unread().starts_with(b"\r\n") {
            self.empty_line_passed = true;
            self.input.consume(2);
            self.input.release();
            self.scan = Scan::default();
        }
    }

    /// Takes the complete head at the front of the input.
    fn take_head(&mut self, length: usize, now: Now) -> Option<Step> {
        self.scan = Scan::default();
        self.empty_line_passed = false;
        self.error_shape = detail_shape;
        if let Err(why) = self.head.read(&self.input.unread()[..length]) {
            self.reject(why, now);
            return None;
        }
        self.input.consume(length);
        self.arrived = now;
        if self.head.framing == Framing::Nothing && self.head.expectation != Expectation::Other {
            self.receiving = Receiving::Complete { reported: true };
            return Some(Step::Request);
        }
        self.receiving = Receiving::Declared;
        Some(Step::Head)
    }

    /// Between two requests: ends a connection that will bring none.
    fn leave_if_over(&mut self) {
        if self.input.unread().is_empty() && (self.ended || self.draining) {
            self.close();
            if self.output.is_empty() {
                self.give_up();
            }
        }
    }

    /// After [`Step::Request`], before its body is taken: it cannot be answered now. [`Conn::next`]
    /// reports it again.
    pub fn defer_request(&mut self) {
        if let Receiving::Complete { reported } = &mut self.receiving {
            *reported = false;
        }
    }

    /// After [`Step::Request`]: the body, without its transfer coding, with its content coding.
    pub fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Gives a body's memory back for the next one. A large one is freed.
    pub fn recycle(&mut self, mut body: Vec<u8>) {
        if !matches!(self.receiving, Receiving::Body(_))
            && body.capacity() <= BUFFER_KEEP_BYTES
            && self.body.capacity() == 0
        {
            body.clear();
            self.body = body;
        }
    }

    /// Answers the present request, once, after [`Step::Head`], [`Conn::take_piece`] or [`Step::Request`]. The answer
    /// to a request that the connection has given up meanwhile is dropped.
    pub fn respond(&mut self, response: &Response, now: Now) {
        if matches!(self.receiving, Receiving::Closed) {
            return;
        }
        assert!(
            matches!(
                self.receiving,
                Receiving::Declared | Receiving::Pieces { .. } | Receiving::Complete { .. }
            ) && !self.is_streaming(),
            "an answer without a request"
        );
        let closes = self.closes_after(response);
        self.write(response, closes, now);
        self.finish(closes, now);
    }

    /// After [`Step::Request`]: answers with a body that comes in parts: the head now, the body with
    /// [`Conn::stream`], the end with [`Conn::end_stream`] or [`Conn::break_stream`]. `length` is that of
    /// the whole body in bytes, if it is known. To HEAD, the head is all; then [`Conn::is_streaming`] is false.
    pub fn start_stream(&mut self, response: &Response, length: Option<usize>, now: Now) {
        if matches!(self.receiving, Receiving::Closed) {
            return;
        }
        assert!(
            matches!(self.receiving, Receiving::Complete { .. }) && !self.is_streaming(),
            "a stream without a request"
        );
        let end = match (length, self.head.version) {
            (Some(length), _) => End::Length(length),
            (None, Version::Http11) => End::Chunked,
            // RFC 9112 §6.1: no transfer coding towards HTTP/1.0; there closing is the end.
            (None, Version::Http10) => End::Unsaid,
        };
        let closes = self.closes_after(response) || end == End::Unsaid;
        let stays = self.persistence(closes);
        write_head(self.tail(now), response, end, stays, now);
        if self.head.method == Method::Head {
            return self.finish(closes, now);
        }
        self.draining |= closes;
        self.sending = Sending::Streaming(end);
    }

    /// `bytes` more have been written to the body of a stream.
    fn count_streamed(&mut self, bytes: usize) {
        if let Sending::Streaming(End::Length(left)) = &mut self.sending {
            assert!(bytes <= *left, "a body is longer than its head says");
            *left -= bytes;
        }
    }

    /// Ends a stream properly; one that is shorter than its head says is aborted.
    pub fn end_stream(&mut self, now: Now) {
        match self.sending {
            Sending::Streaming(End::Chunked) => {
                self.tail(now).extend_from_slice(b"0\r\n\r\n");
            }
            Sending::Streaming(End::Length(left)) if left > 0 => return self.close(),
            Sending::Streaming(_) => {}
            _ => return,
        }
        self.sending = Sending::Open;
        self.finish(self.draining, now);
    }

    /// Ends a stream without its last chunk, so that the client notices that something is missing
    /// (RFC 9112 §8).
    pub fn break_stream(&mut self) {
        if self.is_streaming() {
            self.close();
        }
    }

    /// Answers and closes, in any state of receiving: for reasons outside this connection. A stream is broken off
    /// instead, and nothing happens to a connection that is closing already.
    pub fn refuse(&mut self, response: &Response, now: Now) {
        match self.sending {
            Sending::Open => {
                self.write(response, true, now);
                self.close();
            }
            Sending::Streaming(_) => self.close(),
            Sending::Closing | Sending::Lingering { .. } | Sending::Done => {}
        }
    }

    /// The server is going down: the answer to come is the last, and a connection on which nothing
    /// of a next request has arrived closes at once.
    pub fn begin_close(&mut self) {
        self.draining = true;
        if matches!(self.receiving, Receiving::Head) {
            self.leave_if_over();
        }
    }

    /// The present request has its answer.
    fn finish(&mut self, closes: bool, now: Now) {
        if closes {
            return self.close();
        }
        self.receiving = match (&self.receiving, self.head.framing) {
            (Receiving::Declared, Framing::Length(length)) => Receiving::Discarding {
                remaining: usize::try_from(length).expect("only a short body is discarded"),
            },
            _ => Receiving::Head,
        };
        empty(&mut self.body);
        self.input.release();
        self.wait_from(now);
    }

    /// The connection's own refusal.
    fn reject(&mut self, why: ProtocolError, now: Now) {
        let response = Refusal::new(why.status, why.detail).shaped(self.error_shape);
        self.write(&response, true, now);
        self.refused = Some(why.status);
        self.close();
    }

    /// No byte that comes is looked at any more; what waits to be sent is the end.
    fn close(&mut self) {
        self.receiving = Receiving::Closed;
        self.sending = Sending::Closing;
        self.input = Input::default();
        self.body = Vec::new();
    }

    /// Nothing more can be done here, not even send what waits.
    fn give_up(&mut self) {
        self.close();
        self.sending = Sending::Done;
        self.output = Output::default();
    }

    /// The client has taken the first `n` bytes of [`Conn::output`].
    pub fn sent(&mut self, n: usize, now: Now) {
        if n == 0 {
            return;
        }
        let was_stalled = self.is_stalled();
        self.output.take(n);
        self.taken_at = now.mono_ms;
        // While its answers waited, nothing was expected of the client.
        let idle = matches!(self.receiving, Receiving::Head) && self.input.unread().is_empty();
        if (was_stalled && !self.is_stalled()) || (idle && self.output.is_empty()) {
            self.wait_from(now);
        }
    }

    /// The write side is shut down. What the peer still sends is thrown away for a moment.
    pub fn shutdown_done(&mut self, now: Now) {
        assert!(self.wants_shutdown(), "answers are still to be sent");
        let until = now.mono_ms + LINGER_MS;
        self.sending = if self.ended {
            Sending::Done
        } else {
            Sending::Lingering { until }
        };
    }

    /// A deadline may have passed: 408 for a request that makes no progress (RFC 9110 §15.5.9), the
    /// end for a client that does not read or has nothing to say.
    pub fn expire(&mut self, now: Now) {
        let passed = |deadline: Option<u64>| deadline.is_some_and(|at| at <= now.mono_ms);
        if passed(self.send_deadline()) {
            self.give_up();
        } else if passed(self.receive_deadline()) {
            match self.receiving {
                Receiving::Head if self.input.unread().is_empty() => self.give_up(),
                Receiving::Head => self.expire_head(now),
                Receiving::Body(_) => self.reject(BODY_TOO_SLOW, now),
                Receiving::Pieces { .. } => self.reject(BODY_STOPPED, now),
                // The request has its answer already.
                _ => self.close(),
            }
        }
    }

    /// The time for a head is up. One that is whole, or wrong, has come in time: it waits for the answers before it to
    /// leave, and not for its client.
    fn expire_head(&mut self, now: Now) {
        self.pass_empty_line();
        match self.scan.end(self.input.unread()) {
            Ok(None) => self.reject(HEAD_TOO_SLOW, now),
            Ok(Some(_)) | Err(_) => self.wait_from(now),
        }
    }

    /// The wait for bytes begins again.
    fn wait_from(&mut self, now: Now) {
        self.waiting_since = now.mono_ms;
        self.progress = 0;
    }
}
