//! Text of other protocols as names and as JSON.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use crate::api::json::{write_escaped, write_string};
use crate::limits::NAME_MAX_BYTES;

/// Appends `text` as a name: each control character becomes `_`, and what is over [`NAME_MAX_BYTES`] is cut at
/// the end of a character. False, with nothing appended, where it is empty.
pub(crate) fn write_name(text: &str, out: &mut Vec<u8>) -> bool {
    let end = (0..=NAME_MAX_BYTES.min(text.len())).rev();
    let end = end.into_iter().find(|end| text.is_char_boundary(*end));
    let text = &text[..end.unwrap_or_default()];
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    for byte in &mut out[start..] {
        if *byte < 0x20 || *byte == 0x7f {
            *byte = b'_';
        }
    }
    !text.is_empty()
}

/// Appends a JSON string of bytes in a format that promises UTF-8: what is not becomes U+FFFD.
pub(crate) fn write_lossy(bytes: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => write_string(out, text),
        Err(_) => write_string(out, &String::from_utf8_lossy(bytes)),
    }
}

/// Appends a JSON string of bytes in a format that promises nothing. Where they are not UTF-8, the bytes that
/// are not become `\xHH`, and each backslash two. True in that case.
pub(crate) fn write_any(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        write_string(out, text);
        return false;
    }
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for (at, part) in chunk.valid().split('\\').enumerate() {
            if at > 0 {
                out.extend_from_slice(br"\\\\");
            }
            write_escaped(out, part.as_bytes());
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(br"\\x");
            for digit in [byte >> 4, byte & 15] {
                out.push(b"0123456789abcdef"[usize::from(digit)]);
            }
        }
    }
    out.push(b'"');
    true
}

/// Appends bytes as `{"base64":"…"}`.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"base64\":\"");
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    out.resize(start + length, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    out.truncate(start + written.unwrap_or_default());
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn names_are_made_legal() {
        let long = "é".repeat(200);
        for (text, name) in [
            ("a", "a"),
            ("", ""),
            ("a\nb\u{7f}\u{0}", "a_b__"),
            (&long, &long[..254]),
        ] {
            assert_eq!(
                written(|out| assert_eq!(write_name(text, out), !name.is_empty())),
                name
            );
        }
    }

    #[test]
    fn bytes_become_text_in_three_ways() {
        assert_eq!(
            written(|out| write_lossy(b"a\xff\"", out)),
            "\"a\u{fffd}\\\"\""
        );
        assert_eq!(
            written(|out| write_bytes(b"\xff\x00a", out)),
            r#"{"base64":"/wBh"}"#
        );
        assert_eq!(
            written(|out| assert!(!write_any("a\\é".as_bytes(), out))),
            "\"a\\\\é\""
        );
        let text = written(|out| assert!(write_any(b"a\\\xffb\"\xc3", out)));
        let read: String = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(read, r#"a\\\xffb"\xc3"#);
    }
}
