//! `GET /events`: what is asked for, and the page that answers it.

use std::rc::Rc;

use super::detail::Details;
use super::filters::{check_members, check_next, FilterParams};
use super::json::{write_string, write_to};
use super::read::{write_event, DATABASE_FIELD};
use super::search::{Findings, Reached, Search};
use super::window::Window;
use crate::clock::{Now, Stamp};
use crate::http::{Request, Response};
use crate::limits;
#[cfg(feature = "fleet")]
use crate::search::Filters;
use crate::search::{Candidate, Effort, Matcher, Verdict};
#[cfg(feature = "fleet")]
use crate::store::Bound;
use crate::store::{PageQuery, PageSearch, Store, StoreError, StoredEvent, Visit};

/// What `GET /events` asks for.
#[derive(Debug)]
pub(crate) struct EventsQuery {
    params: FilterParams,
    window: Window,
}

impl EventsQuery {
    /// Reads the query. `last_seq` is the greatest seq.
    pub(super) fn parse(request: &Request, last_seq: u64) -> Result<Self, Details> {
        let query = Self::read(request)?;
        query.check_position(last_seq)?;
        Ok(query)
    }

    /// Reads the query, whatever the greatest seq is.
    pub(crate) fn read(request: &Request) -> Result<Self, Details> {
        let text = request.query();
        check_members(text, &["limit", "after", "before"])?;
        let query = Self {
            params: FilterParams::parse(text, request.arrived.unix_us)?,
            window: Window::parse(text)?,
        };
        check_next(&query.next(i64::MAX as u64))?;
        Ok(query)
    }

    /// Refuses a position of another history.
    pub(crate) fn check_position(&self, last_seq: u64) -> Result<(), Details> {
        self.window.check_position(last_seq, "an event")
    }

    #[cfg(feature = "fleet")]
    pub(crate) fn filters(&self) -> &Filters {
        &self.params.filters
    }

    /// Where the page begins.
    #[cfg(feature = "fleet")]
    pub(crate) fn bound(&self) -> Bound {
        self.window.bound
    }

    /// How many events it has at the most.
    #[cfg(feature = "fleet")]
    pub(crate) fn limit(&self) -> usize {
        self.window.limit()
    }

    /// Whether the only filter is topics, which are read in their own order.
    pub(crate) fn is_topics_only(&self) -> bool {
        self.params.filters.is_topics_only()
    }

    /// Begins to search.
    pub(super) fn search(self, store: &Store, arrived: Now) -> Search {
        let walk = store.begin_walk(self.window.bound, u64::MAX);
        let filters = Rc::new(self.params.filters.clone());
        let found = FoundEvents {
            query: self,
            seqs: Vec::new(),
            bytes: 0,
            matcher: Matcher::default(),
        };
        Search::new(walk, filters, Box::new(found), arrived)
    }

    /// The address of the page after the event with this seq.
    fn next(&self, last: u64) -> String {
        let mut address = String::from("/events?");
        self.params.write_query(&mut address);
        self.window.write_next(&mut address, last);
        address
    }

    /// Makes the answer of a page from its events; `next` is that of the page after `last`, if there is one. The events
    /// may be long, so they are not copied.
    pub(crate) fn complete(&self, mut events: Vec<u8>, count: usize, last: Option<u64>) -> Vec<u8> {
        let mut head = b"{\"topic\":".to_vec();
        match &self.params.topics[..] {
            [one] => write_string(&mut head, one),
            _ => head.extend_from_slice(b"null"),
        }
        write_to(&mut head, format_args!(",\"count\":{count},\"events\":["));
        events.splice(0..0, head);
        events.extend_from_slice(b"],\"next\":");
        match last {
            Some(last) => write_string(&mut events, &self.next(last)),
            None => events.extend_from_slice(b"null"),
        }
        events
    }
}

/// The events that a search has found.
#[derive(Debug)]
struct FoundEvents {
    query: EventsQuery,
    seqs: Vec<u64>,
    /// Bytes of their payloads.
    bytes: usize,
    matcher: Matcher,
}

impl Findings for FoundEvents {
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit {
        let filters = &self.query.params.filters;
        match self.matcher.judge(filters, (seq, event), &[], effort) {
            None => return Visit::Unfinished,
            Some(Verdict::Matches) => {}
            Some(_) => return Visit::GoOn,
        }
        self.seqs.push(seq);
        self.bytes += event.payload.len();
        let is_full = self.seqs.len() == self.query.window.limit();
        if is_full || self.bytes >= limits::PAGE_MAX_BYTES {
            Visit::Enough
        } else {
            Visit::GoOn
        }
    }

    fn body(&self, store: &Store, reached: &Reached) -> Result<Vec<u8>, StoreError> {
        let (mut list, mut stamp, mut count) = (Vec::new(), Stamp::default(), 0);
        store.read_events(&self.seqs, |event| {
            add_event(&mut list, &event, &mut stamp);
            count += 1;
        })?;
        let last = reached.has_more.then_some(reached.through);
        let mut body = self.query.complete(list, count, last);
        reached.write("", &mut body);
        Ok(body)
    }
}

/// A page that has been asked for without other filters than topics, and is not answered yet.
#[derive(Debug)]
pub struct PageRequest {
    query: EventsQuery,
    search: PageSearch,
}

impl PageRequest {
    /// Begins to look for it.
    pub(super) fn begin(store: &Store, query: EventsQuery) -> Self {
        let search = store.begin_page(&PageQuery {
            topics: &query.params.topics,
            bound: query.window.bound,
            limit: query.window.limit(),
        });
        Self { query, search }
    }

    /// Goes on with it for about `units` of work; `None` if that was not enough. Reading the events
    /// that have been found comes on top: a page of them at most.
    pub fn read_on(&mut self, store: &Store, units: u64) -> Result<Option<Response>, StoreError> {
        store.search_page(&mut self.search, units)?;
        if !self.search.is_over() {
            return Ok(None);
        }
        let (mut list, mut stamp) = (Vec::new(), Stamp::default());
        let page = store.read_page(&self.search, |event| {
            add_event(&mut list, &event, &mut stamp);
        })?;
        let body = self.query.complete(list, page.count, page.more_after);
        Ok(Some(answer(body, store)))
    }
}

/// Appends an event to a list.
pub(crate) fn add_event(list: &mut Vec<u8>, event: &StoredEvent, stamp: &mut Stamp) {
    if !list.is_empty() {
        list.push(b',');
    }
    write_event(list, event, stamp);
}

fn answer(mut body: Vec<u8>, store: &Store) -> Response {
    body.push(b'}');
    Response::json(200, body).header(DATABASE_FIELD, &store.identity().database_id)
}
