//! A line to an event: what its payload is, and its timestamp.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::SystemTime;

use serde_json::Value;

use super::lines::Line;
use super::members::members;
use super::times::{in_line, in_value, Found};
use crate::clock::rfc3339;
use crate::limits::PAYLOAD_MAX_DEPTH;

/// Members of a JSON line that may hold its time, the preferred one first. The last two are those of Serilog and of
/// systemd's journal.
const TIMES: [&str; 8] = [
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "date",
    "datetime",
    "@t",
    "__REALTIME_TIMESTAMP",
];

/// What the events of one command have in common.
pub(super) struct Template {
    /// The topic as JSON.
    topic: String,
    /// The source as JSON.
    source: String,
}

/// An event to be published.
pub(super) struct Event {
    /// As JSON, on one line.
    pub json: String,
    /// Whether its time follows from the one at which it was read.
    pub has_read_time: bool,
}

impl Template {
    pub(super) fn new(topic: &str, source: &str) -> Template {
        Template {
            topic: Value::from(topic).to_string(),
            source: Value::from(source).to_string(),
        }
    }

    /// The event of a line. `read_at` is its time where the line itself has none.
    pub(super) fn event(&self, event_id: &str, line: &Line, read_at: &str) -> Event {
        let (payload, time) = match object(line, read_at) {
            // In a record of several lines there may be line ends between its tokens.
            Some((text, time)) if text.contains(['\n', '\r']) => {
                (Cow::Owned(text.replace(['\n', '\r'], " ")), time)
            }
            Some((text, time)) => (Cow::Borrowed(text), time),
            None => {
                let (text, is_escaped) = text(line.text);
                let time = match line.part {
                    0 | 1 => in_line(&text, read_at),
                    _ => None,
                };
                (Cow::Owned(payload(line, &text, is_escaped)), time)
            }
        };
        let has_read_time = time.as_ref().is_none_or(|time| time.depends_on_now);
        let time = time.as_ref().map_or(read_at, |time| &time.timestamp);
        let time = Value::from(time);
        let event_id = Value::from(event_id);
        let Template { topic, source } = self;
        Event {
            json: format!(
                "{{\"topic\":{topic},\"event_id\":{event_id},\"timestamp\":{time},\
                 \"source\":{source},\"payload\":{payload}}}"
            ),
            has_read_time,
        }
    }
}

/// The time of reading, as events have it.
pub(super) fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    rfc3339(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The text of a line that is a legal payload, and the time in it.
fn object<'a>(line: &Line<'a>, read_at: &str) -> Option<(&'a str, Option<Found>)> {
    let text = std::str::from_utf8(line.text).ok()?.trim_ascii();
    if line.part > 0 || !text.starts_with('{') || depth(text) > PAYLOAD_MAX_DEPTH {
        return None;
    }
    let times = members(text, TIMES)?;
    let mut values = times.into_iter().flatten();
    let time = values.find_map(|value| {
        let text = serde_json::from_str::<Cow<str>>(value.get());
        // A number is one as it is written.
        in_value(text.as_deref().unwrap_or(value.get()), read_at)
    });
    Some((text, time))
}

