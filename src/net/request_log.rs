//! The request log: what is kept of a request in flight, and reported when it has been answered: to the metrics, and
//! with `--access-log` to the log, one line for each request. It observes; it never answers and never changes an
//! answer.
//!
//! A request's time runs from the turn in which its head was complete to the end of the turn in which its
//! answer was handed to the socket, which a publication's commit precedes. Both are times that the loop
//! reads anyway, once a turn, so latencies need no extra clock read. Only the request line is looked at, so no
//! token can get into the log.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use super::platform::Socket;
use crate::api::endpoint::Endpoint;
use crate::http::{Method, Request};
use crate::limits;
use crate::logging::REQUESTS;
use crate::metrics::{Elapsed, Metrics};

/// A request whose head is complete, until its answer.
pub(super) struct InFlightRequest {
    /// Microseconds since the start.
    began: u64,
    endpoint: Endpoint,
    /// Answers to it have no body.
    is_head: bool,
    /// Only where requests are logged.
    line: Option<Box<RequestLine>>,
}

/// What the log says of a request.
struct RequestLine {
    method: String,
    target: String,
}

/// A request that has been answered in this turn.
struct Answered {
    /// Microseconds since the start.
    began: u64,
    endpoint: Endpoint,
    status: u16,
    access: Option<Box<Access>>,
}

struct Access {
    peer: Peer,
    /// None if no head could be read.
    line: Option<Box<RequestLine>>,
    /// Of the body, if it is known.
    bytes: Option<usize>,
}

/// The address of the client. A Unix socket has none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer(Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Known(self.0).fmt(f)
    }
}

/// The requests that this turn has answered.
pub(super) struct RequestLog {
    logs_access: bool,
    started: Instant,
    /// When this turn began, in microseconds since the start.
    turn: u64,
    answered: Vec<Answered>,
}

impl RequestLog {
    pub(super) fn new(started: Instant) -> RequestLog {
        RequestLog {
            logs_access: log::log_enabled!(target: REQUESTS, log::Level::Info),
            started,
            turn: 0,
            answered: Vec::new(),
        }
    }

    /// The turn's time: requests that come from now on began then.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.turn = self.micros(now);
    }

    fn micros(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started);
        since.as_secs() * 1_000_000 + u64::from(since.subsec_micros())
    }

    /// The name of a new connection's peer, if it will be needed.
    pub(super) fn peer(&self, stream: &impl Socket) -> Peer {
        Peer(self.logs_access.then(|| stream.peer()).flatten())
    }

    /// What has to be kept of a request until it is answered.
    pub(super) fn begin(&self, request: &Request, endpoint: Endpoint) -> InFlightRequest {
        let line = self.logs_access.then(|| {
            Box::new(RequestLine {
                method: request.method_name().to_owned(),
                target: request.target().to_owned(),
            })
        });
        InFlightRequest {
            began: self.turn,
            endpoint,
            is_head: request.method == Method::Head,
            line,
        }
    }

    /// A request has been answered, or what should have become one and could not be read as such (`None`).
    /// `length` is that of the answer's body, if it is known; to HEAD none of it is sent.
    pub(super) fn answered(
        &mut self,
        request: Option<InFlightRequest>,
        peer: Peer,
        status: u16,
        length: Option<usize>,
    ) {
        let is_head = request.as_ref().is_some_and(|request| request.is_head);
        let bytes = if is_head { Some(0) } else { length };
        let (began, endpoint, line) = match request {
            Some(in_flight) => (in_flight.began, in_flight.endpoint, in_flight.line),
            None => (self.turn, Endpoint::Other, None),
        };
        let access = self
            .logs_access
            .then(|| Box::new(Access { peer, line, bytes }));
        self.answered.push(Answered {
            began,
            endpoint,
            status,
            access,
        });
    }

    /// Whether [`RequestLog::report`] should not wait for the turn's end, because too many are held.
    pub(super) fn is_full(&self) -> bool {
        self.answered.len() >= limits::ANSWERED_AT_ONCE
    }

    /// Reports the requests that have been answered, as of `now`, and how many lines the log has lost.
    pub(super) fn report(&mut self, now: Instant, log_lines_dropped: u64, metrics: &mut Metrics) {
        let now = self.micros(now);
        let mut last = (now, Elapsed::from_micros(0));
        for done in self.answered.drain(..) {
            if done.began != last.0 {
                last = (
                    done.began,
                    Elapsed::from_micros(now.saturating_sub(done.began)),
                );
            }
            metrics.answered(done.endpoint, done.status, last.1);
            if let Some(access) = done.access {
                access.log(done.status, last.1.micros());
            }
        }
        metrics.set_log_lines_dropped(log_lines_dropped);
    }
}

impl Access {
    /// In a line of text: peer, method, target, status, bytes, seconds, with one space between and a `-`
    /// for what is not known. None of them holds a space.
    fn log(&self, status: u16, duration_us: u64) {
        let (peer, bytes) = (self.peer, self.bytes);
        let method = self.line.as_ref().map(|line| line.method.as_str());
        let target = self.line.as_ref().map(|line| line.target.as_str());
        log::info!(
            target: REQUESTS,
            peer:%, method, target, status, bytes, duration_us;
            "{peer} {} {} {status} {} {}.{:06}",
            Known(method),
            Known(target),
            Known(bytes),
            duration_us / 1_000_000,
            duration_us % 1_000_000
        );
    }
}

/// A value, or a `-` in its place.
struct Known<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
