//! `GET /events`: what is asked for, and the page that answers it.

use super::detail::{unprocessable, Details};
use super::json::{write_string, write_to};
use super::query;
use super::read::{topic_patterns, write_event, DATABASE_FIELD};
use super::window::Window;
use crate::clock::Stamp;
use crate::http::Response;
use crate::limits;
use crate::store::{PageQuery, PageSearch, Store, StoreError};

/// What `GET /events` asks for.
#[derive(Debug)]
struct EventsQuery {
    topics: Vec<String>,
    window: Window,
}

impl EventsQuery {
    fn parse(text: Option<&str>) -> Result<Self, Details> {
        query::check_names(text, &["topic", "limit", "after", "before"])?;
        let topics = topic_patterns(text)?;
        let window = Window::parse(text)?;
        let query = Self { topics, window };
        if query.next(i64::MAX as u64).len() > limits::NEXT_MAX_BYTES {
            return Err(Details::whole_query(format!(
                "the address of the next page would be longer than {} bytes; name fewer or shorter topics",
                limits::NEXT_MAX_BYTES
            )));
        }
        Ok(query)
    }

    /// The address of the page after the event with this seq.
    fn next(&self, last: u64) -> String {
        let mut address = String::from("/events?");
        for topic in &self.topics {
            address.push_str("topic=");
            query::percent_encode(topic, &mut address);
            address.push('&');
        }
        self.window.write_next(&mut address, last);
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
            .and_then(|query| {
                query
                    .window
                    .check_position(store.last_seq(), "an event")
                    .map(|()| query)
            })
            .map_err(|details| Box::new(unprocessable(&details)))?;
        let search = store.begin_page(&PageQuery {
            topics: &query.topics,
            bound: query.window.bound,
            limit: query.window.limit(),
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
