//! CloudEvents 1.0 over HTTP: structured, batched and binary. `source` and `id` tell a retry from another event.
//!
//! Answers are those of `POST /publish`.

mod attributes;
mod binary;

use super::adapter::{Adapter, BadBody, Endpoint, Intake, ReadStatus, Results, ServerState};
use super::json;
use super::records::Records;
use crate::api::detail::{unprocessable, Detail, Details, LocPart};
use crate::api::publish::PublishParams;
use crate::api::query::flag;
use crate::event::Protocol;
use crate::http::{detail_shape, ErrorShape, Method, Refusal, Request, Response};
use crate::store::Outcome;
use attributes::{Attributes, Fault};
use binary::BinaryHead;

pub(super) struct CloudEvents;

impl Adapter for CloudEvents {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::CloudEvents, "/cloudevents")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        (segments == ["cloudevents"]).then(|| Endpoint::plain(0))
    }

    fn error_shape(&self, _endpoint: &Endpoint, _request: &Request) -> ErrorShape {
        errors
    }

    /// The handshake of a webhook: any sender may send, at any rate.
    fn answer(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Option<Response> {
        if request.method != Method::Options {
            return None;
        }
        let origin = request.header("webhook-request-origin")?;
        let response = Response::empty(200)
            .header("Allow", "POST, OPTIONS")
            .header("WebHook-Allowed-Origin", origin)
            .header("WebHook-Allowed-Rate", "*");
        Some(response)
    }

    fn begin(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        let asked = |name| {
            let value = flag(request.query(), name);
            value.map_err(|_| Refusal::new(422, format!("{name} must be true, false, 1 or 0")))
        };
        let (results, partial) = (asked("results")?, asked("partial")?);
        let mode = match &request.media_type().to_ascii_lowercase()[..] {
            "application/cloudevents+json" => Mode::Structured,
            "application/cloudevents-batch+json" => Mode::Batch(None),
            other if other.starts_with("application/cloudevents") => return Err(unknown_type()),
            _ if request.header("ce-specversion").is_none() => return Err(unknown_type()),
            _ => Mode::Binary(BinaryHead::read(request)),
        };
        let partial = partial || matches!(mode, Mode::Batch(_));
        Ok(Box::new(Events {
            mode,
            results,
            partial,
            count: 0,
            outcomes: Vec::new(),
            rejected: Vec::new(),
            errors: Details::default(),
        }))
    }
}

fn unknown_type() -> Refusal {
    Refusal::new(
        415,
        "Send an event as application/cloudevents+json, several as application/cloudevents-batch+json, \
         or the attributes of one in ce-… fields.",
    )
}

/// What cannot be read is 422, as on `POST /publish`.
fn errors(refusal: &Refusal) -> Response {
    const NAMES: [&str; 7] = [
        "topic",
        "source",
        "event_id",
        "timestamp",
        "payload",
        "results",
        "partial",
    ];
    if !matches!(refusal.status, 400 | 422) {
        return detail_shape(refusal);
    }
    let sentence = refusal.sentence.clone();
    // What is wrong with the query begins with the name that is.
    let first = sentence.split(' ').next();
    let name = NAMES.into_iter().find(|name| first == Some(name));
    unprocessable(&match name {
        Some(name) => Details::query(name, sentence),
        None => Details::body(sentence),
    })
}

enum Mode {
    Structured,
    /// Where the next element of the array is looked for; none before the body has been checked.
    Batch(Option<usize>),
    Binary(BinaryHead),
}

/// A request.
struct Events {
    mode: Mode,
    results: bool,
    partial: bool,
    /// Events read so far.
    count: u32,
    outcomes: Vec<Outcome>,
    /// Indices of the events that break a rule, ascending.
    rejected: Vec<u32>,
    errors: Details,
}

/// The body as a whole is refused.
fn bad_body(details: &Details) -> BadBody {
    let reason = details.as_slice().first().map(|detail| &detail.msg);
    BadBody {
        response: unprocessable(details),
        reason: reason.map(|reason| reason.to_string()).unwrap_or_default(),
    }
}

