//! A front as the loop serves it.

use super::link::LinkStep;
use super::reads::{Kind, StatsFor};
use super::{EngineLinks, Front};
use crate::api::read::DATABASE_FIELD;
use crate::api::route::{self, AnswerSize, Route};
use crate::api::subscriptions::{self, Put};
use crate::api::{dashboard, pages, watch};
use crate::app::decode::Decoding;
use crate::app::ingest::Ingesting;
use crate::app::publish::Publishing;
use crate::app::reply::{shutting_down, Completion, Reply, Ticket};
use crate::app::service::Service;
use crate::app::stream::{FeedStatus, StreamAnswer, StreamSource};
use crate::app::upload::{self, Uploading};
use crate::clock::{earlier, Now};
use crate::http::{Method, Request, Response};
use crate::limits;
use crate::metrics::{self, Facts, Metrics};
use crate::store::{Identity, SearchIndex, StoreError, SubscriptionOp};
use crate::tokens::Tokens;

impl EngineLinks for Front {
    fn count(&self) -> usize {
        self.links.len()
    }

    fn step(&self, link: usize) -> LinkStep {
        self.links[link].step(&self.url)
    }

    fn connecting(&mut self, link: usize, now: Now) {
        self.links[link].connecting(&self.url, now);
    }

    fn received(&mut self, link: usize, bytes: &[u8], now: Now) {
        self.links[link].received(bytes, now);
    }

    fn lost(&mut self, link: usize, why: &str, now: Now) {
        self.links[link].lose(why, now);
    }

    fn output(&mut self, link: usize) -> &[u8] {
        self.links[link].output()
    }

    fn sent(&mut self, link: usize, count: usize) {
        self.links[link].sent(count);
    }
}

impl Front {
    fn answer(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: &Route,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        Reply::Now(match route {
            Route::Health => self.health_page(now),
            Route::Publish => return self.publish(ticket, request, body, now),
            Route::Root if dashboard::is_wanted(request) => dashboard::page(request),
            Route::Root => watch::root().header("Vary", "Accept"),
            Route::Asset { name } => pages::asset(request, name),
            Route::Description => pages::description(request),
            Route::Docs => pages::docs(request),
            Route::Redoc => pages::redoc(request),
            Route::Events => return self.ask_for_page(ticket, request, now),
            Route::Event { topic, event_id } => {
                let (topic, event_id) = (topic.clone(), event_id.clone());
                return self.ask(ticket, Kind::Event { topic, event_id }, now);
            }
            Route::Topics => return self.ask(ticket, Kind::Topics { after: 0 }, now),
            Route::Stats => return self.ask_for_stats(ticket, StatsFor::Stats, now),
            Route::Metrics => {
                let with = StatsFor::Metrics(metrics::format_for(request));
                return self.ask_for_stats(ticket, with, now);
            }
            Route::Subscribe => return self.ask_to_subscribe(ticket, request, now),
            Route::Subscriptions => return self.ask(ticket, Kind::Subscriptions, now),
            Route::Subscription { name } | Route::Acknowledgement { name } => {
                return self.subscription(ticket, request, body, name.clone(), now);
            }
            Route::Histogram | Route::Fields => {
                return self.ask_for_counts(ticket, (request, route), now);
            }
            Route::Rejected => Response::error(501, NOT_KEPT),
            Route::Ingest(_) => unreachable!("other protocols have been taken in"),
        })
    }

    fn subscription(
        &mut self,
        ticket: Ticket,
        request: &Request,
        body: Vec<u8>,
        name: String,
        now: Now,
    ) -> Reply {
        let most = self.options.max_body_bytes;
        let change = match request.method {
            Method::Put => match subscriptions::read_put(request, body, most) {
                Ok(Put {
                    hold: Some(true), ..
                })
                | Ok(Put { after: None, .. }) => {
                    return Reply::Now(Response::error(501, NO_HOLD));
                }
                Ok(Put { after, hold }) => Ok(SubscriptionOp::Put { name, after, hold }),
                Err(refusal) => Err(refusal),
            },
            Method::Post => subscriptions::read_acknowledgement(request, body, most)
                .map(|seq| SubscriptionOp::Acknowledge { name, seq }),
            Method::Delete => Ok(SubscriptionOp::Remove { name }),
            _ => return self.ask(ticket, Kind::Subscription(name), now),
        };
        self.ask_for_change(ticket, change, now)
    }

