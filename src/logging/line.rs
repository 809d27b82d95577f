//! One record to one line, in either format, without its line end.
//!
//! Whatever a message or a field holds, the line stays one line and shows all that it holds: what
//! [`text::is_special`](crate::text::is_special) names is escaped, so no client can forge a record by what it sends, or
//! make one look like another.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use log::kv::{self, Key, Source, Value, VisitSource, VisitValue};
use log::Level;

use crate::text::{is_special, Escape};

/// Appends `time  LEVEL message`, the level aligned to the right.
pub(super) fn text(out: &mut Vec<u8>, time: &[u8], level: Level, message: fmt::Arguments) {
    out.extend_from_slice(time);
    out.extend_from_slice(match level {
        Level::Error => b" ERROR ",
        Level::Warn => b"  WARN ",
        Level::Info => b"  INFO ",
        Level::Debug => b" DEBUG ",
        Level::Trace => b" TRACE ",
    });
    escaped(out, Escapes::Text, message);
}

/// Appends one JSON object: `time`, `level`, `message` and a member for each key-value. Numbers and
/// booleans stay what they are, everything else becomes a string.
pub(super) fn json(
    out: &mut Vec<u8>,
    time: &[u8],
    level: Level,
    message: fmt::Arguments,
    fields: &dyn Source,
) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(time);
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(level.as_str().as_bytes());
    out.extend_from_slice(b"\",\"message\":\"");
    escaped(out, Escapes::Json, message);
    out.push(b'"');
    // Visiting fails only where a value's visitor does, and `JsonValue` does not.
    let _ = fields.visit(&mut Members { out });
    out.push(b'}');
}

/// Which characters are escaped, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Text,
    Json,
}

/// Appends a formatted message with its special characters escaped. A `Display` that fails leaves the
/// line with what it had written.
fn escaped(out: &mut Vec<u8>, escapes: Escapes, message: fmt::Arguments) {
    let _ = Escaper { out, escapes }.write_fmt(message);
}

struct Escaper<'a> {
    out: &'a mut Vec<u8>,
    escapes: Escapes,
}

impl Escaper<'_> {
    fn escape(&mut self, special: char) {
        match special {
            '"' | '\\' => self.out.extend_from_slice(&[b'\\', special as u8]),
            // The escape itself is plain text, and writing to a `Vec` cannot fail.
            _ => _ = write!(self.out, "{}", Escape(special)),
        }
    }

    fn is_special(&self, character: char) -> bool {
        let is_syntax = self.escapes == Escapes::Json && matches!(character, '"' | '\\');
        is_syntax || is_special(character)
    }
}

impl fmt::Write for Escaper<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        // Nearly every piece is printable ASCII, and is copied whole.
        let json = self.escapes == Escapes::Json;
        let is_plain =
            |&byte: &u8| (0x20..0x7f).contains(&byte) && !(json && (byte == b'"' || byte == b'\\'));
        if piece.as_bytes().iter().all(is_plain) {
            self.out.extend_from_slice(piece.as_bytes());
            return Ok(());
        }
        let mut copied = 0;
        for (at, character) in piece.char_indices() {
            if self.is_special(character) {
                self.out.extend_from_slice(&piece.as_bytes()[copied..at]);
                self.escape(character);
                copied = at + character.len_utf8();
            }
        }
        self.out.extend_from_slice(&piece.as_bytes()[copied..]);
        Ok(())
    }
}

/// Appends `,"key":value` for each key-value.
struct Members<'a> {
    out: &'a mut Vec<u8>,
}

impl<'kvs> VisitSource<'kvs> for Members<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.out.extend_from_slice(b",\"");
        escaped(self.out, Escapes::Json, format_args!("{}", key.as_str()));
        self.out.extend_from_slice(b"\":");
        value.visit(JsonValue { out: self.out })
    }
}

struct JsonValue<'a> {
    out: &'a mut Vec<u8>,
}

