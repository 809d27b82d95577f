//! A stand-in for a server that stores in memory, and breaks one of the promises that a server gives.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{json, Deserializer};

use crate::fake::{Asked, Fake, Reply};

/// What it does that no server may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Answers that it has accepted events, and keeps none.
    StoresNothing,
    /// Answers that it has accepted an event, and does not keep every seventh.
    Loses,
    /// Keeps every seventh event twice.
    Doubles,
    /// Knows no duplicates.
    AcceptsAgain,
    /// Keeps another source than the event's.
    Alters,
    /// Keeps the last write of a key, and not the first.
    Overwrites,
    /// Counts an event less than it has.
    CountsLess,
    /// Counts each event twice.
    CountsTwice,
}

#[derive(Deserialize)]
struct Event {
    topic: String,
    event_id: String,
    timestamp: String,
    source: String,
    payload: Box<RawValue>,
}

/// What it has.
struct Shelf {
    fault: Fault,
    /// Events with their seqs, as JSON.
    events: Vec<(u64, String, String)>,
    /// For each key its seq and its content.
    keys: HashMap<String, (u64, String)>,
    received: u64,
    unique: u64,
    conflicts: u64,
}

/// Starts one.
pub fn start(fault: Fault) -> Fake {
    let mut shelf = Shelf {
        fault,
        events: Vec::new(),
        keys: HashMap::new(),
        received: 0,
        unique: 0,
        conflicts: 0,
    };
    Fake::start(move |_, asked| shelf.answer(asked))
}

impl Shelf {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let target = asked.target.replace("%2A", "*");
        if target.starts_with("/publish?") {
            return self.publish(&asked.body);
        }
        if target == "/stats" {
            return self.stats();
        }
        if let Some(query) = target.strip_prefix("/events?") {
            return self.page(query);
        }
        let key = target.strip_prefix("/events/").unwrap();
        let found = self.events.iter().find(|(_, known, _)| known == key);
        match found {
            Some((_, _, event)) => Reply::json(200, event),
            None => Reply::json(404, r#"{"detail":"no such event"}"#),
        }
    }

    fn publish(&mut self, body: &[u8]) -> Reply {
        let text = std::str::from_utf8(body).unwrap();
        let texts: Vec<Box<RawValue>> = match text.strip_prefix("{\"events\":") {
            Some(rest) => serde_json::from_str(rest.strip_suffix('}').unwrap()).unwrap(),
            None if text.starts_with('[') => serde_json::from_str(text).unwrap(),
            None => Deserializer::from_str(text)
                .into_iter()
                .collect::<Result<_, _>>()
                .unwrap(),
        };
        let mut statuses = Vec::new();
        for text in &texts {
            let (status, seq) = self.take(serde_json::from_str(text.get()).unwrap());
            statuses.push(json!({"status": status, "seq": seq}));
        }
        let accepted = |status: &serde_json::Value| status["status"] == "accepted";
        let accepted = statuses.iter().filter(|status| accepted(status)).count();
        let answer = json!({
            "received": texts.len(),
            "accepted": accepted,
            "duplicates": texts.len() - accepted,
            "results": statuses,
            "errors": [],
        });
        Reply::json(200, &answer.to_string())
    }

    fn take(&mut self, event: Event) -> (&'static str, u64) {
        self.received += 1;
        let key = format!("{}/{}", event.topic, event.event_id);
        let source = match self.fault {
            Fault::Alters => "somebody else",
            _ => &event.source,
        };
        let content = format!(
            r#""timestamp":"{}","source":"{source}","payload":{}"#,
            event.timestamp, event.payload
        );
        if let Some((seq, stored)) = self.keys.get(&key).cloned() {
            let is_same = stored == content;
            if self.fault == Fault::Overwrites && !is_same {
                let place = self.events.iter_mut().find(|(known, ..)| *known == seq);
                place.unwrap().2 = json_of(seq, &event, &content);
            }
            if self.fault != Fault::AcceptsAgain {
                self.conflicts += u64::from(!is_same);
                return (if is_same { "duplicate" } else { "conflict" }, seq);
            }
        }
        self.unique += 1;
        let copies = match (self.fault, self.unique % 7) {
            (Fault::StoresNothing, _) | (Fault::Loses, 0) => 0,
            (Fault::Doubles, 0) => 2,
            _ => 1,
        };
        let seq = self.events.last().map_or(0, |(seq, ..)| *seq) + 1;
        for seq in seq..seq + copies {
            let text = json_of(seq, &event, &content);
            self.events.push((seq, key.clone(), text));
        }
        self.keys.insert(key, (seq, content));
        ("accepted", seq)
    }

    fn stats(&self) -> Reply {
        let (unique, received) = match self.fault {
            Fault::CountsLess => (self.unique.saturating_sub(1), self.received),
            Fault::CountsTwice => (self.unique * 2, self.received * 2),
            _ => (self.unique, self.received),
        };
        let stats = json!({
            "received": received,
            "unique_processed": unique,
            "duplicate_dropped": received - unique,
            "conflicts": self.conflicts,
            "queue_size": 0,
            "rejected": 0,
            "batches": 0,
            "topic_count": 0,
            "first_seq": 0,
            "events_removed": 0,
            "queue_capacity": 0,
            "connections": 0,
            "subscribers": 0,
            "database_bytes": 0,
            "wal_bytes": 0,
            "uptime_human": "",
            "version": "",
            "last_seq": self.events.last().map_or(0, |(seq, ..)| *seq),
        });
        Reply::json(200, &stats.to_string())
    }

    /// A page of a topic, or of those with a prefix.
    fn page(&self, query: &str) -> Reply {
        let value = |name: &str| {
            let member = query
                .split('&')
                .find_map(|member| member.strip_prefix(name));
            member.and_then(|value| value.strip_prefix('='))
        };
        let number = |name, default| value(name).map_or(default, |value| value.parse().unwrap());
        let topic = value("topic").unwrap();
        let is_wanted = |key: &str| match topic.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => key.rsplit_once('/').unwrap().0 == topic,
        };
        let (after, limit) = (number("after", 0), number("limit", 100) as usize);
        let wanted: Vec<_> = self
            .events
            .iter()
            .filter(|(seq, key, _)| *seq > after && is_wanted(key))
            .collect();
        let page = &wanted[..wanted.len().min(limit)];
        let texts: Vec<&str> = page.iter().map(|(_, _, text)| &text[..]).collect();
        let next = match wanted.len() > limit {
            true => "\"/events\"",
            false => "null",
        };
        let (count, texts) = (texts.len(), texts.join(","));
        let body = format!(r#"{{"count":{count},"events":[{texts}],"next":{next}}}"#);
        Reply::json(200, &body)
    }
}

fn json_of(seq: u64, event: &Event, content: &str) -> String {
    let Event {
        topic, event_id, ..
    } = event;
    format!(r#"{{"seq":{seq},"topic":"{topic}","event_id":"{event_id}",{content}}}"#)
}
