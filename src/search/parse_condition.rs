//! The text of a condition: the values of `where`.

use super::condition::{Condition, Sides};
use super::number::Number;
use super::parse_terms::parse_terms;
use super::path::{parse_string, Path};
use super::path_filter::Role;
use super::term::Term;
use super::text::Text;
use crate::limits::WHERE_MAX_BYTES;

const MISPLACED_NOT: &str = "may have a ! only before a path alone, or in != and !~";

/// Reads a value of `where`: a path, how the condition counts, and the condition.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(super) fn parse_condition(text: &str) -> Result<(Path, Role, Condition), &'static str> {
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.len() > WHERE_MAX_BYTES {
        return Err("must be at most 512 bytes long");
    }
    let is_operator = text.starts_with("!=") || text.starts_with("!~");
    let denied = text.strip_prefix('!').filter(|_| !is_operator);
    let (path, rest) = Path::parse(denied.unwrap_or(text))?;
    if rest.is_empty() {
        let role = if denied.is_some() {
            Role::None
        } else {
            Role::All
        };
        return Ok((path, role, Condition::Exists));
    }
    // If there is an operator, a `!` before the path belongs to the path.
    if denied.is_some() {
        return Err(MISPLACED_NOT);
    }
    let operators = ["!=", "!~", "<=", ">=", "=", "~", "<", ">"];
    let operator = operators
        .into_iter()
        .find(|operator| rest.starts_with(operator));
    let value = |operator: &str| &rest[operator.len()..];
    let (role, condition) = match operator {
        Some(operator @ "=") => (Role::Any, parse_equals(value(operator))?),
        Some(operator @ "!=") => (Role::None, parse_equals(value(operator))?),
        Some(operator @ "~") => (Role::All, parse_contains(value(operator))?),
        Some(operator @ "!~") => (Role::None, parse_contains(value(operator))?),
        Some(operator) => {
            let sides = Sides::new(operator.starts_with('<'), operator.ends_with('='));
            (Role::All, parse_order(sides, value(operator))?)
        }
        None if rest.starts_with('!') => return Err(MISPLACED_NOT),
        None => return Err("may have quotes only around a whole name of its path"),
    };
    Ok((path, role, condition))
}

fn parse_equals(value: &str) -> Result<Condition, &'static str> {
    if value.starts_with('"') {
        let (text, after) = parse_string(value)?;
        return match after {
            "" => Ok(Condition::StringEquals(text)),
            "*" => Ok(Condition::StringStartsWith(text)),
            _ => Err("may have only a * after a text in quotes"),
        };
    }
    Ok(match value.strip_suffix('*') {
        Some(prefix) => Condition::StartsWith(prefix.into()),
        None => Condition::Equals(value.into()),
    })
}

fn parse_contains(value: &str) -> Result<Condition, &'static str> {
    let mut terms = Vec::new();
    parse_terms(value, &mut terms)?;
    match <[Term; 1]>::try_from(terms) {
        Ok([term]) if term.is_negated() => {
            Err("may have no - in front of a term; write !~, or the term in quotes")
        }
        Ok([term]) => Ok(Condition::Contains(Box::new(term))),
        Err(_) => Err("must have one term after ~; one with spaces stands in quotes"),
    }
}

fn parse_order(sides: Sides, value: &str) -> Result<Condition, &'static str> {
    if value.is_empty() {
        return Err("must have a value after <, <=, > and >=");
    }
    if value.starts_with('"') {
        let (text, after) = parse_string(value)?;
        return match after {
            "" => Ok(Condition::StringIs(sides, text)),
            _ => Err("may have nothing after a text in quotes that is compared"),
        };
    }
    Ok(match Number::parse(Text::plain(value.as_bytes())) {
        Some(_) => Condition::NumberIs(sides, value.into()),
        None => Condition::StringIs(sides, value.into()),
    })
}
