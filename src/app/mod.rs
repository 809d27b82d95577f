//! The application: owns the ring, the store and the statistics. A request comes in as a value and
//! its answer goes out as one; there are no sockets here and no SQL.
//!
//! The answer to a publication does not exist before [`App::drain`] has committed its events: until
//! then the request is only a slot of the ring. No other code answers 200 to a publication that
//! brought events.

mod decode;
mod idle;
mod invariants;
mod reading;
mod repair;
mod statistics;
mod subscribers;
mod subscriptions;

use std::time::Instant;

use decode::{DecodeQueue, Encoded};
use reading::{unreadable, ReadBudget};
pub use subscribers::{Fed, Source, Stream};

use crate::api::page::PageRequest;
use crate::api::route::{self, AnswerSize, Route};
use crate::api::{access, dashboard, pages, publish, read, watch};
use crate::clock::{Now, Stamp, SteadyClock};
use crate::event::{EventSpans, Span};
use crate::http::encoding::Coding;
use crate::http::{Request, Response};
use crate::hub::Recent;
use crate::limits;
use crate::logging;
use crate::metrics::Metrics;
use crate::ring::{Full, Ring, Slot};
use crate::store::{Outcome, Store, StoreError};
use crate::tokens::Tokens;

/// Names the connection that waits for an answer; the shell gives it and gets it back.
pub type Ticket = u64;

/// How duplicates are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDuplicates {
    /// A line for each.
    Each,
    /// A line for each second that had some.
    Summary,
    Off,
}

/// What the application needs to know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events in the ring, and in one request.
    pub ring_capacity: usize,
    /// Bytes of a body after decoding.
    pub max_body_bytes: usize,
    pub log_duplicates: LogDuplicates,
    /// Units of reading in a slice ([`limits::READ_UNITS_PER_SLICE`]).
    pub read_units: u64,
}

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    Now(Response),
    /// The answer comes out of a later [`App::take_committed`] under the request's ticket.
    AfterCommit,
    /// The answer has begun; [`App::feed`] goes on with it.
    Stream(Box<Stream>),
    /// The answer takes more reading than there is time for in this turn; [`App::read_on`] goes on with it.
    Reading(Box<PageRequest>),
}

/// The answer to a publication or to a change of a subscription, and a body buffer to use again.
#[derive(Debug)]
pub struct Committed {
    pub ticket: Ticket,
    pub response: Response,
    pub buffer: Vec<u8>,
}

/// A publication that waits to be decoded, or in the ring.
struct Waiting {
    ticket: Ticket,
    asked: publish::Asked,
}

/// The application.
pub struct App {
    options: Options,
    /// Without them everything is open.
    tokens: Option<Tokens>,
    store: Store,
    ring: Ring<Waiting>,
    encoded: DecodeQueue,
    changes: subscriptions::Changes,
    /// The newest events, while there are subscribers.
    recent: Recent,
    subscribers: usize,
    /// Of the event that was written last.
    stamp: Stamp,
    committed: Vec<Committed>,
    /// Why the store cannot commit; none while it can.
    fault: Option<String>,
    /// When the fault is probed, or a locked database tried again.
    retry_at: u64,
    /// When the names of the database's files are looked at again.
    look_at: u64,
    /// Since when the ring has waited for another program's lock, or for a damaged page to be made again.
    locked_since: Option<u64>,
    /// Since when publications wait for damaged pages.
    repairing_since: Option<u64>,
    draining: bool,
    started: Now,
    /// What retention goes by.
    steady: SteadyClock,
    rejected: u64,
    batches: u64,
    /// This turn has committed events.
    has_committed: bool,
    connections: usize,
    reading: ReadBudget,
    metrics: Metrics,
    /// The shell's clock, to time what is done inside one call; without one nothing is timed.
    clock: Option<fn() -> Instant>,
    /// Duplicates that the next summary will tell, and when.
    summary: (u64, u64),
    idle_at: u64,
    /// The last quiet turn did what retention has to do before all else.
    retains_first: bool,
    outcomes: Vec<Outcome>,
    spare_events: Vec<Vec<EventSpans>>,
    /// Events that those have room for together.
    spare_room: usize,
}

