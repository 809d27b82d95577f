//! The structured data of RFC 5424 §6.3: `[ID NAME="value" …][ID …]…`.

/// An identifier of an element with one of its parameters. An element without any has one of these nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    pub(super) id: &'a [u8],
    /// The name, and the value between its quotes, still with its escapes.
    pub(super) pair: Option<(&'a [u8], &'a [u8])>,
}

/// How many bytes of the beginning are elements; `None` where they are not right.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    read(bytes, |_| {})
}

/// Calls `found` with each parameter, and returns how many bytes the elements take.
pub(super) fn read<'a>(bytes: &'a [u8], mut found: impl FnMut(Parameter<'a>)) -> Option<usize> {
    let mut rest = bytes;
    while let Some(element) = rest.strip_prefix(b"[") {
        let (id, after) = name(element)?;
        rest = after;
        if rest.starts_with(b"]") {
            found(Parameter { id, pair: None });
        }
        while let Some(parameter) = rest.strip_prefix(b" ") {
            let (name, after) = name(parameter)?;
            let quoted = after.strip_prefix(b"=\"")?;
            let end = end_of_value(quoted)?;
            let pair = Some((name, &quoted[..end]));
            found(Parameter { id, pair });
            rest = &quoted[end + 1..];
        }
        rest = rest.strip_prefix(b"]")?;
    }
    let length = bytes.len() - rest.len();
    (length > 0).then_some(length)
}

/// An SD-NAME, which is not empty.
fn name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_end = |byte: &u8| matches!(byte, b'=' | b' ' | b']' | b'"' | 0..0x20);
    let end = bytes.iter().position(is_end).filter(|end| *end > 0)?;
    Some(bytes.split_at(end))
}

/// Where the quote is that ends a value.
fn end_of_value(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        match memchr::memchr2(b'"', b'\\', &bytes[from..])? + from {
            at if bytes[at] == b'"' => return Some(at),
            // The backslash and what it escapes.
            at => from = (at + 2).min(bytes.len()),
        }
    }
}

/// The value with its escapes undone, in pieces: only `"`, `\` and `]` are escaped, and any other backslash is itself.
pub(super) fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let from = match rest {
            [b'\\', b'"' | b'\\' | b']', ..] => 1,
            _ => 0,
        };
        let next = rest.get(from + 1..).unwrap_or_default();
        let end = memchr::memchr(b'\\', next).map_or(rest.len(), |at| from + 1 + at);
        let piece = &rest[from..end];
        rest = &rest[end..];
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Option<(Vec<Parameter<'_>>, usize)> {
        let mut found = Vec::new();
        let length = read(bytes, |parameter| found.push(parameter))?;
        Some((found, length))
    }

    #[test]
    fn elements_are_read_up_to_the_last_bracket() {
        let text = br#"[a@1 b="c" d="e]\"\\\]"][f][g h=""] rest"#;
        let (found, length) = all(text).unwrap();
        assert_eq!(&text[length..], b" rest");
        let pair = |id, name, value| Parameter {
            id,
            pair: Some((name, value)),
        };
        let expected: [Parameter; 4] = [
            pair(b"a@1", b"b", b"c"),
            pair(b"a@1", b"d", br#"e]\"\\\]"#),
            Parameter {
                id: b"f",
                pair: None,
            },
            pair(b"g", b"h", b""),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_right_is_nothing() {
        for wrong in [
            "",
            "-",
            "[",
            "[]",
            "[a",
            "[a ",
            "[a b",
            "[a b=",
            "[a b=\"",
            "[a b=\"c",
            "[a b=\"c\"",
            "[a b=c]",
            "[a  b=\"c\"]",
            "[a b=\"c\" ]",
            "[a]x[",
            "[a b=\"c\\\"]",
            "[ a]",
            "[a b=\"c\"d]",
        ] {
            let is_whole = all(wrong.as_bytes()).is_some_and(|(_, length)| length == wrong.len());
            assert!(!is_whole, "{wrong}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        for (value, plain) in [
            ("", ""),
            ("a", "a"),
            (r#"\""#, "\""),
            (r"\\", r"\"),
            (r"\\\\", r"\\"),
            (r"a\]b", "a]b"),
            (r"a\nb\\n", r"a\nb\n"),
            (r"C:\dir\\x\", r"C:\dir\x\"),
            (r"\\\]\", r"\]\"),
        ] {
            let joined = pieces(value.as_bytes()).collect::<Vec<_>>().concat();
            assert_eq!(String::from_utf8(joined).unwrap(), plain, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            elements in prop::collection::vec(
                ("[a-z@0-9.]{1,9}", prop::collection::vec(("[a-z-]{1,5}", "[^\u{0}]{0,9}"), 0..4)), 1..4),
        ) {
            let mut text = String::new();
            let mut expected = Vec::new();
            for (id, pairs) in &elements {
                text += &format!("[{id}");
                for (name, value) in pairs {
                    let escaped: String = value.chars().flat_map(|c| {
                        let escape = matches!(c, '"' | '\\' | ']').then_some('\\');
                        escape.into_iter().chain([c])
                    }).collect();
                    text += &format!(" {name}=\"{escaped}\"");
                    expected.push((id.clone(), name.clone(), value.clone()));
                }
                text.push(']');
            }
            let (found, length) = all(text.as_bytes()).unwrap();
            prop_assert_eq!(length, text.len());
            let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let found: Vec<_> = found.into_iter().filter_map(|parameter| {
                let (name, value) = parameter.pair?;
                let value = pieces(value).collect::<Vec<_>>().concat();
                Some((text_of(parameter.id), text_of(name), text_of(&value)))
            }).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(prop::sample::select(&b"[]=\"\\ ab-\n\xff"[..]), 0..40)) {
            if let Some((found, length)) = all(&bytes) {
                prop_assert!(length <= bytes.len());
                for (_, value) in found.into_iter().filter_map(|p| p.pair) {
                    let joined = pieces(value).map(<[u8]>::len).sum::<usize>();
                    let escapes = value.iter().filter(|b| **b == b'\\').count();
                    prop_assert!(joined + escapes >= value.len());
                }
            }
        }
    }
}
