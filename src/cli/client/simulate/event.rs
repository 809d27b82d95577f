//! The events of a run: they follow from the run and their numbers alone, so what a server has stored can be compared
//! with what was sent without keeping that.

use rustix::rand::{getrandom, GetRandomFlags};
use serde::Deserialize;

use super::super::defaults::now;
use crate::client::load::events::{EventStream, IdOrder, Repeats, ID_BYTES};
use crate::client::StoredEvent;

/// Sources that the events of the load are spread over.
const SOURCES: u64 = 3;

/// An event as it is sent. Nothing in it needs escapes in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub topic: String,
    pub event_id: String,
    pub timestamp: String,
    pub source: String,
    /// JSON without white space between its tokens.
    pub payload: String,
}

impl Event {
    /// Whether the server has it like this, member by member.
    pub(super) fn is_stored_as(&self, stored: &StoredEvent) -> bool {
        stored.key() == (&self.topic, &self.event_id)
            && stored.timestamp == self.timestamp
            && stored.source == self.source
            && stored.payload.get() == self.payload
    }

    /// As one line of JSON.
    pub(super) fn json(&self) -> String {
        let Event {
            topic,
            event_id,
            timestamp,
            source,
            payload,
        } = self;
        let key = format!(r#""topic":"{topic}","event_id":"{event_id}""#);
        let rest = format!(r#""timestamp":"{timestamp}","source":"{source}","payload":{payload}"#);
        format!("{{{key},{rest}}}")
    }
}

/// What tells the events of a run from those of all others, and the events of its load.
pub(super) struct Run {
    /// What all its topics begin with.
    pub prefix: String,
    /// Which events there are, in which order, and which repeat.
    pub seed: u64,
    timestamp: String,
    /// Gives numbers their ids and topics.
    stream: EventStream,
}

impl Run {
    /// A run with a name of its own. `per_mille` of a thousand events of its load repeat earlier ones.
    pub(super) fn new(seed: Option<u64>, topics: u64, per_mille: u16) -> Run {
        let seed = seed.unwrap_or_else(|| u64::from(random()));
        Run {
            prefix: format!("simulate.{:08x}.", random()),
            seed,
            timestamp: now(),
            stream: EventStream::new(IdOrder::Random, Repeats::Near { per_mille }, topics, seed),
        }
    }

    /// The numbers of the load's events, in the order in which they are sent.
    pub(super) fn numbers(&self) -> EventStream {
        self.stream.clone()
    }

    /// An event of a scenario.
    pub(super) fn event(&self, topic: &str, event_id: &str, source: &str, payload: &str) -> Event {
        Event {
            topic: format!("{}{topic}", self.prefix),
            event_id: event_id.to_owned(),
            timestamp: self.timestamp.clone(),
            source: source.to_owned(),
            payload: payload.to_owned(),
        }
    }

    /// The event of the load with this number.
    pub(super) fn load_event(&self, number: u64) -> Event {
        let mut id = [0; ID_BYTES];
        self.stream.write_id(number, &mut id);
        let id = String::from_utf8_lossy(&id);
        let topic = format!("load-{}", self.stream.topic(number));
        let source = format!("service-{}", number % SOURCES);
        self.event(&topic, &id, &source, &format!(r#"{{"n":{number}}}"#))
    }

    /// The number that an event of the load says that it has.
    pub(super) fn number_of(&self, stored: &StoredEvent) -> Option<u64> {
        #[derive(Deserialize)]
        struct Payload {
            n: u64,
        }
        let is_of_load = stored
            .topic
            .strip_prefix(&self.prefix)?
            .starts_with("load-");
        let payload: Payload = serde_json::from_str(stored.payload.get()).ok()?;
        is_of_load.then_some(payload.n)
    }
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    getrandom(&mut bytes, GetRandomFlags::empty()).expect("the system has random bytes");
    u32::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_unchanged_is_known_again() {
        let run = Run::new(Some(7), 5, 300);
        let event = run.load_event(42);
        let stored = format!(r#"{{"seq":9,{}"#, &event.json()[1..]);
        let stored: StoredEvent = serde_json::from_str(&stored).unwrap();
        assert!(event.is_stored_as(&stored));
        assert_eq!(run.number_of(&stored), Some(42));
        assert!(!run.load_event(43).is_stored_as(&stored));
        let other = Run::new(Some(7), 5, 300);
        assert_eq!(other.number_of(&stored), None);
        assert_eq!(other.load_event(42).event_id, event.event_id);
    }
}