impl App {
    pub fn new(store: Store, options: Options, now: Now) -> Self {
        Self {
            options,
            tokens: None,
            store,
            ring: Ring::new(options.ring_capacity),
            changes: subscriptions::Changes::default(),
            recent: Recent::default(),
            subscribers: 0,
            stamp: Stamp::default(),
            encoded: DecodeQueue::new(options.max_body_bytes),
            committed: Vec::new(),
            fault: None,
            retry_at: 0,
            look_at: 0,
            locked_since: None,
            repairing_since: None,
            draining: false,
            started: now,
            steady: SteadyClock::new(now),
            rejected: 0,
            batches: 0,
            has_committed: false,
            connections: 0,
            reading: ReadBudget::new(options.read_units),
            metrics: Metrics::default(),
            clock: None,
            summary: (0, 0),
            idle_at: 0,
            retains_first: false,
            outcomes: Vec::new(),
            spare_events: Vec::new(),
            spare_room: 0,
        }
    }

    /// Refuses a request by its head alone, before its body is asked for.
    pub fn screen(&self, request: &Request) -> Option<Response> {
        if let Err(refusal) = self.authorize(request) {
            return Some(*refusal);
        }
        if self.draining {
            return Some(shutting_down());
        }
        route::admit(request).err().map(|response| *response)
    }

    /// From now on only these tokens let a request in. Also one whose body is still on its way: a token
    /// that has been taken out of the file is good for nothing more.
    pub fn set_tokens(&mut self, tokens: Tokens) {
        self.tokens = Some(tokens);
    }

    fn authorize(&self, request: &Request) -> Result<(), Box<Response>> {
        let Some(tokens) = &self.tokens else {
            return Ok(());
        };
        access::authorize(request, tokens).map_err(|mut refusal| {
            refusal.close |= self.draining;
            refusal
        })
    }

    /// Whether a stream that this request asked for may go on with the tokens as they are now.
    pub fn may_go_on(&self, request: &Request) -> bool {
        self.authorize(request).is_ok()
    }

    /// Answers a request, or takes it in for the next commit.
    pub fn handle(&mut self, ticket: Ticket, request: &Request, body: Vec<u8>, now: Now) -> Answer {
        if let Err(refusal) = self.authorize(request) {
            return Answer::Now(*refusal);
        }
        let route = route::admit(request);
        // A body was asked for before the server began to stop, so its request is still taken.
        if self.draining && !request.has_body() {
            let mut response = match route {
                Ok(Route::Health) => self.health(now),
                _ => shutting_down(),
            };
            response.close = true;
            return Answer::Now(response);
        }
        let route = match route {
            Ok(route) => route,
            Err(response) => return Answer::Now(*response),
        };
        if route.reads_database() {
            if let Err(error) = self.store.readable() {
                return Answer::Now(unreadable(&error));
            }
        }
        let query = request.query();
        let response = match route {
            Route::Health => Ok(self.health(now)),
            Route::Publish => return self.publish(ticket, request, body, now),
            Route::Root if dashboard::is_wanted(request) => Ok(dashboard::page(request)),
            Route::Root => Ok(watch::root().header("Vary", "Accept")),
            Route::Asset { name } => Ok(pages::asset(request, &name)),
            Route::Description => Ok(pages::description(request)),
            Route::Docs => Ok(pages::docs(request)),
            Route::Redoc => Ok(pages::redoc(request)),
            Route::Events => match self.page(query) {
                Ok(answer) => return answer,
                Err(error) => Err(error),
            },
            Route::Event { topic, event_id } => read::event(&self.store, &topic, &event_id),
            Route::Topics => return self.topics(),
            Route::Stats => Ok(self.stats(now)),
            Route::Subscriptions => Ok(self.subscriptions()),
            Route::Subscription { name } | Route::Acknowledgement { name } => {
                return self.subscription(ticket, request, body, name)
            }
            Route::Subscribe => match self.subscribe(request) {
                Ok(answer) => return answer,
                Err(error) => Err(error),
            },
            Route::Metrics => Ok(self.page_of_metrics(request, now)),
        };
        self.charge(0);
        Answer::Now(response.unwrap_or_else(|error| unreadable(&error)))
    }

    /// What the size of the answer depends on.
    pub fn answer_size(&self, request: &Request) -> AnswerSize {
        let route = Route::of(request.path()).filter(|_| !self.draining);
        route.map_or(AnswerSize::Fixed, |route| {
            route.answer_size(request.query())
        })
    }

    /// Whether the answer is so long that it is not even made while memory is short. `received` is how many
    /// bytes the request has brought.
    pub fn answers_at_length(&self, request: &Request, received: usize) -> bool {
        match self.answer_size(request) {
            AnswerSize::Fixed | AnswerSize::AsStored => false,
            AnswerSize::AsRequest => {
                let is_coded = request.header("content-encoding").is_some();
                is_coded || received > limits::ANSWER_SMALL_BYTES
            }
        }
    }

