//! Pages of events: `/events` without filters from one statement, with filters from what a search shows, so that an
//! event matches as it does at a node.

use super::rows::StoredRow;
use crate::api::page::{add_event, EventsQuery};
use crate::api::search::Reached;
use crate::clock::Stamp;
use crate::limits::PAGE_MAX_BYTES;
use crate::search::{Effort, Matcher, Verdict};
use crate::store::Visit;

/// The body of a page.
pub(super) fn page(query: &EventsQuery, rows: &[StoredRow], has_more: bool) -> Vec<u8> {
    let (mut list, mut stamp) = (Vec::new(), Stamp::default());
    for row in rows {
        add_event(&mut list, &row.event(), &mut stamp);
    }
    let last = rows.last().filter(|_| has_more).map(|row| row.seq);
    let mut body = query.complete(list, rows.len(), last);
    body.push(b'}');
    body
}

/// The events of a page with filters that have been found.
pub(super) struct FoundPage {
    query: EventsQuery,
    list: Vec<u8>,
    stamp: Stamp,
    count: usize,
    bytes: usize,
    matcher: Matcher,
}

impl FoundPage {
    pub(super) fn new(query: EventsQuery) -> FoundPage {
        FoundPage {
            query,
            list: Vec::new(),
            stamp: Stamp::default(),
            count: 0,
            bytes: 0,
            matcher: Matcher::default(),
        }
    }

    pub(super) fn query(&self) -> &EventsQuery {
        &self.query
    }

    pub(super) fn visit(&mut self, row: &StoredRow) -> Visit {
        let event = row.candidate();
        let filters = self.query.filters();
        let mut effort = Effort::unbounded();
        let verdict = self
            .matcher
            .judge(filters, (row.seq, &event), &[], &mut effort);
        if verdict != Some(Verdict::Matches) {
            return Visit::GoOn;
        }
        add_event(&mut self.list, &row.event(), &mut self.stamp);
        self.count += 1;
        self.bytes += row.payload_bytes();
        match self.count == self.query.limit() || self.bytes >= PAGE_MAX_BYTES {
            true => Visit::Enough,
            false => Visit::GoOn,
        }
    }

    /// The body of the answer.
    pub(super) fn write(&mut self, reached: &Reached) -> Vec<u8> {
        let list = std::mem::take(&mut self.list);
        let last = reached.has_more.then_some(reached.through);
        let mut body = self.query.complete(list, self.count, last);
        reached.write("", &mut body);
        body
    }
}
