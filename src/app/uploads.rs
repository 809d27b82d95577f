//! The requests whose bodies are read as they arrive, and what each of them waits for.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::reply::Ticket;
use super::upload_work::{State, Upload};
use crate::clock::Now;
use crate::event::Publication;

/// The requests at work.
#[derive(Default)]
pub(super) struct Uploads {
    pub(super) all: HashMap<Ticket, Box<Upload>>,
    /// Those that have more to read of what has arrived. Tickets of requests that have gone are skipped.
    pub(super) busy: VecDeque<Ticket>,
    /// Those whose publication could not be committed.
    pub(super) parked: VecDeque<Ticket>,
    /// Those that want their next piece, with the bytes that they hold.
    pub(super) hungry: Vec<(Ticket, usize)>,
}

impl Uploads {
    /// Whether one has work that waits for nothing but its turn, where the store `can_commit` or cannot.
    pub(super) fn is_busy(&self, can_commit: bool) -> bool {
        !self.busy.is_empty() || (can_commit && self.is_parked())
    }

    /// Whether one waits for the store.
    pub(super) fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    pub(super) fn park(&mut self, ticket: Ticket, publication: Publication, now: Now) {
        if let Some(upload) = self.all.get_mut(&ticket) {
            upload.state = State::Store(publication);
            upload.parked_since.get_or_insert(now.mono_ms);
            self.parked.push_back(ticket);
        }
    }
}
