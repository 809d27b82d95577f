//! Requests that bring plain text: each line is a record, and the query says what it does not.

use std::borrow::Cow;

use super::answer::{too_large, Summary, NO_DATA};
use super::head::asked;
use crate::http::{Request, Response};
use crate::ingest::adapter::{BadBody, Intake, ReadStatus, Results};
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::text::write_any;
use crate::ingest::time::{Time, Unit};

/// A request.
pub(super) struct Lines {
    topic: Option<String>,
    source: Option<String>,
    time: Option<String>,
    /// Where the next line begins.
    at: usize,
    summary: Summary,
}

impl Lines {
    pub(super) fn new(request: &Request, wants_ack: bool) -> Self {
        Self {
            topic: asked(request, "index").or_else(|| asked(request, "sourcetype")),
            source: asked(request, "host"),
            time: asked(request, "time"),
            at: 0,
            summary: Summary::new(wants_ack),
        }
    }

    /// The next line that is not empty.
    fn next<'a>(&mut self, body: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let rest = body.get(self.at..).filter(|rest| !rest.is_empty())?;
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            self.at += end + 1;
            let mut line = &rest[..end];
            while let Some(before) = line.strip_suffix(b"\r") {
                line = before;
            }
            if !line.is_empty() {
                return Some(line);
            }
        }
    }

    fn store(&self, line: &[u8], records: &mut Records) {
        let payload = records.payload();
        payload.extend_from_slice(b"{\"line\":");
        let end: &[u8] = match write_any(line, payload) {
            true => b",\"escaped\":true}",
            false => b"}",
        };
        payload.extend_from_slice(end);
        let time = self.time.as_deref();
        // A line that is too large is rejected there.
        records.finish(&Record {
            topic: self.topic.as_deref().map(Cow::Borrowed),
            source: self.source.as_deref().map(Cow::Borrowed),
            time: time.map(|time| Time::Text(time, Unit::BySize)),
            identity: None,
        });
    }
}

impl Intake for Lines {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        if self.at == 0 && body.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(NO_DATA.bad_body("it has no line".to_owned(), None));
        }
        if self.at == 0 {
            let lines = memchr::memchr_iter(b'\n', body).count() + 1;
            records.check_size(lines, 0).map_err(too_large)?;
        }
        while !records.is_full() {
            match self.next(body) {
                Some(line) => self.store(line, records),
                None => return Ok(ReadStatus::Done),
            }
        }
        Ok(ReadStatus::More)
    }

    fn committed(&mut self, results: &Results) {
        self.summary.add(results);
    }

    fn answer(&mut self) -> Response {
        self.summary.response()
    }
}
