//! journald: entries of its journal in the Journal Export Format, as `systemd-journal-upload` sends them. A whole
//! backlog is one body, so it is read in pieces. An entry's cursor is its identity, so a retry is stored once.

mod payload;
pub mod reader;

use std::borrow::Cow;

use super::adapter::{
    Adapter, BadBody, Endpoint, Intake, PieceIntake, Results, ServerState, Tally,
};
use super::record::Record;
use super::records::Records;
use super::time::{Time, Unit};
use crate::event::Protocol;
use crate::http::{ErrorShape, Refusal, Request, Response};
use reader::{fields, Found, ReadError, Reader};

pub(super) struct Journald;

const MEDIA_TYPE: &str = "application/vnd.fdo.journal";
const TOO_LARGE: &str =
    "the entry is larger than the limit of a body, or has more than 16384 fields";

impl Adapter for Journald {
    fn about(&self) -> (Protocol, &'static str) {
        (Protocol::Journald, "/upload")
    }

    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint> {
        (segments == ["upload"]).then(|| Endpoint::plain(0))
    }

    fn error_shape(&self, _endpoint: &Endpoint, _request: &Request) -> ErrorShape {
        errors
    }

    fn begin(
        &self,
        _endpoint: &Endpoint,
        _request: &Request,
        _state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal> {
        unreachable!("its bodies are taken in pieces")
    }

    fn takes_pieces(&self) -> bool {
        true
    }

    fn begin_pieces(
        &self,
        _endpoint: &Endpoint,
        request: &Request,
        limit: usize,
    ) -> Result<Box<dyn PieceIntake>, Refusal> {
        if !request.media_type().eq_ignore_ascii_case(MEDIA_TYPE) {
            let sentence = "Send the journal in its export format, as application/vnd.fdo.journal.";
            return Err(Refusal::new(415, sentence));
        }
        Ok(Box::new(Upload {
            reader: Reader::new(limit),
            tally: Tally::default(),
        }))
    }
}

/// The fields that the members of an event are made of.
const NAMES: [&str; 6] = [
    "_SYSTEMD_UNIT",
    "SYSLOG_IDENTIFIER",
    "_HOSTNAME",
    "_MACHINE_ID",
    "__REALTIME_TIMESTAMP",
    "__CURSOR",
];

/// A line of text. systemd 258 asks which coding it may send.
fn answer(status: u16, text: &str) -> Response {
    Response::new(status, "text/plain", text.as_bytes().to_vec()).header("Accept-Encoding", "zstd")
}

fn errors(refusal: &Refusal) -> Response {
    answer(refusal.status, &format!("{}\n", refusal.sentence))
}

/// A request.
struct Upload {
    reader: Reader,
    tally: Tally,
}

impl Upload {
    fn take(&mut self, found: Found, records: &mut Records) {
        match found {
            Found::Nothing => {}
            Found::Entry => add_entry(self.reader.entry(), records),
            Found::TooLarge(bytes) => {
                records.reject_cut(TOO_LARGE.to_owned(), self.reader.entry(), bytes);
            }
        }
    }
}

impl PieceIntake for Upload {
    fn read(&mut self, piece: &mut &[u8], records: &mut Records) -> Result<(), BadBody> {
        while !piece.is_empty() && !records.is_full() {
            let found = self.reader.take(piece).map_err(bad_body)?;
            self.take(found, records);
        }
        Ok(())
    }

    fn finish(&mut self, records: &mut Records) -> Result<(), BadBody> {
        let found = self.reader.finish().map_err(bad_body)?;
        self.take(found, records);
        Ok(())
    }

    fn unfinished(&self) -> &[u8] {
        self.reader.entry()
    }

    fn held_bytes(&self) -> usize {
        self.reader.held_bytes()
    }

    fn committed(&mut self, results: &Results) {
        self.tally.add(results);
    }

    fn answer(&mut self) -> Response {
        match self.tally.refusal() {
            Some(reason) => errors(&Refusal::new(400, reason.to_owned())),
            None => answer(200, "OK."),
        }
    }
}

fn bad_body(error: ReadError) -> BadBody {
    let reason = error.to_string();
    BadBody {
        response: errors(&Refusal::new(400, reason.clone())),
        reason,
    }
}

fn add_entry(entry: &[u8], records: &mut Records) {
    payload::write(entry, records.payload());
    let mut found = [None; NAMES.len()];
    for (name, value) in fields(entry) {
        let place = NAMES.iter().position(|known| *known == name);
        if let Some(first) = place
            .map(|place| &mut found[place])
            .filter(|first| first.is_none())
        {
            *first = std::str::from_utf8(value)
                .ok()
                .filter(|text| !text.is_empty());
        }
    }
    let [unit, identifier, host, machine, time, cursor] = found;
    records.finish(&Record {
        topic: unit.or(identifier).map(Cow::Borrowed),
        source: host.or(machine).map(Cow::Borrowed),
        time: time.map(|text| Time::Text(text, Unit::Micros)),
        identity: cursor.map(Cow::Borrowed),
    });
}
