//! Searches: requests that go through events, in slices and for a second at most, and are answered with what they
//! have found by then. Their [`Findings`] make the answer from the events.

use std::fmt;
use std::rc::Rc;

use super::json::write_to;
use super::read::DATABASE_FIELD;
use crate::clock::Now;
use crate::http::Response;
use crate::limits;
use crate::search::{Candidate, Effort, Filters};
use crate::store::{Counted, Interval, Slice, Stop, Store, StoreError, Visit, Visitor, Walk};

/// What a search makes of the events that it goes through.
pub(crate) trait Findings: fmt::Debug {
    /// Looks at an event for a step; it need not match.
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit;

    /// Counts events of which only the times are known, as a visitor of a walk does.
    fn count(&mut self, _times: &[Interval]) -> Counted {
        Counted::NeedsEvents
    }

    /// Makes the body of the answer. May be called again, if there was no memory for the first one.
    fn body(&self, store: &Store, reached: &Reached) -> Result<Vec<u8>, StoreError>;
}

/// Findings as the visitor of a walk.
struct Shown<'f>(&'f mut dyn Findings);

impl Visitor for Shown<'_> {
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit {
        self.0.visit(seq, event, effort)
    }

    fn count(&mut self, times: &[Interval]) -> Counted {
        self.0.count(times)
    }
}

/// How far a search has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// How many seqs have been decided, without those that retention has removed.
    pub scanned: u64,
    /// Up to this seq, in the direction of the search, every stored event has been decided.
    pub through: u64,
    /// Whether events are left that have not been decided.
    pub has_more: bool,
    /// Milliseconds since the request arrived.
    pub elapsed_ms: u64,
}

impl Reached {
    /// Appends the members that say how far the search has come, with `more` of them, each after a comma, before the
    /// last one, and the end of the object.
    pub(crate) fn write(&self, more: &str, body: &mut Vec<u8>) {
        write_to(
            body,
            format_args!(
                ",\"scanned\":{},\"through\":{}{more},\"elapsed_ms\":{}}}",
                self.scanned, self.through, self.elapsed_ms
            ),
        );
    }
}

/// A search that has been asked for and is not answered yet.
#[derive(Debug)]
pub struct Search {
    walk: Walk,
    /// What does not match these need not be shown to the findings.
    filters: Rc<Filters>,
    findings: Box<dyn Findings>,
    /// When the request arrived, and when its work began, in `mono_ms`.
    arrived: u64,
    began: Option<u64>,
    is_over: bool,
}

impl Search {
    pub(crate) fn new(
        walk: Walk,
        filters: Rc<Filters>,
        findings: Box<dyn Findings>,
        arrived: Now,
    ) -> Self {
        Self {
            walk,
            filters,
            findings,
            arrived: arrived.mono_ms,
            began: None,
            is_over: false,
        }
    }

    /// Whether it has had a slice.
    pub(crate) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// Seqs decided so far.
    pub(crate) fn scanned(&self) -> u64 {
        self.walk.scanned()
    }

    /// Those of them that summaries have ruled out.
    pub(crate) fn skipped(&self) -> u64 {
        self.walk.skipped()
    }

    /// Goes on for a slice; `None` if that was not enough.
    pub(crate) fn go_on(
        &mut self,
        store: &Store,
        slice: &Slice,
        now: Now,
    ) -> Result<Option<Response>, StoreError> {
        let began = *self.began.get_or_insert(now.mono_ms);
        // Each page of a walk gets on by a seq at least, however long that takes.
        self.is_over |= now.mono_ms >= began + limits::SEARCH_MS && self.walk.scanned() > 0;
        if !self.is_over {
            let mut visitor = Shown(&mut *self.findings);
            let stop = store.walk(&mut self.walk, &self.filters, slice, &mut visitor)?;
            self.is_over = stop != Stop::Slice;
        }
        if !self.is_over {
            return Ok(None);
        }
        let reached = Reached {
            scanned: self.walk.scanned(),
            through: self.walk.through(),
            has_more: !store.has_walked_all(&self.walk),
            elapsed_ms: now.mono_ms - self.arrived + (slice.spent)().as_millis() as u64,
        };
        let body = self.findings.body(store, &reached)?;
        let answer = Response::json(200, body);
        Ok(Some(
            answer.header(DATABASE_FIELD, &store.identity().database_id),
        ))
    }
}
