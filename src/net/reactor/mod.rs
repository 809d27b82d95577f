//! The loop: owns the clients and the application, and decides in which order they get their turns. It knows the
//! operating system only as a [`Platform`], so that it can run in a simulation too; it blocks only in the poll, and
//! never looks into what it carries.
//!
//! A turn is a fixed order of phases, each in its place for a reason:
//!
//! 1. *poll* sleeps until something is ready or due. The clocks are read once, after it.
//! 2. *accept* comes before serving, so that a new connection's first request, which has often
//!    arrived with it, shares the turn's commit.
//! 3. *serve* reads every ready client and hands its requests to the application. Readiness is
//!    edge-triggered: a client that is left before its socket is empty goes on the ready list, because epoll will not
//!    report it again.
//! 4. *gather* looks once more, without waiting, for requests that came while others were served: the
//!    more publications share a commit, the smaller is each one's share of its fsync.
//! 5. *decode* takes content codings off for a part of the turn. What is decoded shares its commit.
//! 6. *drain* commits, once for all publications that this turn brought in.
//! 7. *deliver* hands the outcomes to their connections. It must come after *drain*: no answer
//!    exists before its events are on disk.
//! 8. *flush* is the one place that writes to sockets.
//! 9. *feed* gives subscribers, and pages that take long, their next slices. It comes after *flush*, so that no
//!    publisher waits for its answer longer because many want to read.
//! 10. *expire* looks at deadlines, after *serve*, so that bytes which came in time count. No client is given
//!     up before its socket has been tried once more.
//! 11. *close* is the one place that closes, last, so that no phase before it finds a key that is gone.
//! 12. *idle* work and the log come when no answer of this turn is left to send.

mod accept;
mod budget;
#[cfg(feature = "fleet")]
mod engine;
mod expiry;
mod inputs;
mod invariants;
mod large;
mod lifecycle;
mod memory;
mod publishing;
mod reads;
mod requests;
mod schedule;
mod shutdown;
mod subscribers;
mod tokens;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slab::Slab;

use super::connection::{key_of, Connection, ReadOutcome};
use super::deadlines::Deadlines;
#[cfg(feature = "fleet")]
use super::engine_sockets::EngineSockets;
use super::inputs::Inputs;
use super::memory::{SharedMemory, Usage};
use super::platform::{Platform, PollEvent, Readiness, Sleep};
use super::read_queue::ReadQueue;
use super::request_log::RequestLog;
use super::stream_queue::StreamQueue;
use crate::app::service::Service;
use crate::app::{App, Completion, Ticket};
use crate::clock::Now;
use crate::limits;
use crate::tokens::Tokens;
use lifecycle::Lifecycle;
use publishing::Publishing;

/// What the loop needs to know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub max_connections: usize,
    pub max_body_bytes: usize,
    pub max_buffered_bytes: usize,
}

/// The event loop.
pub struct Reactor<P: Platform, S: Service = App> {
    platform: P,
    clients: Slab<Connection<P::Socket>>,
    app: S,
    /// Read again at SIGHUP.
    tokens_file: Option<PathBuf>,
    options: Options,
    now: Now,
    lifecycle: Lifecycle,
    generation: u32,
    /// Clients to be served again without waiting for readiness.
    ready: Vec<usize>,
    /// Clients that have something to write, or something to be closed.
    flush: Vec<usize>,
    /// Clients that are read one after the other.
    large_requests: VecDeque<usize>,
    closing: Vec<usize>,
    /// Sockets that do not speak HTTP.
    inputs: Inputs<P::Socket>,
    #[cfg(feature = "fleet")]
    engine: EngineSockets<P::Socket>,
    memory: SharedMemory,
    deadlines: Deadlines,
    more_idle_work: bool,
    read_buffer: Box<[u8]>,
    poll_events: Vec<PollEvent>,
    committed: Vec<Completion>,
    /// Requests of which the application wants the next piece, with what it holds of them.
    hungry: Vec<(Ticket, usize)>,
    streams: StreamQueue,
    reads: ReadQueue,
    /// Clients with an answer that goes on, whose tokens have still to be looked at after SIGHUP.
    unchecked: Vec<Ticket>,
    /// The memory of the slice being sent, lent to its connection until all of it has been sent.
    spare_output: Vec<u8>,
    /// When the poll of this turn ended, and how long it waited.
    turn_began: Instant,
    waited: Duration,
    /// When the idle work of the last turn ended.
    turn_ended: Instant,
    publishing: Publishing,
    request_log: RequestLog,
}

