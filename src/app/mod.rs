//! The application: owns the ring, the store and the statistics. A request comes in as a value and
//! its answer goes out as one; there are no sockets here and no SQL.
//!
//! The answer to a publication does not exist before [`App::drain`] has committed its events: until
//! then the request is only a slot of the ring.

mod buffers;
mod commit;
mod commit_queue;
mod commit_times;
mod compression;
mod counters;
mod decode;
mod decode_queue;
mod duplicate_log;
#[cfg(feature = "fleet")]
mod front;
mod gate;
mod health;
mod host;
mod idle;
mod ingest;
mod ingest_state;
mod ingest_work;
mod invariants;
mod last_hour;
mod live;
mod options;
mod progress;
mod publish;
mod read_budget;
mod reads;
mod repair;
mod reply;
mod schedule;
mod searches;
pub mod service;
mod socket_records;
mod sockets;
mod statistics;
mod stream;
mod subscribers;
mod subscriptions;
mod upload;
mod upload_work;
mod uploads;

use std::time::Instant;

#[cfg(feature = "fleet")]
pub use front::{EngineLinks, Front, LinkStep};
pub use options::Options;
pub use reply::{Completion, Reply, Ticket};
pub use stream::{FeedStatus, StreamAnswer, StreamSource};

use crate::api::route::{self, AnswerSize, Route};
use crate::api::{dashboard, pages, read, rejected, watch};
use crate::clock::{Now, Stamp};
use crate::http::encoding::Compressor;
use crate::http::{Request, Response};
use crate::ingest::IngestSetting;
use crate::limits;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};
use crate::tokens::Tokens;
use buffers::BufferPool;
use commit_queue::CommitQueue;
use counters::Counters;
use decode_queue::DecodeQueue;
use duplicate_log::DuplicateLog;
use gate::Gate;
use health::Health;
use ingest::Ingesting;
use ingest_state::IngestState;
use live::LiveEvents;
use publish::Publishing;
use read_budget::ReadBudget;
use reply::{shutting_down, unreadable};
use schedule::IdleSchedule;
pub(crate) use socket_records::{SocketCompletion, SocketPublication, SocketResult};
use upload::Uploading;

/// The application.
pub struct App {
    options: Options,
    gate: Gate,
    store: Store,
    /// Bodies whose content coding is still to be taken off.
    encoded: DecodeQueue,
    queue: CommitQueue,
    committed: Vec<Completion>,
    health: Health,
    /// The time of the last answer of `GET /health`.
    health_stamp: Stamp,
    live: LiveEvents,
    reading: ReadBudget,
    /// The compressor of answers, from the first one on.
    compressor: Option<Compressor>,
    schedule: IdleSchedule,
    counters: Counters,
    duplicates: DuplicateLog,
    buffers: BufferPool,
    ingest: IngestState,
}

impl App {
    pub fn new(store: Store, options: Options, now: Now) -> Self {
        Self {
            options,
            gate: Gate::default(),
            store,
            encoded: DecodeQueue::new(options.max_body_bytes),
            queue: CommitQueue::new(options.ring_capacity),
            committed: Vec::new(),
            health: Health::default(),
            health_stamp: Stamp::default(),
            live: LiveEvents::default(),
            reading: ReadBudget::new(options.read_units),
            compressor: None,
            schedule: IdleSchedule::new(now),
            counters: Counters::new(now),
            duplicates: DuplicateLog::default(),
            buffers: BufferPool::default(),
            ingest: IngestState::default(),
        }
    }

    /// Refuses a request by its head alone, before its body is asked for.
    pub fn precheck(&self, request: &Request, route: Option<&Route>) -> Option<Response> {
        if let Some(refusal) = self.gate.refuse(request, route) {
            return Some(refusal);
        }
        if let Some(Route::Ingest(route)) = route {
            return self.precheck_ingest(request, route);
        }
        route::admit(request, route).err().map(|response| *response)
    }

    /// From now on only these tokens let a request in. Also one whose body is still on its way: a token that has been
    /// removed from the file is no longer valid.
    pub fn set_tokens(&mut self, tokens: Tokens) {
        self.gate.set_tokens(tokens);
    }

    /// From now on requests over TCP may have these names in `Host`, addresses and `localhost`.
    pub fn set_allowed_hosts(&mut self, names: Option<Vec<String>>) {
        self.gate.set_allowed_hosts(names);
    }

    /// What the settings say about the records of protocols where a request says nothing; of several settings for one
    /// protocol the first wins.
    pub fn set_ingest(&mut self, settings: Vec<IngestSetting>) {
        self.ingest.settings = settings;
    }

    /// Whether a stream that this request asked for may go on with the tokens as they are now.
    pub fn may_go_on(&self, request: &Request, route: Option<&Route>) -> bool {
        self.gate.authorize(request, route).is_ok()
    }

