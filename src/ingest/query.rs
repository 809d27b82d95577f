//! The five names of a query that say how records become events. A request's own query goes before the one that
//! the setting `--ingest` gives its protocol, name by name.

use std::str::FromStr;

use super::member::MemberPath;
use crate::api::query::percent_decode;
use crate::event::{name_error, Protocol};
use crate::limits::IDENTITY_MEMBERS_MAX;

/// How an identity is made where a record has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeIdentity {
    /// A new UUIDv7: each record is another event.
    Auto,
    /// A hash of the record: equal ones in two requests are one event.
    Hash,
    /// The same, and equal ones in one request are one event too. No query asks for it.
    HashOnce,
}

/// Where an identity is looked for that the protocol does not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdentityRule {
    /// In this order.
    pub(crate) members: Vec<MemberPath>,
    /// Where no member has one.
    pub(crate) made: Option<MadeIdentity>,
}

/// What a query says. What it does not say is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IngestQuery {
    pub(crate) topic: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) event_id: Option<IdentityRule>,
    pub(crate) timestamp: Option<MemberPath>,
    /// The record itself is the payload, not an event with one.
    pub(crate) whole: bool,
}

/// What is wrong with a query: which name, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadQuery {
    pub(crate) name: &'static str,
    pub(crate) sentence: String,
}

impl BadQuery {
    fn new(name: &'static str, complaint: &str) -> Self {
        let sentence = format!("{name} {complaint}");
        Self { name, sentence }
    }
}

const NAMES: [&str; 5] = ["topic", "source", "event_id", "timestamp", "payload"];

impl IngestQuery {
    /// Reads the five names out of a query as it is in a target. Other names are the protocol's own business.
    ///
    /// # Errors
    /// The first value that is wrong, or a name that is repeated.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, BadQuery> {
        let mut parsed = Self::default();
        let mut seen = [false; NAMES.len()];
        for pair in query.unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = percent_decode(key, true);
            let Some(at) = NAMES.iter().position(|name| key.as_deref() == Some(name)) else {
                continue;
            };
            let bad = |complaint: &str| BadQuery::new(NAMES[at], complaint);
            if std::mem::replace(&mut seen[at], true) {
                return Err(bad("may be given only once"));
            }
            let value = percent_decode(value, true)
                .ok_or_else(|| bad("has a broken percent-escape or is not UTF-8"))?;
            parsed.set(NAMES[at], value)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &'static str, value: String) -> Result<(), BadQuery> {
        let bad = |complaint: &str| BadQuery::new(name, complaint);
        let legal = |value: String| match name_error(&value) {
            None => Ok(Some(value)),
            Some(error) => Err(bad(error.complaint())),
        };
        match name {
            "topic" => self.topic = legal(value)?,
            "source" => self.source = legal(value)?,
            "event_id" => {
                self.event_id = Some(IdentityRule::parse(&value).map_err(|why| bad(&why))?)
            }
            "timestamp" => self.timestamp = Some(MemberPath::parse(&value).map_err(bad)?),
            _ if value == "whole" => self.whole = true,
            _ => return Err(bad("must be whole")),
        }
        Ok(())
    }

    /// Whether it says anything.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What it does not say is as `defaults` say.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        Self {
            topic: self.topic.or_else(|| defaults.topic.clone()),
            source: self.source.or_else(|| defaults.source.clone()),
            event_id: self.event_id.or_else(|| defaults.event_id.clone()),
            timestamp: self.timestamp.or_else(|| defaults.timestamp.clone()),
            whole: self.whole || defaults.whole,
        }
    }
}

/// A value of the setting `--ingest`: what is said of the records of a protocol whose requests can say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestSetting {
    pub(crate) protocol: Protocol,
    pub(crate) query: IngestQuery,
}

impl FromStr for IngestSetting {
    type Err = String;

    /// Reads `PROTOCOL?QUERY`.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "it must be PROTOCOL?QUERY, as in syslog?event_id=hash";
        let (name, query) = text.split_once('?').ok_or(form)?;
        let protocol = Protocol::of_name(name).ok_or_else(|| {
            let names: Vec<&str> = Protocol::ALL.map(Protocol::name).into();
            format!(
                "there is no protocol {name:?}; there are {}",
                names.join(", ")
            )
        })?;
        for pair in query.split('&') {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !NAMES.contains(&name) {
                let known = NAMES.join(", ");
                return Err(format!(
                    "its query has no member {name:?}; it may have {known}"
                ));
            }
        }
        let query = IngestQuery::parse(Some(query)).map_err(|bad| bad.sentence)?;
        if query.whole && protocol != Protocol::Publish {
            return Err("payload is for the protocol publish only".to_owned());
        }
        Ok(Self { protocol, query })
    }
}

