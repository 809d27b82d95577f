//! Paths and conditions, on the tree of a payload.

use std::cmp::Ordering;

use super::json::{parse as parse_json, text, Json, Text};
use super::number;
use super::term::{self, Term};

/// Names, and whether each was quoted.
pub type Path = Vec<(Text, bool)>;

#[derive(Clone, Debug)]
pub struct Condition {
    pub path: Path,
    pub operator: String,
    value: Option<Value>,
}

#[derive(Clone, Debug)]
enum Value {
    Plain(String),
    Prefix(String),
    Quoted(Text),
    QuotedPrefix(Text),
    Term(Term),
}

const OPERATORS: [&str; 8] = ["!=", "!~", "<=", ">=", "=", "~", "<", ">"];

/// A string in quotes at the beginning of a text, and what comes after it.
fn quoted(from: &str) -> Option<(Text, &str)> {
    let mut is_escaped = false;
    let end = from.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        is_end
    })?;
    let (string, after) = from.split_at(end.0 + 1);
    let meant: String = serde_json::from_str(string).ok()?;
    Some((text(&meant), after))
}

/// A path, and what comes after it.
pub fn parse_path(from: &str) -> Option<(Path, &str)> {
    let mut path = Path::new();
    let mut rest = from;
    loop {
        if rest.starts_with('"') {
            let (name, after) = quoted(rest)?;
            path.push((name, true));
            rest = after;
        } else {
            let len = rest
                .find(['.', '"', '=', '!', '~', '<', '>'])
                .unwrap_or(rest.len());
            if len == 0 {
                return None;
            }
            path.push((text(&rest[..len]), false));
            rest = &rest[len..];
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None => return (path.len() <= 16).then_some((path, rest)),
        }
    }
}

pub fn parse(from: &str) -> Option<Condition> {
    if from.is_empty() || from.len() > 512 {
        return None;
    }
    let condition = |path: Path, operator: &str, value: Option<Value>| {
        let operator = operator.to_owned();
        Some(Condition {
            path,
            operator,
            value,
        })
    };
    if let Some((path, "")) = from.strip_prefix('!').and_then(parse_path) {
        return condition(path, "!", None);
    }
    let (path, rest) = parse_path(from)?;
    if rest.is_empty() {
        return condition(path, "", None);
    }
    let operator = OPERATORS
        .into_iter()
        .find(|operator| rest.starts_with(operator))?;
    let value = &rest[operator.len()..];
    let value = match operator {
        "=" | "!=" if value.starts_with('"') => match quoted(value)? {
            (text, "") => Value::Quoted(text),
            (text, "*") => Value::QuotedPrefix(text),
            _ => return None,
        },
        "=" | "!=" => match value.strip_suffix('*') {
            Some(prefix) => Value::Prefix(prefix.to_owned()),
            None => Value::Plain(value.to_owned()),
        },
        "~" | "!~" => match &term::parse(value)?[..] {
            [term] if !term.is_negated => Value::Term(term.clone()),
            _ => return None,
        },
        _ if value.is_empty() => return None,
        _ if value.starts_with('"') => match quoted(value)? {
            (text, "") => Value::Quoted(text),
            _ => return None,
        },
        _ => Value::Plain(value.to_owned()),
    };
    condition(path, operator, Some(value))
}

