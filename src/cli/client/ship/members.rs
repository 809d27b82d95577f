//! Some members of a JSON object, as they are written in it. The others are only skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of these names, in the order of the names; none if the text is no JSON object. Of members
/// with the same name it is the last.
pub(super) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = Wanted(names).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(found)
}

/// A text, or a number as it is written; none for anything else.
pub(super) fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes() {
        [b'"', ..] => serde_json::from_str(value.get()).ok(),
        [b'-' | b'0'..=b'9', ..] => Some(Cow::Borrowed(value.get())),
        _ => None,
    }
}

/// The names that are looked for.
struct Wanted<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Wanted<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Wanted<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = members.next_key::<Cow<str>>()? {
            let Some(at) = self.0.iter().position(|wanted| *wanted == name) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            found[at] = Some(members.next_value::<&RawValue>()?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<String> {
        let [value] = members(text, ["id"])?;
        text_of(value?).map(Cow::into_owned)
    }

    #[test]
    fn a_member_is_a_text_or_a_number() {
        for (text, expected) in [
            (r#"{"a":{"id":"x"},"id":"a\u0062\"c"}"#, Some("ab\"c")),
            (r#" {"id":"x","id":"y"} "#, Some("y")),
            (r#"{"id":1.50}"#, Some("1.50")),
            (r#"{"\u0069d":-7}"#, Some("-7")),
            (r#"{"id":""}"#, Some("")),
            (r#"{"id":null}"#, None),
            (r#"{"id":["x"]}"#, None),
            (r#"{"ID":"x"}"#, None),
            (r#"["id"]"#, None),
            (r#"{"id":"x"} x"#, None),
            ("", None),
        ] {
            assert_eq!(id(text).as_deref(), expected, "{text}");
        }
    }
}
