//! Searches: how long their slices are, and what is counted of them. Which search has its turn is the shell's
//! business.

use std::time::{Duration, Instant};

use super::reply::Reply;
use super::stream::Subscriber;
use super::App;
use crate::api::compression::VARY;
use crate::api::read::{self, DATABASE_FIELD};
use crate::api::reading::Reading;
use crate::api::search::Search;
use crate::clock::Now;
use crate::http::{Method, Request, Response};
use crate::limits;
use crate::search::{Candidate, Effort, Verdict};
use crate::store::{Bound, Slice, StoreError, StoredEvent, Visit};

impl App {
    /// A search has been asked for. It does not work before its first turn, and to HEAD not at all.
    pub(super) fn begin_search(&mut self, request: &Request, search: Box<Search>) -> Reply {
        self.charge(limits::LOOK_UP_UNITS);
        if request.method == Method::Head {
            let id = &self.store.identity().database_id;
            let head = Response::json(200, Vec::new()).header(DATABASE_FIELD, id);
            let mut head = head.header(VARY.0, VARY.1);
            head.is_unmeasured = true;
            return Reply::Now(head);
        }
        Reply::Reading(Reading::Search(search))
    }

    /// Goes on with a search for a slice; `None` if that was not enough.
    pub(super) fn search_on(
        &mut self,
        search: &mut Search,
        now: Now,
    ) -> Result<Option<Response>, StoreError> {
        let watch = Stopwatch::start(self.counters.clock);
        let spent = || watch.spent();
        let (units, time) = self.reading.search_step();
        let slice = Slice {
            units,
            time,
            spent: &spent,
        };
        let (scanned, skipped) = (search.scanned(), search.skipped());
        self.counters.searches += u64::from(!search.has_begun());
        let result = search.go_on(&self.store, &slice, now);
        self.counters.seqs_scanned += search.scanned() - scanned;
        self.counters.seqs_skipped += search.skipped() - skipped;
        result
    }

    /// Goes on with a stream that has filters, by a slice of work, until `out` is `full` bytes long, or it has come to
    /// `end`.
    pub(super) fn feed_searched(
        &mut self,
        subscriber: &mut Subscriber,
        end: u64,
        full: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let Some(search) = &mut subscriber.search else {
            return Ok(());
        };
        let watch = Stopwatch::start(self.counters.clock);
        let spent = || watch.spent();
        let (units, time) = self.reading.stream_step();
        let slice = Slice {
            units,
            time,
            spent: &spent,
        };
        let from = Bound::After(subscriber.after);
        let mut walk = self.store.begin_walk(from, end - subscriber.after);
        walk.go_on_with(search.unfinished);
        let (filters, matcher) = (&search.filters, &mut search.matcher);
        let (format, stamp, sent) = (
            subscriber.format,
            &mut self.live.stamp,
            &mut subscriber.sent,
        );
        let mut visit = |seq: u64, event: &Candidate, effort: &mut Effort| {
            match matcher.judge(filters, (seq, event), &[], effort) {
                None => return Visit::Unfinished,
                Some(Verdict::Matches) => {}
                Some(_) => return Visit::GoOn,
            }
            format.write_event(out, seq, |out| {
                read::write_event(out, &StoredEvent::new(seq, event), stamp);
            });
            *sent = seq;
            if out.len() >= full {
                Visit::Enough
            } else {
                Visit::GoOn
            }
        };
        self.store.walk(&mut walk, filters, &slice, &mut visit)?;
        search.unfinished = walk.unfinished();
        subscriber.after = walk.through();
        self.counters.seqs_scanned += walk.scanned();
        self.counters.seqs_skipped += walk.skipped();
        Ok(())
    }
}

/// Measures a slice. Without a clock it takes no time.
#[derive(Clone, Copy)]
struct Stopwatch {
    clock: Option<fn() -> Instant>,
    started: Option<Instant>,
}

impl Stopwatch {
    fn start(clock: Option<fn() -> Instant>) -> Self {
        Self {
            clock,
            started: clock.map(|clock| clock()),
        }
    }

    fn spent(&self) -> Duration {
        let both = self.clock.zip(self.started);
        both.map_or(Duration::ZERO, |(clock, started)| {
            clock().saturating_duration_since(started)
        })
    }
}
