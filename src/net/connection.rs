//! One client's connection: owns the socket, the HTTP state machine, and what is known of the socket's readiness. It
//! knows neither other clients nor the loop.

use std::io;

use super::memory::{AnswerMemory, Place, Usage};
use super::platform::Socket;
use super::read_queue::PendingRead;
use super::request_log::{InFlightRequest, Peer, RequestLog};
use super::stream_queue::ActiveStream;
use crate::api::endpoint::Endpoint;
use crate::api::reading::Reading;
use crate::api::route::Route;
use crate::app::Ticket;
use crate::clock::{earlier, Now};
use crate::http::{Conn, Response};
use crate::limits::READ_WAIT_MAX_MS;

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// Bytes, or the end, have gone to the connection.
    Progress,
    /// The socket has no more for now.
    Drained,
    /// The socket is broken.
    Broken,
}

/// A connected client. Named by slab key and generation, so that a late answer to one that has gone
/// cannot reach the client that got its key.
pub(super) struct Connection<S> {
    pub socket: S,
    pub conn: Conn,
    pub generation: u32,
    /// Its address, if requests are logged.
    pub peer: Peer,
    /// What the request log keeps of its request until that is answered.
    pub in_flight: Option<InFlightRequest>,
    /// What its request asks for; stays until the next one begins.
    pub route: Option<Route>,
    /// The socket may have bytes: no read has found it empty since the last readiness.
    pub readable: bool,
    /// The peer has ended its side; the end is to be read even after a short read.
    pub read_closed: bool,
    /// The socket may take bytes.
    pub writable: bool,
    /// When it was last read from and written to, or tried to be.
    read_at: u64,
    written_at: u64,
    /// On the reactor's list of clients to be served without waiting for readiness.
    pub on_ready_list: bool,
    /// On the list of large requests, which are read one after the other.
    pub on_large_list: bool,
    /// On the list of clients to be flushed in this turn.
    pub on_flush_list: bool,
    /// A request waits for its commit.
    pub waits_for_commit: bool,
    /// Bytes of its body, while the app has it.
    pub body_in_app: usize,
    /// It is not read, or not answered, because there is no room in the shared memory.
    pub is_paused: bool,
    /// Since when it has waited for memory without progress, retries included.
    pub paused_since: Option<u64>,
    /// Its place among the clients that wait for memory, kept until it makes progress.
    pub place: Option<Place>,
    /// The time of its earliest entry among the deadlines.
    pub scheduled: Option<u64>,
    /// What it uses of the shared memory.
    pub usage: Usage,
    /// Where its answers count until all of them have left.
    pub answer_memory: AnswerMemory,
    /// To be closed at the end of the turn.
    pub closing: bool,
    /// What its answer is fed from, while that is a stream.
    pub stream: Option<Box<ActiveStream>>,
    /// Its request waits for its turn to read.
    pub read: Option<PendingRead>,
}

impl<S: Socket> Connection<S> {
    pub(super) fn new(socket: S, conn: Conn, generation: u32, peer: Peer) -> Self {
        Self {
            socket,
            conn,
            generation,
            peer,
            in_flight: None,
            route: None,
            readable: true,
            read_closed: false,
            writable: true,
            read_at: 0,
            written_at: 0,
            on_ready_list: false,
            on_large_list: false,
            on_flush_list: false,
            waits_for_commit: false,
            body_in_app: 0,
            is_paused: false,
            paused_since: None,
            place: None,
            scheduled: None,
            usage: Usage::default(),
            answer_memory: AnswerMemory::default(),
            closing: false,
            stream: None,
            read: None,
        }
    }

    /// Its ticket, under which an answer or a deadline comes back: the slab key in the lower half, the generation in
    /// the upper.
    pub(super) fn ticket(&self, key: usize) -> Ticket {
        u64::from(self.generation) << 32 | key as u64
    }

    /// Reads once from the socket into the connection.
    pub(super) fn read(&mut self, buffer: &mut [u8], now: Now) -> ReadOutcome {
        self.read_at = now.mono_ms;
        let read = read_once(
            &mut self.socket,
            buffer,
            &mut self.readable,
            self.read_closed,
        );
        match read {
            Ok(0) => self.conn.receive_end(),
            Ok(n) => {
                self.conn.receive(&buffer[..n], now);
                self.leave_wait();
            }
            Err(outcome) => return outcome,
        }
        ReadOutcome::Progress
    }

