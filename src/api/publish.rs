//! `POST /publish`: from a request to a publication, and from outcomes to the answer.

use super::content;
use super::detail::{unprocessable, Details};
use super::json::write_to;
use super::publish_body::{self, BodyError};
use super::query::flag;
use crate::event::{EventSpans, Publication};
use crate::http::encoding::{Coding, DecodeError};
use crate::http::{write_number, Request, Response};
use crate::store::Outcome;

/// What the answer needs to know of the request once its events are committed.
#[derive(Debug, Default)]
pub(crate) struct PublishParams {
    results: bool,
    partial: bool,
    /// Indices of the rejected events, ascending.
    rejected: Vec<u32>,
    errors: Details,
}

/// A request that was refused.
pub(crate) struct Rejection {
    pub response: Response,
    /// For the statistic `rejected`.
    pub rejected: u64,
}

impl From<Response> for Rejection {
    fn from(response: Response) -> Self {
        Self {
            response,
            rejected: 0,
        }
    }
}

/// What a request asks for besides that its events are stored.
pub(crate) fn read_query(request: &Request) -> Result<PublishParams, Rejection> {
    let query = request.query();
    let flag = |name| flag(query, name).map_err(|details| unprocessable(&details));
    Ok(PublishParams {
        results: flag("results")?,
        partial: flag("partial")?,
        ..PublishParams::default()
    })
}

/// The answer to a body whose `coding` cannot be taken off.
pub(crate) fn undecodable(coding: Coding, error: DecodeError, max_body_bytes: usize) -> Rejection {
    Rejection {
        response: content::undecodable(coding, error, max_body_bytes),
        rejected: u64::from(error == DecodeError::Broken),
    }
}

/// Turns a decoded body into its events and what the answer needs to know.
pub(crate) fn read(
    params: PublishParams,
    body: Vec<u8>,
    events: Vec<EventSpans>,
    max_events: usize,
) -> Result<(Publication, PublishParams), Rejection> {
    match publish_body::parse(body, events, params.partial, max_events) {
        Ok(parsed) => {
            let params = PublishParams {
                rejected: parsed.rejected,
                errors: parsed.errors,
                ..params
            };
            Ok((parsed.publication, params))
        }
        Err(refused) => {
            let response = match refused.error {
                BodyError::Invalid(details) => unprocessable(&details),
                BodyError::TooMany => Response::error(
                    413,
                    &format!("The request holds more than {max_events} events; send them in several requests."),
                ),
            };
            Err(Rejection {
                response,
                rejected: refused.rejected,
            })
        }
    }
}

impl PublishParams {
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
