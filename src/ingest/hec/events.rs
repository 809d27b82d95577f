//! Requests that bring events: JSON objects, each of which is a record.

use super::answer::{too_large, Summary, EVENT_BLANK, EVENT_REQUIRED, INVALID_FORMAT, NO_DATA};
use super::values::{Position, Values};
use crate::http::Response;
use crate::ingest::adapter::{BadBody, Intake, ReadStatus, Results};
use crate::ingest::json;
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::time::document_time;

/// A request.
pub(super) struct Events {
    /// Where the next value is; none before the body has been checked.
    position: Option<Position>,
    summary: Summary,
}

impl Events {
    pub(super) fn new(wants_ack: bool) -> Self {
        Self {
            position: None,
            summary: Summary::new(wants_ack),
        }
    }
}

fn check(body: &[u8], records: &Records) -> Result<Position, BadBody> {
    match Values::check(body) {
        Ok(0) => Err(NO_DATA.bad_body("it has no event".to_owned(), None)),
        Ok(count) => {
            records.check_size(count, 0).map_err(too_large)?;
            Ok(Position::default())
        }
        Err(malformed) => {
            let number = malformed.number;
            let reason = format!("event {number} cannot be read: {}", malformed.reason);
            Err(INVALID_FORMAT.bad_body(reason, Some(number as u64)))
        }
    }
}

/// # Errors
/// Why it cannot become an event.
fn store(value: &[u8], records: &mut Records) -> Result<(), &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "it is not UTF-8")?;
    if !text.starts_with('{') {
        return Err("it is not an object");
    }
    let [event, index, sourcetype, host] =
        json::pick(text, ["event", "index", "sourcetype", "host"]);
    match event {
        None | Some("null") => return Err(EVENT_REQUIRED.0),
        Some("\"\"") => return Err(EVENT_BLANK.0),
        Some(_) => {}
    }
    let [index, sourcetype, host] =
        [index, sourcetype, host].map(|value| value.and_then(json::string));
    let record = Record {
        topic: index.filter(|name| !name.is_empty()).or(sourcetype),
        source: host,
        time: document_time(text),
        identity: None,
    };
    records.document(&record, text).map(|_| ())
}

impl Intake for Events {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        let position = match self.position {
            Some(position) => position,
            None => check(body, records)?,
        };
        let mut values = Values::at(body, position);
        while !records.is_full() {
            let Some(value) = values.next() else {
                return Ok(ReadStatus::Done);
            };
            if let Err(reason) = store(value, records) {
                records.reject(reason.to_owned(), value);
            }
        }
        self.position = Some(values.position());
        Ok(ReadStatus::More)
    }

    fn committed(&mut self, results: &Results) {
        self.summary.add(results);
    }

    fn answer(&mut self) -> Response {
        self.summary.response()
    }
}