impl<P: Platform, S: Service> Reactor<P, S> {
    /// A loop that has not begun to turn. `app` must have been made with the same clock's zero, which is
    /// `started`.
    pub fn new(platform: P, app: S, options: Options, started: Instant) -> Self {
        Self {
            platform,
            clients: Slab::new(),
            app,
            tokens_file: None,
            options,
            now: Now::default(),
            lifecycle: Lifecycle::Serving,
            generation: 0,
            ready: Vec::new(),
            flush: Vec::new(),
            large_requests: VecDeque::new(),
            closing: Vec::new(),
            inputs: Inputs::new(options.max_buffered_bytes / limits::INPUT_MEMORY_SHARE),
            #[cfg(feature = "fleet")]
            engine: EngineSockets::default(),
            memory: SharedMemory::new(options.max_buffered_bytes),
            deadlines: Deadlines::default(),
            // What the last run has left over.
            more_idle_work: true,
            read_buffer: vec![0; limits::READ_BUFFER_BYTES].into_boxed_slice(),
            poll_events: Vec::new(),
            committed: Vec::new(),
            hungry: Vec::new(),
            streams: StreamQueue::default(),
            reads: ReadQueue::default(),
            unchecked: Vec::new(),
            spare_output: Vec::new(),
            turn_began: started,
            waited: Duration::ZERO,
            turn_ended: started,
            publishing: Publishing::default(),
            request_log: RequestLog::new(started),
        }
    }

    /// From now on requests need one of these tokens, or of those that SIGHUP finds in their file.
    pub fn set_tokens_file(&mut self, path: PathBuf, tokens: Tokens) {
        self.tokens_file = Some(path);
        self.app.set_tokens(tokens);
    }

    /// From now on these are the only names that `Host` may have; see [`App::set_allowed_hosts`].
    pub fn set_allowed_hosts(&mut self, names: Option<Vec<String>>) {
        self.app.set_allowed_hosts(names);
    }

    /// Turns until a signal ends it; then gives the application back.
    pub fn run(mut self) -> io::Result<S> {
        self.platform.ready();
        while !self.turn()? {}
        Ok(self.into_app())
    }

    /// Ends all connections at once and returns the application.
    pub fn into_app(self) -> S {
        self.app
    }

    /// Goes through all phases once; returns whether a signal has ended the loop and all is done.
    pub fn turn(&mut self) -> io::Result<bool> {
        self.poll(self.sleep())?;
        self.turn_began = self.platform.instant();
        self.waited = self.turn_began.duration_since(self.turn_ended);
        self.app.begin_turn(self.reads.has_new());
        self.app.set_searches(self.reads.working);
        self.check_tokens();
        self.begin_turn_of_inputs();
        self.accept();
        self.serve_ready();
        self.serve_large();
        self.gather()?;
        self.decode();
        self.publishing.in_turn |= self.app.has_waiting() || self.app.is_decoding();
        #[cfg(feature = "fleet")]
        self.receive_from_engine();
        self.app.drain(self.now);
        #[cfg(feature = "fleet")]
        self.send_to_engine();
        self.ask_for_pieces();
        self.deliver();
        self.flush_all();
        self.feed();
        self.expire();
        self.close_all();
        self.idle();
        Ok(self.is_finished() || self.app.has_given_up())
    }

    /// Serves the clients that have become ready meanwhile, as long as publications wait and more keep coming.
    fn gather(&mut self) -> io::Result<()> {
        for _ in 0..limits::GATHER_ROUNDS {
            if !self.app.has_waiting() || !self.poll(Sleep::Not)? {
                break;
            }
            self.serve_ready();
        }
        Ok(())
    }

