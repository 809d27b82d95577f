//! Conditions on members of the payload: the values of `where`.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::number::Number;
use super::path::{parse_string, Found, Path};
use super::reader::Scalar;
use super::term::{parse_terms, Term};
use super::text::Text;
use crate::limits::WHERE_MAX_BYTES;

/// All conditions on one path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathFilter {
    path: Path,
    conditions: Vec<Condition>,
    /// The conditions of which one has to be fulfilled (`=`), those that all have to be, and those that must not be, as
    /// bits by their places.
    any_of: u32,
    all_of: u32,
    none_of: u32,
}

/// What a member, or one of its values, has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// There is a member.
    Exists,
    /// A string that is this text, a number of this value, or this word.
    Equals(Box<str>),
    /// A string or number whose text begins so.
    StartsWith(Box<str>),
    /// A string that is this text.
    StringEquals(Box<str>),
    /// A string that begins so.
    StringStartsWith(Box<str>),
    /// A string or number in whose text the term is found.
    Contains(Box<Term>),
    /// A number, or a string that is one, whose value is on these sides of this one.
    NumberIs(Sides, Box<str>),
    /// A string that is on these sides of this text, by the order of bytes.
    StringIs(Sides, Box<str>),
}

/// `<`, `<=`, `>` or `>=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    is_less: bool,
    or_equal: bool,
}

impl Sides {
    fn hold(self, order: Ordering) -> bool {
        match order {
            Ordering::Less => self.is_less,
            Ordering::Equal => self.or_equal,
            Ordering::Greater => !self.is_less,
        }
    }
}

/// How a condition counts among those on its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One of these has to be fulfilled.
    Any,
    All,
    None,
}

impl PathFilter {
    pub(super) fn new(path: Path) -> Self {
        Self {
            path,
            conditions: Vec::new(),
            any_of: 0,
            all_of: 0,
            none_of: 0,
        }
    }

