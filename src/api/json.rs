//! Writing JSON into memory by hand, where building a tree first would cost more than the answer.

use std::fmt::Arguments;
use std::io::Write;

use crate::text::Eight;

/// Appends formatted text.
pub(crate) fn write_to(out: &mut Vec<u8>, text: Arguments) {
    out.write_fmt(text).expect("a Vec takes every write");
}

/// Appends a string with its quotes and escapes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends what is between the quotes of a string. `text` is UTF-8.
pub(crate) fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    if !Eight::any_in(text, escapes) {
        return out.extend_from_slice(text);
    }
    let mut rest = text;
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            byte @ 0..0x20 => {
                let digit = b"0123456789abcdef"[usize::from(byte & 15)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
            }
            byte => out.extend_from_slice(&[b'\\', byte]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Not zero where one of eight bytes is a control character, a quote or a backslash. The lowest bit that is set
/// is the highest of the first of them.
pub(crate) fn escapes(eight: Eight) -> u64 {
    // This bit exchanges the quote with the space, which follows the control characters, and these with each other.
    eight.xor(b'"' ^ b' ').less_than(b' ' + 1) | eight.xor(b'\\').less_than(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::json_len;

    fn written(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, text);
        out
    }

    #[test]
    fn strings_are_written_as_by_an_independent_writer() {
        // Every byte that is a character, and some longer ones, at every place of strings of every length.
        let characters = (0..0x80)
            .map(char::from)
            .chain(['\u{80}', 'é', '\u{2028}', '日', '😀']);
        for character in characters {
            for length in 0..40 {
                for at in [0, 1, 7, 8, 9, 15, 16, 17, length] {
                    let (front, back) = (at.min(length), length - at.min(length));
                    let text = format!("{}{character}{}", "x".repeat(front), "~".repeat(back));
                    assert_eq!(
                        written(&text),
                        serde_json::to_vec(&text).unwrap(),
                        "{text:?}"
                    );
                    assert_eq!(json_len(&text) + 2, written(&text).len(), "{text:?}");
                }
            }
        }
    }
}
