//! Datadog logs: an array of objects or one object, each a record. A retry carries no identity.

use super::adapter::{Adapter, BadBody, Endpoint, Intake, ReadStatus, Results, ServerState, Tally};
use super::json;
use super::record::Record;
use super::records::Records;
use super::time::document_time;
use crate::event::Protocol;
use crate::http::{ErrorShape, Method, Refusal, Request, Response};

pub(super) struct Datadog;

const LOGS: u8 = 0;
const VALIDATE: u8 = 1;

impl Adapter for Datadog {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Datadog, "/api/v2/logs")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        match segments {
            ["api", "v2", "logs"] | ["v1", "input"] => Some(Endpoint::plain(LOGS)),
            ["api", "v1", "validate"] => Some(Endpoint::plain(VALIDATE)),
            _ => None,
        }
    }

    fn methods(&self, endpoint: &Endpoint) -> &'static [Method] {
        match endpoint.number {
            LOGS => &[Method::Post],
            _ => &[Method::Get, Method::Head],
        }
    }

    fn is_open(&self, endpoint: &Endpoint, _method: Method) -> bool {
        endpoint.number == VALIDATE
    }

    fn error_shape(&self, _endpoint: &Endpoint, _request: &Request) -> ErrorShape {
        errors
    }

    fn answer(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Option<Response> {
        let is_read = matches!(request.method, Method::Get | Method::Head);
        (endpoint.number == VALIDATE && is_read)
            .then(|| Response::bare_json(200, b"{\"valid\":true}".to_vec()))
    }

    fn begin(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        if !request
            .media_type()
            .eq_ignore_ascii_case("application/json")
        {
            return Err(Refusal::new(415, "Send the logs as application/json."));
        }
        Ok(Box::new(Logs::default()))
    }
}

/// `{"errors":[{"status":"400","title":"Bad Request","detail":…}]}`.
fn errors(refusal: &Refusal) -> Response {
    let Refusal {
        status, sentence, ..
    } = refusal;
    let title = crate::http::reason(*status);
    let body = serde_json::json!({
        "errors": [{"status": status.to_string(), "title": title, "detail": sentence}]
    });
    Response::bare_json(*status, body.to_string().into_bytes())
}

/// A request.
#[derive(Default)]
struct Logs {
    /// Where the next element of the array is looked for; none before the body has been checked.
    next: Option<usize>,
    tally: Tally,
}

fn bad_body(reason: String) -> BadBody {
    refused(400, reason)
}

fn refused(status: u16, reason: String) -> BadBody {
    let response = errors(&Refusal::new(status, reason.clone()));
    BadBody { response, reason }
}

impl Logs {
    fn record(records: &mut Records, text: &str) {
        let result = if text.starts_with('{') {
            let [service, source, hostname] = json::pick(text, ["service", "ddsource", "hostname"])
                .map(|value| value.and_then(json::string));
            let record = Record {
                topic: service.filter(|name| !name.is_empty()).or(source),
                source: hostname,
                time: document_time(text),
                identity: None,
            };
            records.document(&record, text).map(|_| ())
        } else {
            Err("a log must be an object")
        };
        if let Err(reason) = result {
            records.reject(reason.to_owned(), text.as_bytes());
        }
    }
}

impl Intake for Logs {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        let Ok(text) = std::str::from_utf8(body) else {
            return Err(bad_body("the body is not UTF-8".to_owned()));
        };
        let next = match self.next {
            Some(next) => next,
            None => {
                json::check(text)
                    .map_err(|error| bad_body(format!("the body is not JSON: {error}")))?;
                match text.trim_ascii().as_bytes().first() {
                    Some(b'{') if json::members(text).next().is_none() => {
                        return Ok(ReadStatus::Done)
                    }
                    Some(b'{') => {
                        Self::record(records, text.trim_ascii());
                        return Ok(ReadStatus::Done);
                    }
                    Some(b'[') => {
                        let size = records.check_size(json::elements(text).count(), 0);
                        size.map_err(|reason| refused(413, reason))?;
                        json::elements(text).offset()
                    }
                    _ => {
                        return Err(bad_body(
                            "the body must be an array or an object".to_owned(),
                        ))
                    }
                }
            }
        };
        let mut elements = json::Elements::at(text, next);
        while !records.is_full() {
            match elements.next() {
                Some(element) => Self::record(records, element),
                None => return Ok(ReadStatus::Done),
            }
        }
        self.next = Some(elements.offset());
        Ok(ReadStatus::More)
    }

    fn committed(&mut self, results: &Results) {
        self.tally.add(results);
    }

    fn answer(&mut self) -> Response {
        match self.tally.refusal() {
            Some(reason) => errors(&Refusal::new(400, reason.to_owned())),
            None => Response::bare_json(202, b"{}".to_vec()),
        }
    }
}
