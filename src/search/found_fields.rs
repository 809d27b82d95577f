//! The paths that lead to values in the events that match, found while their payloads are walked in steps.

use super::effort::Effort;
use super::field::{Value, VALUE_EFFORT};
use super::tally::{Shared, Tally};
use super::text::Text;
use super::tokens::{Next, Tokens};
use crate::limits::{FIELDS_FOUND_MAX, PATH_STEPS_MAX, WHERE_MAX_BYTES};

/// What it costs to look for a field that is not the likely one.
const LOOK_EFFORT: usize = 64;

/// The paths that lead to values in the events that match.
#[derive(Debug)]
pub(super) struct FoundFields {
    fields: Vec<(Box<str>, Tally)>,
    /// The current path.
    path: String,
    /// Where the next one is likely to be: events of a kind have their members in the same order.
    next: usize,
    tokens: Tokens,
    /// The objects and arrays that are open. Their number is bounded by the nesting of payloads.
    levels: Vec<Level>,
    /// Steps to the value that comes next.
    steps: usize,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Bytes of the path that leads here, and its steps.
    len: usize,
    steps: usize,
}

impl FoundFields {
    pub(super) fn new() -> Self {
        Self {
            fields: Vec::new(),
            path: String::new(),
            next: 0,
            tokens: Tokens::of_object(b""),
            levels: Vec::new(),
            steps: 0,
        }
    }

    /// The fields with their counts, in the order in which they were met.
    pub(super) fn fields(&self) -> &[(Box<str>, Tally)] {
        &self.fields
    }

    /// Begins with the payload of an event.
    pub(super) fn begin(&mut self, payload: &[u8]) {
        self.tokens = Tokens::of_object(payload);
        self.levels.clear();
        self.levels.push(Level { len: 0, steps: 0 });
        self.path.clear();
        self.next = 0;
    }

    /// Goes on to count the values of the payload. Returns whether it is over.
    pub(super) fn go_on(
        &mut self,
        payload: &[u8],
        shared: &mut Shared,
        effort: &mut Effort,
    ) -> bool {
        loop {
            if effort.is_over() {
                return false;
            }
            match self.tokens.next(payload, effort) {
                Next::Name(name) => {
                    let level = self.levels.last().copied();
                    let level = level.unwrap_or(Level { len: 0, steps: 0 });
                    self.path.truncate(level.len);
                    self.steps = level.steps + 1;
                    effort.spend(name.raw_len().min(WHERE_MAX_BYTES));
                    if level.steps == PATH_STEPS_MAX || !self.push_step(name) {
                        self.tokens.pass_over();
                    }
                }
                Next::Open => self.levels.push(Level {
                    len: self.path.len(),
                    steps: self.steps,
                }),
                Next::Close => {
                    if let Some(level) = self.levels.pop() {
                        self.path.truncate(level.len);
                        self.steps = level.steps;
                    }
                }
                Next::Scalar(scalar) => {
                    if let Some(place) = self.place(effort) {
                        effort.spend(VALUE_EFFORT);
                        let value = Value::of(scalar.text());
                        let tally = &mut self.fields[place].1;
                        // Topic and source come before these.
                        tally.add(shared, 2 + place, value.as_bytes());
                    }
                }
                Next::Unfinished => {}
                Next::End => return true,
            }
        }
    }

    /// The place of the field to which the path leads; `None` if there are too many.
    fn place(&mut self, effort: &mut Effort) -> Option<usize> {
        let is_likely = self.fields.get(self.next);
        let place = match is_likely.is_some_and(|(name, _)| **name == *self.path) {
            true => self.next,
            false => {
                effort.spend(LOOK_EFFORT);
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
