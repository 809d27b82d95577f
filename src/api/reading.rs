//! Requests that are answered in several slices of reading.

use super::detail::unprocessable;
use super::page::{EventsQuery, PageRequest};
use super::search::Search;
use crate::http::{Request, Response};
use crate::store::Store;

/// A request that takes several slices of reading.
#[derive(Debug)]
pub enum Reading {
    /// A page without other filters than topics.
    Page(Box<PageRequest>),
    Search(Box<Search>),
}

impl Reading {
    /// Begins to answer `GET /events`.
    ///
    /// # Errors
    /// The 422 answer.
    pub(crate) fn events(store: &Store, request: &Request) -> Result<Self, Box<Response>> {
        let query = EventsQuery::parse(request, store.last_seq())
            .map_err(|details| Box::new(unprocessable(&details)))?;
        Ok(if query.is_topics_only() {
            Reading::Page(PageRequest::begin(store, query).into())
        } else {
            Reading::Search(query.search(store, request.arrived).into())
        })
    }
}
