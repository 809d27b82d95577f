//! Searches at a front: `/events` with filters, `/histogram` and `/fields`. Events are read in parts, of bounded ranges
//! of seqs, and judged and counted here, by the code with which a node does so.

use super::page::FoundPage;
use super::rows::{Head, Part, StoredRow, HEAD};
use super::wanted::Wanted;
use crate::api::detail::Details;
use crate::api::fields::FoundValues;
use crate::api::histogram::FoundTimes;
use crate::api::page::EventsQuery;
use crate::api::route::Route;
use crate::api::search::{Findings, Reached};
use crate::clock::Now;
use crate::http::Request;
use crate::limits::{
    FRONT_PART_BYTES, FRONT_SCAN_FAST_MS, FRONT_SCAN_SEQS, FRONT_SCAN_SEQS_MAX,
    FRONT_SCAN_SEQS_MIN, FRONT_SCAN_SLOW_MS, FRONT_SEARCH_EVENTS, SEARCH_MS,
};
use crate::postgres::statement::Statement;
use crate::search::Effort;
use crate::store::{Bound, Visit};

/// What a search makes of the events.
enum Found {
    Page(FoundPage),
    Times(FoundTimes),
    Values(FoundValues),
}

/// A search that is under way.
pub(super) struct FrontSearch {
    found: Found,
    wanted: Wanted,
    /// Where it goes on.
    bound: Bound,
    /// Seqs that it may still go through, and those that it has, without those that had been removed.
    left: u64,
    scanned: u64,
    /// The greatest seq, as far as it is known.
    last: u64,
    /// Seqs of its next statement, where the engine may have to look at all their events.
    width: u64,
    /// When the request arrived, its work began, and the last part was asked for, in `mono_ms`.
    arrived: u64,
    began: Option<u64>,
    asked: u64,
}

impl FrontSearch {
    pub(super) fn new(query: EventsQuery, arrived: Now) -> FrontSearch {
        let wanted = Wanted::of(query.filters(), true);
        let bound = query.bound();
        Self::begin(Found::Page(FoundPage::new(query)), wanted, bound, arrived)
    }

