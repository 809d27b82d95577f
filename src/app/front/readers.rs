//! The connections that read: which of what waits comes next, and what its answer becomes.

use super::link::{Answers, LinkEvent};
use super::page::page;
use super::reads::{live_part, page_of, rows_of, Kind, Read, StatsFor, UNREADABLE};
use super::rows::{Head, StoredRow};
use super::search::FrontSearch;
use super::subscribers::NO_EVENT;
use super::subscriptions as positions;
use super::Front;
use crate::api::detail::unprocessable;
use crate::api::page::EventsQuery;
use crate::api::read::{no_event, write_event, DATABASE_FIELD};
use crate::api::subscribe::SubscribeParams;
use crate::app::reply::{Completion, Reply, Ticket};
use crate::app::stream::StreamAnswer;
use crate::clock::{earlier, Now, Stamp};
use crate::http::{Refusal, Request, Response};
use crate::limits::{
    FRONT_IDLE_LOOK_MS, FRONT_LOOK_MS, FRONT_READS_MAX, FRONT_READ_MAX_MS, FRONT_RETRY_MAX_MS,
    FRONT_SILENCE_MS, FRONT_STATS_MS, FRONT_WRITERS,
};
use crate::postgres::{Answer, Row, ServerError};
use crate::store::SubscriptionOp;

impl Front {
    /// Queues what a request asks of the engine.
    pub(super) fn ask(&mut self, ticket: Ticket, kind: Kind, now: Now) -> Reply {
        if self.reads.len() >= FRONT_READS_MAX {
            return Reply::Now(
                Refusal::unavailable("Too many requests wait for the engine; try again.").into(),
            );
        }
        self.reads.push_back(Read {
            ticket: Some(ticket),
            since: now.mono_ms,
            kind,
        });
        Reply::AfterCommit
    }

    pub(super) fn ask_for_page(&mut self, ticket: Ticket, request: &Request, now: Now) -> Reply {
        match EventsQuery::read(request) {
            Err(details) => Reply::Now(unprocessable(&details)),
            Ok(query) if query.is_topics_only() => self.ask(ticket, Kind::Page(query.into()), now),
            Ok(query) => {
                let search = FrontSearch::new(query, request.arrived);
                self.begin_search(ticket, request, search, now)
            }
        }
    }

    pub(super) fn ask_to_subscribe(
        &mut self,
        ticket: Ticket,
        request: &Request,
        now: Now,
    ) -> Reply {
        match SubscribeParams::read(request) {
            Err(details) => Reply::Now(unprocessable(&details)),
            Ok(params) => self.ask(ticket, Kind::Subscribe(params.into()), now),
        }
    }

    pub(super) fn ask_for_stats(&mut self, ticket: Ticket, with: StatsFor, now: Now) -> Reply {
        let read_at = self.stats.read_at.map(|at| at + FRONT_STATS_MS);
        if read_at.is_some_and(|until| now.mono_ms < until) {
            return Reply::Now(self.stats_answer(with, now));
        }
        let base = self.stats.base;
        self.ask(ticket, Kind::Stats { base, with }, now)
    }

    /// Goes on with what the engine has answered, and asks what waits.
    pub(super) fn read(&mut self, now: Now) {
        for place in 0..self.reading.len() {
            while let Some(event) = self.links[FRONT_WRITERS + place].next_event() {
                self.take_read_event(place, event, now);
            }
        }
        self.expire_asked(now);
        let is_due = |read: &Read| read.since + FRONT_SILENCE_MS <= now.mono_ms;
        while let Some(at) = self.reads.iter().position(is_due) {
            if let Some(read) = self.reads.remove(at) {
                self.fail_read(read, now);
            }
        }
        self.look(now);
        while let Some(place) = self.idle_reader() {
            let Some(mut read) = self.next_read() else {
                return;
            };
            let statements = read.kind.statements(now);
            self.reading[place] = Some(read);
            self.links[FRONT_WRITERS + place].ask(&statements, now);
        }
    }

    /// Gives up the connections that have not answered a request in time.
    fn expire_asked(&mut self, now: Now) {
        for place in 0..self.reading.len() {
            let read = self.reading[place].as_ref();
            let since = read.filter(|read| read.ticket.is_some());
            let is_late = |read: &Read| read.since + FRONT_READ_MAX_MS <= now.mono_ms;
            if since.is_some_and(is_late) {
                let link = FRONT_WRITERS + place;
                self.links[link].lose("it has not answered in time", now);
                while let Some(event) = self.links[link].next_event() {
                    self.take_read_event(place, event, now);
                }
            }
        }
    }

    fn idle_reader(&self) -> Option<usize> {
        (0..self.reading.len()).find(|place| self.links[FRONT_WRITERS + place].is_idle())
    }

    /// What comes next; topics are counted by one connection at a time.
    fn next_read(&mut self) -> Option<Read> {
        let counts = |read: &Read| matches!(read.kind, Kind::Topics { .. });
        let is_counting = self.reading.iter().flatten().any(counts);
        let at = self
            .reads
            .iter()
            .position(|read| !(is_counting && counts(read)))?;
        let mut read = self.reads.remove(at)?;
        if let Kind::Topics { after } = &mut read.kind {
            *after = self.topic_counts.through;
        }
        Some(read)
    }