    /// Writes what waits, as far as the socket takes it. An error means that the socket is broken.
    pub(super) fn write(&mut self, now: Now) -> io::Result<()> {
        while self.writable && !self.conn.output().is_empty() {
            self.written_at = now.mono_ms;
            match self.socket.write(self.conn.output()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.conn.sent(n, now),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) => return Err(e),
            }
        }
        if self.conn.wants_shutdown() {
            self.socket.shutdown_write()?;
            self.conn.shutdown_done(now);
        }
        Ok(())
    }

    /// Its request has a head now. Only the first call for a request counts.
    pub(super) fn begin_request(&mut self, log: &RequestLog) {
        if self.in_flight.is_none() {
            let request = self.conn.request();
            self.route = Route::of(request.path());
            self.in_flight = Some(log.begin(&request, Endpoint::of(self.route.as_ref())));
        }
    }

    /// Answers its request, and reports that to the log.
    pub(super) fn respond(&mut self, response: &Response, log: &mut RequestLog, now: Now) {
        self.was_answered(response.status, Some(response.body.len()), log);
        self.conn.respond(response, now);
    }

    /// Bytes of answers that it holds.
    pub(super) fn to_send(&self) -> usize {
        let page = self.read.as_ref().and_then(|read| read.page.as_ref());
        self.conn.to_send() + page.map_or(0, Reading::held_bytes)
    }

    /// Reports to the log that its request, or what should have become one, has been answered. `length` is that of the
    /// body, if it is known.
    pub(super) fn was_answered(
        &mut self,
        status: u16,
        length: Option<usize>,
        log: &mut RequestLog,
    ) {
        log.answered(self.in_flight.take(), self.peer, status, length);
        self.leave_wait();
    }

    /// It makes progress, woken or not: memory became free within this turn.
    fn leave_wait(&mut self) {
        self.is_paused = false;
        self.paused_since = None;
        self.place = None;
    }

    /// The application has taken its request, and `body_in_app` bytes of body.
    pub(super) fn wait_for_commit(&mut self, body_in_app: usize) {
        self.waits_for_commit = true;
        self.body_in_app = body_in_app;
    }

    /// The application is done with its request.
    pub(super) fn has_committed(&mut self) {
        self.waits_for_commit = false;
        self.body_in_app = 0;
    }

    /// It has to wait for memory, at this place.
    pub(super) fn pause(&mut self, place: Place, now: Now) {
        self.paused_since.get_or_insert(now.mono_ms);
        self.place = Some(place);
        self.is_paused = true;
    }

    /// Whether it has waited for memory for `pause_ms`.
    pub(super) fn is_paused_for(&self, pause_ms: u64, now: Now) -> bool {
        self.is_paused
            && self
                .paused_since
                .is_some_and(|since| since + pause_ms <= now.mono_ms)
    }

    /// When its peer must have sent or taken something. While it waits for memory it is not read, so what it sends is
    /// not known.
    pub(super) fn peer_deadline(&self) -> Option<u64> {
        if self.is_paused {
            self.conn.send_deadline()
        } else {
            self.conn.deadline()
        }
    }

    /// Whether the socket has been tried, at that time or later, for all that the connection waits for.
    pub(super) fn was_tried_since(&self, at: u64) -> bool {
        let reads = self.conn.wants_read() && !self.is_paused;
        let writes = !self.conn.output().is_empty();
        (!reads || self.read_at >= at) && (!writes || self.written_at >= at)
    }

    /// When it has to be served again at the latest, in `mono_ms`.
    pub(super) fn deadline(&self, pause_ms: u64) -> Option<u64> {
        let mut at = self.peer_deadline();
        if let (true, Some(since)) = (self.is_paused, self.paused_since) {
            at = earlier(at, Some(since + pause_ms));
        }
        if let Some(stream) = &self.stream {
            at = earlier(at, Some(stream.due_at()));
        }
        if let Some(read) = &self.read {
            at = earlier(at, Some(read.since + READ_WAIT_MAX_MS));
        }
        at
    }
}

/// The slab key in a ticket.
pub(super) fn key_of(ticket: Ticket) -> usize {
    (ticket & u64::from(u32::MAX)) as usize
}

/// Reads once from a socket, and notes whether it may have more. No bytes mean the end.
#[inline]
pub(super) fn read_once<S: Socket>(
    socket: &mut S,
    buffer: &mut [u8],
    readable: &mut bool,
    read_closed: bool,
) -> Result<usize, ReadOutcome> {
    loop {
        match socket.read(buffer) {
            Ok(n) => {
                // A short read has emptied the socket (epoll(7), question 9), so the next read can wait for the next
                // readiness, unless the end is known to come after it.
                *readable = n > 0 && (n == buffer.len() || read_closed);
                return Ok(n);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                *readable = false;
                return Err(ReadOutcome::Drained);
            }
            Err(_) => return Err(ReadOutcome::Broken),
        }
    }
}
