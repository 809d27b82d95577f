//! GELF 1.1, Graylog's format: a JSON object a message, over UDP, TCP and HTTP. A retry carries no identity.

pub mod chunks;
mod decoder;
mod message;

use super::adapter::{Adapter, BadBody, Endpoint, Intake, ReadStatus, Results, ServerState, Tally};
use super::records::Records;
use crate::api::content;
use crate::event::Protocol;
use crate::http::encoding::Coding;
use crate::http::{plain_shape, ErrorShape, Refusal, Request, Response};

pub(crate) use decoder::Gelf;

pub(super) struct GelfHttp;

/// What graypy names for a body in the zlib format; it does not mean two codings.
const GRAYPY_CODING: &[u8] = b"gzip,deflate";

impl Adapter for GelfHttp {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Gelf, "/gelf")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        matches!(segments, ["gelf"]).then(|| Endpoint::plain(0))
    }

    fn error_shape(&self, _endpoint: &Endpoint, _request: &Request) -> ErrorShape {
        plain_shape
    }

    fn coding(&self, request: &Request) -> Option<Coding> {
        let is_graypy = request.headers("content-encoding").eq([GRAYPY_CODING]);
        is_graypy
            .then_some(Coding::Deflate)
            .or_else(|| content::coding_of(request))
    }

    /// graypy names no media type. A page in a browser can omit it too, but it cannot name a content coding without a
    /// preflight.
    fn begin(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        let is_coded = request.headers("content-encoding").next().is_some();
        match request.media_type() {
            "" if is_coded => {}
            json if json.eq_ignore_ascii_case("application/json") => {}
            _ => return Err(Refusal::new(415, "Send the message as application/json.")),
        }
        Ok(Box::new(Body::default()))
    }
}

/// A request, which brings one message.
#[derive(Default)]
struct Body {
    tally: Tally,
}

impl Intake for Body {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        message::record(body, records);
        Ok(ReadStatus::Done)
    }

    fn committed(&mut self, results: &Results) {
        self.tally.add(results);
    }

    fn answer(&mut self) -> Response {
        match self.tally.refusal() {
            Some(reason) => plain_shape(&Refusal::new(400, reason.to_owned())),
            None => Response::empty(202),
        }
    }
}
