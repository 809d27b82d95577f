//! Splunk's HTTP Event Collector (HEC): events as JSON objects, lines of plain text, and acknowledgements.
//!
//! A record has no identity, so a retry is stored again unless the query names one. An answer comes after the commit,
//! so an acknowledgement needs no memory: the id is the greatest seq of the request.

mod ack;
mod answer;
mod events;
mod head;
mod raw;
mod values;

pub use values::{Malformed, Values};

use super::adapter::{Adapter, Endpoint, Intake, ServerState};
use crate::event::Protocol;
use crate::http::{ErrorShape, Method, Refusal, Request, Response};
use answer::Verdict;
use head::{has_authorization, has_channel};

pub(super) struct Hec;

const EVENTS: u8 = 0;
const RAW: u8 = 1;
const ACK: u8 = 2;
const HEALTH: u8 = 3;
const UNKNOWN: u8 = 4;

impl Adapter for Hec {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Hec, "/services/collector")
    }

    fn default_topic(&self) -> &'static str {
        "splunk"
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        let ["services", "collector", rest @ ..] = segments else {
            return None;
        };
        let number = match rest {
            [] | ["event"] | ["event", "1.0"] => EVENTS,
            ["raw"] | ["raw", "1.0"] => RAW,
            ["ack"] => ACK,
            ["health"] | ["health", "1.0"] => HEALTH,
            _ => UNKNOWN,
        };
        Some(Endpoint::plain(number))
    }

    fn methods(&self, endpoint: &Endpoint) -> &'static [Method] {
        match endpoint.number {
            HEALTH => &[Method::Get, Method::Head],
            _ => &[Method::Post],
        }
    }

    fn is_open(&self, endpoint: &Endpoint, method: Method) -> bool {
        endpoint.number == HEALTH && matches!(method, Method::Get | Method::Head)
    }

    fn error_shape(&self, endpoint: &Endpoint, request: &Request) -> ErrorShape {
        match endpoint.number {
            HEALTH => answer::unhealthy,
            _ if has_authorization(request) => answer::refused,
            _ => answer::without_token,
        }
    }

    fn answer(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        state: ServerState,
    ) -> Option<Response> {
        match (endpoint.number, request.method) {
            // Docker's driver asks this before it sends, and takes nothing but 200.
            (number, Method::Options) => {
                let allow = match number {
                    HEALTH => "GET, HEAD, OPTIONS",
                    _ => "POST, OPTIONS",
                };
                Some(Response::empty(200).header("Allow", allow))
            }
            (HEALTH, Method::Get | Method::Head) if state.is_healthy => {
                Some(answer::HEALTHY.response(200))
            }
            (HEALTH, Method::Get | Method::Head) => {
                Some(Refusal::unavailable("").shaped(answer::unhealthy))
            }
            (UNKNOWN, _) => {
                let verdict = Verdict("The requested URL was not found on this server.", 404);
                Some(verdict.response(404))
            }
            _ => None,
        }
    }

    /// Any media type is taken, because clients send JSON as a form. A page in a browser could do that as well, but not
    /// with a token.
    fn begin(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        if !has_authorization(request) {
            let sentence = "Send Authorization: Splunk TOKEN; without tokens any one will do.";
            return Err(Refusal::new(401, sentence).header("WWW-Authenticate", "Bearer"));
        }
        Ok(match endpoint.number {
            ACK => Box::new(ack::Acks::new(state.last_seq)),
            RAW => Box::new(raw::Lines::new(request, has_channel(request))),
            _ => Box::new(events::Events::new(has_channel(request))),
        })
    }
}
