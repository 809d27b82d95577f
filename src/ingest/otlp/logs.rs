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
    fn check(body: &[u8]) -> Result<(), String> {
        W::check(body)?;
        let mut walk = W::default();
        while walk.next(body)?.is_some() {}
        Ok(())
    }
}

impl<W: Walk> Intake for Logs<W> {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        if !self.is_checked {
            Self::check(body).map_err(|why| {
                let reason = format!("the body is not an ExportLogsServiceRequest: {why}");
                let refusal = Refusal::new(400, reason.clone());
                let response = refusal.shaped(self.encoding.error_shape());
                BadBody { response, reason }
            })?;
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
