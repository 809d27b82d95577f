//! The loop: owns the poll, the clients and the application, and is the only clock.
//!
//! A turn is a fixed order of phases, and each stands where it stands for a reason:
//!
//! 1. *poll* sleeps until something is ready or due. The clocks are read once, behind it.
//! 2. *accept* comes before serving, so that a new connection's first request, which has often
//!    arrived with it, shares the turn's commit.
//! 3. *serve* reads every ready client and hands its requests to the application. Readiness is
//!    edge-triggered: who stops before the socket is drained goes on the ready list.
//! 4. *gather* looks once more, without waiting, for requests that came while others were served: the
//!    more publications share a commit, the smaller is each one's share of its fsync.
//! 5. *drain* commits, once for all publications that this turn brought in.
//! 6. *deliver* hands the outcomes to their connections. It must come behind *drain*: no answer
//!    exists before its events are on disk.
//! 7. *flush* is the one place that writes to sockets.
//! 8. *expire* looks at deadlines, behind *serve*, so that bytes which came in time count.
//! 9. *close* is the one place that closes, last, so that no phase before it meets a dead key.
//! 10. *idle* work and the log come when nobody waits for an answer any more.

mod signals;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::Log;
use mio::{Events, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use slab::Slab;

use super::acceptor::Acceptor;
use super::client::{key_of, Client, ReadOutcome};
use super::clocks::{now_at, read_clocks};
use super::deadlines::Deadlines;
use super::journal::Journal;
use super::listener::{Listener, Stream};
use super::memory::SharedMemory;
use super::supervisor::Supervisor;
use crate::app::{Answer, App, Committed};
use crate::clock::Now;
use crate::http::{Conn, Response, Step};
use crate::limits;
use crate::logging::Logger;
use crate::tokens::Tokens;

const SIGNALS: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const FIRST_CLIENT: usize = FIRST_LISTENER + limits::LISTENERS_MAX;

/// What the loop needs to know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub max_connections: usize,
    pub max_body_bytes: usize,
    pub max_buffered_bytes: usize,
    /// A line in the log for each request that is answered.
    pub access_log: bool,
}

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Serving,
    /// Answers what has been received, until this time at the latest.
    Draining(u64),
}

/// The event loop.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    acceptor: Acceptor,
    clients: Slab<Client>,
    app: App,
    /// Read again at SIGHUP.
    tokens_file: Option<PathBuf>,
    logger: &'static Logger,
    options: Options,
    started: Instant,
    now: Now,
    life: Life,
    generation: u32,
    /// Clients to be served again without waiting for readiness.
    ready: Vec<usize>,
    /// Clients that have something to write, or something to be closed.
    flush: Vec<usize>,
    closing: Vec<usize>,
    memory: SharedMemory,
    deadlines: Deadlines,
    more_idle_work: bool,
    read_buffer: Box<[u8]>,
    committed: Vec<Committed>,
    journal: Journal,
    supervisor: Supervisor,
}

impl Reactor {
    /// A loop that has not begun to turn. `app` must have been made with the same clock's zero, and
    /// `signals` must bring SIGHUP; those that end the program are taken over only here, so that they end
    /// one that does not get so far.
    pub fn new(
        listeners: Vec<Listener>,
        app: App,
        options: Options,
        started: Instant,
        logger: &'static Logger,
        mut signals: Signals,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        signals.add_signal(SIGTERM)?;
        signals.add_signal(SIGINT)?;
        let registry = poll.registry();
        registry.register(&mut signals, SIGNALS, mio::Interest::READABLE)?;
        assert!(
            listeners.len() <= limits::LISTENERS_MAX,
            "the configuration bounds the listeners"
        );
        let acceptor = Acceptor::new(listeners, registry, FIRST_LISTENER)?;
        Ok(Self {
            poll,
            signals,
            acceptor,
            clients: Slab::new(),
            app,
            tokens_file: None,
            logger,
            options,
            started,
            now: Now::default(),
            life: Life::Serving,
            generation: 0,
            ready: Vec::new(),
            flush: Vec::new(),
            closing: Vec::new(),
            memory: SharedMemory::new(options.max_buffered_bytes),
            deadlines: Deadlines::default(),
            more_idle_work: false,
            read_buffer: vec![0; limits::READ_BUFFER_BYTES].into_boxed_slice(),
            committed: Vec::new(),
            journal: Journal::new(options.access_log, started),
            supervisor: Supervisor::from_environment(),
        })
    }