    /// The answer with statistics as they are known.
    pub(super) fn stats_answer(&mut self, with: StatsFor, now: Now) -> Response {
        let identity = Identity {
            database_id: self.store_id.clone(),
            restored_from: None,
        };
        let uptime_seconds = (now.mono_ms - self.counters.started.mono_ms) / 1_000;
        let known = &self.stats;
        let first_seq = known.head.first.max(1);
        let stats = watch::Stats {
            received: known.totals.received,
            unique_processed: known.totals.stored,
            duplicate_dropped: known.totals.duplicates,
            topics: known.topics.iter().map(String::as_str).collect(),
            uptime_seconds,
            uptime_human: watch::uptime_human(uptime_seconds),
            topic_count: known.topic_count,
            conflicts: known.totals.conflicts,
            rejected: self.counters.rejected,
            queue_size: self.queue.events(),
            queue_capacity: self.options.ring_capacity,
            batches: self.counters.batches,
            connections: self.counters.connections,
            subscribers: self.live.subscribers(),
            database_bytes: known.database_bytes,
            wal_bytes: 0,
            last_seq: known.head.last,
            first_seq,
            events_removed: 0,
            search_index: SearchIndex::Off.name(),
            search_index_through: 0,
            search_index_bytes: 0,
            version: env!("CARGO_PKG_VERSION"),
            identity: (&identity).into(),
            last_hour: None,
        };
        let StatsFor::Metrics(format) = with else {
            return watch::stats(&stats);
        };
        let facts = Facts {
            stats: &stats,
            is_healthy: self.health.fault().is_none(),
            damaged_pages: 0,
            damaged_pages_found: 0,
            searches: self.counters.searches,
            searches_at_work: self.searches(),
            seqs_scanned: self.counters.seqs_scanned,
            seqs_skipped: 0,
            disk_available_bytes: None,
            started: self.counters.started.unix_us,
        };
        let nodes = &self.stats.nodes;
        self.counters.metrics.page_of_front(format, &facts, nodes)
    }

    fn health_page(&mut self, now: Now) -> Response {
        let reason = match self.gate.draining {
            true => Some("shutting down"),
            false => self.health.fault(),
        };
        let timestamp = self.health_stamp.at(now.unix_us);
        watch::health(reason, self.queue.events(), &[], &[], timestamp)
            .header(DATABASE_FIELD, &self.store_id)
    }
}

const NO_HOLD: &str =
    "A front holds nothing: what retention removes from the store is said to logagg store retain.";
const NOT_KEPT: &str = "A front keeps no rejected records; its log says why they were rejected.";

impl Service for Front {
    fn precheck(&self, request: &Request, route: Option<&Route>) -> Option<Response> {
        let refusal = self.gate.refuse(request, route);
        refusal.or_else(|| match route {
            Some(Route::Ingest(route)) => self.precheck_ingest(request, route),
            _ => route::admit(request, route).err().map(|response| *response),
        })
    }

    fn handle(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        if let Err(refusal) = self.gate.authorize_complete(request, route) {
            Uploading::cancel_upload(self, ticket);
            return Reply::Now(refusal.shaped(route::error_shape(request, route)));
        }
        if let Some(Route::Ingest(route)) = route {
            return self.take_ingest(ticket, request, route, body, now);
        }
        // One with a body has passed the precheck.
        let admitted = match request.has_body() {
            true => route::admit_line(request, route),
            false => route::admit(request, route),
        };
        if self.gate.draining && !request.has_body() {
            let mut response = match admitted {
                Ok(Route::Health) => self.health_page(now),
                _ => shutting_down().into(),
            };
            response.close = true;
            return Reply::Now(response);
        }
        match admitted {
            Ok(route) => self.answer(ticket, request, route, body, now),
            Err(response) => Reply::Now(*response),
        }
    }

    fn engine(&mut self) -> Option<&mut dyn EngineLinks> {
        Some(self)
    }

    fn has_given_up(&self) -> bool {
        self.health.refused().is_some()
    }

    fn may_go_on(&self, request: &Request, route: Option<&Route>) -> bool {
        self.gate.authorize(request, route).is_ok()
    }

    fn answer_size(&self, request: &Request, route: Option<&Route>) -> AnswerSize {
        let route = route.filter(|_| !self.gate.draining);
        route.map_or(AnswerSize::Fixed, |route| {
            route.answer_size(request.query())
        })
    }

