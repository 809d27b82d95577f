//! A line to an event that can be published: checks that it is one JSON object, and gives it the members
//! that it lacks where that was asked for. What a line has is never changed.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use crate::clock::rfc3339;
use crate::uuid;

/// What events get that lack it
#[derive(Debug, Default, Args)]
pub struct Fill {
    /// Topic of the events that have none
    #[arg(long)]
    topic: Option<String>,

    /// Source of the events that have none
    #[arg(long)]
    source: Option<String>,

    /// Give the events that have no event_id one
    #[arg(long, value_name = "KIND")]
    ids: Option<Ids>,

    /// Give the events that have no timestamp the time at which they are read
    #[arg(long)]
    now: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ids {
    /// A random UUID
    Uuid,
    /// A hash of the line, so that the same line is the same event
    Hash,
}

/// The members that a line has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Present {
    topic: bool,
    event_id: bool,
    timestamp: bool,
    source: bool,
    is_empty: bool,
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Present, D::Error> {
        deserializer.deserialize_map(PresentVisitor)
    }
}

struct PresentVisitor;

impl<'de> Visitor<'de> for PresentVisitor {
    type Value = Present;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Present, A::Error> {
        let mut present = Present {
            is_empty: true,
            ..Present::default()
        };
        while let Some(name) = members.next_key::<Cow<str>>()? {
            present.is_empty = false;
            match &*name {
                "topic" => present.topic = true,
                "event_id" => present.event_id = true,
                "timestamp" => present.timestamp = true,
                "source" => present.source = true,
                _ => {}
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(present)
    }
}

impl Fill {
    /// The event of a line without white space around it.
    ///
    /// # Errors
    /// What keeps the line from being an event at all. Whether an event is legal is for the server to say.
    pub fn event<'a>(&self, line: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
        if !text.starts_with('{') {
            return Err("not a JSON object; each line is to be one event".to_owned());
        }
        let not_json = |error: serde_json::Error| {
            let reason = error.to_string();
            format!("not JSON: {}", reason.replace("line 1 ", ""))
        };
        let asks = self.topic.is_some() || self.source.is_some() || self.now;
        if !asks && self.ids.is_none() {
            serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
            return Ok(Cow::Borrowed(line));
        }
        let present: Present = serde_json::from_str(text).map_err(not_json)?;
        let members = self.missing(&present, text);
        if members.is_empty() {
            return Ok(Cow::Borrowed(line));
        }
        let comma = if present.is_empty { "" } else { "," };
        let event = format!("{{{}{comma}{}", members.join(","), &text[1..]);
        Ok(Cow::Owned(event.into_bytes()))
    }

    /// The members to add, as JSON.
    fn missing(&self, present: &Present, text: &str) -> Vec<String> {
        let event_id = self.ids.map(|kind| match kind {
            Ids::Uuid => uuid::random().expect("the system has random bytes"),
            Ids::Hash => hash(text),
        });
        let timestamp = self.now.then(now);
        [
            ("topic", present.topic, self.topic.clone()),
            ("event_id", present.event_id, event_id),
            ("timestamp", present.timestamp, timestamp),
            ("source", present.source, self.source.clone()),
        ]
        .into_iter()
        .filter(|(_, is_present, _)| !is_present)
        .filter_map(|(name, _, value)| {
            let value = serde_json::Value::from(value?);
            Some(format!("\"{name}\":{value}"))
        })
        .collect()
    }
}

/// The first half of the line's SHA-256.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    let half = digest[..16].iter();
    half.map(|byte| format!("{byte:02x}")).collect()
}

/// The time now as RFC 3339 has it.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    rfc3339(i64::try_from(micros).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fill: &Fill, line: &str) -> String {
        let event = fill.event(line.as_bytes()).unwrap();
        String::from_utf8(event.into_owned()).unwrap()
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for fill in [
            Fill::default(),
            Fill {
                now: true,
                ..Fill::default()
            },
        ] {
            for (line, reason) in [
                (
                    &b"[1]"[..],
                    "not a JSON object; each line is to be one event",
                ),
                (
                    b"{\"a\":1",
                    "not JSON: EOF while parsing an object at column 6",
                ),
                (b"{\"a\":1}{}", "not JSON: trailing characters at column 8"),
                (b"{\"a\":\"\xff\"}", "not UTF-8"),
            ] {
                assert_eq!(fill.event(line).unwrap_err(), reason);
            }
            // Deep nesting is for the server to refuse, and no stack is lost to it.
            let deep = format!(
                "{{\"timestamp\":{}{}}}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            );
            assert_eq!(event(&fill, &deep), deep);
        }
    }

    #[test]
    fn members_are_added_only_where_they_are_missing() {
        let fill = Fill {
            topic: Some("a \"topic\"".to_owned()),
            source: Some("s".to_owned()),
            ..Fill::default()
        };
        for (line, filled) in [
            ("{}", r#"{"topic":"a \"topic\"","source":"s"}"#),
            (
                r#"{ "source":null}"#,
                r#"{"topic":"a \"topic\"", "source":null}"#,
            ),
            (
                r#"{"topi\u0063":"t","x":1e400}"#,
                r#"{"source":"s","topi\u0063":"t","x":1e400}"#,
            ),
            (r#"{"topic":1,"source":2}"#, r#"{"topic":1,"source":2}"#),
            (
                r#"{"payload":{"topic":1}}"#,
                r#"{"topic":"a \"topic\"","source":"s","payload":{"topic":1}}"#,
            ),
        ] {
            assert_eq!(event(&fill, line), filled);
        }
    }

    #[test]
    fn ids_are_random_or_follow_from_the_line() {
        let with = |ids| Fill {
            ids: Some(ids),
            ..Fill::default()
        };
        let random = [0, 1].map(|_| event(&with(Ids::Uuid), "{}"));
        assert_ne!(random[0], random[1]);
        let id = &random[0][13..random[0].len() - 2];
        assert!(uuid::is_random(id), "{id}");
        // printf '{}' | sha256sum
        let hashed = r#"{"event_id":"44136fa355b3678a1146ad16f7e8649e"}"#;
        assert_eq!(event(&with(Ids::Hash), "{}"), hashed);
        assert_eq!(
            event(&with(Ids::Hash), r#"{"event_id":"x"}"#),
            r#"{"event_id":"x"}"#
        );
    }
}
