//! A line to an event that can be published: checks that it is one JSON object with the members of an event and no
//! others, and adds those that it lacks where that was asked for. An object with none of them is the payload. What a
//! line has is never changed, and nothing of it is dropped.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use crate::clock::rfc3339;
use crate::text::escaped;
use crate::uuid;

/// What events get that lack it
#[derive(Debug, Default, Args)]
pub(super) struct Defaults {
    /// Topic of the event of --message, or of the events that have none
    #[arg(short, long)]
    pub(super) topic: Option<String>,

    /// Source of the event of --message, or of the events that have none
    #[arg(short, long)]
    pub(super) source: Option<String>,

    /// Give an event_id to events without one
    #[arg(long, value_name = "KIND")]
    ids: Option<Ids>,

    /// Give events without a timestamp the time at which they are read
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
    payload: bool,
    /// The first that is neither one of an event's, nor one that a server adds to an event.
    unknown: Option<String>,
}

impl Present {
    /// Whether the line is an event, or is to be one.
    fn is_event(&self) -> bool {
        self.topic || self.event_id || self.timestamp || self.source || self.payload
    }
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
        let mut present = Present::default();
        while let Some(name) = members.next_key::<Cow<str>>()? {
            match &*name {
                "topic" => present.topic = true,
                "event_id" => present.event_id = true,
                "timestamp" => present.timestamp = true,
                "source" => present.source = true,
                "payload" => present.payload = true,
                "seq" | "processed_at" => {}
                _ if present.unknown.is_none() => present.unknown = Some(name.into_owned()),
                _ => {}
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(present)
    }
}

impl Defaults {
    /// The event of a line without white space around it.
    ///
    /// # Errors
    /// What keeps the line from being an event at all. Whether an event is legal is for the server to say.
    pub(super) fn event<'a>(&self, line: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
        if !text.starts_with('{') {
            return Err("not a JSON object; each line is to be one event".to_owned());
        }
        let not_json = |error: serde_json::Error| {
            let reason = error.to_string();
            format!("not JSON: {}", reason.replace("line 1 ", ""))
        };
        let present: Present = serde_json::from_str(text).map_err(not_json)?;
        let mut members = self.missing(&present, text);
        if !present.is_event() {
            members.push(format!("\"payload\":{text}"));
            return Ok(Cow::Owned(
                format!("{{{}}}", members.join(",")).into_bytes(),
            ));
        }
        if let Some(name) = present.unknown {
            let name = escaped(&name);
            return Err(format!(
                "\"{name}\" is not a member of an event; put what an event carries into its payload"
            ));
        }
        if members.is_empty() {
            return Ok(Cow::Borrowed(line));
        }
        let event = format!("{{{},{}", members.join(","), &text[1..]);
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
pub(super) fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    rfc3339(i64::try_from(micros).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(defaults: &Defaults, line: &str) -> String {
        let event = defaults.event(line.as_bytes()).unwrap();
        String::from_utf8(event.into_owned()).unwrap()
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for defaults in [
            Defaults::default(),
            Defaults {
                now: true,
                ..Defaults::default()
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
                assert_eq!(defaults.event(line).unwrap_err(), reason);
            }
            // The server refuses deep nesting; it costs no stack here.
            let deep = format!(
                "{{\"timestamp\":{}{}}}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            );
            assert_eq!(event(&defaults, &deep), deep);
        }
    }

    #[test]
    fn members_are_added_only_where_they_are_missing() {
        let defaults = Defaults {
            topic: Some("a \"topic\"".to_owned()),
            source: Some("s".to_owned()),
            ..Defaults::default()
        };
        for (line, filled) in [
            ("{}", r#"{"topic":"a \"topic\"","source":"s","payload":{}}"#),
            (
                r#"{"msg":1, "seq":2}"#,
                r#"{"topic":"a \"topic\"","source":"s","payload":{"msg":1, "seq":2}}"#,
            ),
            (
                r#"{ "source":null}"#,
                r#"{"topic":"a \"topic\"", "source":null}"#,
            ),
            (
                r#"{"topi\u0063":"t","seq":1e400}"#,
                r#"{"source":"s","topi\u0063":"t","seq":1e400}"#,
            ),
            (r#"{"topic":1,"source":2}"#, r#"{"topic":1,"source":2}"#),
            (
                r#"{"payload":{"topic":1}}"#,
                r#"{"topic":"a \"topic\"","source":"s","payload":{"topic":1}}"#,
            ),
        ] {
            assert_eq!(event(&defaults, line), filled);
        }
        let reason = defaults
            .event(br#"{"source":"s","x":1,"y":2}"#)
            .unwrap_err();
        assert!(
            reason.starts_with("\"x\" is not a member of an event;"),
            "{reason}"
        );
    }

    #[test]
    fn ids_are_random_or_follow_from_the_line() {
        let with = |ids| Defaults {
            ids: Some(ids),
            ..Defaults::default()
        };
        let random = [0, 1].map(|_| event(&with(Ids::Uuid), "{}"));
        assert_ne!(random[0], random[1]);
        let id = &random[0][13..13 + 36];
        assert!(uuid::is_random(id), "{id}");
        // printf '{}' | sha256sum
        let hashed = r#"{"event_id":"44136fa355b3678a1146ad16f7e8649e","payload":{}}"#;
        assert_eq!(event(&with(Ids::Hash), "{}"), hashed);
        assert_eq!(
            event(&with(Ids::Hash), r#"{"event_id":"x"}"#),
            r#"{"event_id":"x"}"#
        );
    }
}
