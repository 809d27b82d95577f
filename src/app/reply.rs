//! What the application gives back, and the answers that say why there is no other.

use super::stream::StreamAnswer;
use crate::api::reading::Reading;
use crate::http::{Refusal, Response};
use crate::store::StoreError;

/// Names the connection that waits for an answer; the shell gives it and gets it back.
pub type Ticket = u64;

/// What became of a request.
#[derive(Debug)]
pub enum Reply {
    Now(Response),
    /// The answer comes out of a later [`App::take_completions`](super::App::take_completions) under the request's
    /// ticket.
    AfterCommit,
    /// The answer has begun; [`App::feed`](super::App::feed) goes on with it.
    Stream(Box<StreamAnswer>),
    /// The answer takes more reading than there is time for in this turn; [`App::read_on`](super::App::read_on)
    /// goes on with it.
    Reading(Reading),
}

/// The answer to a publication or to a change of a subscription, and a body buffer to use again.
#[derive(Debug)]
pub struct Completion {
    pub ticket: Ticket,
    pub response: Response,
    pub buffer: Vec<u8>,
}

impl Completion {
    /// One that has no buffer to give back.
    pub(super) fn bare(ticket: Ticket, response: Response) -> Self {
        Self {
            ticket,
            response,
            buffer: Vec::new(),
        }
    }
}

pub(super) const NOT_STORED: &str =
    "The events could not be stored, none of them was; send them again.";

/// 503: the same request may succeed later.
pub(super) fn unavailable(sentence: &'static str) -> Response {
    Refusal::unavailable(sentence).into()
}

pub(super) fn shutting_down() -> Refusal {
    Refusal {
        close: true,
        ..Refusal::unavailable("The server is shutting down; send the request again.")
    }
}

/// The answer where the database cannot be read.
pub(super) fn unreadable(error: &StoreError) -> Response {
    // A damaged page has been logged already.
    if !matches!(error, StoreError::Repairing) {
        log::error!("reading the database failed: {error}");
    }
    unavailable("The database cannot be read now; try again.")
}
