//! Searches among what is read from the engine: how they begin, go on and end.

use super::reads::{is_search, rows_of, Kind};
use super::rows::Head;
use super::search::FrontSearch;
use super::Front;
use crate::api::detail::unprocessable;
use crate::api::read::DATABASE_FIELD;
use crate::api::route::Route;
use crate::app::reply::{Reply, Ticket};
use crate::clock::Now;
use crate::http::{Method, Request, Response};
use crate::postgres::Answer;

impl Front {
    pub(super) fn ask_for_counts(
        &mut self,
        ticket: Ticket,
        (request, route): (&Request, &Route),
        now: Now,
    ) -> Reply {
        match FrontSearch::counting(route, request) {
            Err(details) => Reply::Now(unprocessable(&details)),
            Ok(search) => self.begin_search(ticket, request, search, now),
        }
    }

    /// A search does not work for HEAD, as at a node.
    pub(super) fn begin_search(
        &mut self,
        ticket: Ticket,
        request: &Request,
        search: FrontSearch,
        now: Now,
    ) -> Reply {
        if request.method == Method::Head {
            let mut head = Response::json(200, Vec::new()).header(DATABASE_FIELD, &self.store_id);
            head.is_unmeasured = true;
            return Reply::Now(head);
        }
        self.ask(ticket, Kind::Search(search.into()), now)
    }

    /// Goes on with a search: the answer, if that was enough. `None` if what the engine has said makes no sense.
    pub(super) fn search_on(
        &mut self,
        search: &mut FrontSearch,
        head: Head,
        mut all: Vec<Answer>,
        now: Now,
    ) -> Option<Option<Response>> {
        let part = match search.has_begun() {
            true => Some(search.part().read(rows_of(&mut all))?),
            false => None,
        };
        self.counters.searches += u64::from(!search.has_begun());
        let scanned = search.scanned();
        let found = search.go_on(head, part, now);
        self.counters.seqs_scanned += search.scanned() - scanned;
        Some(match found {
            Ok(body) => body.map(|body| Response::json(200, body)),
            Err(details) => Some(unprocessable(&details)),
        })
    }

    /// Searches that are at work or wait.
    pub(super) fn searches(&self) -> usize {
        let all = self.reads.iter().chain(self.reading.iter().flatten());
        all.filter(|read| is_search(read)).count()
    }

    /// Whether a client waits for a search, which ends with it.
    pub(super) fn is_searching(&self, ticket: Ticket) -> bool {
        let mut all = self.reads.iter().chain(self.reading.iter().flatten());
        all.any(|read| read.ticket == Some(ticket) && is_search(read))
    }
}