/// The values of all members that a path leads to in an object.
pub fn members<'j>(path: &[(Text, bool)], object: &'j Json, found: &mut Vec<&'j Json>) {
    match object {
        Json::Array(elements) => elements
            .iter()
            .for_each(|element| members(path, element, found)),
        Json::Object(own) => {
            for (name, value) in own {
                for steps in 1..=path.len() {
                    let (front, back) = path.split_at(steps);
                    if steps > 1 && front.iter().any(|(_, is_quoted)| *is_quoted) {
                        continue;
                    }
                    let names: Vec<Text> = front.iter().map(|(name, _)| name.clone()).collect();
                    if names.join(&u32::from('.')) == *name {
                        match back {
                            [] => found.push(value),
                            _ => members(back, value, found),
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

/// The value, or the elements in the place of an array.
pub fn values<'j>(value: &'j Json, found: &mut Vec<&'j Json>) {
    match value {
        Json::Array(elements) => elements.iter().for_each(|element| values(element, found)),
        value => found.push(value),
    }
}

/// The values that a path leads to in a payload.
pub fn values_of<'j>(path: &[(Text, bool)], payload: &'j Json) -> Vec<&'j Json> {
    let (mut reached, mut found) = (Vec::new(), Vec::new());
    members(path, payload, &mut reached);
    reached
        .into_iter()
        .for_each(|member| values(member, &mut found));
    found
}

/// The text of a string or number.
pub fn text_of(value: &Json) -> Option<Text> {
    match value {
        Json::String(string) => Some(string.clone()),
        Json::Number(digits) => Some(text(digits)),
        _ => None,
    }
}

impl Condition {
    pub fn holds(&self, payload: &Json) -> bool {
        let mut reached = Vec::new();
        members(&self.path, payload, &mut reached);
        match self.operator.as_str() {
            "" => !reached.is_empty(),
            "!" => reached.is_empty(),
            operator => {
                let values = values_of(&self.path, payload);
                let is_fulfilled = values.iter().any(|value| self.is_fulfilled_by(value));
                is_fulfilled != operator.starts_with('!')
            }
        }
    }

    fn is_fulfilled_by(&self, value: &Json) -> bool {
        match (
            self.value.as_ref().unwrap(),
            self.operator.trim_start_matches('!'),
        ) {
            (Value::Plain(plain), "=") => match value {
                Json::String(own) => *own == text(plain),
                Json::Number(digits) => number::parse(plain).is_some_and(|wanted| {
                    let own = number::parse(digits).unwrap();
                    number::compare(&own, &wanted) == Ordering::Equal
                }),
                Json::Word(word) => word == plain,
                _ => false,
            },
            (Value::Prefix(prefix), _) => {
                text_of(value).is_some_and(|own| own.starts_with(&text(prefix)))
            }
            (Value::Quoted(wanted), "=") => matches!(value, Json::String(own) if own == wanted),
            (Value::QuotedPrefix(prefix), _) => {
                matches!(value, Json::String(own) if own.starts_with(prefix))
            }
            (Value::Term(term), _) => text_of(value).is_some_and(|own| term.is_in(&own)),
            (Value::Plain(plain), operator) => match number::parse(plain) {
                Some(wanted) => {
                    let own = text_of(value).map(|own| shown(&own));
                    own.and_then(|own| number::parse(&own))
                        .is_some_and(|own| is_on_side(operator, number::compare(&own, &wanted)))
                }
                None => is_string_on_side(operator, value, &text(plain)),
            },
            (Value::Quoted(wanted), operator) => is_string_on_side(operator, value, wanted),
        }
    }
}

fn is_on_side(operator: &str, order: Ordering) -> bool {
    match operator {
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }
}

/// The order of the bytes of UTF-8 is that of the numbers of the characters.
fn is_string_on_side(operator: &str, value: &Json, wanted: &Text) -> bool {
    matches!(value, Json::String(own) if is_on_side(operator, own.cmp(wanted)))
}

/// As text, halves of surrogate pairs as U+FFFD.
pub fn shown(text: &[u32]) -> String {
    let character = |c: &u32| char::from_u32(*c).unwrap_or('\u{fffd}');
    text.iter().map(character).collect()
}

/// The texts of a payload: its strings and numbers.
pub fn texts(value: &Json, found: &mut Vec<Text>) {
    match value {
        Json::Object(members) => members.iter().for_each(|(_, value)| texts(value, found)),
        Json::Array(elements) => elements.iter().for_each(|element| texts(element, found)),
        value => found.extend(text_of(value)),
    }
}

/// A payload as a tree.
pub fn payload(json: &str) -> Json {
    parse_json(json)
}
