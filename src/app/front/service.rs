//! A front as the loop serves it.

use super::link::LinkStep;
use super::{EngineLinks, Front};
use crate::api::read::DATABASE_FIELD;
use crate::api::route::{self, AnswerSize, Route};
use crate::api::{dashboard, pages, watch};
use crate::app::reply::{shutting_down, Completion, Reply, Ticket};
use crate::app::service::Service;
use crate::app::stream::{FeedStatus, StreamSource};
use crate::clock::{earlier, Now};
use crate::http::{Request, Response};
use crate::limits;
use crate::metrics::Metrics;
use crate::store::StoreError;
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
            _ => Response::error(501, NOT_HERE),
        })
    }

    fn health_page(&mut self, now: Now) -> Response {
        let reason = match self.gate.draining {
            true => Some("shutting down"),
            false => self.health.fault(),
        };
        let timestamp = self.health_stamp.at(now.unix_us);
        watch::health(reason, self.queued_events, &[], &[], timestamp)
            .header(DATABASE_FIELD, &self.store_id)
    }
}

const NOT_HERE: &str = "A front does not have this; ask a node, or the store with SQL.";

impl Service for Front {
    fn precheck(&self, request: &Request, route: Option<&Route>) -> Option<Response> {
        let refusal = self.gate.refuse(request, route);
        refusal.or_else(|| match route {
            Some(Route::Ingest(_)) => Some(Response::error(501, NOT_HERE)),
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
            return Reply::Now(refusal.shaped(route::error_shape(request, route)));
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
        self.write(now);
    }

    fn take_completions(&mut self, into: &mut Vec<Completion>) {
        into.append(&mut self.committed);
    }

    fn has_waiting(&self) -> bool {
        !self.queue.is_empty() || self.is_writing()
    }

    fn cancel_decode(&mut self, ticket: Ticket) {
        self.encoded.remove(ticket);
    }

    fn decode_arrived(&mut self, now: Now) -> Option<usize> {
        self.decode_next(now)
    }

    fn decode_piece(&mut self, now: Now) -> bool {
        self.decode_on(now)
    }

    fn is_decoding(&self) -> bool {
        !self.encoded.is_empty()
    }

    fn head(&self) -> u64 {
        0
    }

    fn feed(
        &mut self,
        _source: &mut StreamSource,
        _max_bytes: usize,
        _out: &mut Vec<u8>,
        _now: Now,
    ) -> Result<FeedStatus, StoreError> {
        Ok(FeedStatus::Ended)
    }

    fn is_near(&self, _source: &StreamSource) -> bool {
        true
    }

    fn tick(&mut self, now: Now) {
        self.duplicates.tick(now);
    }

    fn deadline(&self, now: Now) -> Option<u64> {
        let links = self.links.iter().filter_map(|link| link.deadline()).min();
        let writes = earlier(self.writes_due(now), self.duplicates.deadline());
        earlier(links, writes)
    }

    fn metrics(&mut self) -> &mut Metrics {
        &mut self.counters.metrics
    }

    fn set_connections(&mut self, connections: usize) {
        self.counters.connections = connections;
    }

    fn set_subscribers(&mut self, subscribers: usize) {
        self.subscribers = subscribers;
    }
}
