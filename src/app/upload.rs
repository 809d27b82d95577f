//! Requests whose bodies are read as they arrive: from pieces to the next commit, and back to the request for the next
//! piece or to the answer.
//!
//! A request has one publication in the queue at a time, and its client is not read meanwhile. So the queue, the store
//! and the memory slow it down and nothing else does. Where the store cannot commit, the publication is kept here and
//! tried again for a while, because a client that is refused in the middle would have to begin again.

use super::commit_queue::{Waiting, Work};
use super::host::{Desk, Host};
use super::reply::{shutting_down, Completion, Reply, Ticket, NOT_STORED};
use super::upload_work::{Progress, State, Upload};
use super::uploads::Uploads;
use crate::api::ingest as interface;
use crate::api::route::{self, Route};
use crate::clock::Now;
use crate::event::{IdentityCounts, Protocol, Publication};
use crate::http::encoding::Coding;
use crate::http::{Refusal, Request, Response};
use crate::ingest::adapter::PieceIntake;
use crate::ingest::IngestRoute;
use crate::limits::{CODED_UPLOADS_MAX, DECODED_PIECE_BYTES, DECODED_SHORT_BYTES, PAUSE_MAX_MS};
use crate::ring::{Full, Slot};
use crate::store::Outcome;

const TOO_MANY: &str =
    "The server is reading as many compressed bodies as it can; send the request again.";

/// Whether the body of a request is to be given to [`Uploading::take_piece`] as it arrives.
pub(super) fn takes_pieces(route: Option<&Route>) -> bool {
    matches!(route, Some(Route::Ingest(route)) if route.adapter().takes_pieces())
}

/// Requests whose bodies are read as they arrive, at an application.
pub(super) trait Uploading: Host {
    fn uploads(&mut self) -> &mut Uploads {
        &mut self.desk().ingest.uploads
    }

    /// Takes the next piece of a body, and answers [`Reply::AfterCommit`] unless the request is refused. Afterwards
    /// comes the wish for the next piece ([`take_hungry`](Self::take_hungry)) or the answer.
    fn take_piece(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: Option<&Route>,
        piece: Vec<u8>,
        now: Now,
    ) -> Reply {
        // Also in the middle: a token that has been taken out of the file is good for nothing more.
        if let Err(refusal) = self.gate().authorize(request, route) {
            self.cancel_upload(ticket);
            return Reply::Now(refusal.shaped(route::error_shape(request, route)));
        }
        match route {
            Some(Route::Ingest(route)) => self.upload(ticket, request, route, (piece, false), now),
            _ => unreachable!("only bodies of other protocols come in pieces"),
        }
    }

    /// The same for a piece that may be the last.
    fn upload(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: &IngestRoute,
        (piece, is_last): (Vec<u8>, bool),
        now: Now,
    ) -> Reply {
        if !self.ingest_state().uploads.all.contains_key(&ticket) {
            if let Err(refusal) = self.begin_upload(ticket, request, route, now) {
                return Reply::Now(refusal.shaped(interface::error_shape(request, route)));
            }
        }
        if let Some(upload) = self.uploads().all.get_mut(&ticket) {
            upload.push(piece, is_last, now.unix_us);
            // A few bytes may become many.
            if upload.is_coded() {
                self.uploads().busy.push_back(ticket);
            } else {
                self.work_on(ticket, DECODED_SHORT_BYTES, now);
            }
        }
        Reply::AfterCommit
    }

    /// Refuses a request by its head alone.
    fn check_upload(
        &self,
        request: &Request,
        route: &IngestRoute,
    ) -> Result<(Box<dyn PieceIntake>, Coding), Refusal> {
        // A body that would be lost is not asked for.
        if !self.server_state().is_healthy {
            return Err(Refusal::unavailable(NOT_STORED));
        }
        interface::begin_pieces(request, route, self.options().max_body_bytes)
    }

    fn begin_upload(
        &mut self,
        ticket: Ticket,
        request: &Request,
        route: &IngestRoute,
        now: Now,
    ) -> Result<(), Refusal> {
        let (intake, coding) = self.check_upload(request, route)?;
        let records = self.records_for(request, route, now)?;
        let all = self.ingest_state().uploads.all.values();
        let coded = all.filter(|upload| upload.is_coded());
        if coding != Coding::Identity && coded.count() >= CODED_UPLOADS_MAX {
            return Err(Refusal::unavailable(TOO_MANY));
        }
        let shape = interface::error_shape(request, route);
        let upload = Upload::new(intake, records, shape, coding);
        let upload = upload.map_err(|_| Refusal::unavailable(TOO_MANY))?;
        self.uploads().all.insert(ticket, Box::new(upload));
        Ok(())
    }

    fn work_on(&mut self, ticket: Ticket, budget: usize, now: Now) {
        let upload = self.uploads().all.get_mut(&ticket);
        let Some(upload) = upload.filter(|upload| matches!(upload.state, State::Ready)) else {
            return;
        };
        match upload.work(budget) {
            Progress::Busy => self.uploads().busy.push_back(ticket),
            Progress::NeedsPiece => self.want_piece(ticket),
            Progress::Publication(publication) => self.push_upload(ticket, publication, now),
            Progress::Answer(response) => self.end_upload(ticket, response),
        }
    }

    fn want_piece(&mut self, ticket: Ticket) {
        if let Some(upload) = self.uploads().all.get_mut(&ticket) {
            upload.state = State::Client;
            let held = upload.held_bytes();
            self.uploads().hungry.push((ticket, held));
        }
    }

    fn end_upload(&mut self, ticket: Ticket, response: Response) {
        self.uploads().all.remove(&ticket);
        self.desk()
            .committed
            .push(Completion::bare(ticket, response));
    }