    fn publish(&mut self, ticket: Ticket, request: &Request, body: Vec<u8>, now: Now) -> Answer {
        let asked = match publish::read_query(request) {
            Ok(asked) => asked,
            Err(refused) => return Answer::Now(self.refuse(refused)),
        };
        let waiting = Waiting { ticket, asked };
        match publish::coding_of(request).unwrap_or(Coding::Identity) {
            Coding::Identity => self.take_in(waiting, body, now),
            coding => {
                self.encoded.push(Encoded { waiting, coding }, body, now);
                Answer::AfterCommit
            }
        }
    }

    fn refuse(&mut self, refused: publish::Refused) -> Response {
        self.rejected += refused.rejected;
        refused.response
    }

    /// Takes the events of a decoded body in for the next commit.
    fn take_in(&mut self, waiting: Waiting, body: Vec<u8>, now: Now) -> Answer {
        let Waiting { ticket, asked } = waiting;
        let events = self.spare_events.pop().unwrap_or_default();
        self.spare_room -= events.capacity();
        let max_events = self.options.ring_capacity;
        let (publication, asked) = match publish::read(asked, body, events, max_events) {
            Ok(read) => read,
            Err(refused) => return Answer::Now(self.refuse(refused)),
        };
        self.rejected += asked.rejected();
        if publication.events.is_empty() {
            return Answer::Now(asked.answer(&[]));
        }
        let slot = Slot {
            ticket: Waiting { ticket, asked },
            publication,
        };
        let Err(Full(slot)) = self.ring.push(slot) else {
            return Answer::AfterCommit;
        };
        self.drain(now);
        match self.ring.push(slot) {
            Ok(()) => Answer::AfterCommit,
            Err(Full(_)) => Answer::Now(unavailable(
                "The database is locked by another program, or being repaired; try again.",
            )),
        }
    }

    /// Commits what the ring holds, in one transaction, and makes the answers. A database that another
    /// program has locked is tried again for a while before the waiting requests are refused.
    pub fn drain(&mut self, now: Now) {
        if !self.has_waiting() || (self.locked_since.is_some() && now.mono_ms < self.retry_at) {
            return;
        }
        self.outcomes.clear();
        let retain_at = self.steady_time(now);
        let (events, begun) = (self.ring.len(), self.clock.map(|clock| clock()));
        let publications = self.ring.slots().map(|slot| &slot.publication);
        match self.store.commit_all(
            publications,
            self.changes.list(),
            now.unix_us,
            retain_at,
            &mut self.outcomes,
        ) {
            Ok(changed) => {
                self.batches += 1;
                self.has_committed = true;
                let timed = self.clock.zip(begun);
                let took = timed.map(|(clock, begun)| clock().saturating_duration_since(begun));
                self.metrics.committed(events, took);
                self.recovered();
                self.answer_committed(now.unix_us);
                self.answer_changes(changed);
            }
            Err(StoreError::Locked)
                if now.mono_ms - *self.locked_since.get_or_insert(now.mono_ms)
                    < limits::LOCKED_RETRY_MS =>
            {
                self.retry_at = now.mono_ms + limits::LOCKED_PAUSE_MS;
            }
            Err(StoreError::Repairing) => self.wait_for_repair(now),
            Err(error) => self.refuse_waiting(&error, now),
        }
    }

    fn refuse_waiting(&mut self, error: &StoreError, now: Now) {
        self.failed(error, now);
        let mut sentence = NOT_STORED;
        if matches!(error, StoreError::Replaced(_)) {
            sentence =
                "The database's file was replaced, so the events may be lost; send them again.";
            // What was committed last is not among the newest events in memory.
            self.recent.restart(self.store.last_seq());
        }
        while let Some(slot) = self.ring.pop() {
            self.finish(slot, unavailable(sentence));
        }
        self.refuse_changes();
    }

    fn answer_committed(&mut self, processed_at: i64) {
        let outcomes = std::mem::take(&mut self.outcomes);
        let mut rest = &outcomes[..];
        while let Some(slot) = self.ring.pop() {
            let (own, others) = rest.split_at(slot.publication.events.len());
            rest = others;
            self.log_duplicates(&slot, own);
            if self.subscribers > 0 {
                self.keep_recent(&slot.publication, own, processed_at);
            }
            let response = slot.ticket.asked.answer(own);
            self.finish(slot, response);
        }
        self.outcomes = outcomes;
    }

    fn finish(&mut self, slot: Slot<Waiting>, response: Response) {
        let mut publication = slot.publication;
        let room = self.spare_room + publication.events.capacity();
        if self.spare_events.len() < limits::SPARE_BUFFERS && room <= limits::SPARE_EVENTS {
            publication.events.clear();
            self.spare_events.push(publication.events);
            self.spare_room = room;
        }
        self.committed.push(Committed {
            ticket: slot.ticket.ticket,
            response,
            buffer: publication.body,
        });
    }