    /// One that counts, for `/histogram` or `/fields`.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(super) fn counting(route: &Route, request: &Request) -> Result<FrontSearch, Details> {
        let arrived = request.arrived;
        if matches!(route, Route::Fields) {
            let found = FoundValues::read(request)?;
            let wanted = Wanted::of(&found.needed(), found.needs_payloads());
            let sample = found.sample();
            let bound = Bound::Before(u64::MAX);
            let mut search = Self::begin(Found::Values(found), wanted, bound, arrived);
            search.left = sample;
            return Ok(search);
        }
        let found = FoundTimes::read(request)?;
        let wanted = Wanted::of(found.filters(), found.needs_payloads());
        let bound = found.bound();
        Ok(Self::begin(Found::Times(found), wanted, bound, arrived))
    }

    fn begin(found: Found, wanted: Wanted, bound: Bound, arrived: Now) -> FrontSearch {
        FrontSearch {
            found,
            wanted,
            bound,
            left: u64::MAX,
            scanned: 0,
            last: 0,
            width: FRONT_SCAN_SEQS,
            arrived: arrived.mono_ms,
            began: None,
            asked: 0,
        }
    }

    /// Whether its first answer has come.
    pub(super) fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// Seqs decided so far.
    pub(super) fn scanned(&self) -> u64 {
        self.scanned
    }

    /// What it asks next: how far the events go, and then a part of them. Where the part begins with the last event,
    /// only how far they go: the end of the part is not known yet.
    pub(super) fn statements(&mut self, now: Now) -> Vec<Statement> {
        self.asked = now.mono_ms;
        let mut statements = vec![HEAD.into()];
        if self.has_begun() {
            statements.push(self.part().statement(&self.wanted));
        }
        statements
    }

    /// The part that is asked for.
    pub(super) fn part(&self) -> Part {
        let width = match self.wanted.is_sparse() {
            true => self.width.min(self.left),
            false => self.left,
        };
        Part {
            bound: self.bound,
            end: match self.bound {
                Bound::After(seq) => seq.saturating_add(width),
                Bound::Before(seq) => seq.saturating_sub(width).max(1),
            },
            events: FRONT_SEARCH_EVENTS,
            bytes: FRONT_PART_BYTES,
        }
    }

    /// Takes what the engine has said: how far the events go, and the events of the part, where one was asked for, with
    /// whether there are more in it. Gives the body of the answer, if that is enough.
    ///
    /// # Errors
    /// The position is of another history.
    pub(super) fn go_on(
        &mut self,
        head: Head,
        part: Option<(Vec<StoredRow>, bool)>,
        now: Now,
    ) -> Result<Option<Vec<u8>>, Details> {
        // Another server of the engine may lag behind the one that has been asked before.
        let lags = head.last < self.last;
        self.last = self.last.max(head.last);
        if !self.has_begun() {
            if let Found::Page(page) = &self.found {
                page.query().check_position(head.last)?;
            }
            if let Bound::Before(seq) = self.bound {
                self.bound = Bound::Before(seq.min(head.last + 1));
            }
        }
        let began = *self.began.get_or_insert(self.asked);
        let mut is_over = false;
        if let (Some((rows, has_more)), false) = (part, lags) {
            is_over = self.take(head, &rows, has_more);
            self.adapt(has_more, now);
        }
        let has_more = match self.bound {
            Bound::After(seq) => seq < self.last,
            Bound::Before(seq) => seq > head.first,
        };
        is_over |= !has_more || self.left == 0;
        // Each page of a walk gets on by a seq at least, however long that takes.
        is_over |= now.mono_ms >= began + SEARCH_MS && self.scanned > 0;
        if !is_over {
            return Ok(None);
        }
        let reached = Reached {
            scanned: self.scanned,
            through: self.through(),
            has_more,
            elapsed_ms: now.mono_ms - self.arrived,
        };
        Ok(Some(match &mut self.found {
            Found::Page(page) => page.write(&reached),
            Found::Times(times) => times.write(&reached),
            Found::Values(values) => values.write(&reached),
        }))
    }

    /// Goes through a part. Says whether what is looked for has been found.
    fn take(&mut self, head: Head, rows: &[StoredRow], has_more: bool) -> bool {
        let end = self.part().end;
        for row in rows {
            self.pass(row.seq, head);
            if self.visit(row) == Visit::Enough {
                return true;
            }
        }
        let end = match self.bound {
            // What is committed after the look may be in it or not.
            Bound::After(_) => end.min(head.last),
            Bound::Before(_) => end,
        };
        match has_more {
            true => self.last = self.last.max(self.bound.seq() + 1),
            false => self.pass(end, head),
        }
        false
    }

    fn visit(&mut self, row: &StoredRow) -> Visit {
        let event = row.candidate();
        let mut effort = Effort::unbounded();
        match &mut self.found {
            Found::Page(page) => page.visit(row),
            Found::Times(times) => times.visit(row.seq, &event, &mut effort),
            Found::Values(values) => values.visit(row.seq, &event, &mut effort),
        }
    }

    /// Everything up to `seq` has been decided, it included.
    fn pass(&mut self, seq: u64, head: Head) {
        let passed = match self.bound {
            Bound::After(from) => seq.saturating_sub(from.max(head.first - 1)),
            Bound::Before(from) => from.saturating_sub(seq.max(head.first)),
        };
        self.scanned += passed;
        self.left -= passed.min(self.left);
        self.bound = match self.bound {
            Bound::After(from) => Bound::After(from.max(seq)),
            Bound::Before(from) => Bound::Before(from.min(seq.max(head.first))),
        };
    }

    /// Lets the next statement look at more seqs where this one came quickly to its end, and at fewer where it took
    /// long.
    fn adapt(&mut self, has_more: bool, now: Now) {
        let took = now.mono_ms.saturating_sub(self.asked);
        if took >= FRONT_SCAN_SLOW_MS {
            self.width = (self.width / 2).max(FRONT_SCAN_SEQS_MIN);
        } else if took < FRONT_SCAN_FAST_MS && !has_more {
            self.width = (self.width * 2).min(FRONT_SCAN_SEQS_MAX);
        }
    }

    /// Up to this seq everything has been decided; 0 where there was none to go down to.
    fn through(&self) -> u64 {
        match self.bound {
            Bound::Before(_) if self.scanned == 0 => 0,
            bound => bound.seq(),
        }
    }
}
