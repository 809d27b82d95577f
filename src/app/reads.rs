//! What a turn of the loop may spend on reading, and requests that are answered in several slices.
//!
//! All that requests of a turn read is counted in units of work, whatever they ask for and however many they
//! are. Where a turn's share is spent, the next request that reads waits for its turn; a page that takes more
//! than its slice goes on in later ones. Nothing here knows who waits or for how long.

use super::reply::{unreadable, Reply};
use super::App;
use crate::api::reading::Reading;
use crate::api::route::{Effort, Route};
use crate::clock::Now;
use crate::http::{Request, Response};
use crate::limits;
use crate::store::StoreError;

impl App {
    /// A new turn begins, with a new share for reading: nothing of it at once if others `wait` already.
    pub fn begin_turn(&mut self, wait: bool) {
        let slices = if wait { 0 } else { limits::READ_SLICES_AT_ONCE };
        self.reading.begin_turn(slices);
    }

    /// The next request that reads may do so for a slice, of which `share` is the part that there is time
    /// for: 1 if no client waits meanwhile. False if this turn has read enough.
    pub fn begin_slice(&mut self, share: f32) -> bool {
        self.reading.begin_slice(share)
    }

    /// Streams are about to be fed, of whose slices `share` is the part that there is time for.
    pub fn begin_streams(&mut self, share: f32) {
        self.reading.begin_streams(share);
    }

    /// Units that requests and streams have read in this turn.
    pub fn units_in_turn(&self) -> u64 {
        self.reading.in_turn()
    }

    /// How much work a request is, if it has to wait until there is time for it; `None` if it need not wait.
    pub fn has_to_wait(&self, route: Option<&Route>) -> Option<Effort> {
        let may_wait = self.reading.is_spent() && !self.gate.draining;
        route.filter(|_| may_wait)?.effort()
    }

    /// Answers a request that goes through events, or begins to.
    pub(super) fn page(&mut self, route: &Route, request: &Request) -> Result<Reply, StoreError> {
        let mut page = match Reading::begin(&self.store, route, request) {
            Ok(Reading::Page(page)) => page,
            Ok(Reading::Search(search)) => return Ok(self.begin_search(request, search)),
            Ok(other) => return Ok(Reply::Reading(other)),
            Err(refusal) => return Ok(Reply::Now(*refusal)),
        };
        let response = page.read_on(&self.store, self.reading.step());
        self.charge(0);
        Ok(match response? {
            Some(response) => self.encode(request, response),
            None => Reply::Reading(Reading::Page(page)),
        })
    }

    /// Goes on with an answer for a slice; `None` if that was not enough.
    pub fn read_on(&mut self, reading: &mut Reading, now: Now) -> Option<Response> {
        let readable = self.store.readable();
        let result = readable.and_then(|()| match reading {
            Reading::Page(page) => page.read_on(&self.store, self.reading.step()),
            Reading::Search(search) => self.search_on(search, now),
            Reading::Compression(compression) => Ok(self.compress(compression)),
        });
        self.charge(0);
        result.unwrap_or_else(|error| Some(unreadable(&error)))
    }

    /// Counts what has been read since the last call, and `units` besides.
    pub(super) fn charge(&mut self, units: u64) {
        let units = units + self.store.take_work();
        self.reading.spend(units);
    }
}