    fn log_duplicates(&mut self, slot: &Slot<Waiting>, outcomes: &[Outcome]) {
        let body = &slot.publication.body;
        for (event, outcome) in slot.publication.events.iter().zip(outcomes) {
            let text = |span| text_of(span, body);
            if matches!(outcome, Outcome::Accepted(_)) {
                continue;
            }
            self.summary.0 += 1;
            let (topic, event_id, source) =
                (text(event.topic), text(event.event_id), text(event.source));
            if self.options.log_duplicates == LogDuplicates::Each {
                logging::duplicate(topic, event_id, source);
            }
            if let (Outcome::Conflict(seq), true) =
                (outcome, self.options.log_duplicates != LogDuplicates::Off)
            {
                log::warn!(
                    topic, event_id, source, seq;
                    "Event conflict: the dropped event differs from the stored one: \
                     topic={topic}, event_id={event_id}, seq={seq}"
                );
            }
        }
    }

    /// The answers that have become possible since the last call.
    pub fn take_committed(&mut self, into: &mut Vec<Committed>) {
        into.append(&mut self.committed);
    }

    /// What is due by the clock: probing a store that failed, the summary of duplicates.
    pub fn tick(&mut self, now: Now) {
        // While publications wait for a lock, drain is the one that tries; a probe between its tries
        // would start their time again.
        let probes = self.fault.is_some() && self.locked_since.is_none();
        if probes && now.mono_ms >= self.retry_at {
            match self.store.probe(now.unix_us) {
                Ok(()) => self.recovered(),
                Err(error) => {
                    self.failed(&error, now);
                    self.retry_at = now.mono_ms + limits::RETRY_MS;
                }
            }
        }
        self.look_at_files(now);
        if now.mono_ms >= self.summary.1 && self.summarise_duplicates() {
            self.summary.1 = now.mono_ms + limits::SUMMARY_MS;
        }
    }

    /// Logs how many duplicates there were since the last summary, if summaries are wanted and there
    /// were some; says whether.
    fn summarise_duplicates(&mut self) -> bool {
        let summarises = self.options.log_duplicates == LogDuplicates::Summary;
        if !summarises || self.summary.0 == 0 {
            return false;
        }
        log::warn!("Duplicate events dropped: {}", self.summary.0);
        self.summary.0 = 0;
        true
    }

    fn failed(&mut self, error: &StoreError, now: Now) {
        // Publications that fail as well do not put the next probe off.
        let was_locked = self.locked_since.take().is_some();
        if self.fault.is_none() || was_locked {
            self.retry_at = now.mono_ms + limits::RETRY_MS;
        }
        if self.fault.is_none() {
            log::error!("the store cannot commit: {error}");
        }
        self.fault = Some(error.to_string());
    }

    fn recovered(&mut self) {
        self.locked_since = None;
        self.repaired();
        if self.fault.take().is_some() {
            log::info!("the store commits again");
        }
    }

    /// From now on commits are timed by this clock.
    pub fn set_clock(&mut self, clock: fn() -> Instant) {
        self.clock = Some(clock);
    }

    /// What only the shell can count goes in here.
    pub fn metrics(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// The number of open connections, for the statistics.
    pub fn set_connections(&mut self, connections: usize) {
        self.connections = connections;
    }

    /// From now on every new request is refused; what waits in the ring is still answered.
    pub fn begin_draining(&mut self) {
        self.draining = true;
    }

    /// The number of streams that are being served.
    pub fn set_subscribers(&mut self, subscribers: usize) {
        self.subscribers = subscribers;
    }

    /// The greatest seq of an event that has been committed; 0 in an empty database.
    pub fn head(&self) -> u64 {
        self.store.last_seq()
    }

    /// Whether a publication or a change waits for its commit.
    pub fn has_waiting(&self) -> bool {
        !self.ring.is_empty() || !self.changes.is_empty()
    }

    /// Tells the last summary of duplicates and closes the store.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.summarise_duplicates();
        self.store.close()
    }
}

/// The text of a span. A body is UTF-8, or it would not have become events.
fn text_of(span: Span, body: &[u8]) -> &str {
    std::str::from_utf8(span.of(body)).unwrap_or_default()
}

fn shutting_down() -> Response {
    let mut response = unavailable("The server is shutting down; send the request again.");
    response.close = true;
    response
}

const NOT_STORED: &str = "The events could not be stored, none of them was; send them again.";

fn unavailable(sentence: &str) -> Response {
    Response::error(503, sentence).header("Retry-After", "1")
}
