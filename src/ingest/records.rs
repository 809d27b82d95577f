//! From records to a publication: what is missing is filled in, names are made legal, identities are made.
//!
//! A request is read a publication at a time, so that memory holds its body and one publication, however long a
//! record becomes. Nothing here knows a protocol.

use std::borrow::Cow;

use super::identity::{write_given, write_hash, Hashes};
use super::query::{IngestQuery, MadeIdentity};
use super::record::Record;
use super::text::write_name;
use super::time::{Time, Unit};
use crate::clock::Stamp;
use crate::event::{
    compact, EventSpans, Filled, IdentityCounts, Peer, Protocol, Publication, RejectedRecord, Span,
    TooDeep,
};
use crate::limits::{
    BODY_CEILING_BYTES, EVENT_LEAST_BYTES, REPEATED_FACTOR, REPEATED_FREE_BYTES, RING_MAX_BYTES,
};
use crate::uuid::Uuids;

/// What a protocol says of all its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) protocol: Protocol,
    /// The topic of a record that names none.
    pub(crate) topic: &'static str,
    /// How an identity is made where neither the record nor the query has one.
    pub(crate) identity: MadeIdentity,
}

/// Where the records of a request, or of a connection, come from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) peer: Peer,
    /// The time of receipt, in microseconds since the epoch.
    pub(crate) received_at: i64,
    /// The request's query, completed by the setting for the protocol.
    pub(crate) query: IngestQuery,
    /// Most events of a publication.
    pub(crate) max_events: usize,
    /// Most bytes of a body, decoded.
    pub(crate) max_body_bytes: usize,
}

/// Why a record of JSON cannot become an event.
pub(crate) const TOO_DEEP: &str = "it is nested deeper than 128 levels";
const TOO_LARGE: &str = "it is larger than an event may be";

/// Builds publications out of records.
pub(crate) struct Records {
    defaults: Defaults,
    origin: Origin,
    publication: Publication,
    /// Where in the body the payload of the present record begins.
    payload_start: usize,
    /// Records that were rejected, by their places among all of the publication, ascending.
    rejected: Vec<Rejected>,
    /// Bytes that are kept of them.
    rejected_bytes: usize,
    hashes: Hashes,
    /// The identity that was made last; kept for its memory.
    made_id: Vec<u8>,
    uuids: Uuids,
    stamp: Stamp,
    identities: IdentityCounts,
    shared: SharedSpans,
}

/// Members that are the same for many records of a publication, once they are in its body.
#[derive(Default)]
struct SharedSpans {
    topic: Option<Span>,
    source: Option<Span>,
    received_at: Option<Span>,
    peer: Option<Span>,
}

/// A record that could not become an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// Which of the publication's records it is.
    pub(crate) place: u32,
    pub(crate) reason: String,
}

/// What [`Records::take`] gives.
pub(crate) struct Taken {
    pub(crate) publication: Publication,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) identities: IdentityCounts,
}

impl Taken {
    /// Whether there is neither an event nor a rejected record.
    pub(crate) fn is_empty(&self) -> bool {
        self.publication.events.is_empty() && self.publication.rejected.is_empty()
    }
}

