//! `GET /events`: what is asked for, and the page that answers it.

use std::fmt::Write as _;

use super::detail::{unprocessable, Details};
use super::json::{write_string, write_to};
use super::query;
use super::read::{topic_patterns, write_event, DATABASE_FIELD};
use crate::clock::Stamp;
use crate::http::Response;
use crate::limits;
use crate::store::{Bound, PageQuery, PageSearch, Store, StoreError};

/// What `GET /events` asks for.
#[derive(Debug)]
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
        let query = Self {
            topics,
            limit,
            bound,
        };
        if query.next(i64::MAX as u64).len() > limits::NEXT_MAX_BYTES {
            return Err(Details::whole_query(format!(
                "the address of the next page would be longer than {} bytes; name fewer or shorter topics",
                limits::NEXT_MAX_BYTES
            )));
        }
        Ok(query)
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

    /// The address of the page after the event with this seq.
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

/// A page that has been asked for and is not answered yet.
#[derive(Debug)]
pub struct PageRequest {
    query: EventsQuery,
    search: PageSearch,
}

impl PageRequest {
    /// Reads the query and begins to search.
    ///
    /// # Errors
    /// The 422 answer.
    pub fn begin(store: &Store, text: Option<&str>) -> Result<Self, Box<Response>> {
        let query = EventsQuery::parse(text)
            .and_then(|query| query.check_position(store.last_seq()).map(|()| query))
            .map_err(|details| Box::new(unprocessable(&details)))?;
        let limit = query.limit.map(|n| n as usize);
        let search = store.begin_page(&PageQuery {
            topics: &query.topics,
            bound: query.bound,
            limit: limit.unwrap_or(limits::PAGE_DEFAULT_EVENTS),
        });
        Ok(Self { query, search })
    }

    /// Goes on with it for about `units` of work; `None` if that was not enough. Reading the events
    /// that have been found comes on top: a page of them at the most.
    pub fn read_on(&mut self, store: &Store, units: u64) -> Result<Option<Response>, StoreError> {
        store.search_page(&mut self.search, units)?;
        if !self.search.is_over() {
            return Ok(None);
        }
        let (mut list, mut stamp) = (Vec::new(), Stamp::default());
        let page = store.read_page(&self.search, |event| {
            if !list.is_empty() {
                list.push(b',');
            }
            write_event(&mut list, &event, &mut stamp);
        })?;
        let mut body = Vec::with_capacity(list.len() + 128);
        body.extend_from_slice(b"{\"topic\":");
        match &self.query.topics[..] {
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
            Some(last) => write_string(&mut body, &self.query.next(last)),
            None => body.extend_from_slice(b"null"),
        }
        body.push(b'}');
        let response = Response::json(200, body);
        Ok(Some(
            response.header(DATABASE_FIELD, &store.identity().database_id),
        ))
    }
}
