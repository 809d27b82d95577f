//! The labels of a stream: read from their text, and what follows from them for all entries of the stream.

use crate::api::json::write_string;

/// The names whose value is the topic, and those whose value is the source; the first that is there counts.
const TOPICS: [&str; 6] = [
    "service_name",
    "service",
    "app",
    "application",
    "job",
    "container",
];
const SOURCES: [&str; 4] = ["host", "hostname", "node_name", "instance"];

/// What the entries of a stream have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    /// A payload as far as the line.
    pub(super) prefix: Vec<u8>,
    pub(super) topic: String,
    pub(super) source: String,
}

impl Stream {
    /// The stream with these labels, in their order.
    pub(super) fn new(labels: &[(String, String)]) -> Self {
        let mut prefix = b"{\"labels\":{".to_vec();
        for (at, (name, value)) in labels.iter().enumerate() {
            if at > 0 {
                prefix.push(b',');
            }
            write_string(&mut prefix, name);
            prefix.push(b':');
            write_string(&mut prefix, value);
        }
        prefix.extend_from_slice(b"},\"line\":");
        let first = |names: &[&str]| {
            let value = |name: &&str| {
                labels
                    .iter()
                    .find(|(of, value)| of == name && !value.is_empty())
            };
            let found = names.iter().find_map(value);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        Self {
            prefix,
            topic: first(&TOPICS),
            source: first(&SOURCES),
        }
    }
}

/// Reads labels as Loki writes them: `{a="b", c="d"}`, values with the escapes of Go. None if they are written
/// otherwise.
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut labels = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let (name, after) = name(rest)?;
        let (value, after) = quoted(after.trim_start().strip_prefix('=')?.trim_start())?;
        labels.push((name, value));
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(labels)
}

/// A name, which newer programs may quote, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// A string of Go, between quotes or raw between backticks, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (value, rest) = raw.split_once('`')?;
        return Some((value.to_owned(), rest));
    }
    let mut value = Vec::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let end = rest.find(['"', '\\'])?;
        value.extend_from_slice(&rest.as_bytes()[..end]);
        let is_end = rest.as_bytes()[end] == b'"';
        rest = &rest[end + 1..];
        if is_end {
            // Escapes may make bytes that are not UTF-8.
            return Some((String::from_utf8_lossy(&value).into_owned(), rest));
        }
        rest = escape(rest, &mut value)?;
    }
}

/// Appends what the escape after a backslash means (the Go specification, *Rune literals*), and returns what
/// follows it.
fn escape<'a>(text: &'a str, value: &mut Vec<u8>) -> Option<&'a str> {
    let kind = *text.as_bytes().first()?;
    let plain = match kind {
        b'a' => Some(7),
        b'b' => Some(8),
        b'f' => Some(12),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(11),
        b'\\' | b'"' | b'\'' => Some(kind),
        _ => None,
    };
    if let Some(byte) = plain {
        value.push(byte);
        return Some(&text[1..]);
    }
    let (start, digits, radix) = match kind {
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        b'0'..=b'7' => (0, 3, 8),
        _ => return None,
    };
    let number = u32::from_str_radix(text.get(start..start + digits)?, radix).ok()?;
    if matches!(kind, b'u' | b'U') {
        let character = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
        value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        value.push(u8::try_from(number).ok()?);
    }
    text.get(start + digits..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<Vec<(String, String)>> {
        parse(text)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Some(pairs.iter().map(owned).collect())
    }

    #[test]
    fn labels_are_those_of_loki() {
        for (text, labels) in [
            ("{}", pairs(&[])),
            (r#"{a="b"}"#, pairs(&[("a", "b")])),
            (
                r#" { a = "b" , c="d", } "#,
                pairs(&[("a", "b"), ("c", "d")]),
            ),
            (r#"{"my.label"="x"}"#, pairs(&[("my.label", "x")])),
            (
                r#"{a="\"\\\n\x41\u00e9\U0001f600\101"}"#,
                pairs(&[("a", "\"\\\nAé😀A")]),
            ),
            (r#"{a="\xff"}"#, pairs(&[("a", "\u{fffd}")])),
            ("{a=`raw\\n`}", pairs(&[("a", "raw\\n")])),
            (r#"{a="x,y}"}"#, pairs(&[("a", "x,y}")])),
        ] {
            assert_eq!(parsed(text), labels, "{text}");
        }
        for wrong in [
            "",
            "{",
            "a=\"b\"",
            "{a}",
            "{a=b}",
            "{a=\"b}",
            "{a=\"b\" c=\"d\"}",
            "{=\"b\"}",
            r#"{a="\q"}"#,
            r#"{a="\777"}"#,
            r#"{a="\x4"}"#,
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_first_name_that_is_there_counts() {
        let stream = |text: &str| Stream::new(&parsed(text).expect("it is right"));
        let found = stream(r#"{job="j",app="a",instance="i",hostname="h",service=""}"#);
        assert_eq!((found.topic.as_str(), found.source.as_str()), ("a", "h"));
        let found = stream("{x=\"y\"}");
        assert_eq!(found.prefix, br#"{"labels":{"x":"y"},"line":"#);
        assert_eq!((found.topic.as_str(), found.source.as_str()), ("", ""));
    }

    /// As Go's `strconv.Quote` writes a string, but that it escapes more than it must.
    fn quote(text: &str) -> String {
        let escaped = text.chars().map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            c if (c as u32) < 0x80 && c.is_control() => format!("\\x{:02x}", c as u32),
            c if c.is_control() => format!("\\u{:04x}", c as u32),
            c => c.to_string(),
        });
        format!("\"{}\"", escaped.collect::<String>())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(labels in prop::collection::vec(("[a-z_][a-z0-9_]{0,5}", any::<String>()), 0..5)) {
            let text: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
            prop_assert_eq!(parse(&format!("{{{}}}", text.join(", "))), Some(labels));
        }

        #[test]
        fn nothing_panics(text in "\\{?[a=\"\\\\xuU0-9é`, {}]{0,20}\\}?") {
            let _ = parse(&text);
        }
    }
}
