//! Requests that are answered in several slices of reading, or of compressing what has been read.

use super::compression::Compression;
use super::detail::{unprocessable, Details};
use super::page::{EventsQuery, PageRequest};
use super::route::Route;
use super::search::Search;
use super::{fields, histogram};
use crate::http::{Request, Response};
use crate::store::Store;

/// A request that takes several slices.
#[derive(Debug)]
pub enum Reading {
    /// A page without other filters than topics.
    Page(Box<PageRequest>),
    Search(Box<Search>),
    /// An answer that is compressed.
    Compression(Box<Compression>),
}

impl Reading {
    /// Begins to answer `GET /events`, `/histogram` or `/fields`.
    ///
    /// # Errors
    /// The 422 answer.
    pub(crate) fn begin(
        store: &Store,
        route: &Route,
        request: &Request,
    ) -> Result<Self, Box<Response>> {
        let reading = match route {
            Route::Histogram => histogram::begin(store, request).map(Reading::searching),
            Route::Fields => fields::begin(store, request).map(Reading::searching),
            _ => Self::events(store, request),
        };
        reading.map_err(|details| Box::new(unprocessable(&details)))
    }

    /// Whether its answer has been found.
    pub fn is_found(&self) -> bool {
        matches!(self, Reading::Compression(_))
    }

    /// Bytes that it holds of its answer.
    pub fn held_bytes(&self) -> usize {
        match self {
            // What is searched for is small until it has been found.
            Reading::Page(_) | Reading::Search(_) => 0,
            Reading::Compression(compression) => compression.held_bytes(),
        }
    }

    fn searching(search: Search) -> Self {
        Reading::Search(Box::new(search))
    }

    fn events(store: &Store, request: &Request) -> Result<Self, Details> {
        let query = EventsQuery::parse(request, store.last_seq())?;
        Ok(if query.is_topics_only() {
            Reading::Page(PageRequest::begin(store, query).into())
        } else {
            Self::searching(query.search(store, request.arrived))
        })
    }
}
