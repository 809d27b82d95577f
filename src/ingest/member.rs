//! Members that a query names: paths into a record's JSON.

use std::borrow::Cow;

use super::json;
use crate::limits::MEMBER_NAMES_MAX;

/// A path to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberPath {
    /// A JSON Pointer (RFC 6901), as its unescaped names.
    Pointer(Vec<String>),
    /// Names with dots between. A member whose name has the dots in it wins over one that is nested.
    Dotted(String),
}

impl MemberPath {
    /// # Errors
    /// What is wrong with the path, as a clause.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("names no member");
        }
        let Some(pointer) = text.strip_prefix('/') else {
            if text.matches('.').count() >= MEMBER_NAMES_MAX {
                return Err("has a path of more than 16 names");
            }
            return Ok(Self::Dotted(text.to_owned()));
        };
        let names = pointer.split('/').map(|name| {
            let without = name.replace("~0", "").replace("~1", "");
            if without.contains('~') {
                return Err("has a ~ that is not followed by 0 or 1");
            }
            Ok(name.replace("~1", "/").replace("~0", "~"))
        });
        names.collect::<Result<_, _>>().map(Self::Pointer)
    }

    /// The first string that is not empty, or the first number, that the path leads to in the JSON object `text`.
    pub(crate) fn find<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Self::Pointer(names) => {
                let value = names
                    .iter()
                    .try_fold(text, |value, name| step(value, name))?;
                json::scalar(value)
            }
            Self::Dotted(path) => dotted(text, path),
        }
    }
}

/// One step of a pointer (RFC 6901 §4): a member of an object, or an element of an array.
fn step<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    if !value.starts_with('[') {
        return json::member(value, name);
    }
    let is_index = name == "0" || !name.starts_with('0');
    let is_digits = name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_index || !is_digits {
        return None;
    }
    json::elements(value).nth(name.parse().ok()?)
}

fn dotted<'a>(value: &'a str, path: &str) -> Option<Cow<'a, str>> {
    let whole = json::member(value, path).and_then(json::scalar);
    whole.or_else(|| {
        let mut dots = path.rmatch_indices('.');
        dots.find_map(|(at, _)| dotted(json::member(value, &path[..at])?, &path[at + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_scalar_on_the_way_is_found() {
        let text = r#"{"a":1,"host.name":"flat","host":{"name":"nested","ip.v4":"x"},"b":{"c.d":{},"c":{"d":"deep"}},
            "list":[{"id":"zero"},"one"],"e":"","n":null,"m~n":"tilde","s/t":"slash","":"empty"}"#;
        for (path, expected) in [
            ("a", Some("1")),
            ("host.name", Some("flat")),
            ("/host/name", Some("nested")),
            ("/host.name", Some("flat")),
            ("host.ip.v4", Some("x")),
            ("b.c.d", Some("deep")),
            ("/list/0/id", Some("zero")),
            ("/list/1", Some("one")),
            ("/list/01", None),
            ("/list/2", None),
            ("/list/-", None),
            ("/m~0n", Some("tilde")),
            ("/s~1t", Some("slash")),
            ("/", Some("empty")),
            ("e", None),
            ("n", None),
            ("host", None),
            ("x.y", None),
        ] {
            let parsed = MemberPath::parse(path).unwrap();
            assert_eq!(parsed.find(text).as_deref(), expected, "{path}");
        }
        assert!(MemberPath::parse("").is_err());
        assert!(MemberPath::parse("/a~2").is_err());
        assert!(MemberPath::parse("/a~").is_err());
        let names = vec!["a"; MEMBER_NAMES_MAX].join(".");
        assert!(MemberPath::parse(&names).is_ok());
        assert!(MemberPath::parse(&format!("{names}.a")).is_err());
    }
}