impl IdentityRule {
    fn parse(value: &str) -> Result<Self, String> {
        let mut rule = Self::default();
        for part in value.split(',') {
            if let Some(made) = rule.made {
                let name = match made {
                    MadeIdentity::Auto => "auto",
                    MadeIdentity::Hash | MadeIdentity::HashOnce => "hash",
                };
                return Err(format!(
                    "has members after {name}, which always gives an id"
                ));
            }
            match part {
                "auto" => rule.made = Some(MadeIdentity::Auto),
                "hash" => rule.made = Some(MadeIdentity::Hash),
                _ if rule.members.len() == IDENTITY_MEMBERS_MAX => {
                    return Err(format!("names more than {IDENTITY_MEMBERS_MAX} members"));
                }
                _ => rule.members.push(MemberPath::parse(part)?),
            }
        }
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<IngestQuery, String> {
        IngestQuery::parse(Some(query)).map_err(|bad| bad.sentence)
    }

    #[test]
    fn the_members_of_an_identity_are_bounded() {
        let members = |count| format!("event_id={}auto", "a,".repeat(count));
        assert!(parse(&members(IDENTITY_MEMBERS_MAX)).is_ok());
        let error = parse(&members(IDENTITY_MEMBERS_MAX + 1)).unwrap_err();
        assert_eq!(error, "event_id names more than 8 members");
    }

    #[test]
    fn the_five_names_are_read_and_others_passed_over() {
        let query = "topic=a%20b&x=1&source=s&event_id=metadata.uid,/id,hash&timestamp=ts&payload=whole&pretty";
        let parsed = parse(query).unwrap();
        assert_eq!(parsed.topic.as_deref(), Some("a b"));
        assert_eq!(parsed.source.as_deref(), Some("s"));
        let rule = parsed.event_id.clone().unwrap();
        assert_eq!(
            (rule.members.len(), rule.made),
            (2, Some(MadeIdentity::Hash))
        );
        assert!(parsed.whole && parsed.timestamp.is_some());
        assert!(IngestQuery::parse(None).unwrap().is_empty());
        assert!(parse("x=1&results=true").unwrap().is_empty());
    }

    #[test]
    fn wrong_values_are_named() {
        for (query, sentence) in [
            ("topic=", "topic must not be empty"),
            ("source=%00", "source must not contain control characters"),
            ("topic=a&topic=b", "topic may be given only once"),
            (
                "topic=%f",
                "topic has a broken percent-escape or is not UTF-8",
            ),
            (
                "event_id=auto,id",
                "event_id has members after auto, which always gives an id",
            ),
            ("event_id=", "event_id names no member"),
            ("event_id=a,", "event_id names no member"),
            (
                "timestamp=/a~3",
                "timestamp has a ~ that is not followed by 0 or 1",
            ),
            ("payload=all", "payload must be whole"),
        ] {
            assert_eq!(parse(query).unwrap_err(), sentence, "{query}");
        }
    }

    #[test]
    fn a_setting_names_a_protocol_and_has_a_query() {
        let setting: IngestSetting = "journald?topic=journal".parse().unwrap();
        assert_eq!(setting.protocol, Protocol::Journald);
        assert_eq!(setting.query.topic.as_deref(), Some("journal"));
        for (text, part) in [
            ("journald", "PROTOCOL?QUERY"),
            ("http?topic=a", "there is no protocol \"http\""),
            ("syslog?tpoic=a", "no member \"tpoic\""),
            ("syslog?", "no member \"\""),
            ("syslog?topic=", "topic must not be empty"),
            ("syslog?payload=whole", "for the protocol publish only"),
        ] {
            let error = text.parse::<IngestSetting>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_request_goes_before_the_setting_name_by_name() {
        let setting = parse("topic=t&event_id=hash").unwrap();
        let merged = parse("topic=mine&source=s").unwrap().or(&setting);
        let expected = parse("topic=mine&source=s&event_id=hash").unwrap();
        assert_eq!(merged, expected);
    }
}
