//! `GET /events`, `GET /events/{topic}/{event_id}` and `GET /topics`.

use std::fmt::Write as _;
use std::ops::Range;

use super::detail::Details;
use super::json::{write_escaped, write_string, write_to};
use super::query;
use super::route::unprocessable;
use crate::clock::{rfc3339, Stamp};
use crate::event::name_error;
use crate::http::{write_number, Response};
use crate::limits;
use crate::store::{Bound, PageQuery, Store, StoreError, StoredEvent};

/// The field that names the history of the seqs in an answer ([`Store::identity`]).
pub const DATABASE_FIELD: &str = "Log-Aggregator-Database";

/// What `GET /events` asks for.
struct EventsQuery {
    topics: Vec<String>,
    limit: Option<u64>,
    bound: Bound,
}

impl EventsQuery {
    fn parse(text: Option<&str>) -> Result<Self, Details> {
        query::check_names(text, &["topic", "limit", "after", "before"])?;
        let topics = topic_patterns(text)?;
        let limit = query::number(text, "limit")?;
        if limit.is_some_and(|n| !(1..=limits::PAGE_MAX_EVENTS as u64).contains(&n)) {
            return Err(Details::query(
                "limit",
                format!("limit must be 1 to {}", limits::PAGE_MAX_EVENTS),
            ));
        }
        let bound = match (
            query::number(text, "after")?,
            query::number(text, "before")?,
        ) {
            (Some(_), Some(_)) => {
                return Err(Details::query("before", "give after or before, not both"))
            }
            (Some(after), None) => Bound::After(after),
            (None, before) => Bound::Before(before.unwrap_or(u64::MAX)),
        };
        Ok(Self {
            topics,
            limit,
            bound,
        })
    }

    /// Refuses a position of another history: `after` a seq that no event has yet.
    fn check_position(&self, last_seq: u64) -> Result<(), Details> {
        match self.bound {
            Bound::After(after) if after > last_seq => Err(Details::query(
                "after",
                format!("after is {after}, but the greatest seq of an event is {last_seq}"),
            )),
            _ => Ok(()),
        }
    }

    /// The address of the page behind the event with this seq.
    fn next(&self, last: u64) -> String {
        let mut address = String::from("/events?");
        for topic in &self.topics {
            address.push_str("topic=");
            query::percent_encode(topic, &mut address);
            address.push('&');
        }
        if let Some(limit) = self.limit {
            write!(address, "limit={limit}&").expect("a String takes every write");
        }
        let bound = if matches!(self.bound, Bound::After(_)) {
            "after"
        } else {
            "before"
        };
        write!(address, "{bound}={last}").expect("a String takes every write");
        address
    }
}

/// The topics that a query names, checked: names, or prefixes of names with a trailing `*`.
pub(super) fn topic_patterns(text: Option<&str>) -> Result<Vec<String>, Details> {
    let topics = query::values(text, "topic")?;
    for topic in &topics {
        let name = topic.strip_suffix('*').unwrap_or(topic);
        if name_error(name).is_some() && topic != "*" {
            let rule = "topic must be a legal name of 1 to 255 bytes, or a prefix of one with a trailing *";
            return Err(Details::query("topic", rule));
        }
    }
    Ok(topics)
}

/// Answers `GET /events`.
pub fn events(store: &mut Store, text: Option<&str>) -> Result<Response, StoreError> {
    let query = EventsQuery::parse(text)
        .and_then(|query| query.check_position(store.last_seq()).map(|()| query));
    let query = match query {
        Ok(query) => query,
        Err(details) => return Ok(unprocessable(&details)),
    };
    let limit = query
        .limit
        .map_or(limits::PAGE_DEFAULT_EVENTS, |n| n as usize);
    let (mut list, mut stamp) = (Vec::new(), Stamp::default());
    let page = store.page(
        &PageQuery {
            topics: &query.topics,
            bound: query.bound,
            limit,
        },
        |event| {
            if !list.is_empty() {
                list.push(b',');
            }
            write_event(&mut list, &event, &mut stamp);
        },
    )?;
    let mut body = Vec::with_capacity(list.len() + 128);
    body.extend_from_slice(b"{\"topic\":");
    match &query.topics[..] {
        [one] => write_string(&mut body, one),
        _ => body.extend_from_slice(b"null"),
    }
    write_to(
        &mut body,
        format_args!(",\"count\":{},\"events\":[", page.count),
    );
    body.append(&mut list);
    body.extend_from_slice(b"],\"next\":");
    match page.more_behind {
        Some(last) => write_string(&mut body, &query.next(last)),
        None => body.extend_from_slice(b"null"),
    }
    body.push(b'}');
    Ok(Response::json(200, body).header(DATABASE_FIELD, &store.identity().database_id))
}

/// Answers `GET /events/{topic}/{event_id}`.
pub fn event(store: &mut Store, topic: &str, event_id: &str) -> Result<Response, StoreError> {
    let mut body = Vec::new();
    let found = store.find(topic, event_id, |event| {
        write_event(&mut body, &event, &mut Stamp::default());
    })?;
    if found {
        Ok(Response::json(200, body))
    } else {
        Ok(Response::error(
            404,
            "No event of this topic and event_id is stored.",
        ))
    }
}

/// Answers `GET /topics`.
pub fn topics(store: &mut Store) -> Response {
    let topics = store.topics();
    let ids: Vec<_> = topics.in_order(None).collect();
    let mut body = Vec::with_capacity(32 + 128 * ids.len());
    write_to(
        &mut body,
        format_args!("{{\"count\":{},\"topics\":[", ids.len()),
    );
    for (at, id) in ids.into_iter().enumerate() {
        let topic = topics.get(id);
        body.extend_from_slice(if at > 0 {
            b",{\"topic\":"
        } else {
            b"{\"topic\":"
        });
        write_string(&mut body, &topic.name);
        write_to(
            &mut body,
            format_args!(
                ",\"events\":{},\"last_seq\":{},\"last_processed_at\":\"{}\"}}",
                topic.events,
                topic.last_seq,
                rfc3339(topic.last_processed_at)
            ),
        );
    }
    body.extend_from_slice(b"]}");
    Response::json(200, body)
}

/// Appends one event as JSON. Says where in `out` the topic stands, between its quotes. `stamp` is what
/// makes the times of events that follow each other cheap.
pub fn write_event(out: &mut Vec<u8>, event: &StoredEvent, stamp: &mut Stamp) -> Range<usize> {
    out.extend_from_slice(b"{\"seq\":");
    write_number(out, event.seq);
    out.extend_from_slice(b",\"topic\":\"");
    let from = out.len();
    write_escaped(out, event.topic);
    let topic = from..out.len();
    out.extend_from_slice(b"\",\"event_id\":\"");
    write_escaped(out, event.event_id);
    out.extend_from_slice(b"\",\"timestamp\":\"");
    write_escaped(out, event.timestamp);
    out.extend_from_slice(b"\",\"source\":\"");
    write_escaped(out, event.source);
    out.extend_from_slice(b"\",\"payload\":");
    out.extend_from_slice(event.payload);
    out.extend_from_slice(b",\"processed_at\":\"");
    out.extend_from_slice(stamp.at(event.processed_at));
    out.extend_from_slice(b"\"}");
    topic
}
