//! A payload as `name=value`, in the form of conditions that find it: members of objects by their paths, arrays as
//! JSON.

use super::ink::{level_colour, Ink, DIM};
use crate::search::{Reader, Scalar, Text, Token};
use crate::text::is_special;

/// The members that may hold the level, the likeliest first.
const LEVELS: [&str; 3] = ["level", "severity", "lvl"];

/// Writes the members, each with a space before it; that of the level is the first.
pub(super) fn write(ink: &mut Ink, payload: &[u8]) {
    let level = level_of(payload);
    if let Some((_, name, value)) = &level {
        begin(ink, name);
        ink.colour(level_colour(value));
        text(ink, value);
        ink.colour(0);
    }
    let mut reader = Reader::of_object(payload);
    let skipped = level.map(|(place, ..)| place);
    object(ink, &mut reader, &mut String::new(), skipped);
}

/// The place of the member that holds the level, its name and its value.
fn level_of(payload: &[u8]) -> Option<(usize, &'static str, String)> {
    let mut reader = Reader::of_object(payload);
    let mut found: Option<(usize, usize, String)> = None;
    let mut place = 0;
    while let Some(name) = reader.name() {
        let name = decoded(name);
        let rank = LEVELS.iter().position(|level| *level == name);
        let is_better = |rank: usize| found.as_ref().is_none_or(|(best, ..)| rank < *best);
        match rank.filter(|rank| is_better(*rank)) {
            None => reader.skip(),
            Some(rank) => match reader.value() {
                Some(Token::Scalar(scalar)) => found = Some((rank, place, decoded(scalar.text()))),
                Some(Token::Object | Token::Array) => reader.leave(),
                None => {}
            },
        }
        place += 1;
    }
    found.map(|(rank, place, value)| (place, LEVELS[rank], value))
}

/// Writes the members of an object whose bracket has been taken, but for the one at `skipped`; returns how many it has.
/// The stack is bounded by the nesting that the reader follows.
fn object(ink: &mut Ink, reader: &mut Reader, path: &mut String, skipped: Option<usize>) -> usize {
    let mut place = 0;
    while let Some(name) = reader.name() {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        push_name(path, &decoded(name));
        match skipped == Some(place) {
            true => reader.skip(),
            false => member(ink, reader, path),
        }
        path.truncate(length);
        place += 1;
    }
    place
}

fn member(ink: &mut Ink, reader: &mut Reader, path: &mut String) {
    match reader.value() {
        Some(Token::Object) => {
            let members = object(ink, reader, path, None);
            if members == 0 {
                begin(ink, path);
                ink.out.push_str("{}");
            }
        }
        Some(Token::Array) => {
            begin(ink, path);
            array(ink, reader);
        }
        Some(Token::Scalar(scalar)) => {
            begin(ink, path);
            let value = decoded(scalar.text());
            match scalar {
                Scalar::Word(_) => ink.plain(&value, false),
                Scalar::String(_) | Scalar::Number(_) => text(ink, &value),
            }
        }
        None => {}
    }
}

/// Writes a space, and the path with its equals sign.
fn begin(ink: &mut Ink, path: &str) {
    ink.out.push(' ');
    ink.colour(DIM);
    ink.plain(path, false);
    ink.out.push('=');
    ink.colour(0);
}

/// A text, in quotes if its end would be ambiguous without them.
fn text(ink: &mut Ink, text: &str) {
    let is_plain = |c: char| !c.is_whitespace() && !is_special(c) && !matches!(c, '"' | '\\' | '=');
    match !text.is_empty() && text.chars().all(is_plain) {
        true => ink.text(text),
        false => ink.string(text),
    }
}

/// A name as a step of a path: in quotes where it holds what ends a step.
fn push_name(path: &mut String, name: &str) {
    let is_plain = |c: char| {
        !c.is_whitespace()
            && !is_special(c)
            && !matches!(c, '.' | '"' | '\\' | '=' | '!' | '~' | '<' | '>')
    };
    match !name.is_empty() && name.chars().all(is_plain) {
        true => path.push_str(name),
        false => {
            let mut quoted = Ink::new(false, &[]);
            quoted.string(name);
            path.push_str(&quoted.out);
        }
    }
}

/// The rest of an array, as JSON.
fn array(ink: &mut Ink, reader: &mut Reader) {
    let mut separator = '[';
    while reader.has_element() {
        ink.out.push(separator);
        separator = ',';
        json(ink, reader);
    }
    ink.out.push_str(if separator == '[' { "[]" } else { "]" });
}

/// A value, as JSON.
fn json(ink: &mut Ink, reader: &mut Reader) {
    match reader.value() {
        Some(Token::Array) => array(ink, reader),
        Some(Token::Object) => {
            let mut separator = '{';
            while let Some(name) = reader.name() {
                ink.out.push(separator);
                separator = ',';
                ink.out.push('"');
                ink.plain(&decoded(name), true);
                ink.out.push_str("\":");
                json(ink, reader);
            }
            ink.out.push_str(if separator == '{' { "{}" } else { "}" });
        }
        Some(Token::Scalar(scalar)) => {
            let value = decoded(scalar.text());
            match scalar {
                Scalar::String(_) => ink.string(&value),
                Scalar::Number(_) => ink.text(&value),
                Scalar::Word(_) => ink.plain(&value, false),
            }
        }
        None => {}
    }
}

/// What a text means; half of a surrogate pair becomes U+FFFD.
fn decoded(text: Text) -> String {
    let bytes: Vec<u8> = text.decode().collect();
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
