//! Conditions on members of the payload, and whether a value fulfils them. A long value may take several steps.

use std::cmp::Ordering;

use super::effort::Effort;
use super::number::{Number, NumberScan};
use super::path::Found;
use super::scalar::Scalar;
use super::term::{next_window, Term, WindowMark, WINDOW_BYTES};
use super::text::Text;

/// Bytes of a text that is matched in one step. A longer one may take several.
pub(super) const LONG_TEXT_BYTES: usize = 1024;

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
    pub(super) fn new(is_less: bool, or_equal: bool) -> Self {
        Self { is_less, or_equal }
    }

    fn hold(self, order: Ordering) -> bool {
        match order {
            Ordering::Less => self.is_less,
            Ordering::Equal => self.or_equal,
            Ordering::Greater => !self.is_less,
        }
    }
}

/// How far a long value has been compared with the conditions on its path.
#[derive(Debug, Default)]
pub(super) struct ValueScan {
    /// The next condition.
    pub(super) place: usize,
    /// How far its term has been looked for.
    window: WindowMark,
    number: Option<NumberRead>,
}

/// A value that is read as a number.
#[derive(Debug)]
enum NumberRead {
    Partly(NumberScan),
    Wholly(NumberScan),
    IsNone,
}

impl ValueScan {
    /// The value, or what came before it, is over.
    pub(super) fn end(&mut self) {
        self.place = 0;
        self.window = WindowMark::default();
        self.number = None;
    }

    /// Whether a term is in a text. `None` where the step is over before that is known.
    fn has_term(&mut self, term: &Term, text: Text, effort: &mut Effort) -> Option<bool> {
        if text.raw_len() <= LONG_TEXT_BYTES {
            effort.spend(text.raw_len() / 8);
            return Some(term.is_in(text));
        }
        let mut folded = [0; WINDOW_BYTES];
        loop {
            if effort.is_over() {
                return None;
            }
            effort.spend(WINDOW_BYTES / 4);
            let window = next_window(text, &mut self.window, term.text().len(), &mut folded);
            let is_in = term.is_in_window(&window, effort);
            if is_in || window.is_last() {
                self.window = WindowMark::default();
                return Some(is_in);
            }
        }
    }

    /// What a text is as a number, if it is one. `None` where the step is over before that is known.
    fn number<'t>(&mut self, text: Text<'t>, effort: &mut Effort) -> Option<Option<Number<'t>>> {
        let mut scan = match self.number.take() {
            None => NumberScan::default(),
            Some(NumberRead::Partly(scan)) => scan,
            Some(NumberRead::Wholly(scan)) => {
                let number = scan.number(text);
                self.number = Some(NumberRead::Wholly(scan));
                return Some(Some(number));
            }
            Some(NumberRead::IsNone) => {
                self.number = Some(NumberRead::IsNone);
                return Some(None);
            }
        };
        let read = scan.read(text, effort);
        let (read, number) = match read {
            None => (NumberRead::Partly(scan), None),
            Some(true) => (NumberRead::Wholly(scan), Some(Some(scan.number(text)))),
            Some(false) => (NumberRead::IsNone, Some(None)),
        };
        self.number = Some(read);
        number
    }
}

impl Condition {
    /// Whether a member or value fulfils it. `None` where the step is over before that is known.
    pub(super) fn is_fulfilled_by(
        &self,
        found: Found,
        scan: &mut ValueScan,
        effort: &mut Effort,
    ) -> Option<bool> {
        let scalar = match (found, self) {
            (Found::Member, _) => return Some(matches!(self, Condition::Exists)),
            (Found::Value(scalar), _) => scalar,
        };
        Some(match (self, scalar) {
            (Condition::Exists, _) => false,
            (Condition::Equals(text), Scalar::Number(digits)) => {
                let text = text.as_bytes();
                if digits == text || !may_be_number(text) {
                    return Some(digits == text);
                }
                let own = scan.number(scalar.text(), effort)?;
                let pair = own.zip(number_of(text));
                pair.is_some_and(|(own, number)| own.compare(&number).is_eq())
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
            (Condition::Contains(term), scalar) => scan.has_term(term, scalar.text(), effort)?,
            (Condition::NumberIs(sides, text), Scalar::String(_) | Scalar::Number(_)) => {
                let own = scan.number(scalar.text(), effort)?;
                let pair = own.zip(number_of(text.as_bytes()));
                pair.is_some_and(|(own, number)| sides.hold(own.compare(&number)))
            }
            (Condition::StringIs(sides, text), Scalar::String(own)) => {
                sides.hold(own.compare(text.as_bytes()))
            }
            _ => false,
        })
    }
}

fn number_of(text: &[u8]) -> Option<Number<'_>> {
    Number::parse(Text::plain(text))
}

/// Whether a text begins as a number does.
pub(super) fn may_be_number(text: &[u8]) -> bool {
    let first = text.first();
    first.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::super::parse_condition::parse_condition;
    use super::super::{Candidate, Filters, Instant};
    use crate::limits::WHERE_MAX_BYTES;

    fn matches(condition: &str, payload: &str) -> bool {
        all_match(&[condition], payload)
    }

    fn all_match(conditions: &[&str], payload: &str) -> bool {
        let pairs = conditions.iter().map(|condition| ("where", *condition));
        let filters = Filters::parse(pairs, Instant::from_unix_us(0)).unwrap();
        filters.matches(&Candidate {
            topic: b"t",
            event_id: b"e",
            source: b"s",
            timestamp: b"2026-01-02",
            payload: payload.as_bytes(),
            processed_at: 0,
        })
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
        let hold = |conditions: &[&str], payload: &str| all_match(conditions, payload);
        let either = ["a=x", "a=y", "a!=z"];
        assert!(hold(&either, r#"{"a":"x"}"#) && hold(&either, r#"{"a":["q","y"]}"#));
        assert!(!hold(&either, r#"{"a":"q"}"#) && !hold(&either, r#"{"a":["x","z"]}"#));
        let between = ["a>100", "a<500"];
        assert!(hold(&between, r#"{"a":200}"#) && !hold(&between, r#"{"a":500}"#));
        // Of several values each condition may be fulfilled by another.
        assert!(hold(&between, r#"{"a":[1,600]}"#));
        assert!(!hold(&["a=x", "!b", "a"], r#"{"b":1}"#));
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
