//! JSON for people: each member on a line of its own. Nothing but the white space between tokens changes.

use std::fmt::Write as _;

use crate::text::{is_special, Escape};

/// Deeper levels are indented like this one, so that text does not grow with the square of its depth.
const INDENTED_MAX: usize = 130;

/// `json` indented by two spaces a level. With `is_escaped` nothing in it can drive a terminal.
pub(crate) fn indented(json: &str, is_escaped: bool) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '"' => {
                let length = string_length(rest);
                let (string, after) = rest.split_at(length);
                rest = after;
                out.push('"');
                for character in string.chars() {
                    match is_escaped && is_special(character) {
                        true => write!(out, "{}", Escape(character)).expect("a String takes all"),
                        false => out.push(character),
                    }
                }
            }
            '{' | '[' => {
                out.push(character);
                let inner = rest.trim_ascii_start();
                if inner.starts_with(['}', ']']) {
                    out.push_str(&inner[..1]);
                    rest = &inner[1..];
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' | '\t' | '\r' | '\n' => {}
            _ => out.push(character),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(INDENTED_MAX)));
}

/// Bytes up to the end of a string whose first quote has been taken, with its last quote.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => return at + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_changes() {
        let json = r#"{"a":[1,{"b" : "x: [\\\",\u001b"}],"c":{},"d":[ ],"e":0.10}"#;
        let text = concat!(
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x: [\\\\\\\",\\u001b\"\n    }\n  ],\n",
            "  \"c\": {},\n  \"d\": [],\n  \"e\": 0.10\n}"
        );
        assert_eq!(indented(json, false), text);
        assert_eq!(
            indented("{\"a\u{9b}\":\"\u{202e}\"}", true),
            "{\n  \"a\\u009b\": \"\\u202e\"\n}"
        );
        // What is no JSON ends too.
        for broken in ["", "\"", "{", "]]]", "\"\\"] {
            indented(broken, true);
        }
        assert!(indented(&"[".repeat(10_000), false).len() < 3_000_000);
    }
}
