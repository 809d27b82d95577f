//! What an adapter is: the two traits between a protocol over HTTP and the one path that records take.
//!
//! An adapter takes the bytes of its protocol apart into records, and turns what the store says of each into that
//! protocol's answer. It must do nothing else: it reads no file and no clock, stores nothing and knows no other
//! adapter.

use super::query::MadeIdentity;
use super::records::{Records, Rejected};
use crate::api::content::coding_of;
use crate::event::Protocol;
use crate::http::encoding::Coding;
use crate::http::{ErrorShape, Method, Refusal, Request, Response};
use crate::store::Outcome;

/// What a path asks of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Which of the adapter's paths it is; the adapter numbers them.
    pub(crate) number: u8,
    /// Names in the path, decoded.
    pub(crate) names: Vec<String>,
}

impl Endpoint {
    /// The endpoint of a path without names.
    pub(crate) fn plain(number: u8) -> Self {
        Self {
            number,
            names: Vec::new(),
        }
    }
}

/// What the server reports about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerState<'a> {
    pub(crate) is_healthy: bool,
    pub(crate) database_id: &'a str,
    /// The greatest seq of an event that has been committed; 0 in an empty database.
    pub(crate) last_seq: u64,
}

/// A protocol over HTTP.
pub(crate) trait Adapter: Sync {
    /// The protocol, and its paths as one pattern, for the metrics of requests: `/v1/logs`.
    fn about(&self) -> (Protocol, &'static str);

    fn protocol(&self) -> Protocol {
        self.about().0
    }

    fn pattern(&self) -> &'static str {
        self.about().1
    }

    /// What a path asks for, if it is one of this protocol's. `segments` are the parts between the slashes,
    /// percent-decoded: of `/v1/logs` they are `v1` and `logs`.
    fn endpoint(&self, segments: &[&str]) -> Option<Endpoint>;

    /// What a path asks for that has an escape which cannot be decoded, if the path is this protocol's anyway.
    fn undecodable(&self, _path: &str) -> Option<Endpoint> {
        None
    }

    /// The methods that a path takes, besides `OPTIONS`. Another is 405.
    fn methods(&self, _endpoint: &Endpoint) -> &'static [Method] {
        &[Method::Post]
    }

    /// Whether a request is answered without a token where tokens are configured.
    fn is_open(&self, _endpoint: &Endpoint, _method: Method) -> bool {
        false
    }

    /// How the protocol says that a request is refused.
    fn error_shape(&self, endpoint: &Endpoint, request: &Request) -> ErrorShape;

    /// Answers a request that brings no records by its head alone: a probe, a handshake, a path that is known and not
    /// supported. None if the request brings records; of `OPTIONS`, where there is nothing special to say.
    fn answer(
        &self,
        _endpoint: &Endpoint,
        _request: &Request,
        _state: ServerState,
    ) -> Option<Response> {
        None
    }

    /// Accepts a request that brings records, by its head: checks the media type and what else is required. Content
    /// codings have been checked. May be called before the body is there, to refuse it early, and again when it is.
    ///
    /// # Errors
    /// Why it is refused, such as 415.
    fn begin(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        state: ServerState,
    ) -> Result<Box<dyn Intake>, Refusal>;

    /// Whether bodies are read as they arrive, without a limit of their length, and
    /// [`begin_pieces`](Self::begin_pieces) takes the place of [`begin`](Self::begin).
    fn takes_pieces(&self) -> bool {
        false
    }

    /// The same as [`begin`](Self::begin) for such bodies. A record may have `limit` bytes.
    ///
    /// # Errors
    /// Why it is refused, such as 415.
    fn begin_pieces(
        &self,
        _endpoint: &Endpoint,
        _request: &Request,
        _limit: usize,
    ) -> Result<Box<dyn PieceIntake>, Refusal> {
        unreachable!("its bodies are read whole")
    }

    /// The one content coding of the body; none, which is 415, where there are several or one that is not taken.
    fn coding(&self, request: &Request) -> Option<Coding> {
        coding_of(request)
    }

    /// The topic of records that name none.
    fn default_topic(&self) -> &'static str {
        self.protocol().name()
    }

    /// How identities are made where neither a record nor the query has one.
    fn default_identity(&self) -> MadeIdentity {
        MadeIdentity::Auto
    }
}

/// How far a body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadStatus {
    /// The records are full; there is more.
    More,
    Done,
}

/// A body that cannot be read. Nothing of it is stored.
#[derive(Debug)]
pub(crate) struct BadBody {
    /// The answer, in the protocol's shape.
    pub(crate) response: Response,
    /// Why, for the table `rejected`, where a body goes that is answered with 400.
    pub(crate) reason: String,
}

