//! The attributes of an event in JSON, and the rules that they must keep.

use std::borrow::Cow;

use super::super::json;
use super::super::record::Record;
use super::super::records::Records;
use super::super::time::{Time, Unit};
use crate::api::detail::{Detail, LocPart};
use crate::event::{compact, TooDeep};

/// How an event, or an attribute of it, breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// None if it is the whole event.
    attribute: Option<&'static str>,
    complaint: &'static str,
}

const MISSING: &str = "is required";
const TOO_DEEP: Fault = Fault {
    attribute: None,
    complaint: "must be nested at most 128 levels deep",
};
const NOT_AN_OBJECT: Fault = Fault {
    attribute: None,
    complaint: "must be an object",
};

impl Fault {
    pub(super) fn sentence(&self) -> String {
        format!("{} {}", self.attribute.unwrap_or("event"), self.complaint)
    }

    /// Its entry in the answer. `loc` leads to the event.
    pub(super) fn detail(&self, mut loc: Vec<LocPart>) -> Detail {
        loc.extend(self.attribute.map(LocPart::from));
        match self.complaint {
            MISSING => Detail::missing(loc),
            _ => Detail::value_error(loc, self.sentence()),
        }
    }

    /// The entry where the attribute is a field of the request's head.
    pub(super) fn detail_of_field(&self) -> Detail {
        match self.attribute {
            Some(attribute) => {
                let loc = vec![
                    "header".into(),
                    LocPart::Name(format!("ce-{attribute}").into()),
                ];
                Fault {
                    attribute: None,
                    ..*self
                }
                .detail_at(loc, attribute)
            }
            None => self.detail(vec!["body".into()]),
        }
    }

    fn detail_at(&self, loc: Vec<LocPart>, name: &str) -> Detail {
        match self.complaint {
            MISSING => Detail::missing(loc),
            complaint => Detail::value_error(loc, format!("ce-{name} {complaint}")),
        }
    }
}

/// What an event is stored by.
pub(super) struct Attributes<'a> {
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    kind: Cow<'a, str>,
    time: Option<Cow<'a, str>>,
}

impl<'a> Attributes<'a> {
    /// Reads them out of the text of an event.
    ///
    /// # Errors
    /// All rules that are broken, but for the depth of nesting.
    pub(super) fn read(text: &'a str) -> Result<Self, Vec<Fault>> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err(vec![NOT_AN_OBJECT]);
        }
        let names = ["specversion", "id", "source", "type", "time"];
        let [version, id, source, kind, time] = json::pick(text, names);
        let mut faults = Vec::new();
        let mut keep = |attribute, value| {
            let found = required(value);
            let complaint = found.as_ref().err().copied();
            faults.extend(complaint.map(|complaint| Fault {
                attribute: Some(attribute),
                complaint,
            }));
            found.ok()
        };
        let version = keep("specversion", version);
        let found = (keep("id", id), keep("source", source), keep("type", kind));
        if version.is_some_and(|version| !version.starts_with("1.")) {
            faults.push(Fault {
                attribute: Some("specversion"),
                complaint: "must begin with 1.",
            });
        }
        match found {
            (Some(id), Some(source), Some(kind)) if faults.is_empty() => Ok(Self {
                id,
                source,
                kind,
                time: time.and_then(json::string),
            }),
            _ => Err(faults),
        }
    }

    /// The same, with the depth of nesting.
    pub(super) fn read_all(text: &'a str) -> Result<Self, Vec<Fault>> {
        let read = Self::read(text)?;
        match compact(text, &mut Vec::new()) {
            Ok(_) => Ok(read),
            Err(TooDeep) => Err(vec![TOO_DEEP]),
        }
    }

    /// Adds the event, whose payload is `text`.
    ///
    /// # Errors
    /// It is nested too deep.
    pub(super) fn add(&self, records: &mut Records, text: &str) -> Result<(), Fault> {
        let record = Record {
            topic: Some(Cow::Borrowed(&self.kind)),
            source: Some(Cow::Borrowed(&self.source)),
            time: self
                .time
                .as_deref()
                .map(|time| Time::Text(time, Unit::BySize)),
            identity: Some(Cow::Owned(identity(&self.source, &self.id))),
        };
        records
            .document(&record, text)
            .map(|_| ())
            .map_err(|_| TOO_DEEP)
    }
}

/// A string that is needed and not empty.
fn required(value: Option<&str>) -> Result<Cow<'_, str>, &'static str> {
    let value = value.filter(|value| *value != "null").ok_or(MISSING)?;
    let text = json::string(value).ok_or("must be a string")?;
    match text.is_empty() {
        true => Err("must not be empty"),
        false => Ok(text),
    }
}

/// `source`, `|` and `id`. No two pairs collide: the source is escaped so that it has no `|` of its own.
fn identity(source: &str, id: &str) -> String {
    let mut identity = String::with_capacity(source.len() + 1 + id.len());
    for character in source.chars() {
        match character {
            '%' => identity.push_str("%25"),
            '|' => identity.push_str("%7C"),
            other => identity.push(other),
        }
    }
    identity.push('|');
    identity.push_str(id);
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pairs_have_the_same_identity() {
        assert_eq!(identity("/s", "1|2"), "/s|1|2");
        assert_eq!(identity("/s|1", "2"), "/s%7C1|2");
        assert_eq!(identity("/s%7C1", "2"), "/s%257C1|2");
    }

    #[test]
    fn all_broken_rules_are_named() {
        let sentences = |text| {
            let faults = Attributes::read(text).err().unwrap_or_default();
            faults.iter().map(Fault::sentence).collect::<Vec<_>>()
        };
        let text = r#"{"specversion":"0.3","id":"","source":1,"type":null}"#;
        let expected = [
            "id must not be empty",
            "source must be a string",
            "type is required",
            "specversion must begin with 1.",
        ];
        assert_eq!(sentences(text), expected);
        assert_eq!(sentences("[]"), ["event must be an object"]);
        let legal = r#"{"specversion":"1.0","id":"i","source":"s","type":"t"}"#;
        assert!(sentences(legal).is_empty());
    }
}