impl Records {
    pub(crate) fn new(defaults: Defaults, origin: Origin) -> Self {
        Self {
            defaults,
            origin,
            publication: Publication::default(),
            payload_start: 0,
            rejected: Vec::new(),
            rejected_bytes: 0,
            hashes: Hashes::default(),
            made_id: Vec::new(),
            uuids: Uuids::default(),
            stamp: Stamp::default(),
            identities: IdentityCounts::default(),
            shared: SharedSpans::default(),
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.defaults.protocol
    }

    /// What the protocol and the request say of all records.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The next record is the first of its request: what is equal in earlier ones is no reason to number it.
    pub(crate) fn begin_request(&mut self) {
        self.hashes.clear();
    }

    /// The next records came from this peer.
    pub(crate) fn set_peer(&mut self, peer: Peer) {
        if self.origin.peer != peer {
            self.origin.peer = peer;
            self.shared.peer = None;
        }
    }

    /// The next records were received at this time, in microseconds since the epoch.
    pub(crate) fn set_received_at(&mut self, received_at: i64) {
        if self.origin.received_at != received_at {
            self.origin.received_at = received_at;
            self.shared.received_at = None;
        }
    }

    /// The topic of a record that names this one, before it is made legal.
    pub(crate) fn topic_of<'n>(&'n self, named: Option<&'n str>) -> &'n str {
        let asked = self.origin.query.topic.as_deref();
        let named = asked.or(named).filter(|topic| !topic.is_empty());
        named.unwrap_or(self.defaults.topic)
    }

    /// Whether the publication has as many events or bytes as a transaction takes. Then no more may be added
    /// before [`take`](Self::take).
    pub(crate) fn is_full(&self) -> bool {
        self.publication.events.len() >= self.origin.max_events
            || self.publication.body.len() + self.rejected_bytes >= RING_MAX_BYTES
    }

    /// Checks what a request would bring in total: its records, and the bytes that it says once for several of them. A
    /// small body could otherwise become any number of bytes on disk.
    ///
    /// # Errors
    /// Why it is refused, as 413.
    pub(crate) fn check_size(&self, records: usize, repeated: usize) -> Result<(), String> {
        let source = self.origin.query.source.as_ref().map_or(0, String::len);
        let needed = records
            .saturating_mul(EVENT_LEAST_BYTES + source)
            .saturating_add(repeated);
        let body = self.origin.max_body_bytes;
        let allowed = body.saturating_mul(REPEATED_FACTOR) + REPEATED_FREE_BYTES;
        if needed <= allowed {
            return Ok(());
        }
        let what =
            "as events, with what the request says once for all of them, its records would take";
        Err(format!(
            "{what} {needed} bytes, and may take {allowed}: send them in several requests"
        ))
    }

    /// Events and rejected records of the publication so far.
    pub(crate) fn len(&self) -> usize {
        self.publication.events.len() + self.rejected.len()
    }

    /// The publication so far; the next record begins another one.
    pub(crate) fn take(&mut self) -> Taken {
        self.shared = SharedSpans::default();
        self.rejected_bytes = 0;
        Taken {
            publication: std::mem::take(&mut self.publication),
            rejected: std::mem::take(&mut self.rejected),
            identities: std::mem::take(&mut self.identities),
        }
    }

    /// Where the payload of the next record is written: one JSON object without white space between its tokens,
    /// nested at most 128 levels deep. [`finish`](Self::finish) ends it.
    pub(crate) fn payload(&mut self) -> &mut Vec<u8> {
        self.payload_start = self.publication.body.len();
        &mut self.publication.body
    }

    /// Discards a payload that was begun.
    pub(crate) fn abandon(&mut self) {
        self.publication.body.truncate(self.payload_start);
    }

    /// Makes an event of the payload that has been written, and returns its event id. Rejected, and none, is what is
    /// larger than an event may be.
    pub(crate) fn finish(&mut self, record: &Record) -> Option<&str> {
        let written = self.publication.body.len() - self.payload_start;
        if written > BODY_CEILING_BYTES / 2 {
            let text = self.publication.body.split_off(self.payload_start);
            self.reject(TOO_LARGE.to_owned(), &text);
            return None;
        }
        let payload = self.span_from(self.payload_start);
        let topic = self.topic(record);
        let (source, is_peer) = self.source(record);
        let (timestamp, is_receipt) = self.timestamp(record, payload);
        let event_id = self.event_id(record, topic, [timestamp, source, payload], is_receipt);
        let filled = Filled {
            timestamp: is_receipt,
            source: is_peer,
        };
        let publication = &mut self.publication;
        if filled != Filled::default() {
            publication
                .filled
                .resize(publication.events.len(), Filled::default());
            publication.filled.push(filled);
        }
        publication.events.push(EventSpans {
            topic,
            event_id,
            timestamp,
            source,
            payload,
        });
        Some(self.text(event_id))
    }

    /// Makes an event whose payload is a JSON object as it was sent, and returns its event id.
    ///
    /// # Errors
    /// Why it can be none. The caller rejects it.
    pub(crate) fn document(&mut self, record: &Record, text: &str) -> Result<&str, &'static str> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.len() > BODY_CEILING_BYTES / 2 {
            return Err(TOO_LARGE);
        }
        let body = self.payload();
        match compact(text, body) {
            Ok(true) => {}
            Ok(false) => body.extend_from_slice(text.as_bytes()),
            Err(TooDeep) => return Err(TOO_DEEP),
        }
        self.finish(record).ok_or(TOO_LARGE)
    }

    /// A record that cannot become an event. Its neighbours can.
    pub(crate) fn reject(&mut self, reason: String, record: &[u8]) {
        self.reject_cut(reason, record, record.len() as u64);
    }

    /// The same for a record of `bytes` bytes of which only the beginning is there.
    pub(crate) fn reject_cut(&mut self, reason: String, beginning: &[u8], bytes: u64) {
        let (protocol, peer) = (self.defaults.protocol, self.origin.peer);
        let mut kept = RejectedRecord::new(protocol, &peer.to_string(), reason.clone(), beginning);
        kept.bytes = bytes;
        self.rejected_bytes += kept.held_bytes() + reason.len();
        self.publication.rejected.push(kept);
        let place = self.len() as u32;
        self.rejected.push(Rejected { place, reason });
    }

    /// What is kept of a body that cannot be read.
    pub(crate) fn rejected_body(&self, reason: String, body: &[u8]) -> RejectedRecord {
        let peer = self.origin.peer.to_string();
        RejectedRecord::new(self.defaults.protocol, &peer, reason, body)
    }

    /// Takes the memory of a publication back.
    pub(crate) fn recycle(&mut self, mut publication: Publication) {
        publication.body.clear();
        publication.events.clear();
        publication.filled.clear();
        publication.rejected.clear();
        self.publication = publication;
    }

    fn topic(&mut self, record: &Record) -> Span {
        if let Some(span) = self.shared.topic {
            return span;
        }
        let start = self.publication.body.len();
        if let Some(topic) = &self.origin.query.topic {
            self.publication.body.extend_from_slice(topic.as_bytes());
            let span = self.span_from(start);
            self.shared.topic = Some(span);
            return span;
        }
        let named = record.topic.as_deref().unwrap_or_default();
        if !write_name(named, &mut self.publication.body) {
            let default = self.defaults.topic;
            self.publication.body.extend_from_slice(default.as_bytes());
        }
        self.span_from(start)
    }

    /// The source, and whether the server filled it in.
    fn source(&mut self, record: &Record) -> (Span, bool) {
        if let Some(span) = self.shared.source {
            return (span, false);
        }
        let start = self.publication.body.len();
        if let Some(source) = &self.origin.query.source {
            self.publication.body.extend_from_slice(source.as_bytes());
            let span = self.span_from(start);
            self.shared.source = Some(span);
            return (span, false);
        }
        let named = record.source.as_deref().unwrap_or_default();
        if write_name(named, &mut self.publication.body) {
            return (self.span_from(start), false);
        }
        if let Some(span) = self.shared.peer {
            return (span, true);
        }
        let peer = self.origin.peer.to_string();
        self.publication.body.extend_from_slice(peer.as_bytes());
        let span = self.span_from(start);
        self.shared.peer = Some(span);
        (span, true)
    }

    /// The timestamp, and whether it is the time of receipt.
    fn timestamp(&mut self, record: &Record, payload: Span) -> (Span, bool) {
        let start = self.publication.body.len();
        let Self {
            stamp, publication, ..
        } = self;
        if let Some(path) = &self.origin.query.timestamp {
            let text = text_of(publication, payload);
            let found = path.find(text).map(Cow::into_owned);
            let time = found.as_deref().map(|text| Time::Text(text, Unit::BySize));
            if time.is_some_and(|time| time.write(stamp, &mut publication.body)) {
                return (self.span_from(start), false);
            }
        }
        if record
            .time
            .is_some_and(|time| time.write(stamp, &mut publication.body))
        {
            return (self.span_from(start), false);
        }
        if let Some(span) = self.shared.received_at {
            return (span, true);
        }
        let text = stamp.at(self.origin.received_at);
        publication.body.extend_from_slice(text);
        let span = self.span_from(start);
        self.shared.received_at = Some(span);
        (span, true)
    }

    fn event_id(
        &mut self,
        record: &Record,
        topic: Span,
        parts: [Span; 3],
        is_receipt: bool,
    ) -> Span {
        let start = self.publication.body.len();
        let is_found = self.write_found(record, parts[2]);
        let made = self.made();
        match made {
            _ if is_found => {}
            // The time of receipt would make each try another record.
            MadeIdentity::Hash | MadeIdentity::HashOnce if !is_receipt => {
                let body = &self.publication.body;
                let parts = parts.map(|part| part.of(body));
                self.made_id.clear();
                match made {
                    MadeIdentity::Hash => {
                        self.hashes.write(topic.of(body), parts, &mut self.made_id);
                    }
                    _ => drop(write_hash(parts, &mut self.made_id)),
                }
                self.publication.body.extend_from_slice(&self.made_id);
                self.identities.hash += 1;
            }
            MadeIdentity::Hash | MadeIdentity::HashOnce | MadeIdentity::Auto => {
                let milliseconds = self.origin.received_at / 1_000;
                self.uuids.write(milliseconds, &mut self.publication.body);
                self.identities.auto += 1;
            }
        }
        self.span_from(start)
    }

    /// Appends the identity that the record brought or that a member is. False where there is none.
    fn write_found(&mut self, record: &Record, payload: Span) -> bool {
        let publication = &mut self.publication;
        if let Some(own) = &record.identity {
            if write_given(own, &mut publication.body) {
                self.identities.own += 1;
                return true;
            }
        }
        for path in self
            .origin
            .query
            .event_id
            .iter()
            .flat_map(|rule| &rule.members)
        {
            let found = path
                .find(text_of(publication, payload))
                .map(Cow::into_owned);
            if found.is_some_and(|id| write_given(&id, &mut publication.body)) {
                self.identities.member += 1;
                return true;
            }
        }
        false
    }

    /// How an identity is made where none is found.
    fn made(&self) -> MadeIdentity {
        let rule = self.origin.query.event_id.as_ref();
        rule.and_then(|rule| rule.made)
            .unwrap_or(self.defaults.identity)
    }

    fn span_from(&self, start: usize) -> Span {
        let bounded = |number| u32::try_from(number).expect("a publication has a bound");
        Span {
            start: bounded(start),
            len: bounded(self.publication.body.len() - start),
        }
    }

    fn text(&self, span: Span) -> &str {
        text_of(&self.publication, span)
    }
}

/// The text of a span. All of the body is UTF-8: it was written as text.
fn text_of(publication: &Publication, span: Span) -> &str {
    std::str::from_utf8(span.of(&publication.body)).unwrap_or_default()
}