    /// Puts a publication on the ring, or keeps it where that has no room even after a commit.
    fn push_upload(&mut self, ticket: Ticket, publication: Publication, now: Now) {
        let Err(publication) = self.try_push_upload(ticket, publication, now) else {
            return;
        };
        self.make_room(now);
        if let Err(publication) = self.try_push_upload(ticket, publication, now) {
            self.uploads().park(ticket, publication, now);
        }
    }

    fn try_push_upload(
        &mut self,
        ticket: Ticket,
        publication: Publication,
        now: Now,
    ) -> Result<(), Publication> {
        let Some(upload) = self.uploads().all.get_mut(&ticket) else {
            return Ok(());
        };
        let work = Work::Upload(upload.protocol());
        let slot = Slot {
            ticket: Waiting { ticket, work },
            publication,
        };
        let pushed = self.try_push(slot, now);
        pushed.map_err(|Full(slot)| slot.publication)?;
        if let Some(upload) = self.uploads().all.get_mut(&ticket) {
            upload.state = State::Commit;
        }
        Ok(())
    }

    /// A publication of this request has been committed.
    fn upload_committed(
        &mut self,
        ticket: Ticket,
        protocol: Protocol,
        publication: Publication,
        outcomes: &[Outcome],
    ) {
        let rejected = publication.rejected.len() as u64;
        self.desk().counters.rejected(protocol, rejected);
        // Its client may have gone; the events stay.
        let Some(upload) = self.uploads().all.get_mut(&ticket) else {
            let identities = IdentityCounts::default();
            return self
                .desk()
                .counters
                .ingested(protocol, outcomes, identities);
        };
        let identities = upload.committed(publication, outcomes);
        let next = upload.next();
        self.desk()
            .counters
            .ingested(protocol, outcomes, identities);
        match next {
            Some(Progress::NeedsPiece) => self.want_piece(ticket),
            Some(Progress::Answer(response)) => self.end_upload(ticket, response),
            _ => self.uploads().busy.push_back(ticket),
        }
    }

    /// Puts the publications back on the ring that could not be committed, if the store has recovered.
    fn retry_uploads(&mut self, now: Now) {
        while self.server_state().is_healthy {
            let Some(ticket) = self.uploads().parked.pop_front() else {
                return;
            };
            let Some(upload) = self.uploads().all.get_mut(&ticket) else {
                continue;
            };
            match std::mem::replace(&mut upload.state, State::Commit) {
                State::Store(publication) => {
                    if let Err(publication) = self.try_push_upload(ticket, publication, now) {
                        self.uploads().park(ticket, publication, now);
                        return;
                    }
                }
                other => upload.state = other,
            }
        }
    }

    /// Refuses those that have waited for the store for too long.
    fn expire_uploads(&mut self, now: Now) {
        let refusal = Refusal::unavailable(NOT_STORED);
        while let Some(ticket) = self.ingest_state().uploads.parked.front().copied() {
            let upload = self.ingest_state().uploads.all.get(&ticket);
            let parked = upload.filter(|upload| matches!(upload.state, State::Store(_)));
            let since = parked.and_then(|upload| upload.parked_since);
            if since.is_some_and(|since| now.mono_ms < since + PAUSE_MAX_MS) {
                return;
            }
            let response = parked.map(|upload| refusal.shaped(upload.shape()));
            self.uploads().parked.pop_front();
            if let Some(response) = response {
                self.end_upload(ticket, response);
            }
        }
    }

    /// Refuses one of them.
    fn refuse_upload(&mut self, ticket: Ticket, refusal: &Refusal) {
        if let Some(upload) = self.ingest_state().uploads.all.get(&ticket) {
            let response = refusal.shaped(upload.shape());
            self.end_upload(ticket, response);
        }
    }

    /// Refuses all of them: what has been committed of them may be lost.
    fn refuse_uploads(&mut self, refusal: &Refusal) {
        let Desk {
            ingest, committed, ..
        } = self.desk();
        for (ticket, upload) in ingest.uploads.all.drain() {
            let response = refusal.shaped(upload.shape());
            committed.push(Completion::bare(ticket, response));
        }
    }

    /// The server stops: requests that wait for their clients, or for the store, are refused.
    fn stop_uploads(&mut self) {
        let waits = |upload: &Upload| matches!(upload.state, State::Client | State::Store(_));
        let Desk {
            ingest, committed, ..
        } = self.desk();
        let all = &mut ingest.uploads.all;
        for (ticket, upload) in all.extract_if(|_, upload| waits(upload)) {
            let response = shutting_down().shaped(upload.shape());
            committed.push(Completion::bare(ticket, response));
        }
    }

    /// Goes on with the next request that has more to read. False where there is none.
    fn work_on_upload(&mut self, now: Now) -> bool {
        let Some(ticket) = self.uploads().busy.pop_front() else {
            return false;
        };
        self.work_on(ticket, DECODED_PIECE_BYTES, now);
        true
    }

    /// The requests that want their next piece, with the bytes that they hold meanwhile.
    fn take_hungry(&mut self, into: &mut Vec<(Ticket, usize)>) {
        if self.gate().draining {
            self.stop_uploads();
        }
        let Uploads { all, hungry, .. } = self.uploads();
        into.extend(
            hungry
                .drain(..)
                .filter(|(ticket, _)| all.contains_key(ticket)),
        );
    }

    /// A client has gone, or its request was refused: nothing more is made of what has arrived of it.
    fn cancel_upload(&mut self, ticket: Ticket) {
        self.uploads().all.remove(&ticket);
    }

    /// Whether a publication of a request waits for the store, and not on the ring.
    fn holds_uploads(&self) -> bool {
        self.ingest_state().uploads.is_parked()
    }
}

impl<H: Host> Uploading for H {}
