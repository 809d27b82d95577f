//! A bulk body of Elasticsearch: its actions, their indexes and ids, and the lines of their documents, against
//! `serde_json` and a plain splitting into lines.
//!
//! The input is a body.

use std::fmt;

use logagg::ingest::{Entries, Entry, Operation};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Operation, index, id and document.
type Meant = (Operation, Option<String>, Option<String>, Vec<u8>);

pub fn check(body: &[u8]) {
    // The two differ in keys that are no text, which name nothing.
    let lower = body.to_ascii_lowercase();
    if lower.windows(3).any(|three| three == br"\ud") {
        read(body).ok();
        return;
    }
    match (read(body), model(body)) {
        (Ok(found), Some(expected)) => assert_eq!(found, expected),
        (found, expected) => assert_eq!(found.ok(), expected),
    }
}

fn read(body: &[u8]) -> Result<Vec<Meant>, String> {
    let mut entries = Entries::of(body);
    let mut found = Vec::new();
    while let Some(Entry { action, document }) = entries.read()? {
        let [index, id] = [action.index, action.id].map(|name| name.map(|name| name.into_owned()));
        found.push((action.operation, index, id, document.to_vec()));
    }
    Ok(found)
}

/// None if the body is refused.
fn model(body: &[u8]) -> Option<Vec<Meant>> {
    let mut lines: Vec<&[u8]> = body.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let without_end = |line: &'_ [u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let mut lines = lines.into_iter().map(without_end);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let action: Members = serde_json::from_slice(&line).ok()?;
        let (name, members) = action.0.iter().find_map(|(key, value)| {
            let operation = match &key[..] {
                "index" => Operation::Index,
                "create" => Operation::Create,
                "update" => Operation::Update,
                "delete" => Operation::Delete,
                _ => return None,
            };
            Some((operation, value))
        })?;
        let members: Members = serde_json::from_str(members.get()).ok()?;
        let op_type = members.get("op_type").map(RawValue::get);
        let is_create = op_type.and_then(|text| serde_json::from_str::<String>(text).ok());
        let operation = match name {
            Operation::Index if is_create.as_deref() == Some("create") => Operation::Create,
            other => other,
        };
        let document = match operation {
            Operation::Delete => line,
            _ => lines.next()?,
        };
        let index = simple(members.get("_index"))?;
        found.push((operation, index, simple(members.get("_id"))?, document));
    }
    Some(found)
}

/// None if the value is an array or an object.
fn simple(value: Option<&RawValue>) -> Option<Option<String>> {
    let text = match value.map(RawValue::get) {
        None | Some("null") => return Some(None),
        Some(text) if text.starts_with(['[', '{']) => return None,
        Some(text) if text.starts_with('"') => serde_json::from_str(text).unwrap(),
        Some(text) => text.to_owned(),
    };
    Some(Some(text).filter(|text: &String| !text.is_empty()))
}

/// All members of an object, also those whose keys come twice.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn get(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| &**value)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}
