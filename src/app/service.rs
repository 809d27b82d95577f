//! What the loop asks of the application: requests in, answers out, and when something is due. The application of a
//! node and that of a front both do it.

use std::time::Duration;

use super::decode::Decoding;
use super::reply::{Completion, Reply, Ticket};
use super::stream::{FeedStatus, StreamSource};
use super::upload::{self, Uploading};
use super::App;
use crate::api::reading::Reading;
use crate::api::route::{AnswerSize, Effort, Route};
use crate::clock::Now;
use crate::http::{Request, Response};
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::tokens::Tokens;

/// An application that the loop serves. What each method means is said at [`App`]'s of the same name. Those that have
/// a body here are about what an application need not have.
pub trait Service {
    fn precheck(&self, request: &Request, route: Option<&Route>) -> Option<Response>;
    fn handle(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        body: Vec<u8>,
        now: Now,
    ) -> Reply;
    fn may_go_on(&self, request: &Request, route: Option<&Route>) -> bool;
    fn answer_size(&self, request: &Request, route: Option<&Route>) -> AnswerSize;
    fn answers_at_length(&self, request: &Request, route: Option<&Route>, received: usize) -> bool;
    fn set_tokens(&mut self, tokens: Tokens);
    fn set_allowed_hosts(&mut self, names: Option<Vec<String>>);
    fn begin_draining(&mut self);
    fn drain(&mut self, now: Now);
    fn take_completions(&mut self, into: &mut Vec<Completion>);
    fn has_waiting(&self) -> bool;
    fn cancel_decode(&mut self, ticket: Ticket);
    fn decode_arrived(&mut self, now: Now) -> Option<usize>;
    fn decode_piece(&mut self, now: Now) -> bool;
    fn is_decoding(&self) -> bool;
    fn head(&self) -> u64;
    fn feed(
        &mut self,
        source: &mut StreamSource,
        max_bytes: usize,
        out: &mut Vec<u8>,
        now: Now,
    ) -> Result<FeedStatus, StoreError>;
    fn is_near(&self, source: &StreamSource) -> bool;
    fn tick(&mut self, now: Now);
    fn deadline(&self, now: Now) -> Option<u64>;
    fn metrics(&mut self) -> &mut Metrics;
    fn set_connections(&mut self, connections: usize);
    fn set_subscribers(&mut self, subscribers: usize);
    fn has_unfinished(&self, now: Now) -> bool;
    fn takes_pieces(&self, route: Option<&Route>) -> bool;
    fn take_piece(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        piece: Vec<u8>,
        now: Now,
    ) -> Reply;
    fn take_hungry(&mut self, into: &mut Vec<(Ticket, usize)>);
    fn cancel_upload(&mut self, ticket: Ticket);
    fn holds_uploads(&self) -> bool;

    /// Whether what a client waits for ends when the client has ended its side: nothing has been stored for it.
    fn ends_with_client(&self, _ticket: Ticket) -> bool {
        false
    }

    /// The connections to an engine, if there is one.
    #[cfg(feature = "fleet")]
    fn engine(&mut self) -> Option<&mut dyn super::EngineLinks> {
        None
    }
    /// Streams that can begin now, of requests that were answered [`Reply::AfterCommit`].
    #[cfg(feature = "fleet")]
    fn take_streams(&mut self, _into: &mut Vec<(Ticket, Box<super::StreamAnswer>)>) {}
    /// Whether it cannot go on, and the loop ends.
    fn has_given_up(&self) -> bool {
        false
    }
    /// The application of a node, where this is one.
    fn node(&mut self) -> Option<&mut App> {
        None
    }
    fn read_on(&mut self, _reading: &mut Reading, _now: Now) -> Option<Response> {
        None
    }
    fn encode(&mut self, _request: &Request, answer: Response) -> Reply {
        Reply::Now(answer)
    }
    fn has_to_wait(&self, _route: Option<&Route>) -> Option<Effort> {
        None
    }
    fn begin_turn(&mut self, _wait: bool) {}
    fn begin_slice(&mut self, _share: f32) -> bool {
        true
    }
    fn begin_streams(&mut self, _share: f32) {}
    fn set_searches(&mut self, _searches: usize) {}
    fn idle_work(&mut self, _now: Now) -> bool {
        false
    }
    fn turn_took(&mut self, _time: Duration, _waited: Duration) {}
    fn check_invariants(&self) {}
    fn takes_records(&self) -> bool {
        false
    }
}

