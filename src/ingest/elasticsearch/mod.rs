//! Elasticsearch's bulk interface, one document at a time, and the requests that shippers make before they send.
//!
//! A document is an event whose topic is its index and whose event id is its `_id`. What reads, changes or deletes
//! documents is refused, and no index, template or policy is kept.

mod actions;
mod bulk;
mod document;
mod errors;
mod items;
mod probes;
#[cfg(test)]
mod tests;

pub use actions::{Action, Entries, Entry, Operation};

use super::adapter::{Adapter, Endpoint, Intake, ServerState};
use crate::event::Protocol;
use crate::http::{ErrorShape, Method, Refusal, Request, Response};
use bulk::{Bulk, Single};

pub(super) struct Elasticsearch;

const BULK: u8 = 0;
const INFO: u8 = 1;
const LICENSE: u8 = 2;
const XPACK: u8 = 3;
const HEALTH: u8 = 4;
const NODES: u8 = 5;
const SETTINGS: u8 = 6;
/// `{index}/_doc`, without an id.
const DOCUMENTS: u8 = 7;
/// `{index}/_doc/{id}`.
const DOCUMENT: u8 = 8;
/// `{index}/_create/{id}`.
const CREATE: u8 = 9;
const UNKNOWN: u8 = 10;

const MEDIA_TYPES: [&str; 4] = [
    "application/x-ndjson",
    "application/json",
    "application/vnd.elasticsearch+x-ndjson",
    "application/vnd.elasticsearch+json",
];

/// The endpoint of a path below `/elasticsearch`.
fn below(segments: &[&str]) -> Endpoint {
    let number = match segments {
        [] => INFO,
        ["_bulk"] => BULK,
        ["_license"] => LICENSE,
        ["_xpack"] => XPACK,
        ["_cluster", "health"] => HEALTH,
        ["_nodes", ..] => NODES,
        ["_ilm", "policy", _, ..] | ["_ingest", "pipeline", _, ..] => SETTINGS,
        ["_template" | "_index_template" | "_component_template", _, ..]
        | ["_data_stream" | "_alias" | "_cat" | "_logstash", _, ..] => SETTINGS,
        [index, rest @ ..] if is_index(index) => return of_index(index, rest),
        _ => UNKNOWN,
    };
    Endpoint::plain(number)
}

fn is_index(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('_')
}

fn of_index(index: &str, rest: &[&str]) -> Endpoint {
    let (number, id) = match rest {
        [] => (SETTINGS, None),
        ["_bulk"] => (BULK, None),
        ["_doc"] => (DOCUMENTS, None),
        ["_doc", id] => (DOCUMENT, Some(id)),
        ["_create", id] => (CREATE, Some(id)),
        _ => return Endpoint::plain(UNKNOWN),
    };
    let names = std::iter::once(&index).chain(id);
    Endpoint {
        number,
        names: names.map(|name| (*name).to_owned()).collect(),
    }
}

impl Adapter for Elasticsearch {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Elasticsearch, "/elasticsearch/_bulk")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        // A slash at the end means nothing here.
        let segments = match segments {
            [first, others @ .., ""] if !others.is_empty() || *first == "elasticsearch" => {
                &segments[..segments.len() - 1]
            }
            _ => segments,
        };
        match segments {
            ["_bulk"] => Some(Endpoint::plain(BULK)),
            ["elasticsearch", rest @ ..] => Some(below(rest)),
            _ => None,
        }
    }

    fn undecodable(&self, path: &str) -> Option<Endpoint> {
        let is_below = path.starts_with("/elasticsearch/");
        is_below.then(|| Endpoint::plain(UNKNOWN))
    }

    fn methods(&self, endpoint: &Endpoint) -> &'static [Method] {
        match endpoint.number {
            BULK | DOCUMENT | CREATE => &[Method::Post, Method::Put],
            DOCUMENTS => &[Method::Post],
            SETTINGS => &[
                Method::Get,
                Method::Head,
                Method::Put,
                Method::Post,
                Method::Delete,
            ],
            _ => &[Method::Get, Method::Head],
        }
    }

    fn is_open(&self, endpoint: &Endpoint, method: Method) -> bool {
        matches!(endpoint.number, INFO | LICENSE | HEALTH | NODES)
            && matches!(method, Method::Get | Method::Head)
    }

    fn error_shape(&self, _endpoint: &Endpoint, _request: &Request) -> ErrorShape {
        errors::shape
    }

    fn answer(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        state: ServerState,
    ) -> Option<Response> {
        if endpoint.number == UNKNOWN {
            let sentence = "There is nothing at this path: documents are taken, and nothing else.";
            return Some(errors::shape(&Refusal::new(404, sentence)));
        }
        if request.method == Method::Options {
            let methods = self.methods(endpoint).iter().map(|method| method.name());
            let allow: Vec<&str> = methods.chain(["OPTIONS"]).collect();
            let response = Response::empty(204).header("Allow", allow.join(", "));
            return Some(errors::product(response));
        }
        if !self.methods(endpoint).contains(&request.method) {
            return None;
        }
        match endpoint.number {
            INFO => Some(probes::info(state)),
            LICENSE => Some(probes::license(state)),
            XPACK => Some(probes::xpack(state)),
            HEALTH => Some(probes::health(state)),
            NODES => Some(probes::nodes()),
            SETTINGS => Some(probes::settings(request.method)),
            _ => None,
        }
    }

    fn begin(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        let essence = request.media_type();
        if !MEDIA_TYPES
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known))
        {
            let sentence = format!("Send it with a Content-Type of {}.", MEDIA_TYPES.join(", "));
            return Err(Refusal::new(415, sentence));
        }
        let mut names = endpoint.names.iter().cloned();
        let (index, id) = (names.next(), names.next());
        let operation = match endpoint.number {
            BULK => return Ok(Box::new(Bulk::new(index))),
            CREATE => actions::Operation::Create,
            _ => actions::Operation::Index,
        };
        Ok(Box::new(Single::new(
            operation,
            index.unwrap_or_default(),
            id,
        )))
    }
}