fn too_large(reason: String) -> BadBody {
    let response = detail_shape(&Refusal::new(413, reason.clone()));
    BadBody { response, reason }
}

fn not_json(error: &dyn std::fmt::Display) -> BadBody {
    bad_body(&Details::body(format!("body is not JSON: {error}")))
}

/// Adds what is wrong with an event that `loc` leads to.
fn push(details: &mut Details, loc: &[LocPart], faults: &[Fault]) {
    for fault in faults {
        details.push(fault.detail(loc.to_vec()));
    }
}

impl Events {
    fn structured(text: &str, records: &mut Records) -> Result<(), BadBody> {
        json::check(text).map_err(|error| not_json(&error))?;
        let refuse = |faults: &[Fault]| {
            let mut details = Details::default();
            push(&mut details, &["body".into()], faults);
            bad_body(&details)
        };
        let attributes = Attributes::read(text).map_err(|faults| refuse(&faults))?;
        attributes
            .add(records, text)
            .map_err(|fault| refuse(&[fault]))
    }

    /// Finds out whether a batch has an event that can be stored, or none at all; gives where its first element is.
    fn check_batch(text: &str) -> Result<usize, BadBody> {
        json::check(text).map_err(|error| not_json(&error))?;
        if !text.trim_ascii_start().starts_with('[') {
            return Err(bad_body(&Details::body("body must be an array of events")));
        }
        let mut details = Details::default();
        for (index, element) in (0_u32..).zip(json::elements(text)) {
            match Attributes::read_all(element) {
                Ok(_) => return Ok(json::elements(text).offset()),
                Err(faults) => push(&mut details, &["body".into(), index.into()], &faults),
            }
        }
        match details.as_slice() {
            [] => Ok(json::elements(text).offset()),
            _ => Err(bad_body(&details)),
        }
    }

    fn batch(&mut self, text: &str, next: usize, records: &mut Records) -> ReadStatus {
        let mut elements = json::Elements::at(text, next);
        while !records.is_full() {
            let Some(element) = elements.next() else {
                return ReadStatus::Done;
            };
            let added = Attributes::read(element)
                .and_then(|read| read.add(records, element).map_err(|fault| vec![fault]));
            if let Err(faults) = added {
                let loc = ["body".into(), self.count.into()];
                push(&mut self.errors, &loc, &faults);
                self.rejected.push(self.count);
                let reason = faults.first().map(Fault::sentence);
                records.reject(reason.unwrap_or_default(), element.as_bytes());
            }
            self.count += 1;
        }
        self.mode = Mode::Batch(Some(elements.offset()));
        ReadStatus::More
    }
}

impl Intake for Events {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        if let Mode::Binary(head) = &self.mode {
            head.add(body, records).map_err(|faults| {
                let mut details = Details::default();
                faults
                    .into_iter()
                    .for_each(|fault: Detail| details.push(fault));
                bad_body(&details)
            })?;
            return Ok(ReadStatus::Done);
        }
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            bad_body(&Details::body(format!("body is not UTF-8 at byte {at}")))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self.mode {
            Mode::Batch(next) => {
                let next = match next {
                    Some(next) => next,
                    None => {
                        let first = Self::check_batch(text)?;
                        let size = records.check_size(json::elements(text).count(), 0);
                        size.map_err(too_large)?;
                        first
                    }
                };
                Ok(self.batch(text, next, records))
            }
            _ => Self::structured(text, records).map(|()| ReadStatus::Done),
        }
    }

    fn committed(&mut self, results: &Results) {
        self.outcomes.extend_from_slice(results.outcomes);
    }

    fn answer(&mut self) -> Response {
        let rejected = std::mem::take(&mut self.rejected);
        let errors = std::mem::take(&mut self.errors);
        PublishParams::of_batch(self.results, self.partial, rejected, errors).answer(&self.outcomes)
    }
}
