//! Which values fields have, and how often: those that are asked for, or those that are found in the events that
//! match.

use super::candidate::Candidate;
use super::field::{kept_text, Field, Value};
use super::filters::{Filters, Part, Verdict};
use super::reader::{Reader, Token};
use super::tally::{Shared, Tally};
use super::text::Text;
use crate::limits::{FIELDS_FOUND_MAX, FIELD_VALUES_BYTES, PATH_STEPS_MAX, WHERE_MAX_BYTES};

/// Counts of values by fields.
#[derive(Debug)]
pub struct Fields {
    asked: Vec<Asked>,
    /// The paths that were found, in the order in which they were met; `None` where fields were asked for.
    found: Option<FoundFields>,
    /// The filters of the fields that were asked for.
    parts: Vec<Part>,
    shared: Shared,
    matched: u64,
}

#[derive(Debug)]
struct Asked {
    name: Box<str>,
    field: Field,
    part: Option<Part>,
    tally: Tally,
}

/// The counts of one field.
pub struct FieldCounts<'a> {
    /// As it is written in a query.
    pub field: &'a str,
    tally: &'a Tally,
}

impl FieldCounts<'_> {
    /// Events that have a value.
    pub fn count(&self) -> u64 {
        self.tally.events()
    }

    /// Values that are kept.
    pub fn distinct(&self) -> usize {
        self.tally.distinct()
    }

    /// At most `limit` values by count, the greatest first, equal ones by their bytes; and the sum of the counts of
    /// all others.
    pub fn greatest(&self, limit: usize) -> (Vec<(&str, u64)>, u64) {
        let (values, rest) = self.tally.greatest(limit);
        let values = values.into_iter();
        let as_text = values.map(|(value, count)| (kept_text(value), count));
        (as_text.collect(), rest)
    }
}

impl Fields {
    /// Counts the values of these fields, by their names in the query, each without its own filter. Where there are
    /// none: of the topic, the source, and the paths that are found.
    pub fn new(fields: Vec<(Box<str>, Field)>, filters: &Filters) -> Self {
        let found = fields.is_empty().then(FoundFields::default);
        let (fields, parts) = match &found {
            Some(_) => (
                vec![
                    ("topic".into(), Field::Topic),
                    ("source".into(), Field::Source),
                ],
                Vec::new(),
            ),
            None => {
                let parts = fields
                    .iter()
                    .filter_map(|(_, field)| filters.part_of(field));
                let parts = parts.collect();
                (fields, parts)
            }
        };
        let asked = fields.into_iter().map(|(name, field)| Asked {
            part: filters.part_of(&field),
            tally: Tally::default(),
            name,
            field,
        });
        Self {
            asked: asked.collect(),
            found,
            parts,
            shared: Shared::new(FIELD_VALUES_BYTES),
            matched: 0,
        }
    }

    /// The filters that may be left out for one of the fields.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Counts an event, if it matches.
    pub fn add(&mut self, event: &Candidate, filters: &Filters) {
        let without = match filters.judge(event, &self.parts) {
            Verdict::Fails => return,
            Verdict::Matches => None,
            Verdict::MatchesWithout(part) => Some(part),
        };
        self.matched += u64::from(without.is_none());
        self.shared.begin_event();
        let shared = &mut self.shared;
        for (place, asked) in self.asked.iter_mut().enumerate() {
            if without.is_none() || asked.part == without {
                let tally = &mut asked.tally;
                let mut take = |value: &Value| tally.add(shared, place, value.as_bytes());
                asked.field.each_value(event, &mut take);
            }
        }
        if let (Some(found), Some(mut reader)) = (&mut self.found, Reader::of_object(event.payload))
        {
            found.next = 0;
            found.path.clear();
            found.members(&mut reader, 0, shared);
        }
    }

    /// Events that all filters leave.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// The fields: those that were asked for, in that order. Those that were found come after topic and source, by
    /// count, the greatest first, equal ones by their bytes.
    pub fn fields(&self) -> Vec<FieldCounts<'_>> {
        let asked = self.asked.iter();
        let asked = asked.map(|asked| FieldCounts {
            field: &asked.name,
            tally: &asked.tally,
        });
        let found = self.found.iter().flat_map(|found| &found.fields);
        let mut found: Vec<FieldCounts> = found
            .map(|(name, tally)| FieldCounts { field: name, tally })
            .collect();
        found.sort_by(|a, b| {
            let by_count = b.count().cmp(&a.count());
            by_count.then_with(|| a.field.cmp(b.field))
        });
        asked.chain(found).collect()
    }
}

/// The paths that lead to values in the events that match.
#[derive(Debug, Default)]
struct FoundFields {
    fields: Vec<(Box<str>, Tally)>,
    /// The path at hand.
    path: String,
    /// Where the next one is likely to be: events of a kind have their members in the same order.
    next: usize,
}

impl FoundFields {
    /// The members of an object, which `steps` steps lead to. The stack is bounded by the nesting of payloads.
    fn members(&mut self, reader: &mut Reader, steps: usize, shared: &mut Shared) {
        let len = self.path.len();
        while let Some(name) = reader.name() {
            if steps < PATH_STEPS_MAX && self.push_step(name) {
                self.value(reader, steps + 1, shared);
            } else {
                reader.skip();
            }
            self.path.truncate(len);
        }
    }

    fn value(&mut self, reader: &mut Reader, steps: usize, shared: &mut Shared) {
        match reader.value() {
            Some(Token::Object) => self.members(reader, steps, shared),
            Some(Token::Array) => {
                while reader.element() {
                    self.value(reader, steps, shared);
                }
            }
            Some(Token::Scalar(scalar)) => {
                if let Some(place) = self.place() {
                    let value = Value::of(scalar.text());
                    let tally = &mut self.fields[place].1;
                    // Topic and source come before these.
                    tally.add(shared, 2 + place, value.as_bytes());
                }
            }
            None => {}
        }
    }

    /// The place of the field to which the path leads; `None` if there are too many.
    fn place(&mut self) -> Option<usize> {
        let is_likely = self.fields.get(self.next);
        let place = match is_likely.is_some_and(|(name, _)| **name == *self.path) {
            true => self.next,
            false => {
                let mut names = self.fields.iter().map(|(name, _)| name);
                match names.position(|name| **name == *self.path) {
                    Some(place) => place,
                    None if self.fields.len() == FIELDS_FOUND_MAX => return None,
                    None => {
                        self.fields
                            .push((self.path.as_str().into(), Tally::default()));
                        self.fields.len() - 1
                    }
                }
            }
        };
        self.next = place + 1;
        Some(place)
    }

    /// Appends a step as it is written in a query. False if no query can name it.
    fn push_step(&mut self, name: Text) -> bool {
        let mut decoded = [0; WHERE_MAX_BYTES + 1];
        let len = name.decode().read(&mut decoded);
        let Ok(name) = std::str::from_utf8(&decoded[..len]) else {
            return false;
        };
        if !self.path.is_empty() {
            self.path.push('.');
        }
        let is_special = |c| matches!(c, '.' | '"' | '=' | '!' | '~' | '<' | '>');
        if name.is_empty() || name.contains(is_special) {
            push_quoted(name, &mut self.path);
        } else {
            self.path.push_str(name);
        }
        self.path.len() <= WHERE_MAX_BYTES
    }
}

/// Appends a name as a JSON string.
fn push_quoted(name: &str, out: &mut String) {
    out.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\0'..='\x1f' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}
