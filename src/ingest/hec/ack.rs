//! Acknowledgements: which of a client's requests are stored. The id of a request is the greatest seq of its events.

use super::answer::{invalid, NO_DATA};
use crate::api::json::write_string;
use crate::http::Response;
use crate::ingest::adapter::{BadBody, Intake, ReadStatus, Results};
use crate::ingest::json;
use crate::ingest::records::Records;
use crate::limits::HEC_ACKS_MAX;

/// A request, which brings no records.
pub(super) struct Acks {
    /// The greatest seq of an event; 0 where there is none yet.
    last_seq: u64,
    /// The answer.
    answer: Vec<u8>,
}

impl Acks {
    pub(super) fn new(last_seq: u64) -> Self {
        let answer = Vec::new();
        Self { last_seq, answer }
    }

    /// Writes the answer: for each id whether its events are stored.
    ///
    /// # Errors
    /// What is wrong with the request.
    fn write(&mut self, body: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8")?;
        json::check(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let ids = json::member(text, "acks").filter(|ids| ids.starts_with('['));
        let ids = ids.ok_or("acks must be an array of ids")?;
        self.answer.extend_from_slice(b"{\"acks\":{");
        for (place, id) in json::elements(ids).enumerate() {
            if place == HEC_ACKS_MAX {
                return Err(format!("ask for at most {HEC_ACKS_MAX} ids at a time"));
            }
            let digits = id.strip_prefix('-').unwrap_or(id);
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("an id is an integer".to_owned());
            }
            if place > 0 {
                self.answer.push(b',');
            }
            write_string(&mut self.answer, id);
            // A number that is out of range was never given out.
            let is_stored =
                self.last_seq > 0 && id.parse().is_ok_and(|id: u64| id <= self.last_seq);
            let value: &[u8] = if is_stored { b":true" } else { b":false" };
            self.answer.extend_from_slice(value);
        }
        self.answer.extend_from_slice(b"}}");
        Ok(())
    }
}

impl Intake for Acks {
    fn read(&mut self, body: &[u8], _records: &mut Records) -> Result<ReadStatus, BadBody> {
        if body.trim_ascii().is_empty() {
            return Err(NO_DATA.bad_body("it asks for no id".to_owned(), None));
        }
        match self.write(body) {
            Ok(()) => Ok(ReadStatus::Done),
            Err(reason) => Err(BadBody {
                response: invalid(&reason, None),
                reason,
            }),
        }
    }

    fn committed(&mut self, _results: &Results) {}

    fn answer(&mut self) -> Response {
        Response::bare_json(200, std::mem::take(&mut self.answer))
    }
}