/// A request with records that an adapter has taken.
pub(crate) trait Intake {
    /// Reads records out of the decoded body until `records` are full or the body ends, and continues there when
    /// it is called again, with the same body, after the commit. `records` are empty each time. A record that
    /// cannot become an event is rejected alone.
    ///
    /// An error of the whole request has to be found by the first call: afterwards records of it may be stored.
    ///
    /// # Errors
    /// The body cannot be read. Only the first call may say so.
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody>;

    /// What became of the records of the last call of [`read`](Self::read), after their commit.
    fn committed(&mut self, results: &Results);

    /// The time of that commit, in microseconds since the epoch, for protocols that tell how long they took.
    fn committed_at(&mut self, _unix_us: i64) {}

    /// The answer, after all of the body has been read and committed.
    fn answer(&mut self) -> Response;
}

/// The other kind of request with records: its decoded body comes in pieces, cut anywhere, and has no limit of length.
/// Its records are committed as they arrive, in several transactions, and what has been committed stays, even if the
/// rest fails.
pub(crate) trait PieceIntake {
    /// Takes bytes from the front of `piece` until `records` are full or none is left. A record that cannot become an
    /// event is rejected alone.
    ///
    /// # Errors
    /// The rest of the body cannot be read. What `records` hold by then is stored.
    fn read(&mut self, piece: &mut &[u8], records: &mut Records) -> Result<(), BadBody>;

    /// The body has ended. May add one more record, although `records` are full.
    ///
    /// # Errors
    /// It has not ended where it may.
    fn finish(&mut self, records: &mut Records) -> Result<(), BadBody>;

    /// What it has taken of a record that is not complete.
    fn unfinished(&self) -> &[u8];

    /// Bytes of memory that it holds for that.
    fn held_bytes(&self) -> usize;

    /// What became of records, after their commit.
    fn committed(&mut self, results: &Results);

    /// The answer, after all of the body has been read and committed.
    fn answer(&mut self) -> Response;
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordResult<'a> {
    Stored(Outcome),
    /// With the reason.
    Rejected(&'a str),
}

/// What became of the records of a publication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Results<'a> {
    pub(crate) outcomes: &'a [Outcome],
    /// By their places among all records, ascending.
    pub(crate) rejected: &'a [Rejected],
}

impl<'a> Results<'a> {
    /// One for each record, in the order in which they were read.
    pub(crate) fn iter(self) -> impl Iterator<Item = RecordResult<'a>> {
        let (mut outcomes, mut rejected) = (self.outcomes.iter(), self.rejected.iter().peekable());
        (0..).map_while(
            move |place| match rejected.next_if(|record| record.place == place) {
                Some(record) => Some(RecordResult::Rejected(&record.reason)),
                None => outcomes
                    .next()
                    .map(|outcome| RecordResult::Stored(*outcome)),
            },
        )
    }
}

/// Counts of what became of a request's records: all that most protocols answer with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) rejected: u64,
    /// Why the first of the rejected ones was.
    pub(crate) first_reason: Option<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, results: &Results) {
        for outcome in results.outcomes {
            *match outcome {
                Outcome::Accepted(_) => &mut self.accepted,
                Outcome::Duplicate(_) => &mut self.duplicates,
                Outcome::Conflict(_) => &mut self.conflicts,
            } += 1;
        }
        self.rejected += results.rejected.len() as u64;
        if self.first_reason.is_none() {
            self.first_reason = results.rejected.first().map(|record| record.reason.clone());
        }
    }

    /// Records that are in the store or were kept out of it as repeats.
    pub(crate) fn stored(&self) -> u64 {
        self.accepted + self.duplicates + self.conflicts
    }

    /// Why a protocol without a place for rejected records must answer with 400: all of them were.
    pub(crate) fn refusal(&self) -> Option<&str> {
        let is_all = self.stored() == 0;
        self.first_reason.as_deref().filter(|_| is_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_records() {
        let outcomes = [
            Outcome::Accepted(7),
            Outcome::Duplicate(3),
            Outcome::Conflict(4),
        ];
        let rejected = [1, 2, 5].map(|place| Rejected {
            place,
            reason: format!("reason {place}"),
        });
        let results = Results {
            outcomes: &outcomes,
            rejected: &rejected,
        };
        let found: Vec<_> = results.iter().collect();
        let stored = RecordResult::Stored;
        let expected = [
            stored(outcomes[0]),
            RecordResult::Rejected("reason 1"),
            RecordResult::Rejected("reason 2"),
            stored(outcomes[1]),
            stored(outcomes[2]),
            RecordResult::Rejected("reason 5"),
        ];
        assert_eq!(found, expected);
        let mut tally = Tally::default();
        tally.add(&results);
        let counts = (
            tally.accepted,
            tally.duplicates,
            tally.conflicts,
            tally.rejected,
        );
        assert_eq!(counts, (1, 1, 1, 3));
        assert_eq!(
            (tally.refusal(), tally.first_reason.as_deref()),
            (None, Some("reason 1"))
        );
    }
}