    /// Returns whether it has found something.
    fn poll(&mut self, sleep: Sleep) -> io::Result<bool> {
        let mut all = std::mem::take(&mut self.poll_events);
        let (instant, now) = self.platform.poll(sleep, &mut all)?;
        self.now = now;
        self.request_log.set_now(instant);
        let has_found = !all.is_empty();
        for event in all.drain(..) {
            match event {
                #[cfg(feature = "fleet")]
                PollEvent::Client(key, readiness) if self.engine.takes(key, readiness) => {}
                PollEvent::Client(key, readiness) => match Inputs::<P::Socket>::key(key) {
                    None => self.take_readiness(key, readiness),
                    Some(key) => self.inputs.take_readiness(key, readiness),
                },
                PollEvent::Connection => {}
                PollEvent::Reload => self.reload_tokens(),
                PollEvent::Stop(signal) => self.stop(signal),
            }
        }
        self.poll_events = all;
        Ok(has_found)
    }

    fn take_readiness(&mut self, key: usize, readiness: Readiness) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.readable |= readiness.readable;
        client.read_closed |= readiness.read_closed;
        let streams = client.stream.is_some();
        if readiness.writable && !client.writable {
            client.writable = true;
            self.want_flush(key);
        }
        if readiness.readable {
            self.want_service(key);
        }
        // It may not be read now, so nothing else would notice.
        if self.has_left(key, readiness) {
            self.want_close(key);
        } else if streams && readiness.read_closed {
            self.peer_has_finished(key);
        }
    }

    /// How long the poll may sleep.
    fn sleep(&self) -> Sleep {
        let queued =
            !self.ready.is_empty() || !self.flush.is_empty() || !self.large_requests.is_empty();
        let has_work = self.more_idle_work
            || self.app.is_decoding()
            || self.app.has_unfinished(self.now)
            || !self.unchecked.is_empty()
            || self.inputs.is_any_queued(self.app.takes_records());
        #[cfg(feature = "fleet")]
        let has_work = has_work || self.engine.is_ready();
        if queued || self.streams.is_any_queued() || self.reads.is_any_queued() || has_work {
            return Sleep::Not;
        }
        let drain_ends = match self.lifecycle {
            Lifecycle::Serving => None,
            Lifecycle::Draining(until) => Some(until),
        };
        let accept = self.platform.accept_deadline();
        let next = [
            self.deadlines.next(),
            self.app.deadline(self.now),
            self.streams.deadline(),
            self.inputs.next_deadline().map(|(at, _)| at),
            self.inputs.dropped.asked_at,
            #[cfg(feature = "fleet")]
            self.engine.deadline(self.now),
            accept.filter(|_| self.has_room()),
            drain_ends,
        ];
        match next.into_iter().flatten().min() {
            Some(at) => Sleep::Until(at),
            None => Sleep::Forever,
        }
    }

    fn serve_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        for key in &ready {
            let Some(client) = self.clients.get_mut(*key) else {
                continue;
            };
            client.on_ready_list = false;
            if !client.closing {
                self.serve(*key, None);
            }
        }
        // Clients that have to be served again are on the new list; the old one keeps its memory.
        if self.ready.is_empty() {
            self.ready = ready;
            self.ready.clear();
        }
        self.serve_inputs();
        if self.lifecycle != Lifecycle::Serving {
            // After the first serving of the turn that brought the signal: what had been received by then
            // is still accepted.
            self.app.begin_draining();
            for (_, client) in self
                .clients
                .iter_mut()
                .filter(|(_, client)| client.conn.is_busy())
            {
                client.conn.begin_close();
            }
            self.end_inputs();
        }
    }

    /// Reads a client within its budget and handles the requests that this completes. One whose request is
    /// large is read further only in its turn, which gives it that many reads.
    fn serve(&mut self, key: usize, its_turn: Option<usize>) {
        let reads = its_turn.unwrap_or(limits::READS_PER_TURN);
        let mut budget = reads;
        loop {
            self.handle_requests(key);
            let client = &mut self.clients[key];
            if client.closing || !client.readable || !client.conn.wants_read() {
                break;
            }
            let (ticket, received) = (client.ticket(key), client.usage.received);
            if received >= limits::LARGE_REQUEST_BYTES && (budget == 0 || its_turn.is_none()) {
                self.queue_large(key);
                break;
            }
            if budget == 0 {
                self.want_service(key);
                break;
            }
            let mut room = self.read_buffer.len();
            // What is thrown away needs no memory, and reading it saves a refusal from a reset.
            if !client.conn.is_discarding() {
                room = self
                    .memory
                    .may_receive(ticket, client.place, received, room);
            }
            if room == 0 {
                self.pause(key);
                break;
            }
            budget -= 1;
            match client.read(&mut self.read_buffer[..room], self.now) {
                ReadOutcome::Progress => self.account(key),
                ReadOutcome::Drained => break,
                ReadOutcome::Broken => {
                    self.want_close(key);
                    break;
                }
            }
        }
        self.publishing.in_turn |= budget < reads && self.clients[key].conn.is_receiving();
        self.hand_over_piece(key);
        self.after_change(key);
    }

    fn deliver(&mut self) {
        self.deliver_inputs();
        let mut committed = std::mem::take(&mut self.committed);
        self.app.take_completions(&mut committed);
        for done in committed.drain(..) {
            let key = key_of(done.ticket);
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if client.ticket(key) != done.ticket || client.closing {
                continue;
            }
            client.has_committed();
            let place = SharedMemory::place_of(done.response.held_bytes());
            client.answer_memory = client.answer_memory.max(place);
            client.respond(&done.response, &mut self.request_log, self.now);
            client.conn.recycle(done.buffer);
            // The next request may have been read ahead, or wait in the socket.
            if client.conn.has_unread() || client.readable {
                self.want_service(key);
            }
            self.after_change(key);
        }
        self.committed = committed;
        #[cfg(feature = "fleet")]
        self.begin_streams();
    }

    fn flush_all(&mut self) {
        let mut at = 0;
        while let Some(key) = self.flush.get(at).copied() {
            at += 1;
            self.flush_client(key);
        }
        self.flush.clear();
        self.flush_inputs();
    }

    /// Writes what waits for a client. The one place that writes.
    fn flush_client(&mut self, key: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.on_flush_list = false;
        if client.closing {
            return;
        }
        let was_full = client.conn.unsent() > limits::OUTPUT_WAIT_MAX_BYTES;
        if client.write(self.now).is_err() {
            return self.want_close(key);
        }
        client.conn.give_back(&mut self.spare_output);
        // One event may have been large; its memory is not kept.
        self.spare_output.shrink_to(limits::STREAM_BUFFER_BYTES);
        let waiting = client.conn.unsent();
        // Where memory is short, the next request waits until all answers have left.
        let has_more = client.conn.has_unread() || client.conn.has_unreported_request();
        let goes_on = waiting == 0 && has_more && client.stream.is_none();
        if goes_on || (was_full && waiting <= limits::OUTPUT_WAIT_MAX_BYTES) {
            let ticket = client.ticket(key);
            match &mut client.stream {
                Some(stream) => self.streams.queue(ticket, stream),
                None => self.want_service(key),
            }
        }
        self.account(key);
        self.after_write(key);
    }

    fn close_all(&mut self) {
        while let Some(key) = self.closing.pop() {
            let Some(client) = self.clients.try_remove(key) else {
                continue;
            };
            self.memory.account(client.usage, Usage::default());
            self.memory.done_receiving(client.ticket(key));
            self.app.cancel_upload(client.ticket(key));
            if client.waits_for_commit {
                self.app.cancel_decode(client.ticket(key));
            }
            self.app.set_connections(self.connections());
            if let Some(stream) = &client.stream {
                self.count_stream(stream, -1);
            }
            self.end_read(client.read);
        }
        self.wake_paused();
        self.close_inputs();
    }

    fn idle(&mut self) {
        let begun = self.platform.instant();
        self.report_answered(begun);
        let took = begun.duration_since(self.turn_began);
        self.app.turn_took(took, self.waited);
        self.more_idle_work = self.app.idle_work(self.now);
        if let Some(app) = self.app.node() {
            self.platform.offload_checkpoint(app, self.now);
        }
        self.turn_ended = self.platform.instant();
        let held = self.turn_ended.duration_since(begun);
        if held >= Duration::from_millis(limits::IDLE_WORK_LOGGED_MS) {
            log::debug!("idle work held the loop for {} us", held.as_micros());
        }
        self.publishing.end_turn(begun);
        self.platform.end_turn(self.now);
    }

    /// Reports the requests that have been answered up to this time.
    fn report_answered(&mut self, now: Instant) {
        let dropped = self.platform.log_lines_dropped();
        self.request_log.report(now, dropped, self.app.metrics());
    }
}
