//! Answers: each has a text and a code, which are Splunk's own.

use crate::api::json::write_string;
use crate::http::{write_number, Refusal, Response};
use crate::ingest::adapter::{BadBody, Results};
use crate::store::Outcome;

/// A text and its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict<'a>(pub(super) &'a str, pub(super) u16);

const SUCCESS: Verdict = Verdict("Success", 0);
const TOKEN_REQUIRED: Verdict = Verdict("Token is required", 2);
const INVALID_AUTHORIZATION: Verdict = Verdict("Invalid authorization", 3);
const INVALID_TOKEN: Verdict = Verdict("Invalid token", 4);
pub(super) const NO_DATA: Verdict = Verdict("No data", 5);
pub(super) const INVALID_FORMAT: Verdict = Verdict("Invalid data format", 6);
const BUSY: Verdict = Verdict("Server is busy", 9);
pub(super) const EVENT_REQUIRED: Verdict = Verdict("Event field is required", 12);
pub(super) const EVENT_BLANK: Verdict = Verdict("Event field cannot be blank", 13);
pub(super) const HEALTHY: Verdict = Verdict("HEC is healthy", 17);
const UNHEALTHY: Verdict = Verdict("HEC is unhealthy, queues are full", 18);
const TOO_LARGE: u16 = 27;

impl Verdict<'_> {
    pub(super) fn response(self, status: u16) -> Response {
        self.with(status, None)
    }

    /// With one more member, which is a number.
    fn with(self, status: u16, member: Option<(&str, u64)>) -> Response {
        let mut body = b"{\"text\":".to_vec();
        write_string(&mut body, self.0);
        for (name, number) in [Some(("code", self.1.into())), member]
            .into_iter()
            .flatten()
        {
            body.push(b',');
            write_string(&mut body, name);
            body.push(b':');
            write_number(&mut body, number);
        }
        body.push(b'}');
        Response::bare_json(status, body)
    }

    /// The answer to a body that cannot be read, at this event if it is one, counted from 0.
    pub(super) fn bad_body(self, reason: String, event: Option<u64>) -> BadBody {
        let response = self.bad(event);
        BadBody { response, reason }
    }

    fn bad(self, event: Option<u64>) -> Response {
        self.with(400, event.map(|number| ("invalid-event-number", number)))
    }
}

/// The answer to a body that can be read but not accepted, for this reason.
pub(super) fn invalid(reason: &str, event: Option<u64>) -> Response {
    let sentence = format!("{}: {reason}", INVALID_FORMAT.0);
    Verdict(&sentence, INVALID_FORMAT.1).bad(event)
}

/// The answer to a body that would become more than one request may bring.
pub(super) fn too_large(reason: String) -> BadBody {
    let response = Verdict(&reason, TOO_LARGE).response(413);
    BadBody { response, reason }
}

/// The shape of refusals where the request has a token.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let verdict = match refusal.status {
        400 => Verdict(&refusal.sentence, INVALID_FORMAT.1),
        401 => INVALID_AUTHORIZATION,
        403 => INVALID_TOKEN,
        413 => Verdict(&refusal.sentence, TOO_LARGE),
        503 => BUSY,
        other => Verdict(&refusal.sentence, other),
    };
    verdict.response(refusal.status)
}

/// The same where it has none.
pub(super) fn without_token(refusal: &Refusal) -> Response {
    match refusal.status {
        401 => TOKEN_REQUIRED.response(401),
        _ => refused(refusal),
    }
}

/// The same for health requests.
pub(super) fn unhealthy(refusal: &Refusal) -> Response {
    match refusal.status {
        503 => UNHEALTHY.response(503),
        _ => refused(refusal),
    }
}

/// What became of a request's records, as far as the answer says it.
#[derive(Debug, Default)]
pub(super) struct Summary {
    wants_ack: bool,
    /// How many records there were.
    records: u64,
    is_stored: bool,
    /// The greatest seq of one that is stored.
    last_seq: u64,
    /// The first that was rejected: its number, and why.
    bad: Option<(u64, String)>,
}

impl Summary {
    pub(super) fn new(wants_ack: bool) -> Self {
        Self {
            wants_ack,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, results: &Results) {
        if let (None, Some(first)) = (&self.bad, results.rejected.first()) {
            self.bad = Some((self.records + u64::from(first.place), first.reason.clone()));
        }
        for outcome in results.outcomes {
            let (Outcome::Accepted(seq) | Outcome::Duplicate(seq) | Outcome::Conflict(seq)) =
                *outcome;
            self.last_seq = self.last_seq.max(seq);
        }
        self.is_stored |= !results.outcomes.is_empty();
        self.records += (results.outcomes.len() + results.rejected.len()) as u64;
    }

    /// A success if anything was stored; else why the first record was not.
    pub(super) fn response(&self) -> Response {
        if let (false, Some((number, reason))) = (self.is_stored, &self.bad) {
            let mut known = [EVENT_REQUIRED, EVENT_BLANK].into_iter();
            return match known.find(|verdict| verdict.0 == reason) {
                Some(verdict) => verdict.bad(Some(*number)),
                None => invalid(reason, Some(*number)),
            };
        }
        let ack = self.wants_ack.then_some(("ackId", self.last_seq));
        SUCCESS.with(200, ack)
    }
}