    /// Adds a condition; there are at most 32.
    pub(super) fn add(&mut self, role: Role, condition: Condition) {
        let bit = 1 << self.conditions.len();
        *match role {
            Role::Any => &mut self.any_of,
            Role::All => &mut self.all_of,
            Role::None => &mut self.none_of,
        } |= bit;
        self.conditions.push(condition);
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The conditions of which one has to be fulfilled; none if there are none.
    pub fn any_of(&self) -> impl Iterator<Item = &Condition> {
        self.with_bits(self.any_of)
    }

    /// The conditions that all have to be fulfilled.
    pub fn all_of(&self) -> impl Iterator<Item = &Condition> {
        self.with_bits(self.all_of)
    }

    fn with_bits(&self, bits: u32) -> impl Iterator<Item = &Condition> {
        let places = self.conditions.iter().enumerate();
        places.filter_map(move |(place, condition)| (bits >> place & 1 != 0).then_some(condition))
    }

    /// Whether they hold for a payload.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        let mut fulfilled = 0_u32;
        let _ = self.path.visit(payload, &mut |found| {
            for (place, condition) in self.conditions.iter().enumerate() {
                if fulfilled >> place & 1 == 0 && condition.is_fulfilled_by(found) {
                    fulfilled |= 1 << place;
                }
            }
            match self.verdict_is_final(fulfilled) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        self.hold(fulfilled)
    }

    fn hold(&self, fulfilled: u32) -> bool {
        (self.any_of == 0 || fulfilled & self.any_of != 0)
            && fulfilled & self.all_of == self.all_of
            && fulfilled & self.none_of == 0
    }

    /// Whether further values make no difference.
    fn verdict_is_final(&self, fulfilled: u32) -> bool {
        fulfilled & self.none_of != 0 || self.none_of == 0 && self.hold(fulfilled)
    }
}

impl Condition {
    fn is_fulfilled_by(&self, found: Found) -> bool {
        let scalar = match (found, self) {
            (Found::Member, _) => return matches!(self, Condition::Exists),
            (Found::Value(scalar), _) => scalar,
        };
        match (self, scalar) {
            (Condition::Exists, _) => false,
            (Condition::Equals(text), Scalar::Number(digits)) => {
                equals_number(digits, text.as_bytes())
            }
            (Condition::Equals(text), scalar) => scalar.text().equals(text.as_bytes()),
            (Condition::StringEquals(text), Scalar::String(own)) => own.equals(text.as_bytes()),
            (Condition::StringStartsWith(prefix), Scalar::String(own))
            | (Condition::StartsWith(prefix), Scalar::String(own)) => {
                own.starts_with(prefix.as_bytes())
            }
            (Condition::StartsWith(prefix), Scalar::Number(digits)) => {
                digits.starts_with(prefix.as_bytes())
            }
            (Condition::Contains(_), Scalar::Word(_)) => false,
            (Condition::Contains(term), scalar) => term.is_in(scalar.text()),
            (Condition::NumberIs(sides, text), Scalar::String(_) | Scalar::Number(_)) => {
                let own = Number::parse(scalar.text());
                let number = number_of(text.as_bytes());
                match own.zip(number) {
                    Some((own, number)) => sides.hold(own.compare(&number)),
                    None => false,
                }
            }
            (Condition::StringIs(sides, text), Scalar::String(own)) => {
                sides.hold(own.compare(text.as_bytes()))
            }
            _ => false,
        }
    }
}

fn number_of(text: &[u8]) -> Option<Number<'_>> {
    Number::parse(Text::plain(text))
}

fn equals_number(digits: &[u8], text: &[u8]) -> bool {
    digits == text
        || text
            .first()
            .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
            && number_of(text)
                .zip(number_of(digits))
                .is_some_and(|(a, b)| a.compare(&b) == Ordering::Equal)
}

const MISPLACED_NOT: &str = "may have a ! only in front of a path alone, or in != and !~";

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
    // Where there is an operator, a `!` in front belongs to the path.
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
            let sides = Sides {
                is_less: operator.starts_with('<'),
                or_equal: operator.ends_with('='),
            };
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
    Ok(match number_of(value.as_bytes()) {
        Some(_) => Condition::NumberIs(sides, value.into()),
        None => Condition::StringIs(sides, value.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(wheres: &str, payload: &str) -> bool {
        let (path, role, condition) = parse_condition(wheres).unwrap();
        let mut filter = PathFilter::new(path);
        filter.add(role, condition);
        filter.matches(payload.as_bytes())
    }

    /// A condition, payloads that fulfil it, and others.
    const OPERATORS: &[(&str, &[&str], &[&str])] = &[
        (
            "a",
            &[
                r#"{"a":null}"#,
                r#"{"a":{}}"#,
                r#"{"a":[]}"#,
                r#"{"b":1,"a":0}"#,
            ],
            &["{}", r#"{"b":{"a":1}}"#],
        ),
        ("!a", &["{}", r#"{"b":"a"}"#], &[r#"{"a":null}"#]),
        (
            "a=error",
            &[
                r#"{"a":"error"}"#,
                r#"{"a":["x",[["error"]]]}"#,
                r#"{"a":"\u0065rror"}"#,
            ],
            &[r#"{"a":"Error"}"#, r#"{"a":{"b":"error"}}"#, r#"{"a":[]}"#],
        ),
        (
            "a=404",
            &[r#"{"a":404}"#, r#"{"a":"404"}"#, r#"{"a":4.04e2}"#],
            &[r#"{"a":"4.04e2"}"#, r#"{"a":405}"#],
        ),
        (
            "a=true",
            &[r#"{"a":true}"#, r#"{"a":"true"}"#],
            &[r#"{"a":false}"#, r#"{"a":1}"#],
        ),
        (
            "a=",
            &[r#"{"a":""}"#],
            &["{}", r#"{"a":null}"#, r#"{"a":" "}"#],
        ),
        ("a= x ", &[r#"{"a":" x "}"#], &[r#"{"a":"x"}"#]),
        ("a==", &[r#"{"a":"="}"#], &[]),
        (
            "a=5*",
            &[r#"{"a":500}"#, r#"{"a":"5xx"}"#, r#"{"a":5}"#],
            &[r#"{"a":-5}"#, r#"{"a":null}"#],
        ),
        (
            "a=*",
            &[r#"{"a":5}"#, r#"{"a":""}"#],
            &[r#"{"a":true}"#, r#"{"a":{}}"#, "{}"],
        ),
        ("a=\"5\"", &[r#"{"a":"5"}"#], &[r#"{"a":5}"#]),
        ("a=\"tr\"*", &[r#"{"a":"true"}"#], &[r#"{"a":true}"#]),
        ("a=\"x*\"", &[r#"{"a":"x*"}"#], &[r#"{"a":"xy"}"#]),
        (
            "a!=debug",
            &["{}", r#"{"a":"info"}"#, r#"{"a":[]}"#],
            &[r#"{"a":"debug"}"#, r#"{"a":["info","debug"]}"#],
        ),
        (
            "a~\"card expired\"",
            &[r#"{"a":"Card Expired!"}"#],
            &[r#"{"a":"card"}"#],
        ),
        ("a~5", &[r#"{"a":-5}"#, r#"{"a":"x 5"}"#], &[r#"{"a":55}"#]),
        ("a~true", &[r#"{"a":"so true"}"#], &[r#"{"a":true}"#]),
        ("a!~x", &["{}", r#"{"a":1}"#], &[r#"{"a":"an X"}"#]),
        (
            "a>500",
            &[r#"{"a":501}"#, r#"{"a":"5.01e2"}"#, r#"{"a":[1,600]}"#],
            &[r#"{"a":500}"#, r#"{"a":"501 ms"}"#, "{}"],
        ),
        ("a>=500", &[r#"{"a":500.0}"#], &[r#"{"a":499.9}"#]),
        ("a<1e-1", &[r#"{"a":0}"#, r#"{"a":-1}"#], &[r#"{"a":0.10}"#]),
        ("a<=0.1", &[r#"{"a":0.10}"#], &[r#"{"a":0.11}"#]),
        (
            "a<b",
            &[r#"{"a":"a"}"#, r#"{"a":"B"}"#, r#"{"a":""}"#],
            &[r#"{"a":"b"}"#, r#"{"a":1}"#],
        ),
        (
            "a>\"1\"",
            &[r#"{"a":"10"}"#, r#"{"a":"2"}"#],
            &[r#"{"a":2}"#, r#"{"a":"1"}"#],
        ),
        ("a<>b", &[r#"{"a":"="}"#], &[r#"{"a":"a"}"#]),
    ];

    #[test]
    fn each_operator_is_fulfilled_by_what_the_table_says() {
        for (condition, fulfilled, others) in OPERATORS {
            for payload in *fulfilled {
                assert!(matches(condition, payload), "{condition} {payload}");
            }
            for payload in *others {
                assert!(!matches(condition, payload), "{condition} {payload}");
            }
        }
    }

    #[test]
    fn a_path_leads_through_arrays_and_flattened_names() {
        for payload in [
            r#"{"a":{"b":{"c":1}}}"#,
            r#"{"a.b":{"c":1}}"#,
            r#"{"a.b.c":1}"#,
            r#"{"a":{"b.c":1}}"#,
            r#"{"a":[1,[{"b":2},{"b":[{"c":1}]}]]}"#,
            r#"{"a":0,"a":{"b.\u0063":1}}"#,
        ] {
            assert!(matches("a.b.c=1", payload), "{payload}");
            assert!(matches("a.b.c", payload), "{payload}");
        }
        for payload in [
            r#"{"a.b":1}"#,
            r#"{"a":{"b":1},"c":1}"#,
            r#"{"a.b.c.d":1}"#,
            r#"{"a.b.cd":1}"#,
            r#"{"ab.c":1}"#,
        ] {
            assert!(!matches("a.b.c", payload), "{payload}");
        }
        assert!(matches("\"a.b\".c", r#"{"a.b":{"c":1}}"#));
        assert!(!matches("\"a.b\".c", r#"{"a":{"b":{"c":1}}}"#));
        assert!(!matches("\"a.b\".c", r#"{"a.b.c":1}"#));
        assert!(!matches("a.\"b\"", r#"{"a.b":1}"#));
        assert!(matches("\"\"", r#"{"":1}"#));
        assert!(matches("a b.ä", r#"{"a b":{"ä":1}}"#));
        assert!(!matches("a", r#"{"\ud800":1,"b":"a"}"#));
    }

    #[test]
    fn conditions_on_a_path_are_taken_together() {
        let filter = |conditions: &[&str]| {
            let mut filter = PathFilter::new(Path::parse("a").unwrap().0);
            for condition in conditions {
                let (_, role, condition) = parse_condition(condition).unwrap();
                filter.add(role, condition);
            }
            filter
        };
        let either = filter(&["a=x", "a=y", "a!=z"]);
        assert!(either.matches(br#"{"a":"x"}"#) && either.matches(br#"{"a":["q","y"]}"#));
        assert!(!either.matches(br#"{"a":"q"}"#) && !either.matches(br#"{"a":["x","z"]}"#));
        let between = filter(&["a>100", "a<500"]);
        assert!(between.matches(br#"{"a":200}"#) && !between.matches(br#"{"a":500}"#));
        // Of several values each condition may be fulfilled by another.
        assert!(between.matches(br#"{"a":[1,600]}"#));
        assert!(!filter(&["a=x", "!b", "a"]).matches(br#"{"b":1}"#));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        let steps = ["a"; 17].join(".");
        let long = "a".repeat(WHERE_MAX_BYTES + 1);
        for condition in [
            "",
            "=x",
            "!=x",
            "!~x",
            "!",
            ".a",
            "a.",
            "a..b",
            "a.=1",
            "a!b",
            "a!",
            "!a=1",
            "!a!=1",
            "!!a",
            "a~",
            "a~ ",
            "a~x y",
            "a~-x",
            "a<",
            "a>=",
            "\"a",
            "a\"b\"",
            "\"a\"b",
            "\"a\"b=1",
            "\"\\x\"=1",
            "\"\\ud800\"",
            "a=\"x",
            "a=\"x\"y",
            "a=\"x\"**",
            "a<\"x\"*",
            "a<\"x\"y",
            "a=\"\\ud800\"",
            "a~\"x",
            &steps,
            &long,
        ] {
            assert!(parse_condition(condition).is_err(), "{condition}");
        }
        for condition in [
            "a",
            &steps[2..],
            &long[1..],
            "a=!b",
            "a=b\"c",
            "\"=\".\"!\"",
            "a=\"x\"*",
            "a~*x*",
            "a~ x ",
        ] {
            assert!(parse_condition(condition).is_ok(), "{condition}");
        }
    }
}
