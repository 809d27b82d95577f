//! A naive judge of searches, written from what clients are promised and not from the server: which queries are legal,
//! and which events match. It builds trees, copies everything and looks at every place.

#![allow(dead_code, reason = "each program that includes it uses a part of it")]

pub mod condition;
pub mod json;
pub mod number;
pub mod term;
pub mod time;

use condition::{Condition, Path};
use json::{text, Json, Text};
use term::Term;

/// An event as it was published.
#[derive(Clone, Debug)]
pub struct Event {
    pub topic: String,
    pub event_id: String,
    pub source: String,
    pub timestamp: String,
    /// Without white space between its tokens.
    pub payload: String,
    /// Microseconds since 1970.
    pub processed_at: i64,
}

/// The filters of a query.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub topics: Vec<String>,
    pub sources: Vec<String>,
    event_ids: Vec<String>,
    /// In nanoseconds since 1970.
    pub since: Option<i128>,
    pub until: Option<i128>,
    is_received: bool,
    terms: Vec<Term>,
    pub conditions: Vec<Condition>,
}

impl Query {
    /// Reads the members of a query; `None` where one is not legal. `now` is in microseconds since 1970.
    pub fn parse(members: &[(String, String)], now: i64) -> Option<Self> {
        let mut query = Self::default();
        let count = |name: &str| members.iter().filter(|(member, _)| member == name).count();
        for (name, max) in [
            ("source", 64),
            ("event_id", 64),
            ("since", 1),
            ("until", 1),
            ("time", 1),
            ("q", 8),
            ("where", 32),
        ] {
            if count(name) > max {
                return None;
            }
        }
        for (name, value) in members {
            match name.as_str() {
                "topic" => query.topics.push(pattern(value)?),
                "source" => query.sources.push(pattern(value)?),
                "event_id" => query.event_ids.push(pattern(value)?),
                "since" => query.since = time::moment(value, now)?,
                "until" => query.until = time::moment(value, now)?,
                "time" => {
                    query.is_received = value == "received";
                    if !["event", "received"].contains(&value.as_str()) {
                        return None;
                    }
                }
                "q" => query.terms.extend(term::parse(value)?),
                "where" => query.conditions.push(condition::parse(value)?),
                _ => {}
            }
        }
        (query.terms.len() <= 32).then_some(query)
    }

    /// The query without its filters on a field.
    pub fn without(&self, field: &Field) -> Self {
        let mut query = self.clone();
        match field {
            Field::Topic => query.topics.clear(),
            Field::Source => query.sources.clear(),
            Field::Path(path) => query.conditions.retain(|condition| condition.path != *path),
        }
        query
    }

    /// The time of an event that is meant.
    pub fn time_of(&self, event: &Event) -> i128 {
        match self.is_received {
            true => i128::from(event.processed_at) * 1_000,
            false => time::instant(&event.timestamp).unwrap(),
        }
    }

    pub fn matches(&self, event: &Event) -> bool {
        let payload = condition::payload(&event.payload);
        let texts = texts(event);
        let when = self.time_of(event);
        let named = |patterns: &[String], name: &str| {
            patterns.is_empty()
                || patterns
                    .iter()
                    .any(|pattern| match pattern.strip_suffix('*') {
                        Some(prefix) => name.starts_with(prefix),
                        None => pattern == name,
                    })
        };
        let has = |term: &Term| texts.iter().any(|text| term.is_in(text));
        named(&self.topics, &event.topic)
            && named(&self.sources, &event.source)
            && named(&self.event_ids, &event.event_id)
            && self.since.is_none_or(|since| when >= since)
            && self.until.is_none_or(|until| when < until)
            && self.terms.iter().all(|term| has(term) != term.is_negated)
            && self.conditions_hold(&payload)
    }

    fn conditions_hold(&self, payload: &Json) -> bool {
        self.conditions.iter().all(|condition| {
            let same = self.conditions.iter().filter(|other| {
                other.path == condition.path && other.operator == condition.operator
            });
            match condition.operator.as_str() {
                "=" => same.into_iter().any(|condition| condition.holds(payload)),
                _ => condition.holds(payload),
            }
        })
    }
}

/// All texts of an event.
pub fn texts(event: &Event) -> Vec<Text> {
    let mut texts = vec![
        text(&event.topic),
        text(&event.event_id),
        text(&event.source),
    ];
    condition::texts(&condition::payload(&event.payload), &mut texts);
    texts
}

/// A legal name, or a prefix of one with a star.
fn pattern(value: &str) -> Option<String> {
    let name = value.strip_suffix('*').unwrap_or(value);
    let is_legal = (1..=255).contains(&name.len()) && !name.chars().any(|c| c.is_ascii_control());
    (is_legal || value == "*").then(|| value.to_owned())
}

/// What events are counted by.
#[derive(Clone, Debug)]
pub enum Field {
    Topic,
    Source,
    Path(Path),
}

impl Field {
    pub fn parse(by: &str) -> Option<Self> {
        match by {
            "topic" => Some(Field::Topic),
            "source" => Some(Field::Source),
            path if path.len() <= 512 => match condition::parse_path(path)? {
                (path, "") => Some(Field::Path(path)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The values of an event, in order.
    pub fn values(&self, event: &Event) -> Vec<String> {
        match self {
            Field::Topic => vec![event.topic.clone()],
            Field::Source => vec![event.source.clone()],
            Field::Path(path) => {
                let payload = condition::payload(&event.payload);
                let values = condition::values_of(path, &payload);
                values.into_iter().filter_map(value_of).collect()
            }
        }
    }
}

/// A value as text, its first 128 bytes to a whole character.
fn value_of(value: &Json) -> Option<String> {
    let mut shown = match value {
        Json::Word(word) => word.clone(),
        value => condition::shown(&condition::text_of(value)?),
    };
    while shown.len() > 128 {
        shown.pop();
    }
    Some(shown)
}
