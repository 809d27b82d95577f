//! A path into a payload: which of its members it leads to.

use super::scalar::Scalar;
use crate::limits::PATH_STEPS_MAX;

/// Steps from the payload inwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    name: Box<str>,
    /// One that is quoted is one whole name; others may also be part of a name with dots in it.
    is_quoted: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A member, whatever its value.
    Member,
    /// A value of the member before, or an element in the place of an array.
    Value(Scalar<'a>),
}

impl Path {
    /// Reads a path to its end or to the first character that cannot be in one; returns what is left.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn parse(text: &str) -> Result<(Self, &str), &'static str> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            if steps.len() == PATH_STEPS_MAX {
                return Err("may have a path of at most 16 steps");
            }
            let (step, after) = match rest.starts_with('"') {
                true => {
                    let (name, after) = parse_string(rest)?;
                    let is_quoted = true;
                    (Step { name, is_quoted }, after)
                }
                false => {
                    let is_end = |c| matches!(c, '.' | '"' | '=' | '!' | '~' | '<' | '>');
                    let (name, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
                    if name.is_empty() {
                        return Err("has an empty step in its path");
                    }
                    let (name, is_quoted) = (name.into(), false);
                    (Step { name, is_quoted }, after)
                }
            };
            steps.push(step);
            match after.strip_prefix('.') {
                Some(after) => rest = after,
                None => return Ok((Self { steps }, after)),
            }
        }
    }

    /// How many steps there are.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The name that its last step has, or the end of that name.
    pub(super) fn last_name(&self) -> &str {
        self.steps.last().map_or("", |step| &step.name)
    }

    /// How many steps have been made when `name` is the next one after `from`, or several with the dots between them.
    pub(super) fn step_over(&self, from: usize, name: &[u8]) -> Option<usize> {
        // Most names differ, and most of those in their first bytes.
        let first = self.steps.get(from)?.name.as_bytes().first();
        if first != name.first() {
            return None;
        }
        let mut rest = name;
        for (at, step) in self.steps.iter().enumerate().skip(from) {
            rest = rest.strip_prefix(step.name.as_bytes())?;
            if rest.is_empty() {
                return Some(at + 1);
            }
            let next = self.steps.get(at + 1)?;
            if step.is_quoted || next.is_quoted {
                return None;
            }
            rest = rest.strip_prefix(b".")?;
        }
        None
    }
}

const _: () = assert!(PATH_STEPS_MAX == 16, "a sentence names the number");

/// A string of JSON at the beginning of `text`, which starts with its quote; and what comes after it.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn parse_string(text: &str) -> Result<(Box<str>, &str), &'static str> {
    let mut end = 1;
    let bytes = text.as_bytes();
    while bytes.get(end).is_some_and(|byte| *byte != b'"') {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    if end >= bytes.len() {
        return Err("has a quote that is not closed");
    }
    let (string, after) = text.split_at(end + 1);
    match serde_json::from_str::<Box<str>>(string) {
        Ok(meant) => Ok((meant, after)),
        Err(_) => Err("has a text in quotes that is no JSON string"),
    }
}