    fn answers_at_length(&self, request: &Request, route: Option<&Route>, received: usize) -> bool {
        match self.answer_size(request, route) {
            AnswerSize::Fixed | AnswerSize::AsStored => false,
            AnswerSize::AsRequest => {
                let is_coded = request.header("content-encoding").is_some();
                is_coded || received > limits::ANSWER_SMALL_BYTES
            }
        }
    }

    fn set_tokens(&mut self, tokens: Tokens) {
        self.gate.set_tokens(tokens);
    }

    fn set_allowed_hosts(&mut self, names: Option<Vec<String>>) {
        self.gate.set_allowed_hosts(names);
    }

    fn begin_draining(&mut self) {
        self.gate.draining = true;
    }

    fn drain(&mut self, now: Now) {
        for link in &mut self.links {
            link.tick(now);
        }
        self.expire_writes(now);
        // Before the answers of this turn are delivered.
        self.expire_uploads(now);
        self.retry_uploads(now);
        self.read_on_ingest();
        self.write(now);
        self.read(now);
    }

    fn take_completions(&mut self, into: &mut Vec<Completion>) {
        into.append(&mut self.committed);
    }

    fn has_waiting(&self) -> bool {
        let waits = !self.queue.is_empty() || self.queue.has_unfinished();
        waits || self.is_writing() || self.is_reading()
    }

    fn cancel_decode(&mut self, ticket: Ticket) {
        self.encoded.remove(ticket);
        self.queue.remove_unfinished(ticket);
        self.forget_read(ticket);
    }

    fn ends_with_client(&self, ticket: Ticket) -> bool {
        self.is_searching(ticket)
    }

    fn decode_arrived(&mut self, now: Now) -> Option<usize> {
        Decoding::decode_arrived(self, now)
    }

    fn decode_piece(&mut self, now: Now) -> bool {
        Decoding::decode_piece(self, now)
    }

    fn is_decoding(&self) -> bool {
        // An empty queue takes any publication.
        let can_push = self.health.fault().is_none() && self.queue.is_empty();
        !self.encoded.is_empty() || self.ingest.uploads.is_busy(can_push)
    }

    fn has_unfinished(&self, _now: Now) -> bool {
        self.queue.can_read_on()
    }

    fn takes_pieces(&self, route: Option<&Route>) -> bool {
        upload::takes_pieces(route)
    }

    fn take_piece(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        piece: Vec<u8>,
        now: Now,
    ) -> Reply {
        Uploading::take_piece(self, ticket, request, route, piece, now)
    }

    fn take_hungry(&mut self, into: &mut Vec<(Ticket, usize)>) {
        Uploading::take_hungry(self, into);
    }

    fn cancel_upload(&mut self, ticket: Ticket) {
        Uploading::cancel_upload(self, ticket);
    }

    fn holds_uploads(&self) -> bool {
        Uploading::holds_uploads(self)
    }

    fn head(&self) -> u64 {
        self.head.last
    }

    fn feed(
        &mut self,
        source: &mut StreamSource,
        max_bytes: usize,
        out: &mut Vec<u8>,
        now: Now,
    ) -> Result<FeedStatus, StoreError> {
        match source {
            StreamSource::Events(subscriber) => {
                self.feed_subscriber(subscriber, max_bytes, out, now)
            }
            // A front answers with a list at once.
            StreamSource::Topics(..) => Ok(FeedStatus::Ended),
        }
    }

    fn is_near(&self, source: &StreamSource) -> bool {
        match source {
            StreamSource::Events(subscriber) => self.live.covers(subscriber.after),
            StreamSource::Topics(..) => true,
        }
    }

    fn take_streams(&mut self, into: &mut Vec<(Ticket, Box<StreamAnswer>)>) {
        into.append(&mut self.streams);
    }

    fn tick(&mut self, now: Now) {
        self.duplicates.tick(now);
    }

    fn deadline(&self, now: Now) -> Option<u64> {
        let links = self.links.iter().filter_map(|link| link.deadline()).min();
        let writes = earlier(self.writes_due(now), self.duplicates.deadline());
        earlier(earlier(links, writes), self.reads_due(now))
    }

    fn metrics(&mut self) -> &mut Metrics {
        &mut self.counters.metrics
    }

    fn set_connections(&mut self, connections: usize) {
        self.counters.connections = connections;
    }

    fn set_subscribers(&mut self, subscribers: usize) {
        self.live.set_subscribers(subscribers);
    }
}
