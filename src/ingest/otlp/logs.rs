//! A request with logs, in whichever encoding.

use super::answer::{self, Encoding};
use super::walk::{Bad, Walk};
use crate::http::{Refusal, Response};
use crate::ingest::adapter::{BadBody, Intake, ReadStatus, Results, Tally};
use crate::ingest::records::{Records, TOO_DEEP};

/// A request.
pub(super) struct Logs<W> {
    encoding: Encoding,
    walk: W,
    is_checked: bool,
    tally: Tally,
}

impl<W: Walk> Logs<W> {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            walk: W::default(),
            is_checked: false,
            tally: Tally::default(),
        }
    }

    /// Walks through the whole body, without looking into its records.
    fn check(&self, body: &[u8], records: &Records) -> Result<(), BadBody> {
        let (count, repeated) = Self::measure(body).map_err(|why| {
            let reason = format!("the body is not an ExportLogsServiceRequest: {why}");
            self.bad_body(400, reason)
        })?;
        let is_small = records.check_size(count, repeated);
        is_small.map_err(|reason| self.bad_body(413, reason))
    }

    /// How many records there are, and how many bytes they take of their resources and scopes.
    fn measure(body: &[u8]) -> Result<(usize, usize), String> {
        W::check(body)?;
        let mut walk = W::default();
        let (mut count, mut repeated) = (0, 0_usize);
        while walk.next(body)?.is_some() {
            count += 1;
            repeated = repeated.saturating_add(walk.repeated_bytes());
        }
        Ok((count, repeated))
    }

    fn bad_body(&self, status: u16, reason: String) -> BadBody {
        let refusal = Refusal::new(status, reason.clone());
        let response = refusal.shaped(self.encoding.error_shape());
        BadBody { response, reason }
    }
}

impl<W: Walk> Intake for Logs<W> {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        if !self.is_checked {
            self.check(body, records)?;
            self.is_checked = true;
        }
        while !records.is_full() {
            // It was walked through before without an error.
            let Ok(Some(record)) = self.walk.next(body) else {
                return Ok(ReadStatus::Done);
            };
            let reason = match self.walk.add(record, records) {
                Ok(()) => continue,
                Err(Bad::TooDeep) => TOO_DEEP,
                Err(Bad::Malformed(reason)) => reason,
            };
            records.reject(reason.to_owned(), record);
        }
        Ok(ReadStatus::More)
    }

    fn committed(&mut self, results: &Results) {
        self.tally.add(results);
    }

    fn answer(&mut self) -> Response {
        answer::success(self.encoding, &self.tally)
    }
}
