//! Searches: how long their slices are, and what is counted of them. Which search has its turn is the shell's
//! business.

use std::time::Duration;

use super::reply::Reply;
use super::App;
use crate::api::read::DATABASE_FIELD;
use crate::api::reading::Reading;
use crate::api::search::Search;
use crate::clock::Now;
use crate::http::{Method, Request, Response};
use crate::limits;
use crate::store::{Slice, StoreError};

impl App {
    /// A search has been asked for. It does not work before its first turn, and to HEAD not at all.
    pub(super) fn begin_search(&mut self, request: &Request, search: Box<Search>) -> Reply {
        self.charge(limits::LOOK_UP_UNITS);
        if request.method == Method::Head {
            let id = &self.store.identity().database_id;
            let mut head = Response::json(200, Vec::new()).header(DATABASE_FIELD, id);
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
        let clock = self.counters.clock;
        let begun = clock.map(|clock| clock());
        let spent = || {
            clock.zip(begun).map_or(Duration::ZERO, |(clock, begun)| {
                clock().saturating_duration_since(begun)
            })
        };
        let slice = Slice {
            units: self.reading.step(),
            time: self.reading.step_time(),
            spent: &spent,
        };
        let scanned = search.scanned();
        self.counters.searches += u64::from(!search.has_begun());
        let result = search.go_on(&self.store, &slice, now);
        self.counters.seqs_scanned += search.scanned() - scanned;
        result
    }
}
