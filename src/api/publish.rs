//! `POST /publish`: from a request to a publication, and from outcomes to the answer.

use super::detail::Details;
use super::json::write_to;
use super::publish_body::{self, Refusal};
use super::query::flag;
use super::route::unprocessable;
use crate::event::{EventSpans, Publication};
use crate::http::encoding::{Coding, DecodeError, Decoding};
use crate::http::{write_number, Request, Response};
use crate::limits::DECODED_SHORT_BYTES;
use crate::store::Outcome;

/// What the answer needs to know of the request once its events are committed.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    results: bool,
    partial: bool,
    /// Indices of the rejected events, ascending.
    rejected: Vec<u32>,
    errors: Details,
}

/// A request that was refused.
pub(crate) struct Refused {
    pub response: Response,
    /// For the statistic `rejected`.
    pub rejected: u64,
}

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self {
            response,
            rejected: 0,
        }
    }
}

/// Refuses a media type or a content coding that is not taken: 415 (RFC 9110 §15.5.16).
pub(crate) fn check_head(request: &Request) -> Result<(), Box<Response>> {
    if !request.header("content-type").is_some_and(is_json) {
        let sentence = "Send the body with Content-Type: application/json (or application/…+json, \
                        application/x-ndjson, application/ndjson, application/jsonl).";
        return Err(Response::error(415, sentence).into());
    }
    coding_of(request).map(|_| ()).ok_or_else(|| {
        let sentence = format!(
            "Send the body with one Content-Encoding of {}, or none.",
            Coding::ACCEPTED
        );
        Response::error(415, &sentence)
            .header("Accept-Encoding", Coding::ACCEPTED)
            .into()
    })
}

fn is_json(media_type: &str) -> bool {
    // What nearly all send.
    if media_type == "application/json" {
        return true;
    }
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else {
        return false;
    };
    matches!(subtype, "json" | "x-ndjson" | "ndjson" | "jsonl")
        || subtype
            .strip_suffix("+json")
            .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// The one content coding of the body; `None` where there are several or an unknown one, which
/// [`check_head`] has refused.
pub(crate) fn coding_of(request: &Request) -> Option<Coding> {
    let mut fields = request.headers("content-encoding");
    let first = fields.next();
    if fields.next().is_some() {
        return None;
    }
    let Some(first) = first else {
        return Some(Coding::Identity);
    };
    std::str::from_utf8(first).ok().and_then(Coding::parse)
}

/// What a request asks for besides that its events are stored.
pub(crate) fn read_query(request: &Request) -> Result<Asked, Refused> {
    let query = |name| flag(request.query(), name).map_err(|details| unprocessable(&details));
    Ok(Asked {
        results: query("results")?,
        partial: query("partial")?,
        ..Asked::default()
    })
}

/// The answer to a body whose `coding` cannot be taken off.
pub(crate) fn undecodable(coding: Coding, error: DecodeError, max_body_bytes: usize) -> Refused {
    match error {
        DecodeError::TooLarge => Refused::from(too_large(max_body_bytes)),
        DecodeError::Broken => {
            let name = coding.name();
            let details =
                Details::body(format!("the body is not what Content-Encoding {name} says"));
            Refused {
                response: unprocessable(&details),
                rejected: 1,
            }
        }
    }
}

/// Turns a decoded body into its events and what the answer needs to know.
pub(crate) fn read(
    asked: Asked,
    body: Vec<u8>,
    events: Vec<EventSpans>,
    max_events: usize,
) -> Result<(Publication, Asked), Refused> {
    match publish_body::parse(body, events, asked.partial, max_events) {
        Ok(parsed) => {
            let asked = Asked {
                rejected: parsed.rejected,
                errors: parsed.errors,
                ..asked
            };
            Ok((parsed.publication, asked))
        }
        Err(refused) => {
            let response = match refused.refusal {
                Refusal::Invalid(details) => unprocessable(&details),
                Refusal::TooMany => Response::error(
                    413,
                    &format!("The request holds more than {max_events} events; send them in several requests."),
                ),
            };
            Err(Refused {
                response,
                rejected: refused.rejected,
            })
        }
    }
}

/// A short body of a request that [`check_head`] let pass, its content coding taken off: no more of it than
/// is decoded in one go.
pub(super) fn decoded(
    request: &Request,
    body: Vec<u8>,
    max_body_bytes: usize,
) -> Result<Vec<u8>, Refused> {
    let coding = coding_of(request).unwrap_or(Coding::Identity);
    if coding == Coding::Identity {
        return Ok(body);
    }
    let limit = max_body_bytes.min(DECODED_SHORT_BYTES);
    Decoding::new(coding, body, limit)
        .and_then(|mut decoding| decoding.go_on(DECODED_SHORT_BYTES))
        .and_then(|whole| whole.ok_or(DecodeError::TooLarge))
        .map_err(|error| undecodable(coding, error, limit))
}

/// The answer to a body over the limit.
fn too_large(limit: usize) -> Response {
    Response::error(
        413,
        &format!(
            "The decoded body is over the limit of {limit} bytes; send the events in several requests."
        ),
    )
}

impl Asked {
    /// Events of the request that were left out.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.len() as u64
    }

    /// The answer to a request whose events have been committed with these outcomes.
    pub(crate) fn answer(&self, outcomes: &[Outcome]) -> Response {
        let received = outcomes.len();
        let accepted = outcomes
            .iter()
            .filter(|o| matches!(o, Outcome::Accepted(_)))
            .count();
        let duplicates = received - accepted;
        let room = 160
            + if self.results {
                40 * (received + self.rejected.len())
            } else {
                0
            };
        let mut body = Vec::with_capacity(room);
        for (text, number) in [
            ("{\"received\":", received),
            (",\"accepted\":", accepted),
            (",\"duplicates\":", duplicates),
            (",\"message\":\"Received ", received),
            (" events, accepted ", accepted),
            (", rejected ", duplicates),
        ] {
            body.extend_from_slice(text.as_bytes());
            write_number(&mut body, number);
        }
        body.extend_from_slice(b" duplicates\"");
        if self.partial {
            write_to(
                &mut body,
                format_args!(",\"rejected\":{},\"errors\":", self.rejected.len()),
            );
            self.errors.write_array(&mut body);
        }
        if self.results {
            body.extend_from_slice(b",\"results\":[");
            self.write_results(&mut body, outcomes);
            body.push(b']');
        }
        body.push(b'}');
        Response::json(200, body)
    }

    fn write_results(&self, body: &mut Vec<u8>, outcomes: &[Outcome]) {
        let mut rejected = self.rejected.iter().peekable();
        let mut outcomes = outcomes.iter();
        for index in 0..(outcomes.len() + self.rejected.len()) as u32 {
            if index > 0 {
                body.push(b',');
            }
            if rejected.next_if_eq(&&index).is_some() {
                body.extend_from_slice(b"{\"status\":\"rejected\"}");
                continue;
            }
            let (status, seq) = match outcomes.next() {
                Some(Outcome::Accepted(seq)) => ("accepted", seq),
                Some(Outcome::Duplicate(seq)) => ("duplicate", seq),
                Some(Outcome::Conflict(seq)) => ("conflict", seq),
                None => break,
            };
            write_to(
                body,
                format_args!("{{\"status\":\"{status}\",\"seq\":{seq}}}"),
            );
        }
    }
}
