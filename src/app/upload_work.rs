//! A request whose body is read as it arrives: its adapter's state, and what is to be done next. Knows neither the ring
//! nor the store.

use crate::api::content;
use crate::event::{IdentityCounts, Protocol, Publication};
use crate::http::encoding::{Coding, DecodeError, Decoded, PieceDecoding};
use crate::http::{ErrorShape, Response};
use crate::ingest::adapter::{BadBody, PieceIntake, Results};
use crate::ingest::records::{Records, Rejected};
use crate::limits::DECODED_PIECE_BYTES;
use crate::store::Outcome;

/// A request at work.
pub(super) struct Upload {
    intake: Box<dyn PieceIntake>,
    records: Records,
    shape: ErrorShape,
    coding: Coding,
    decoding: PieceDecoding,
    /// What has been decoded and not been read, from `at` on.
    decoded: Vec<u8>,
    at: usize,
    end: End,
    /// Of the publication that is on the ring.
    rejected: Vec<Rejected>,
    identities: IdentityCounts,
    /// All that has arrived has been read.
    needs_piece: bool,
    pub(super) state: State,
    /// Since when the store has not been able to commit its publication, in `mono_ms`.
    pub(super) parked_since: Option<u64>,
}

/// What a request waits for.
pub(super) enum State {
    /// Its turn to read what has arrived.
    Ready,
    /// Its client.
    Client,
    /// The commit of its publication, which is on the ring.
    Commit,
    /// The store, which could not commit this publication. It is tried again.
    Store(Publication),
}

/// Whether all of the body has been read.
enum End {
    /// There may be more.
    Open,
    Read,
    /// It cannot be read, and this is the answer.
    Refused(Response),
}

/// What [`Upload::work`] has come to.
pub(super) enum Progress {
    /// The budget is spent.
    Busy,
    /// All that has arrived has been read and committed.
    NeedsPiece,
    Publication(Publication),
    Answer(Response),
}

impl Upload {
    /// # Errors
    /// There is no memory for the decoder.
    pub(super) fn new(
        intake: Box<dyn PieceIntake>,
        records: Records,
        shape: ErrorShape,
        coding: Coding,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            intake,
            records,
            shape,
            coding,
            decoding: PieceDecoding::new(coding)?,
            decoded: Vec::new(),
            at: 0,
            end: End::Open,
            rejected: Vec::new(),
            identities: IdentityCounts::default(),
            needs_piece: true,
            state: State::Client,
            parked_since: None,
        })
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.records.protocol()
    }

    pub(super) fn shape(&self) -> ErrorShape {
        self.shape
    }

    pub(super) fn is_coded(&self) -> bool {
        self.coding != Coding::Identity
    }

    /// The next piece of the body, as it came at this time.
    pub(super) fn push(&mut self, piece: Vec<u8>, is_last: bool, unix_us: i64) {
        self.state = State::Ready;
        self.needs_piece = false;
        self.records.set_received_at(unix_us);
        self.decoding.push(piece, is_last);
    }

    /// Reads until a publication is full, or what has arrived is at its end, or about `budget` bytes have been
    /// decoded.
    pub(super) fn work(&mut self, budget: usize) -> Progress {
        let mut left = budget;
        loop {
            if self.records.is_full() {
                return self.publication();
            }
            if self.at < self.decoded.len() {
                let mut rest = &self.decoded[self.at..];
                let result = self.intake.read(&mut rest, &mut self.records);
                self.at = self.decoded.len() - rest.len();
                if let Err(bad) = result {
                    self.refuse(bad);
                }
                continue;
            }
            if !matches!(self.end, End::Open) {
                return self.end();
            }
            if left == 0 {
                return Progress::Busy;
            }
            left = left.saturating_sub(DECODED_PIECE_BYTES);
            if !self.decode() {
                return self.pause();
            }
        }
    }

    /// Decodes a little. False where the next piece is needed for more.
    fn decode(&mut self) -> bool {
        self.at = 0;
        self.decoded.resize(DECODED_PIECE_BYTES, 0);
        let result = self.decoding.read(&mut self.decoded);
        let bytes = if let Ok(Decoded::Bytes(bytes)) = result {
            bytes
        } else {
            0
        };
        self.decoded.truncate(bytes);
        match result {
            Ok(Decoded::Bytes(_)) => {}
            Ok(Decoded::NeedsPiece) => return false,
            Ok(Decoded::End) => match self.intake.finish(&mut self.records) {
                Ok(()) => self.end = End::Read,
                Err(bad) => self.refuse(bad),
            },
            Err(error) => {
                let refusal = content::undecodable_refusal(self.coding, error, usize::MAX);
                let response = refusal.shaped(self.shape);
                let reason = refusal.sentence.into_owned();
                // Of what does not decode the bytes are kept as they came.
                self.records.reject(reason, self.decoding.piece());
                self.end = End::Refused(response);
            }
        }
        true
    }

    /// The rest of the body is not read. What it began with is kept.
    fn refuse(&mut self, bad: BadBody) {
        self.decoded = Vec::new();
        self.at = 0;
        let unfinished = self.intake.unfinished();
        self.records.reject(bad.reason, unfinished);
        self.end = End::Refused(bad.response);
    }

    fn pause(&mut self) -> Progress {
        self.needs_piece = true;
        self.decoded = Vec::new();
        self.at = 0;
        match self.records.len() {
            0 => Progress::NeedsPiece,
            _ => self.publication(),
        }
    }

    fn end(&mut self) -> Progress {
        if self.records.len() > 0 {
            return self.publication();
        }
        match &self.end {
            End::Refused(response) => Progress::Answer(response.clone()),
            End::Open | End::Read => Progress::Answer(self.intake.answer()),
        }
    }

    fn publication(&mut self) -> Progress {
        let taken = self.records.take();
        self.rejected = taken.rejected;
        self.identities = taken.identities;
        Progress::Publication(taken.publication)
    }

    /// Its publication has been committed with these outcomes. Returns where identities were from.
    pub(super) fn committed(
        &mut self,
        publication: Publication,
        outcomes: &[Outcome],
    ) -> IdentityCounts {
        self.state = State::Ready;
        self.parked_since = None;
        let rejected = std::mem::take(&mut self.rejected);
        self.intake.committed(&Results {
            outcomes,
            rejected: &rejected,
        });
        self.records.recycle(publication);
        std::mem::take(&mut self.identities)
    }

    /// What comes next, if that needs no work.
    pub(super) fn next(&mut self) -> Option<Progress> {
        let is_read = self.records.len() == 0 && self.at >= self.decoded.len();
        match self.end {
            _ if !is_read => None,
            End::Open => self.needs_piece.then_some(Progress::NeedsPiece),
            End::Read | End::Refused(_) => Some(self.end()),
        }
    }

    /// Bytes of memory that it holds while its client is read.
    pub(super) fn held_bytes(&self) -> usize {
        self.intake.held_bytes() + self.decoding.held_bytes()
    }
}