    /// Answers a request, or accepts it for the next commit. `route` is [`Route::of`] its path.
    pub fn handle(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        if let Err(refusal) = self.gate.authorize_complete(request, route) {
            self.cancel_upload(ticket);
            return Reply::Now(refusal.shaped(route::error_shape(request, route)));
        }
        if let Some(Route::Ingest(route)) = route {
            return self.take_ingest(ticket, request, route, body, now);
        }
        // One with a body has passed the precheck.
        let route = if request.has_body() {
            route::admit_line(request, route)
        } else {
            route::admit(request, route)
        };
        // A body was asked for before the server began to stop, so its request is still taken.
        if self.gate.draining && !request.has_body() {
            let mut response = match route {
                Ok(Route::Health) => self.health(now),
                _ => shutting_down().into(),
            };
            response.close = true;
            return Reply::Now(response);
        }
        let route = match route {
            Ok(route) => route,
            Err(response) => return Reply::Now(*response),
        };
        if route.reads_database() {
            if let Err(error) = self.store.readable() {
                return Reply::Now(unreadable(&error));
            }
        }
        let response = match route {
            Route::Health => Ok(self.health(now)),
            Route::Publish => return self.publish(ticket, request, body, now),
            Route::Root if dashboard::is_wanted(request) => Ok(dashboard::page(request)),
            Route::Root => Ok(watch::root().header("Vary", "Accept")),
            Route::Asset { name } => Ok(pages::asset(request, name)),
            Route::Description => Ok(pages::description(request)),
            Route::Docs => Ok(pages::docs(request)),
            Route::Redoc => Ok(pages::redoc(request)),
            Route::Events | Route::Histogram | Route::Fields => match self.page(route, request) {
                Ok(answer) => return answer,
                Err(error) => Err(error),
            },
            Route::Event { topic, event_id } => read::event(&self.store, topic, event_id),
            Route::Topics => return self.topics(request),
            Route::Rejected => rejected::page(&self.store, request.query()),
            Route::Stats => Ok(self.stats(request.query(), now)),
            Route::Subscriptions => Ok(self.subscriptions()),
            Route::Subscription { name } | Route::Acknowledgement { name } => {
                return self.subscription(ticket, request, body, name.clone())
            }
            Route::Subscribe => match self.subscribe(request) {
                Ok(answer) => return answer,
                Err(error) => Err(error),
            },
            Route::Metrics => Ok(self.page_of_metrics(request, now)),
            Route::Ingest(_) => unreachable!("other protocols have been taken in"),
        };
        self.charge(0);
        self.encode(request, response.unwrap_or_else(|error| unreadable(&error)))
    }

    /// What the size of the answer depends on.
    pub fn answer_size(&self, request: &Request, route: Option<&Route>) -> AnswerSize {
        let route = route.filter(|_| !self.gate.draining);
        route.map_or(AnswerSize::Fixed, |route| {
            route.answer_size(request.query())
        })
    }

    /// Whether the answer is so long that it is not even made while memory is short. `received` is how many
    /// bytes the request has brought.
    pub fn answers_at_length(
        &self,
        request: &Request,
        route: Option<&Route>,
        received: usize,
    ) -> bool {
        match self.answer_size(request, route) {
            AnswerSize::Fixed | AnswerSize::AsStored => false,
            AnswerSize::AsRequest => {
                let is_coded = request.header("content-encoding").is_some();
                is_coded || received > limits::ANSWER_SMALL_BYTES
            }
        }
    }

    /// Whether a body waits to be decoded.
    pub fn is_decoding(&self) -> bool {
        let can_commit = self.health.fault().is_none() && !self.health.is_retrying();
        !self.encoded.is_empty() || self.ingest.uploads.is_busy(can_commit)
    }

    /// A client that waited for an answer has gone. What is on the ring is committed nevertheless.
    pub fn cancel_decode(&mut self, ticket: Ticket) {
        self.encoded.remove(ticket);
        self.queue.remove(ticket);
    }

    /// The answers that have become possible since the last call.
    pub fn take_completions(&mut self, into: &mut Vec<Completion>) {
        into.append(&mut self.committed);
    }

    /// What is due by the clock: probing a store that failed, the summary of duplicates.
    pub fn tick(&mut self, now: Now) {
        if self.health.is_probe_due(now) || self.store.is_reloading() {
            match self.store.probe(now.unix_us) {
                Ok(()) => self.recovered(),
                Err(error) => self.health.probe_failed(&error, now),
            }
        }
        self.check_files(now);
        self.duplicates.tick(now);
    }

    fn recovered(&mut self) {
        self.health.recovered(self.store.damaged_pages() > 0);
    }

    /// From now on commits are timed by this clock.
    pub fn set_clock(&mut self, clock: fn() -> Instant) {
        self.counters.clock = Some(clock);
    }

    /// For what only the shell can count.
    pub fn metrics(&mut self) -> &mut Metrics {
        &mut self.counters.metrics
    }

    /// The number of open connections, for the statistics.
    pub fn set_connections(&mut self, connections: usize) {
        self.counters.connections = connections;
    }

    /// The number of answers that are being searched for, for the statistics.
    pub fn set_searches(&mut self, searches: usize) {
        self.counters.searches_at_work = searches;
    }

    /// From now on every new request is refused; what waits in the ring is still answered.
    pub fn begin_draining(&mut self) {
        self.gate.draining = true;
    }

    /// The number of streams that are being served.
    pub fn set_subscribers(&mut self, subscribers: usize) {
        self.live.set_subscribers(subscribers);
    }

    /// The greatest seq of an event that has been committed; 0 in an empty database.
    pub fn head(&self) -> u64 {
        self.store.last_seq()
    }

    /// Whether a publication or a change waits for its commit.
    pub fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Logs the last summary of duplicates and closes the store.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.duplicates.summarise();
        self.store.close()
    }
}
