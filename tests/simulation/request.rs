//! What a client asks, and what the answer must be.

use std::rc::Rc;

use crate::random::Random;

const TIMESTAMPS: [&str; 4] = [
    "2026-01-02",
    "2026-01-02T03:04:05Z",
    "2026-01-02 03:04:60.123456789+05:30",
    "0000-02-29t23:59z",
];

/// An event as it is kept, and as it is sent.
pub struct Event {
    pub topic: String,
    pub event_id: String,
    pub timestamp: &'static str,
    pub source: String,
    pub payload: String,
    /// Makes another content of the same key.
    pub version: u64,
}

impl Event {
    pub fn new(random: &mut Random, topic: &str, event_id: String, version: u64) -> Event {
        let filling = match random.below(40) {
            0 => random.below(20_000),
            1..=9 => random.below(300),
            _ => 0,
        };
        let payload = match (version, filling) {
            (0, 0) => "{}".to_owned(),
            _ => format!(
                r#"{{"version":{version},"n":[1e400,0.10,"\u00e4 \ud800"],"f":"{}"}}"#,
                "x y".repeat(filling as usize / 3)
            ),
        };
        Event {
            topic: topic.to_owned(),
            event_id,
            timestamp: TIMESTAMPS[(version % 4) as usize],
            source: "simulation".to_owned(),
            payload,
            version,
        }
    }

    pub fn key(&self) -> (String, String) {
        (self.topic.clone(), self.event_id.clone())
    }

    pub fn has_content_of(&self, other: &Event) -> bool {
        self.timestamp == other.timestamp
            && self.source == other.source
            && self.payload == other.payload
    }

    /// The event as JSON, with white space and escapes that do not matter.
    pub fn text(&self, random: &mut Random) -> String {
        let space = [" ", "", "\n\t", ""][random.below(4) as usize];
        let event_id = if random.chance(4) {
            let units = self.event_id.encode_utf16();
            let escapes: String = units.map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{escapes}\"")
        } else {
            quoted(&self.event_id)
        };
        let topic = quoted(&self.topic);
        let timestamp = quoted(self.timestamp);
        let source = quoted(&self.source);
        let mut members = vec![
            format!("\"topic\":{space}{topic}"),
            format!("\"event_id\"{space}:{event_id}"),
            format!("\"timestamp\":{timestamp}{space}"),
            format!("\"source\":{space}{source}"),
        ];
        if self.payload != "{}" || random.chance(2) {
            let payload = self.payload.replace("\":", &format!("\"{space}:{space}"));
            members.push(format!("\"payload\":{payload}"));
        }
        let first = random.below(members.len() as u64) as usize;
        members.rotate_left(first);
        format!("{{{space}{}{space}}}", members.join(","))
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string has a JSON form")
}

/// One event of a publication, or what is none; those are left out with `partial`.
pub enum Item {
    Good(Rc<Event>),
    Bad,
}

pub struct Publish {
    pub items: Vec<Item>,
    pub results: bool,
    pub partial: bool,
}

impl Publish {
    pub fn events(&self) -> impl Iterator<Item = &Rc<Event>> {
        self.items.iter().filter_map(|item| match item {
            Item::Good(event) => Some(event),
            Item::Bad => None,
        })
    }
}

/// What a page of events is to hold.
pub struct Page {
    pub topics: Vec<String>,
    pub after: Option<u64>,
    pub before: Option<u64>,
    pub limit: usize,
    /// Only events with this version, if one is asked for.
    pub version: Option<u64>,
}

/// What a stream of events is to hold.
pub struct Subscribe {
    pub topics: Vec<String>,
    pub after: Option<u64>,
    pub follow: bool,
    pub is_ndjson: bool,
    /// Only events with this version, if one is asked for.
    pub version: Option<u64>,
}

impl Subscribe {
    pub fn wants(&self, event: &Event) -> bool {
        wants_topic(&self.topics, &event.topic)
            && self.version.is_none_or(|version| event.version == version)
    }
}

/// Whether one of these names or prefixes is that of a topic; none of them means all topics.
pub fn wants_topic(patterns: &[String], topic: &str) -> bool {
    let is_asked = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => topic.starts_with(prefix),
        None => topic == pattern,
    };
    patterns.is_empty() || patterns.iter().any(is_asked)
}

/// What the answer is decided by.
pub enum Wanted {
    Publish(Rc<Publish>),
    Event {
        topic: String,
        event_id: String,
    },
    Page(Rc<Page>),
    Stream(Rc<Subscribe>),
    Topics,
    Stats,
    Health,
    /// This, whatever is stored.
    Status(u16),
}

/// Whether the connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    Open,
    Closes,
}

pub struct Request {
    pub bytes: Vec<u8>,
    /// Where the request line begins: after an empty line, if there is one.
    pub line_at: usize,
    pub head_bytes: usize,
    pub is_head: bool,
    /// In HTTP/1.0.
    pub is_old: bool,
    pub expects_continue: bool,
    pub wanted: Wanted,
    pub stays: Stays,
    /// The answer may come before the request is complete.
    pub is_early: bool,
}
