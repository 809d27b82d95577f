//! What is forwarded in one transaction.

use std::io::Write;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::postgres::statement::{content_of, hash, Hash};

/// An event as a node gives it out.
#[derive(Deserialize)]
struct Line<'a> {
    seq: u64,
    topic: String,
    event_id: String,
    timestamp: String,
    source: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    processed_at: String,
}

const TAKES_ALL: &str = "a vector takes all bytes";

/// An event that is to be stored.
#[derive(Debug)]
pub(super) struct Event {
    pub seq: u64,
    pub topic: String,
    pub event_id: String,
    pub timestamp: String,
    pub source: String,
    /// The JSON text as the node keeps it.
    pub payload: String,
    pub processed_at: String,
    /// Tells a duplicate from a conflict.
    pub content: Hash,
}

impl Event {
    /// Reads a line of a stream.
    pub(super) fn read(line: &[u8]) -> Result<Event, serde_json::Error> {
        let Line {
            seq,
            topic,
            event_id,
            timestamp,
            source,
            payload,
            processed_at,
        } = serde_json::from_slice(line)?;
        let content = content_of(
            timestamp.as_bytes(),
            source.as_bytes(),
            payload.get().as_bytes(),
        );
        Ok(Event {
            seq,
            topic,
            event_id,
            timestamp,
            source,
            payload: payload.get().to_owned(),
            processed_at,
            content,
        })
    }

    /// The event as a node gives it out.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut out = format!("{{\"seq\":{}", self.seq).into_bytes();
        let mut member = |name: &str, text: &str, is_json: bool| {
            write!(out, ",\"{name}\":").expect(TAKES_ALL);
            match is_json {
                true => out.extend_from_slice(text.as_bytes()),
                false => serde_json::to_writer(&mut out, text).expect(TAKES_ALL),
            }
        };
        member("topic", &self.topic, false);
        member("event_id", &self.event_id, false);
        member("timestamp", &self.timestamp, false);
        member("source", &self.source, false);
        member("payload", &self.payload, true);
        member("processed_at", &self.processed_at, false);
        out.push(b'}');
        out
    }

    /// Tells this event from any other that a node could have at its seq.
    pub(super) fn mark(&self) -> Hash {
        let seq = self.seq.to_be_bytes();
        let texts = [&self.topic, &self.event_id, &self.processed_at];
        let [topic, event_id, processed_at] = texts.map(|text| text.as_bytes());
        hash(&[&seq, topic, event_id, processed_at])
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.topic,
            &self.event_id,
            &self.timestamp,
            &self.source,
            &self.payload,
        ];
        texts.iter().map(|text| text.len()).sum()
    }
}

/// Seqs that no event has any more, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub from: u64,
    pub to: u64,
}

impl Gap {
    pub(super) fn events(self) -> u64 {
        self.to - self.from + 1
    }
}

/// Events of a node in order, without a hole that is not named.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub events: Vec<Event>,
    pub gaps: Vec<Gap>,
    /// The last seq that it covers.
    pub upto: u64,
    /// Bytes of the events' texts.
    pub bytes: usize,
}

impl Batch {
    pub(super) fn new(after: u64) -> Batch {
        Batch {
            upto: after,
            ..Batch::default()
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.upto = event.seq;
        self.bytes += event.bytes();
        self.events.push(event);
    }

    pub(super) fn push_gap(&mut self, gap: Gap) {
        self.upto = gap.to;
        self.gaps.push(gap);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.gaps.is_empty()
    }

    /// The mark of its last event; `None` if a gap follows it, or there is no event.
    pub(super) fn mark(&self) -> Option<Hash> {
        let last = self.events.last()?;
        (last.seq == self.upto).then(|| last.mark())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"seq":7,"topic":"t","event_id":"e","timestamp":"2026-01-02T03:04:05Z","source":"s",
        "payload":{"a":1e400,"a":"\ud800"},"processed_at":"2026-01-02T03:04:05.000001Z"}"#;

    #[test]
    fn a_payload_is_kept_as_it_is_and_the_hashes_tell_events_apart() {
        let event = Event::read(LINE.as_bytes()).unwrap();
        assert_eq!(event.payload, r#"{"a":1e400,"a":"\ud800"}"#);
        let again = Event::read(&event.to_json()).unwrap();
        assert_eq!(again.mark(), event.mark());
        assert_eq!(again.content, event.content);
        let changed =
            |from: &str, to: &str| Event::read(LINE.replace(from, to).as_bytes()).unwrap();
        for (from, to) in [("05Z", "06Z"), (r#""s""#, r#""x""#), ("1e400", "1e401")] {
            assert_ne!(changed(from, to).content, event.content, "{to}");
            assert_eq!(changed(from, to).mark(), event.mark(), "{to}");
        }
        for (from, to) in [("7,", "8,"), (r#""e""#, r#""f""#), ("000001", "000002")] {
            assert_eq!(changed(from, to).content, event.content, "{to}");
            assert_ne!(changed(from, to).mark(), event.mark(), "{to}");
        }
    }

    #[test]
    fn a_batch_ends_with_its_last_event_or_gap() {
        let mut batch = Batch::new(3);
        assert!(batch.is_empty() && batch.upto == 3);
        batch.push_gap(Gap { from: 4, to: 6 });
        assert_eq!((batch.upto, batch.mark()), (6, None));
        batch.push(Event::read(LINE.as_bytes()).unwrap());
        assert_eq!(batch.upto, 7);
        assert!(batch.mark().is_some());
        batch.push_gap(Gap { from: 8, to: 8 });
        assert_eq!(batch.mark(), None);
    }
}