    /// From now on only these tokens let a request in, or those that SIGHUP finds in their file.
    pub fn set_tokens_file(&mut self, path: PathBuf, tokens: Tokens) {
        self.tokens_file = Some(path);
        self.app.set_tokens(tokens);
    }

    /// Turns until a signal ends it; then gives the application back.
    pub fn run(mut self) -> io::Result<App> {
        let mut events = Events::with_capacity(limits::EVENTS_PER_POLL);
        self.supervisor.ready();
        loop {
            let timeout = self.timeout();
            self.poll(&mut events, timeout)?;
            self.accept();
            self.serve_ready();
            self.gather(&mut events)?;
            self.app.drain(self.now);
            self.deliver();
            self.flush_all();
            self.expire();
            self.close_all();
            self.idle();
            if self.is_finished() {
                return Ok(self.app);
            }
        }
    }

    /// Serves whoever has become ready meanwhile, as long as publications wait and more keep coming.
    fn gather(&mut self, events: &mut Events) -> io::Result<()> {
        for _ in 0..limits::GATHER_ROUNDS {
            if !self.app.has_waiting() {
                break;
            }
            self.poll(events, Some(Duration::ZERO))?;
            if events.is_empty() {
                break;
            }
            self.serve_ready();
        }
        Ok(())
    }

    fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, timeout) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(e) => return Err(e),
        }
        let now = Instant::now();
        self.now = now_at(self.started, now);
        self.journal.set_now(now);
        self.logger.set_now(self.now.unix_us);
        for event in events.iter() {
            match event.token() {
                SIGNALS => self.take_signals(),
                Token(n) if n < FIRST_CLIENT => self.acceptor.set_ready(n - FIRST_LISTENER),
                Token(n) => {
                    let key = n - FIRST_CLIENT;
                    let Some(client) = self.clients.get_mut(key) else {
                        continue;
                    };
                    client.readable |= event.is_readable();
                    client.read_closed |= event.is_read_closed();
                    if event.is_writable() && !client.writable {
                        client.writable = true;
                        self.want_flush(key);
                    }
                    if event.is_readable() {
                        self.want_service(key);
                    }
                }
            }
        }
        Ok(())
    }

    /// How long the poll may sleep.
    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() || !self.flush.is_empty() || self.more_idle_work {
            return Some(Duration::ZERO);
        }
        let drain_ends = match self.life {
            Life::Serving => None,
            Life::Draining(until) => Some(until),
        };
        let log = self
            .logger
            .pending()
            .then_some(self.now.mono_ms + limits::LOG_RETRY_MS);
        let accept = self.acceptor.deadline().filter(|_| self.has_room());
        let next = [
            self.deadlines.next(),
            self.app.deadline(),
            accept,
            drain_ends,
            log,
            self.supervisor.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()?;
        // The poll's clock counts whole milliseconds, so one more makes sure that the time has come.
        let wait = (next + 1).saturating_sub(read_clocks(self.started).mono_ms);
        Some(Duration::from_millis(wait))
    }

    fn accept(&mut self) {
        self.acceptor.begin_turn();
        while self.has_room() {
            let Some(stream) = self.acceptor.accept(self.now) else {
                break;
            };
            self.admit(stream);
        }
        if self.life != Life::Serving {
            // Those who had connected before the signal have been let in; from now on nobody is.
            self.acceptor.close();
        }
    }

    fn has_room(&self) -> bool {
        self.clients.len() < self.options.max_connections
    }

    fn admit(&mut self, mut stream: Stream) {
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        if let Err(e) = stream.register(self.poll.registry(), Token(FIRST_CLIENT + key)) {
            log::warn!("a connection cannot be watched: {e}");
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        let conn = Conn::new(self.options.max_body_bytes, self.now);
        let peer = self.journal.peer(&stream);
        entry.insert(Client::new(stream, conn, self.generation, peer));
        self.want_service(key);
        self.app.set_connections(self.clients.len());
    }

    fn serve_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        for key in &ready {
            let Some(client) = self.clients.get_mut(*key) else {
                continue;
            };
            client.on_ready_list = false;
            if !client.closing {
                self.serve(*key);
            }
        }
        // Whoever has to be served again has been put on the new list; the old one keeps its memory.
        if self.ready.is_empty() {
            self.ready = ready;
            self.ready.clear();
        }
        if self.life != Life::Serving {
            // Behind the first serving of the turn that brought the signal: what had been received
            // by then is still taken in.
            self.app.begin_draining();
            for (_, client) in self
                .clients
                .iter_mut()
                .filter(|(_, client)| client.conn.is_busy())
            {
                client.conn.begin_close();
            }
        }
    }

    /// Reads a client within its budget and handles the requests that this completes.
    fn serve(&mut self, key: usize) {
        let mut budget = limits::READS_PER_TURN;
        loop {
            self.handle_requests(key);
            let client = &mut self.clients[key];
            if client.closing || !client.readable || !client.conn.wants_read() {
                break;
            }
            if budget == 0 {
                self.want_service(key);
                break;
            }
            // What is thrown away needs no memory, and reading it saves a refusal from a reset.
            if !client.conn.is_discarding()
                && !self
                    .memory
                    .may_receive(client.ticket(key), client.accounted)
            {
                self.pause(key);
                break;
            }
            budget -= 1;
            match client.read(&mut self.read_buffer, self.now) {
                ReadOutcome::Progress => self.account(key),
                ReadOutcome::Drained => break,
                ReadOutcome::Broken => {
                    self.want_close(key);
                    break;
                }
            }
        }
        self.after_change(key);
    }

    /// Hands every complete request of a client to the application, until one has to wait.
    fn handle_requests(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let ticket = client.ticket(key);
        let now = self.now;
        loop {
            if client.waits_for_commit || client.conn.output().len() > limits::OUTPUT_WAIT_MAX_BYTES
            {
                break;
            }
            match client.conn.next(now) {
                Step::Idle => break,
                Step::Head => {
                    self.journal.begin(client);
                    match self.app.screen(&client.conn.request()) {
                        None => client.conn.admit(now),
                        Some(response) => self.journal.respond(client, &response, now),
                    }
                }
                Step::Request => {
                    self.journal.begin(client);
                    let body = client.conn.take_body();
                    match self.app.handle(ticket, &client.conn.request(), body, now) {
                        Answer::Now(response) => self.journal.respond(client, &response, now),
                        Answer::AfterCommit => client.waits_for_commit = true,
                    }
                }
                Step::Refused(status) => self.journal.refused(client, status),
            }
        }
        if self.journal.is_full() {
            self.journal
                .settle(Instant::now(), self.logger, self.app.metrics());
        }
    }

    fn deliver(&mut self) {
        let mut committed = std::mem::take(&mut self.committed);
        self.app.take_committed(&mut committed);
        for done in committed.drain(..) {
            let key = key_of(done.ticket);
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if client.ticket(key) != done.ticket || client.closing {
                continue;
            }
            client.waits_for_commit = false;
            self.journal.respond(client, &done.response, self.now);
            client.conn.recycle(done.buffer);
            // The next request may have been read ahead, or wait in the socket.
            if client.conn.has_unread() || client.readable {
                self.want_service(key);
            }
            self.after_change(key);
        }
        self.committed = committed;
    }

    fn flush_all(&mut self) {
        let mut at = 0;
        while let Some(key) = self.flush.get(at).copied() {
            at += 1;
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            client.on_flush_list = false;
            if client.closing {
                continue;
            }
            let was_full = client.conn.output().len() > limits::OUTPUT_WAIT_MAX_BYTES;
            if client.write(self.now).is_err() {
                self.want_close(key);
                continue;
            }
            if was_full && client.conn.output().len() <= limits::OUTPUT_WAIT_MAX_BYTES {
                self.want_service(key);
            }
            self.account(key);
            self.settle(key);
        }
        self.flush.clear();
    }

    fn expire(&mut self) {
        while let Some(due) = self.deadlines.pop_due(self.now.mono_ms) {
            let key = key_of(due);
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if client.ticket(key) != due || client.closing {
                continue;
            }
            client.scheduled = None;
            if client.is_paused_for(limits::PAUSE_MAX_MS, self.now) {
                let sentence =
                    "The server holds as many bytes of requests as it may; send the request again.";
                let refusal = Response::error(503, sentence).header("Retry-After", "1");
                client.is_paused = false;
                self.journal.answered(client, 503, Some(refusal.body.len()));
                client.conn.refuse(&refusal, self.now);
                self.want_service(key);
            } else if client
                .conn
                .deadline()
                .is_some_and(|at| at <= self.now.mono_ms)
            {
                client.conn.expire(self.now);
                self.want_service(key);
            }
            self.after_change(key);
        }
        self.app.tick(self.now);
    }

    fn close_all(&mut self) {
        while let Some(key) = self.closing.pop() {
            let Some(client) = self.clients.try_remove(key) else {
                continue;
            };
            self.memory.account(client.accounted, 0);
            self.memory.done_receiving(client.ticket(key));
            self.app.set_connections(self.clients.len());
        }
        self.wake_paused();
    }

    /// Serves those again that waited for memory, behind all phases that give some back.
    fn wake_paused(&mut self) {
        self.memory.wake(|key| {
            let waiting = self.clients.get_mut(key);
            let Some(client) = waiting.filter(|client| client.is_paused) else {
                return false;
            };
            client.is_paused = false;
            if !client.on_ready_list {
                client.on_ready_list = true;
                self.ready.push(key);
            }
            true
        });
    }

    fn idle(&mut self) {
        let begun = Instant::now();
        self.journal.settle(begun, self.logger, self.app.metrics());
        self.more_idle_work = self.app.idle_work(self.now);
        let held = begun.elapsed();
        if held >= Duration::from_millis(limits::SLICE_TOLD_MS) {
            log::debug!("idle work held the loop for {} us", held.as_micros());
        }
        self.supervisor.turned(self.now);
        self.logger.flush();
    }

    /// Whether everything that was received has been answered after a signal.
    fn is_finished(&self) -> bool {
        let Life::Draining(until) = self.life else {
            return false;
        };
        let busy = |client: &Client| client.waits_for_commit || client.conn.is_busy();
        if self.now.mono_ms >= until {
            log::warn!(
                "{} connections were not done in time",
                self.clients.iter().filter(|(_, c)| busy(c)).count()
            );
            return true;
        }
        !self.app.has_waiting()
            && self.ready.is_empty()
            && !self.clients.iter().any(|(_, client)| busy(client))
    }

    /// What every change of a client's connection is followed by.
    fn after_change(&mut self, key: usize) {
        self.account(key);
        let client = &self.clients[key];
        if !client.conn.output().is_empty() || client.conn.wants_shutdown() || client.conn.is_done()
        {
            self.want_flush(key);
        }
        self.schedule(key);
    }

    /// Behind a write: is it done, and when is it to be looked at again?
    fn settle(&mut self, key: usize) {
        if self.clients[key].conn.is_done() {
            self.want_close(key);
        } else {
            self.schedule(key);
        }
    }

    fn schedule(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let Some(at) = client.deadline(limits::PAUSE_MAX_MS) else {
            return;
        };
        if client.scheduled.is_none_or(|scheduled| at < scheduled) {
            client.scheduled = Some(at);
            self.deadlines.push(at, client.ticket(key));
        }
    }

    fn account(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let held = client.conn.buffered();
        self.memory.account(client.accounted, held);
        client.accounted = held;
        if !client.conn.is_receiving() {
            let ticket = client.ticket(key);
            self.memory.done_receiving(ticket);
        }
    }

    fn pause(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.is_paused {
            client.is_paused = true;
            client.paused_since.get_or_insert(self.now.mono_ms);
            self.memory.wait(key, client.accounted);
        }
    }

    fn want_service(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.on_ready_list {
            client.on_ready_list = true;
            self.ready.push(key);
        }
    }

    fn want_flush(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.on_flush_list {
            client.on_flush_list = true;
            self.flush.push(key);
        }
    }

    fn want_close(&mut self, key: usize) {
        let client = &mut self.clients[key];
        if !client.closing {
            client.closing = true;
            self.closing.push(key);
        }
    }
}