    /// Looks how far the events go, if that is due.
    fn look(&mut self, now: Now) {
        if self.is_looking || now.mono_ms < self.look_at {
            return;
        }
        self.is_looking = true;
        let asked = self.head.last;
        self.reads.push_front(Read {
            ticket: None,
            since: now.mono_ms,
            kind: Kind::Look {
                asked,
                after: (self.live.subscribers() > 0).then_some(asked),
            },
        });
    }

    fn take_read_event(&mut self, place: usize, event: LinkEvent, now: Now) {
        match event {
            LinkEvent::Opened(opened) => self.opened(opened, now),
            LinkEvent::Answered(answers) => {
                if let Some(read) = self.reading[place].take() {
                    self.take_answers(read, answers, now);
                }
            }
            LinkEvent::Lost(sentence) | LinkEvent::Refused(sentence) => {
                let Some(read) = self.reading[place].take() else {
                    return;
                };
                log::warn!("a read of the store has failed: {sentence}");
                // One slow statement says nothing of the engine; a commit will.
                self.health.doubt();
                let may_be_repeated =
                    !matches!(read.kind, Kind::Change(_)) && read.ticket.is_some();
                match may_be_repeated && read.since + FRONT_SILENCE_MS > now.mono_ms {
                    true => self.reads.push_front(read),
                    false => self.fail_read(read, now),
                }
            }
        }
    }

    fn take_answers(&mut self, mut read: Read, answers: Answers, now: Now) {
        let answers: Result<Vec<Answer>, ServerError> = answers.into_iter().collect();
        let all = match answers {
            Ok(all) => all,
            Err(error) => {
                log::error!("reading the store failed: {error}");
                return self.fail_read(read, now);
            }
        };
        let Some(ticket) = read.ticket else {
            return self.take_own(read, all, now);
        };
        let response = match self.found(&mut read.kind, all, now) {
            Some(Found::Answer(response)) => response.header(DATABASE_FIELD, &self.store_id),
            Some(Found::Stream(stream)) => return self.streams.push((ticket, stream)),
            Some(Found::More) => return self.reads.push_back(read),
            None => {
                log::error!("reading the store failed: {NO_EVENT}");
                return self.fail_read(read, now);
            }
        };
        self.committed.push(Completion::bare(ticket, response));
    }

    /// What the front has asked for itself.
    fn take_own(&mut self, read: Read, mut all: Vec<Answer>, now: Now) {
        let is_good = match &read.kind {
            Kind::Look { asked, after } => self.looked(*asked, *after, all, now).is_some(),
            Kind::Part { id, part, .. } => {
                let found = part.read(rows_of(&mut all));
                self.parts.fill(*id, found, part.end, now);
                true
            }
            // Its client has gone.
            _ => true,
        };
        if !is_good {
            log::error!("looking for new events failed: {NO_EVENT}");
            self.fail_read(read, now);
        }
    }

    /// What the answers to a request that reads come to; none if they hold something else than was asked for.
    fn found(&mut self, kind: &mut Kind, mut all: Vec<Answer>, now: Now) -> Option<Found> {
        let head = |all: &[Answer]| Head::read(all.first()?.rows());
        Some(Found::Answer(match kind {
            Kind::Page(query) => page_answer(query, head(&all)?, rows_of(&mut all))?,
            Kind::Search(search) => match self.search_on(search, head(&all)?, all, now)? {
                None => return Some(Found::More),
                Some(response) => response,
            },
            Kind::Event { .. } => event_answer(rows_of(&mut all))?,
            Kind::Topics { after } => {
                let counted = self
                    .topic_counts
                    .take(*after, head(&all)?, all.last()?.rows());
                if !counted? {
                    return Some(Found::More);
                }
                self.topic_counts.answer()
            }
            Kind::Stats { base, with } => {
                self.stats.take(*base, &all, now.mono_ms)?;
                self.stats_answer(*with, now)
            }
            Kind::Subscriptions => positions::list(all.last()?.rows(), head(&all)?)?,
            Kind::Subscription(_) => match all.last()?.rows().first() {
                None => crate::api::subscriptions::unknown(),
                Some(row) => positions::show(row, head(&all)?)?,
            },
            Kind::Change(change) => match positions::changed(change, &all) {
                Ok(response) => response,
                Err(sentence) => {
                    log::error!("a subscription was not changed: {sentence}");
                    Refusal::unavailable("The change could not be stored; send it again.").into()
                }
            },
            Kind::Subscribe(params) => {
                let position = match all.last()?.rows().first() {
                    None => None,
                    Some(row) => Some(positions::position(row)?),
                };
                if params.subscription.is_some() && position.is_none() {
                    crate::api::subscriptions::unknown()
                } else {
                    let stream = self.begin_stream(params, head(&all)?, position, now);
                    return Some(Found::Stream(stream.into()));
                }
            }
            Kind::Look { .. } | Kind::Part { .. } => return None,
        }))
    }

