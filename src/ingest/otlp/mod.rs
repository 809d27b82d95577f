//! OTLP/HTTP logs, as the OTLP specification 1.x says: `POST /v1/logs` in protobuf and JSON. The attribute
//! `log.record.uid` is a record's identity.
//!
//! A record is read from its place in the body and written directly as a payload. What a resource and a scope say is
//! written once, and copied for each of their records. There is no tree, and no index of the records.

mod answer;
mod binary;
mod context;
mod cursor;
mod dry_run;
mod logs;
mod payload;
mod text;
mod text_values;
mod walk;

use super::adapter::{Adapter, Endpoint, Intake, ServerState};
use crate::event::Protocol;
use crate::http::{ErrorShape, Method, Refusal, Request, Response};
use answer::Encoding;
use logs::Logs;

pub use dry_run::{dry_run, DryRun};

pub(super) struct Otlp;

const LOGS: u8 = 0;
const OTHER_SIGNALS: u8 = 1;

impl Adapter for Otlp {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Otlp, "/v1/logs")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        match segments {
            ["v1", "logs"] => Some(Endpoint::plain(LOGS)),
            ["v1", "traces" | "metrics"] => Some(Endpoint::plain(OTHER_SIGNALS)),
            _ => None,
        }
    }

    fn error_shape(&self, _endpoint: &Endpoint, request: &Request) -> ErrorShape {
        Encoding::of(request)
            .unwrap_or(Encoding::Json)
            .error_shape()
    }

    fn answer(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Option<Response> {
        if endpoint.number == LOGS || request.method == Method::Options {
            return None;
        }
        let sentence =
            "Only logs are taken here, at /v1/logs; there is no place for traces and metrics.";
        let shape = self.error_shape(endpoint, request);
        Some(Refusal::new(404, sentence).shaped(shape))
    }

    fn begin(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        match Encoding::of(request) {
            Some(Encoding::Protobuf) => Ok(Box::new(Logs::<binary::Walk>::new(Encoding::Protobuf))),
            Some(Encoding::Json) => Ok(Box::new(Logs::<text::Walk>::new(Encoding::Json))),
            None => Err(Refusal::new(
                415,
                "Send the logs as application/x-protobuf or application/json.",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
