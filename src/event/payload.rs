//! Whether the text of a payload is one that is stored: a JSON object without white space between its tokens.

use serde_json::value::RawValue;

use crate::limits::PAYLOAD_MAX_DEPTH;

/// What is wrong with the text of a stored payload, as a clause; `None` if it is right.
pub fn payload_error(text: &str) -> Option<&'static str> {
    if !text.starts_with('{') {
        return Some("is not a JSON object");
    }
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return Some("is not JSON");
    }
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > PAYLOAD_MAX_DEPTH {
                    return Some("is nested too deeply");
                }
            }
            b'}' | b']' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' => return Some("has white space between tokens"),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_compact_json_of_bounded_depth() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!("{{\"a\":{open}{close}}}")
        };
        for right in [
            "{}",
            r#"{"a b":" \" { ","c":[1,{"d":null}]}"#,
            r#"{"n":1e400,"s":"\ud800"}"#,
            &nested(PAYLOAD_MAX_DEPTH),
        ] {
            assert_eq!(payload_error(right), None, "{right}");
        }
        for wrong in [
            "",
            "[]",
            "1",
            "{",
            "{}{}",
            " {}",
            "{\"a\": 1}",
            "{\"a\":1\n}",
            "{\"a\":01}",
            "{\"a\":\"\u{1}\"}",
            &nested(PAYLOAD_MAX_DEPTH + 1),
        ] {
            assert!(payload_error(wrong).is_some(), "{wrong}");
        }
    }
}
