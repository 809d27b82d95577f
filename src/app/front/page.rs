//! Pages of events: `/events` without filters from one statement, with filters from slices that the server judges
//! itself, so that an event matches as it does at a node.

use super::rows::{Head, Part, StoredRow};
use crate::api::detail::Details;
use crate::api::page::{add_event, EventsQuery};
use crate::api::search::Reached;
use crate::clock::{Now, Stamp};
use crate::limits::{FRONT_PART_BYTES, FRONT_PART_EVENTS, PAGE_MAX_BYTES, SEARCH_MS};
use crate::postgres::statement::Statement;
use crate::search::{Effort, Matcher, Verdict};
use crate::store::Bound;

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

/// A page with filters that is being looked for.
pub(super) struct FrontSearch {
    pub(super) query: EventsQuery,
    /// Where it goes on.
    bound: Bound,
    list: Vec<u8>,
    stamp: Stamp,
    count: usize,
    bytes: usize,
    scanned: u64,
    matcher: Matcher,
    /// When the request arrived, and when its work began, in `mono_ms`.
    arrived: u64,
    began: Option<u64>,
}

impl FrontSearch {
    pub(super) fn new(query: EventsQuery, now: Now) -> FrontSearch {
        FrontSearch {
            bound: query.bound(),
            query,
            list: Vec::new(),
            stamp: Stamp::default(),
            count: 0,
            bytes: 0,
            scanned: 0,
            matcher: Matcher::default(),
            arrived: now.mono_ms,
            began: None,
        }
    }

    pub(super) fn part(&self) -> Part {
        Part {
            bound: self.bound,
            until: u64::MAX,
            events: FRONT_PART_EVENTS,
            bytes: FRONT_PART_BYTES,
        }
    }

    pub(super) fn statement(&self) -> Statement {
        self.part().statement(self.query.filters().topics())
    }

    /// Judges a slice; the body of the answer, if that is enough.
    ///
    /// # Errors
    /// The position is of another history.
    pub(super) fn go_on(
        &mut self,
        head: Head,
        rows: &[StoredRow],
        has_more: bool,
        now: Now,
    ) -> Result<Option<Vec<u8>>, Details> {
        if self.began.is_none() {
            self.query.check_position(head.last)?;
        }
        let began = *self.began.get_or_insert(now.mono_ms);
        let mut left = rows.len();
        let mut is_full = false;
        for row in rows {
            left -= 1;
            self.visit(row);
            is_full = self.count == self.query.limit() || self.bytes >= PAGE_MAX_BYTES;
            if is_full {
                break;
            }
        }
        let has_more = has_more || left > 0;
        if has_more && !is_full && now.mono_ms < began + SEARCH_MS {
            return Ok(None);
        }
        let through = match (has_more, self.bound) {
            (true, Bound::After(seq) | Bound::Before(seq)) => seq,
            // An event may have been committed after the look at the head and before the rows were read.
            (false, Bound::After(seq)) => head.last.max(seq),
            (false, Bound::Before(seq)) => head.first.min(seq),
        };
        let list = std::mem::take(&mut self.list);
        let mut body = self
            .query
            .complete(list, self.count, has_more.then_some(through));
        let reached = Reached {
            scanned: self.scanned,
            through,
            has_more,
            elapsed_ms: now.mono_ms - self.arrived,
        };
        reached.write("", &mut body);
        Ok(Some(body))
    }

    fn visit(&mut self, row: &StoredRow) {
        self.scanned += 1;
        self.bound = match self.bound {
            Bound::After(_) => Bound::After(row.seq),
            Bound::Before(_) => Bound::Before(row.seq),
        };
        let event = row.candidate();
        let filters = self.query.filters();
        let mut effort = Effort::unbounded();
        let verdict = self
            .matcher
            .judge(filters, (row.seq, &event), &[], &mut effort);
        if verdict == Some(Verdict::Matches) {
            add_event(&mut self.list, &row.event(), &mut self.stamp);
            self.count += 1;
            self.bytes += row.payload_bytes();
        }
    }
}