/// How deep the brackets of a JSON text are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    let mut is_string = false;
    while let Some(byte) = bytes.next() {
        match (is_string, byte) {
            (_, b'"') => is_string = !is_string,
            (true, b'\\') => drop(bytes.next()),
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A line as text, and whether it had to be escaped: where it is not UTF-8 its other bytes are written as
/// `\xHH` and its backslashes twice, so that nothing is lost.
fn text(line: &[u8]) -> (Cow<'_, str>, bool) {
    if let Ok(text) = std::str::from_utf8(line) {
        return (Cow::Borrowed(text), false);
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for chunk in line.utf8_chunks() {
        escaped += &chunk.valid().replace('\\', "\\\\");
        for byte in chunk.invalid() {
            // Writing to a `String` does not fail.
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    (Cow::Owned(escaped), true)
}

/// The payload of a line that is text.
fn payload(line: &Line, text: &str, is_escaped: bool) -> String {
    let mut payload = format!("{{\"line\":{}", Value::from(text));
    if is_escaped {
        payload += ",\"escaped\":true";
    }
    if line.part > 0 {
        // Writing to a `String` does not fail.
        let _ = write!(
            payload,
            ",\"part\":{},\"more\":{}",
            line.part, line.has_more
        );
    }
    payload + "}"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Line<'_> {
        Line {
            text,
            length: text.len() + 1,
            part: 0,
            has_more: false,
            has_end: true,
        }
    }

    fn event(text: &[u8]) -> (Value, bool) {
        let line = whole(text);
        let template = Template::new("a \"topic\"", "s");
        let event = template.event("id-1", &line, "2026-05-06T07:08:09Z");
        let value: Value = serde_json::from_str(&event.json).expect("an event is JSON");
        assert_eq!(value["topic"], "a \"topic\"");
        assert_eq!(value["event_id"], "id-1");
        assert!(!event.json.contains('\n'));
        (value, event.has_read_time)
    }

    #[test]
    fn an_object_is_the_payload_as_it_is() {
        for text in [r#"{"a":1e400,"b":[0.10]}"#, " {\"a\":{}}\t", "{}"] {
            let line = whole(text.as_bytes());
            let event = Template::new("t", "s").event("1", &line, "2026-05-06");
            let end = format!("\"payload\":{}}}", text.trim());
            assert!(event.json.ends_with(&end), "{}", event.json);
        }
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let is_payload = |text: &str| {
            let line = whole(text.as_bytes());
            object(&line, "2026-05-06").is_some()
        };
        assert!(is_payload(&deep(PAYLOAD_MAX_DEPTH)));
        assert!(!is_payload(&deep(PAYLOAD_MAX_DEPTH + 1)));
        let brackets = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(500));
        assert!(is_payload(&brackets));
    }

    #[test]
    fn all_else_is_text() {
        for text in [
            "plain",
            "",
            "[1]",
            "{\"a\":",
            "{\"a\":1} x",
            "12",
            "\u{1}\t\"\\",
        ] {
            let (value, has_read_time) = event(text.as_bytes());
            assert_eq!(value["payload"], serde_json::json!({ "line": text }));
            assert_eq!(value["timestamp"], "2026-05-06T07:08:09Z");
            assert!(has_read_time);
        }
        let (value, _) = event(b"caf\xe9 \\ \xff\xfe");
        let expected = serde_json::json!({ "line": r"caf\xe9 \\ \xff\xfe", "escaped": true });
        assert_eq!(value["payload"], expected);
    }

    #[test]
    fn a_piece_says_that_it_is_one() {
        let line = Line {
            text: b"{\"a\":1}",
            length: 7,
            part: 2,
            has_more: false,
            has_end: true,
        };
        let event = Template::new("t", "s").event("1", &line, "2026-05-06");
        let value: Value = serde_json::from_str(&event.json).expect("an event is JSON");
        let expected = serde_json::json!({ "line": "{\"a\":1}", "part": 2, "more": false });
        assert_eq!(value["payload"], expected);
    }

    #[test]
    fn the_time_is_the_one_that_the_line_tells() {
        for (text, time) in [
            (
                r#"{"time":"2026-01-02T03:04:05Z","ts":7}"#,
                "2026-01-02T03:04:05Z",
            ),
            (
                r#"{"time":"2026-01-02","timestamp":"2026-01-03"}"#,
                "2026-01-03",
            ),
            (
                r#"{"timestamp":"now","@timestamp":"2026-01-02 03:04"}"#,
                "2026-01-02 03:04",
            ),
            (
                "2026-01-02T03:04:05.678+01:00 text",
                "2026-01-02T03:04:05.678+01:00",
            ),
            ("[2026-01-02T03:04:05Z] text", "2026-01-02T03:04:05Z"),
            (
                "[2026-01-02T03:04:05Z  INFO x] text",
                "2026-01-02T03:04:05Z",
            ),
            (
                "2026-01-02 03:04:05,678 INFO text",
                "2026-01-02 03:04:05.678",
            ),
            ("2026-01-02 03:04:05: text", "2026-01-02 03:04:05"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ] {
            let (value, has_read_time) = event(text.as_bytes());
            assert_eq!(value["timestamp"], time, "{text}");
            assert!(!has_read_time, "{text}");
        }
        for text in [
            "2026-01-02 text",
            "2026-13-02 03:04:05 text",
            "03:04:05 text",
            r#"{"time":17673,"a":{"time":"2026-01-02"}}"#,
            "日本語日本語日本語 03:04",
        ] {
            assert!(event(text.as_bytes()).1, "{text}");
        }
    }
}
