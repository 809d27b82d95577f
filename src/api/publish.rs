//! `POST /publish`: from a request to a publication, and from outcomes to the answer.

use super::content;
use super::detail::{unprocessable, Detail, Details};
use super::json::write_to;
use super::publish_body::{self, BodyError, Parsed, RecordRules};
use super::query::flag;
use crate::event::{EventSpans, IdentityCounts, Peer, Publication};
use crate::http::encoding::{Coding, DecodeError};
use crate::http::{write_number, Request, Response};
use crate::ingest::query::IngestQuery;
use crate::store::Outcome;

/// What the answer needs to know of the request once its events are committed.
#[derive(Debug, Default)]
pub(crate) struct PublishParams {
    results: bool,
    partial: bool,
    /// Indices of the rejected events, ascending.
    rejected: Vec<u32>,
    errors: Details,
    /// What only few requests need.
    extras: Option<Box<Extras>>,
}

/// What is needed to keep what is rejected, and of records that need not be events.
#[derive(Debug)]
struct Extras {
    peer: Peer,
    rules: Option<RecordRules>,
    /// Where the identities of the records are from.
    identities: IdentityCounts,
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

/// What else a request asks for. `setting` says about its records what the query does not.
pub(crate) fn read_query(
    request: &Request,
    setting: &IngestQuery,
    received_at: i64,
) -> Result<PublishParams, Rejection> {
    let query = request.query();
    let flag = |name| flag(query, name).map_err(|details| unprocessable(&details));
    let (results, partial) = (flag("results")?, flag("partial")?);
    let rules = record_rules(request, setting, received_at)?;
    let extras = (partial || rules.is_some()).then(|| {
        Box::new(Extras {
            peer: request.peer,
            rules,
            identities: IdentityCounts::default(),
        })
    });
    Ok(PublishParams {
        results,
        partial,
        extras,
        ..PublishParams::default()
    })
}

/// What is said of records, if anything.
fn record_rules(
    request: &Request,
    setting: &IngestQuery,
    received_at: i64,
) -> Result<Option<RecordRules>, Response> {
    if request.query().is_none() && setting.is_empty() {
        return Ok(None);
    }
    let query = IngestQuery::parse(request.query())
        .map_err(|bad| unprocessable(&Details::query(bad.name, bad.sentence)))?
        .or(setting);
    if query.is_empty() {
        return Ok(None);
    }
    if query.whole && query.topic.is_none() {
        let mut details = Details::default();
        details.push(Detail::missing(vec!["query".into(), "topic".into()]));
        return Err(unprocessable(&details));
    }
    Ok(Some(RecordRules {
        query,
        peer: request.peer,
        received_at,
    }))
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
    let rules = params.extras.as_ref();
    let parsed = match rules.and_then(|extras| extras.rules.as_ref()) {
        None => publish_body::parse(body, events, params.partial, max_events),
        Some(rules) => publish_body::parse_records(body, rules, params.partial, max_events),
    };
    match parsed {
        Ok(parsed) => {
            let Parsed {
                mut publication,
                rejected,
                errors,
                identities,
            } = parsed;
            let mut extras = params.extras;
            if let Some(extras) = &mut extras {
                extras.identities = identities;
                for kept in &mut publication.rejected {
                    kept.peer = extras.peer.to_string();
                }
            }
            let params = PublishParams {
                rejected,
                errors,
                extras,
                ..params
            };
            Ok((publication, params))
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
    /// For an answer to a request of another protocol that answers as this one does.
    pub(crate) fn of_batch(
        results: bool,
        partial: bool,
        rejected: Vec<u32>,
        errors: Details,
    ) -> Self {
        Self {
            results,
            partial,
            rejected,
            errors,
            ..Self::default()
        }
    }

    /// Where the identities of the `events` that were kept are from.
    pub(crate) fn identities(&self, events: usize) -> IdentityCounts {
        let own = IdentityCounts {
            own: events as u64,
            ..IdentityCounts::default()
        };
        self.extras.as_ref().map_or(own, |extras| extras.identities)
    }

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