impl Service for App {
    fn precheck(&self, request: &Request, route: Option<&Route>) -> Option<Response> {
        App::precheck(self, request, route)
    }
    fn handle(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        body: Vec<u8>,
        now: Now,
    ) -> Reply {
        App::handle(self, ticket, request, route, body, now)
    }
    fn may_go_on(&self, request: &Request, route: Option<&Route>) -> bool {
        App::may_go_on(self, request, route)
    }
    fn answer_size(&self, request: &Request, route: Option<&Route>) -> AnswerSize {
        App::answer_size(self, request, route)
    }
    fn answers_at_length(&self, request: &Request, route: Option<&Route>, received: usize) -> bool {
        App::answers_at_length(self, request, route, received)
    }
    fn set_tokens(&mut self, tokens: Tokens) {
        App::set_tokens(self, tokens)
    }
    fn set_allowed_hosts(&mut self, names: Option<Vec<String>>) {
        App::set_allowed_hosts(self, names)
    }
    fn begin_draining(&mut self) {
        App::begin_draining(self)
    }
    fn drain(&mut self, now: Now) {
        App::drain(self, now)
    }
    fn take_completions(&mut self, into: &mut Vec<Completion>) {
        App::take_completions(self, into)
    }
    fn has_waiting(&self) -> bool {
        App::has_waiting(self)
    }
    fn cancel_decode(&mut self, ticket: Ticket) {
        App::cancel_decode(self, ticket)
    }
    fn decode_arrived(&mut self, now: Now) -> Option<usize> {
        Decoding::decode_arrived(self, now)
    }
    fn decode_piece(&mut self, now: Now) -> bool {
        Decoding::decode_piece(self, now)
    }
    fn is_decoding(&self) -> bool {
        App::is_decoding(self)
    }
    fn head(&self) -> u64 {
        App::head(self)
    }
    fn feed(
        &mut self,
        source: &mut StreamSource,
        max_bytes: usize,
        out: &mut Vec<u8>,
        now: Now,
    ) -> Result<FeedStatus, StoreError> {
        App::feed(self, source, max_bytes, out, now)
    }
    fn is_near(&self, source: &StreamSource) -> bool {
        App::is_near(self, source)
    }
    fn tick(&mut self, now: Now) {
        App::tick(self, now)
    }
    fn deadline(&self, now: Now) -> Option<u64> {
        App::deadline(self, now)
    }
    fn metrics(&mut self) -> &mut Metrics {
        App::metrics(self)
    }
    fn set_connections(&mut self, connections: usize) {
        App::set_connections(self, connections)
    }
    fn set_subscribers(&mut self, subscribers: usize) {
        App::set_subscribers(self, subscribers)
    }
    fn read_on(&mut self, reading: &mut Reading, now: Now) -> Option<Response> {
        App::read_on(self, reading, now)
    }
    fn encode(&mut self, request: &Request, answer: Response) -> Reply {
        App::encode(self, request, answer)
    }
    fn has_to_wait(&self, route: Option<&Route>) -> Option<Effort> {
        App::has_to_wait(self, route)
    }
    fn begin_turn(&mut self, wait: bool) {
        App::begin_turn(self, wait)
    }
    fn begin_slice(&mut self, share: f32) -> bool {
        App::begin_slice(self, share)
    }
    fn begin_streams(&mut self, share: f32) {
        App::begin_streams(self, share)
    }
    fn set_searches(&mut self, searches: usize) {
        App::set_searches(self, searches)
    }
    fn has_unfinished(&self, now: Now) -> bool {
        App::has_unfinished(self, now)
    }
    fn idle_work(&mut self, now: Now) -> bool {
        App::idle_work(self, now)
    }
    fn turn_took(&mut self, time: Duration, waited: Duration) {
        App::turn_took(self, time, waited)
    }
    fn check_invariants(&self) {
        App::check_invariants(self)
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
        Uploading::take_hungry(self, into)
    }
    fn cancel_upload(&mut self, ticket: Ticket) {
        Uploading::cancel_upload(self, ticket)
    }
    fn holds_uploads(&self) -> bool {
        Uploading::holds_uploads(self)
    }
    fn takes_records(&self) -> bool {
        App::takes_records(self)
    }
    fn node(&mut self) -> Option<&mut App> {
        Some(self)
    }
}