    /// Takes what a look has brought. None, and nothing is taken, if that is something else than was asked for.
    fn looked(
        &mut self,
        asked: u64,
        after: Option<u64>,
        mut all: Vec<Answer>,
        now: Now,
    ) -> Option<()> {
        let mut head = Head::read(all.first()?.rows())?;
        let found = match after {
            Some(after) => Some((after, live_part(after).read(rows_of(&mut all))?)),
            None => None,
        };
        self.is_looking = false;
        let pause = match self.live.subscribers() > 0 {
            true => FRONT_LOOK_MS,
            false => FRONT_IDLE_LOOK_MS,
        };
        self.look_at = now.mono_ms + pause;
        if head.last < asked {
            log::warn!("the store has gone back from seq {asked} to {}", head.last);
            self.epoch += 1;
            self.refuse_begun(now);
            self.head = head;
            self.topics.clear();
            self.live.restart(head.last);
            return Some(());
        }
        match found {
            Some((after, (rows, has_more))) => {
                for row in &rows {
                    self.live.push(&row.event());
                }
                let last = rows.last().map_or(after, |row| row.seq);
                head.last = match has_more {
                    true => last,
                    false => head.last.max(last),
                };
                if has_more {
                    self.look_at = now.mono_ms;
                }
            }
            // The first subscriber has come meanwhile: it goes on from where the head was.
            None if self.live.subscribers() > 0 => {
                self.look_at = now.mono_ms;
                return Some(());
            }
            None => self.live.restart(head.last),
        }
        self.head = head;
        Some(())
    }

    /// Answers what has not been read.
    fn fail_read(&mut self, read: Read, now: Now) {
        let Some(ticket) = read.ticket else {
            match read.kind {
                Kind::Part { id, .. } => self.parts.fail(id, now),
                Kind::Look { .. } => {
                    self.is_looking = false;
                    self.look_at = now.mono_ms + FRONT_RETRY_MAX_MS;
                }
                // Its client has gone.
                _ => {}
            }
            return;
        };
        let response = match read.kind {
            // The last known ones, as a node's while it cannot read its database.
            Kind::Stats {
                with: with @ StatsFor::Metrics(_),
                ..
            } => self.stats_answer(with, now),
            _ => Refusal::unavailable_for(self.health.retry_after(now), UNREADABLE).into(),
        };
        self.committed.push(Completion::bare(ticket, response));
    }

    /// A client has gone: what it has asked is not read any more, and what is being read is for nobody.
    pub(super) fn forget_read(&mut self, ticket: Ticket) {
        let is_its = |read: &Read| read.ticket == Some(ticket);
        self.reads.retain(|read| !is_its(read));
        for read in self.reading.iter_mut().flatten() {
            if is_its(read) {
                read.ticket = None;
            }
        }
    }

    /// Whether a request waits for an answer of the engine.
    pub(super) fn is_reading(&self) -> bool {
        let mut all = self.reads.iter().chain(self.reading.iter().flatten());
        all.any(|read| read.ticket.is_some()) || !self.streams.is_empty()
    }

    /// When the next look is due, or something that waits can be asked, in `mono_ms`.
    pub(super) fn reads_due(&self, now: Now) -> Option<u64> {
        let waits = !self.reads.is_empty() && self.idle_reader().is_some();
        let look = (!self.is_looking).then_some(self.look_at);
        let look = look.filter(|_| self.idle_reader().is_some());
        let oldest = self.reads.iter().map(|read| read.since).min();
        let expiry = oldest.map(|since| since + FRONT_SILENCE_MS);
        let asked = self.reading.iter().flatten();
        let asked = asked.filter(|read| read.ticket.is_some());
        let asked = asked.map(|read| read.since + FRONT_READ_MAX_MS).min();
        let waits = waits.then_some(now.mono_ms);
        earlier(earlier(look, waits), earlier(expiry, asked))
    }

    pub(super) fn ask_for_change(
        &mut self,
        ticket: Ticket,
        change: Result<SubscriptionOp, Box<Response>>,
        now: Now,
    ) -> Reply {
        match change {
            Ok(change) => self.ask(ticket, Kind::Change(change), now),
            Err(refusal) => Reply::Now(*refusal),
        }
    }
}

/// What a request that reads has come to.
enum Found {
    Answer(Response),
    Stream(Box<StreamAnswer>),
    /// Another slice has to be read.
    More,
}

fn page_answer(query: &EventsQuery, head: Head, rows: Vec<Row>) -> Option<Response> {
    let (rows, has_more) = page_of(query).read(rows)?;
    Some(match query.check_position(head.last) {
        Ok(()) => Response::json(200, page(query, &rows, has_more)),
        Err(details) => unprocessable(&details),
    })
}

fn event_answer(rows: Vec<Row>) -> Option<Response> {
    let Some(row) = rows.into_iter().next() else {
        return Some(no_event());
    };
    let row = StoredRow::new(row)?;
    let mut body = Vec::new();
    write_event(&mut body, &row.event(), &mut Stamp::default());
    Some(Response::json(200, body))
}
