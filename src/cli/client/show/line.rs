//! An event as one line: time, topic, source, the payload as `name=value`, and the event id.

use std::hash::{BuildHasher, BuildHasherDefault};

use siphasher::sip::SipHasher13;

use super::ink::{Ink, BOLD, DIM};
use super::payload;
use crate::client::StoredEvent;

/// The line, without its end.
pub(super) fn line(event: &StoredEvent, mut ink: Ink) -> String {
    ink.colour(DIM);
    ink.plain(&event.timestamp, false);
    ink.colour(0);
    ink.out.push_str("  ");
    // The bright colours but black and white; the same topic always has the same.
    let hash = BuildHasherDefault::<SipHasher13>::default().hash_one(&event.topic);
    ink.colour(91 + (hash % 6) as u8);
    ink.text(&event.topic);
    ink.colour(0);
    ink.out.push_str("  ");
    ink.colour(BOLD);
    ink.text(&event.source);
    ink.colour(0);
    ink.out.push(' ');
    payload::write(&mut ink, event.payload.get().as_bytes());
    ink.out.push_str("  ");
    ink.colour(DIM);
    ink.text(&event.event_id);
    ink.colour(0);
    ink.out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Filters, Instant, Term};

    fn terms(q: &str) -> Vec<Term> {
        let filters = Filters::parse([("q", q)].into_iter(), Instant::default());
        filters.unwrap().terms().to_vec()
    }

    fn text(line: &str, is_coloured: bool, terms: &[Term]) -> String {
        let event: StoredEvent = serde_json::from_str(line).unwrap();
        super::line(&event, Ink::new(is_coloured, terms))
    }

    fn of_payload(payload: &str) -> String {
        let line = format!(
            r#"{{"seq":1,"topic":"t","event_id":"e","timestamp":"T","source":"s","payload":{payload}}}"#
        );
        let text = text(&line, false, &[]);
        let text = text.strip_prefix("T  t  s ").unwrap();
        text.strip_suffix("  e").unwrap().to_owned()
    }

    #[test]
    fn an_event_is_one_line_that_drives_no_terminal() {
        let line = concat!(
            "{\"seq\":1,\"topic\":\"a\u{9b}2J\",\"event_id\":\"\\u001b[2J\",\"timestamp\":\"2026-01-02\",",
            "\"source\":\"s\u{202e}\",\"payload\":{\"x\\u001b\":\"\u{7f}\\n\",\"y\u{9b}\":[\"\\u001b\"]},",
            "\"processed_at\":\"\"}"
        );
        let plain = "2026-01-02  a\\u009b2J  s\\u202e  \"x\\u001b\"=\"\\u007f\\n\" \"y\\u009b\"=[\"\\u001b\"]  \
                     \\u001b[2J";
        assert_eq!(text(line, false, &[]), plain);
        let coloured = text(line, true, &[]);
        assert!(
            coloured.starts_with("\x1b[2m2026-01-02\x1b[0m  \x1b[9"),
            "{coloured:?}"
        );
        assert!(!coloured
            .replace("\x1b[", "")
            .contains(['\x1b', '\u{9b}', '\n', '\u{202e}']));
    }

    #[test]
    fn a_payload_is_shown_as_conditions_that_find_it() {
        for (payload, shown) in [
            ("{}", ""),
            (r#"{"a":1,"b":"x"}"#, " a=1 b=x"),
            (
                r#"{"msg":"card expired","level":"error","ms":0.10}"#,
                r#" level=error msg="card expired" ms=0.10"#,
            ),
            (r#"{"lvl":"x","severity":"y"}"#, " severity=y lvl=x"),
            (r#"{"level":{"a":1},"lvl":2}"#, " lvl=2 level.a=1"),
            (
                r#"{"http":{"status":500,"h":{}},"t":true,"n":null}"#,
                " http.status=500 http.h={} t=true n=null",
            ),
            (
                r#"{"a":[1,"x",[],{"b":"c","d":[2]}]}"#,
                r#" a=[1,"x",[],{"b":"c","d":[2]}]"#,
            ),
            (
                r#"{"a b":"","c.d":"x\"y","=":"a\\b"}"#,
                r#" "a b"="" "c.d"="x\"y" "="="a\\b""#,
            ),
            (r#"{"a":"caf\u00e9","a":"\ud83d\ude00"}"#, " a=café a=😀"),
            (r#"{"a":"\ud800"}"#, " a=\u{fffd}\u{fffd}\u{fffd}"),
            (
                r#"{"a":1e400,"b":12345678901234567890}"#,
                " a=1e400 b=12345678901234567890",
            ),
        ] {
            assert_eq!(of_payload(payload), shown, "{payload}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(128), "}".repeat(128));
        assert!(of_payload(&deep).ends_with(".a.a=1"));
    }

    #[test]
    fn levels_have_colours_and_found_words_are_marked() {
        let line = concat!(
            r#"{"seq":1,"topic":"pay","event_id":"e","timestamp":"T","source":"s","payload":"#,
            r#"{"msg":"Declined: time-out, declined","level":"WARN","n":15},"processed_at":""}"#
        );
        let shown = text(line, true, &terms("declined 15 time* pay -x"));
        for part in [
            "\x1b[33mWARN\x1b[0m",
            "\"\x1b[7mDeclined\x1b[27m: \x1b[7mtime\x1b[27m-out, \x1b[7mdeclined\x1b[27m\"",
            "\x1b[7m15\x1b[27m",
            "m\x1b[7mpay\x1b[27m\x1b[0m  ",
        ] {
            assert!(shown.contains(part), "{part:?} {shown:?}");
        }
        // Words that overlap are marked once.
        let shown = text(line, true, &terms("time \"time-out\" -x"));
        let marked = "\x1b[7mtime\x1b[27m\x1b[7m-out\x1b[27m";
        assert!(
            shown.contains(marked) || shown.contains("\x1b[7mtime-out\x1b[27m"),
            "{shown:?}"
        );
    }
}
