//! A request of another protocol in progress: its adapter's state, and how far its body has been read. Knows neither
//! the ring nor the store.

use crate::event::{IdentityCounts, Protocol, Publication, RejectedRecord};
use crate::http::{ErrorShape, Response};
use crate::ingest::adapter::{BadBody, Intake, ReadStatus, Results};
use crate::ingest::records::{Records, Rejected};
use crate::store::Outcome;

/// A request with records that is in progress.
pub(super) struct IngestWork {
    intake: Box<dyn Intake>,
    records: Records,
    shape: ErrorShape,
    /// Decoded.
    body: Vec<u8>,
    status: ReadStatus,
    /// Of the publication that is on the ring.
    rejected: Vec<Rejected>,
    identities: IdentityCounts,
}

/// What a request brings next.
pub(super) enum Next {
    Publication(Publication),
    /// It has brought all. Also the answer to a body that cannot be read, where that is not kept.
    Answer(Response),
    /// The answer to a body that cannot be read and is kept.
    Refused(Response, String),
}

impl IngestWork {
    /// The body is not there yet.
    pub(super) fn new(intake: Box<dyn Intake>, records: Records, shape: ErrorShape) -> Self {
        Self {
            intake,
            records,
            shape,
            body: Vec::new(),
            status: ReadStatus::More,
            rejected: Vec::new(),
            identities: IdentityCounts::default(),
        }
    }

    pub(super) fn set_body(&mut self, body: Vec<u8>) {
        self.body = body;
    }

    /// Of the publication that was read last: how many records were rejected, and where identities are from.
    pub(super) fn counts(&self) -> (Protocol, usize, IdentityCounts) {
        (
            self.records.protocol(),
            self.rejected.len(),
            self.identities,
        )
    }

    /// Reads the next publication.
    pub(super) fn next(&mut self) -> Next {
        match self.intake.read(&self.body, &mut self.records) {
            Ok(status) => self.status = status,
            Err(BadBody { response, reason }) if response.status == 400 => {
                return Next::Refused(response, reason);
            }
            Err(BadBody { response, .. }) => return Next::Answer(response),
        }
        let taken = self.records.take();
        self.rejected = taken.rejected;
        self.identities = taken.identities;
        if taken.publication.events.is_empty() && taken.publication.rejected.is_empty() {
            return Next::Answer(self.intake.answer());
        }
        Next::Publication(taken.publication)
    }

    pub(super) fn shape(&self) -> ErrorShape {
        self.shape
    }

    /// What is kept of the body, which cannot be read.
    pub(super) fn rejected_body(&self, reason: String) -> RejectedRecord {
        self.records.rejected_body(reason, &self.body)
    }

    /// The publication has been committed with these outcomes, at this time in microseconds since the epoch. Returns
    /// the answer if the request has brought all.
    pub(super) fn committed(
        &mut self,
        publication: Publication,
        outcomes: &[Outcome],
        committed_at: i64,
    ) -> Option<Response> {
        let results = Results {
            outcomes,
            rejected: &self.rejected,
        };
        self.intake.committed(&results);
        self.intake.committed_at(committed_at);
        self.records.recycle(publication);
        (self.status == ReadStatus::Done).then(|| self.intake.answer())
    }

    /// The body's memory, which is given back to its client.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }
}
