//! Loki's push interface. Entries of one stream with the same time and line are one, as in Loki itself.

mod json;
mod labels;
mod protobuf;

use super::adapter::{Adapter, BadBody, Endpoint, Intake, ReadStatus, Results, ServerState, Tally};
use super::json::check;
use super::query::MadeIdentity;
use super::records::Records;
use crate::api::content;
use crate::event::Protocol;
use crate::http::encoding::Coding;
use crate::http::{plain_shape, ErrorShape, Refusal, Request, Response};

pub(super) struct Loki;

/// The media type of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    /// In Snappy's block format.
    Protobuf,
}

/// Unlike Loki, a body without a media type is refused: a page in a browser could send one to another origin without a
/// preflight.
fn format(request: &Request) -> Option<Format> {
    let essence = request.media_type();
    if essence.eq_ignore_ascii_case("application/json") {
        Some(Format::Json)
    } else if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Format::Protobuf)
    } else {
        None
    }
}

impl Adapter for Loki {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Loki, "/loki/api/v1/push")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        matches!(segments, ["loki", "api", "v1", "push"]).then(|| Endpoint::plain(0))
    }

    fn error_shape(&self, _endpoint: &Endpoint, _request: &Request) -> ErrorShape {
        plain_shape
    }

    /// Snappy is part of the format, whether it is named or not.
    fn coding(&self, request: &Request) -> Option<Coding> {
        if format(request) != Some(Format::Protobuf) {
            return content::coding_of(request);
        }
        let mut fields = request.headers("content-encoding");
        let is_snappy = |value: &[u8]| {
            value.eq_ignore_ascii_case(b"snappy") || value.eq_ignore_ascii_case(b"identity")
        };
        (fields.next().is_none_or(is_snappy) && fields.next().is_none()).then_some(Coding::Identity)
    }

    fn begin(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        let sentence =
            "Send the streams as application/json, or as application/x-protobuf with Snappy.";
        let format = format(request).ok_or(Refusal::new(415, sentence))?;
        Ok(Box::new(Push {
            format,
            decoded: Vec::new(),
            cursor: None,
            tally: Tally::default(),
        }))
    }

    fn default_identity(&self) -> MadeIdentity {
        MadeIdentity::HashOnce
    }
}

fn bad_body(status: u16, reason: String) -> BadBody {
    let response = plain_shape(&Refusal::new(status, reason.clone()));
    BadBody { response, reason }
}

/// A request.
struct Push {
    format: Format,
    /// What Snappy took, or text with what is not UTF-8 replaced; empty where the body itself is read.
    decoded: Vec<u8>,
    /// None before the first call.
    cursor: Option<Cursor>,
    tally: Tally,
}

enum Cursor {
    Json(json::Cursor),
    Protobuf(protobuf::Cursor),
}

impl Push {
    /// Checks the whole body and finds its beginning.
    fn begin(&mut self, body: &[u8], records: &Records) -> Result<Cursor, BadBody> {
        let max_body_bytes = records.origin().max_body_bytes;
        let ((count, repeated), cursor) = match self.format {
            Format::Protobuf => {
                let broken =
                    |_| bad_body(400, "the body is not in Snappy's block format".to_owned());
                let length = snap::raw::decompress_len(body).map_err(broken)?;
                if length > max_body_bytes {
                    let reason =
                        format!("The decoded body is over the limit of {max_body_bytes} bytes.");
                    return Err(bad_body(413, reason));
                }
                self.decoded = snap::raw::Decoder::new()
                    .decompress_vec(body)
                    .map_err(broken)?;
                let size = protobuf::check(&self.decoded).map_err(|why| {
                    bad_body(400, format!("the body is not a PushRequest: {}", why.0))
                })?;
                (size, Cursor::Protobuf(protobuf::Cursor::default()))
            }
            Format::Json => {
                if std::str::from_utf8(body).is_err() {
                    self.decoded = String::from_utf8_lossy(body).into_owned().into_bytes();
                }
                let text = text_of(&self.decoded, body);
                check(text)
                    .map_err(|error| bad_body(400, format!("the body is not JSON: {error}")))?;
                let cursor = json::begin(text).map_err(|why| bad_body(400, why.to_owned()))?;
                (json::measure(text, &cursor), Cursor::Json(cursor))
            }
        };
        let size = records.check_size(count, repeated);
        size.map_err(|reason| bad_body(413, reason))?;
        Ok(cursor)
    }
}

/// The text that is read: the decoded one where there is one.
fn text_of<'a>(decoded: &'a [u8], body: &'a [u8]) -> &'a str {
    let bytes = if decoded.is_empty() { body } else { decoded };
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl Intake for Push {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => self.begin(body, records)?,
        };
        let status = match &mut cursor {
            Cursor::Json(cursor) => json::read(text_of(&self.decoded, body), cursor, records),
            Cursor::Protobuf(cursor) => protobuf::read(&self.decoded, cursor, records)
                .map_err(|why| bad_body(400, why.0.to_owned()))?,
        };
        self.cursor = Some(cursor);
        Ok(status)
    }

    fn committed(&mut self, results: &Results) {
        self.tally.add(results);
    }

    fn answer(&mut self) -> Response {
        match self.tally.refusal() {
            Some(reason) => plain_shape(&Refusal::new(400, reason.to_owned())),
            None => Response::empty(204),
        }
    }
}