impl JsonValue<'_> {
    /// Appends what JSON writes without quotes: numbers, booleans, null.
    fn bare(&mut self, value: fmt::Arguments) -> Result<(), kv::Error> {
        escaped(self.out, Escapes::Json, value);
        Ok(())
    }

    fn string(&mut self, value: fmt::Arguments) -> Result<(), kv::Error> {
        self.out.push(b'"');
        escaped(self.out, Escapes::Json, value);
        self.out.push(b'"');
        Ok(())
    }
}

impl<'v> VisitValue<'v> for JsonValue<'_> {
    fn visit_any(&mut self, value: Value) -> Result<(), kv::Error> {
        self.string(format_args!("{value}"))
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.bare(format_args!("null"))
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.bare(format_args!("{value}"))
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.bare(format_args!("{value}"))
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        if value.is_finite() {
            self.bare(format_args!("{value}"))
        } else {
            self.string(format_args!("{value}"))
        }
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.bare(format_args!("{value}"))
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.string(format_args!("{value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::kv::ToValue;

    const TIME: &[u8] = b"2026-01-02T03:04:05.678901Z";

    fn as_text(message: &str) -> String {
        let mut out = Vec::new();
        text(&mut out, TIME, Level::Warn, format_args!("{message}"));
        String::from_utf8(out).unwrap()
    }

    fn as_json(message: &str, fields: &dyn Source) -> serde_json::Value {
        let mut out = Vec::new();
        json(
            &mut out,
            TIME,
            Level::Error,
            format_args!("{message}"),
            fields,
        );
        assert!(
            !out.iter().any(u8::is_ascii_control),
            "{}",
            String::from_utf8_lossy(&out)
        );
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn levels_are_aligned() {
        let mut out = Vec::new();
        for level in Level::iter() {
            text(&mut out, b"T", level, format_args!("m"));
            out.push(b'\n');
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "T ERROR m\nT  WARN m\nT  INFO m\nT DEBUG m\nT TRACE m\n"
        );
    }

    #[test]
    fn a_message_cannot_begin_a_line_of_its_own() {
        let hostile = "a\nb\r\tc\0d\u{7f}e\u{85}f\u{2028}g\u{2029}h\u{1b}[31m\u{202e}i\u{e0041}";
        assert_eq!(
            as_text(hostile),
            concat!(
                r"2026-01-02T03:04:05.678901Z  WARN a\nb\r\tc\u0000d\u007fe\u0085f",
                r"\u2028g\u2029h\u001b[31m\u202ei\udb40\udc41"
            )
        );
        let mut out = Vec::new();
        json(
            &mut out,
            TIME,
            Level::Warn,
            format_args!("{hostile}"),
            &("key\n", hostile),
        );
        let written = String::from_utf8(out).unwrap();
        assert!(!written.chars().any(is_special), "{written}");
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["message"], hostile);
        assert_eq!(read["key\n"], hostile);
    }

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        let message = r#"C:\logs "quoted" – Größe, 日志, 🦀"#;
        assert_eq!(
            as_text(message),
            format!("2026-01-02T03:04:05.678901Z  WARN {message}")
        );
        assert_eq!(as_json(message, &("k", message))["k"], message);
    }

    #[test]
    fn fields_keep_their_types() {
        let fields = [
            ("text", "a\"b".to_value()),
            ("whole", 7_u16.to_value()),
            ("negative", (-7_i64).to_value()),
            ("fraction", 0.5_f64.to_value()),
            ("infinite", f64::INFINITY.to_value()),
            ("yes", true.to_value()),
            ("letter", 'x'.to_value()),
            ("nothing", ().to_value()),
        ];
        let read = as_json("m", &&fields[..]);
        let expected = serde_json::json!({
            "time": "2026-01-02T03:04:05.678901Z", "level": "ERROR", "message": "m",
            "text": "a\"b", "whole": 7, "negative": -7, "fraction": 0.5, "infinite": "inf",
            "yes": true, "letter": "x", "nothing": null
        });
        assert_eq!(read, expected);
    }
}
