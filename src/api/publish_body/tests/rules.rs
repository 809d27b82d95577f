//! The rules of each member of an event (an event's table in the interface's description), and what is
//! done to their texts.

use super::*;

#[test]
fn unknown_members_are_ignored() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for unknown in [
        r#""x":1"#,
        r#""x":1,"x":2"#,
        r#""x":1e400"#,
        r#""x":"\ud800""#,
        r#""\ud800":1"#,
        r#""\udc00\ud800\u0041":1"#,
        r#""Topic":1"#,
        r#""":1"#,
        r#""topi":1,"topics":1"#,
        &format!(r#""x":{deep}"#),
        r#""id":{"topic":1,"topic":2}"#,
    ] {
        let body = EVENT.replacen('{', &format!("{{{unknown},"), 1);
        assert_eq!(stored(&body), stored(EVENT), "{unknown:.80}");
        let body = format!("{{{unknown},\"events\":[{EVENT}]}}");
        assert_eq!(stored(&body), stored(EVENT), "{unknown:.80}");
    }
}

#[test]
fn escapes_are_resolved_in_strings_and_keys() {
    let body = r#"{"t\u006fpic":"\u0061\/\"\\\ud83d\ude00","event_id":"é\u00e9",
        "timestamp":"2026\u002d01-02","source":"\u0080","payload":{"\u0061":"\ud800\n"}}"#;
    let expected = [
        "a/\"\\😀",
        "éé",
        "2026-01-02",
        "\u{80}",
        r#"{"\u0061":"\ud800\n"}"#,
    ];
    assert_eq!(stored(body), [expected.map(String::from)]);
    // Behind a byte order mark, and with text appended by several events.
    let bodies = format!("\u{feff}[{body}, {EVENT}, {body}]");
    let [expected_event] = stored(EVENT).try_into().expect("one event");
    assert_eq!(
        stored(bodies),
        [
            expected.map(String::from),
            expected_event,
            expected.map(String::from)
        ]
    );
}

#[test]
fn payloads_are_kept_as_they_were_sent() {
    let level = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    let mixed = format!("{{\"a\":{}{}}}", "[".repeat(127), "]".repeat(127));
    for (sent, kept) in [
        ("{}", "{}"),
        ("{ \t\r\n}", "{}"),
        (r#"{"b":1,"a":2,"b":3}"#, r#"{"b":1,"a":2,"b":3}"#),
        (
            r#"{ "n" : [ 12345678901234567890 , 0.10 , 1e400 , -0 , 1E+2 ] }"#,
            r#"{"n":[12345678901234567890,0.10,1e400,-0,1E+2]}"#,
        ),
        (
            r#"{"s":"\u0041\/ \ud800 \\"}"#,
            r#"{"s":"\u0041\/ \ud800 \\"}"#,
        ),
        (
            r#"{"s" : "a \" { [ b\\" , "t":"\\\" " }"#,
            r#"{"s":"a \" { [ b\\","t":"\\\" "}"#,
        ),
        (
            "{\"\u{7f}\u{85}\u{a0}\":\"\u{feff} \"}",
            "{\"\u{7f}\u{85}\u{a0}\":\"\u{feff} \"}",
        ),
        (&level(128), &level(128)),
        (&mixed, &mixed),
        (
            &format!("{{\"s\":\"{}\"}}", "{".repeat(1000)),
            &format!("{{\"s\":\"{}\"}}", "{".repeat(1000)),
        ),
        (
            &format!("{{\"s\":[{}{{}}]}}", "{},".repeat(999)),
            &format!("{{\"s\":[{}{{}}]}}", "{},".repeat(999)),
        ),
    ] {
        assert_eq!(stored(with("payload", Some(sent)))[0][4], kept, "{sent}");
    }
    // Absent payloads share one text.
    let absent = with("payload", None);
    let parsed = run(format!("{absent}{EVENT}{absent}"), false).expect("all are legal");
    let kept: Vec<String> = fields(&parsed.publication)
        .into_iter()
        .map(|f| f[4].clone())
        .collect();
    assert_eq!(kept, ["{}", "{\"a\":1}", "{}"]);
    assert_eq!(
        parsed.publication.events[0].payload,
        parsed.publication.events[2].payload
    );
}

#[test]
fn payloads_deeper_than_128_levels_are_refused() {
    for depth in [129, 1000, 1_000_000] {
        for (open, middle, close) in [
            ("{\"a\":", "{}", "}"),
            ("{\"a\":[ ", "1", "]}"),
            ("{\"a\":[", "", "]}"),
        ] {
            let levels = if open.contains('[') {
                depth / 2 + 1
            } else {
                // The innermost object is a level as well.
                depth - 1
            };
            let payload = open.repeat(levels) + middle + &close.repeat(levels);
            assert_eq!(
                fault(with("payload", Some(&payload))),
                "body.payload|payload must be nested at most 128 levels deep"
            );
        }
    }
}

#[test]
fn every_rule_of_a_member_is_checked() {
    let long = format!("\"{}\"", "a".repeat(256));
    let long_escaped = format!("\"{}\"", "\\u0061".repeat(256));
    for member in ["topic", "event_id", "source"] {
        for (value, complaint) in [
            ("null", "must be a string"),
            ("1", "must be a string"),
            ("{}", "must be a string"),
            ("[\"a\"]", "must be a string"),
            ("true", "must be a string"),
            (r#""""#, "must not be empty"),
            (&long, "must be at most 255 bytes long"),
            (&long_escaped, "must be at most 255 bytes long"),
            (r#""a\u0000""#, "must not contain control characters"),
            (r#""a\n""#, "must not contain control characters"),
            (r#""\u001f""#, "must not contain control characters"),
            ("\"\u{7f}\"", "must not contain control characters"),
            (
                r#""\ud800""#,
                "must not have an escape that leaves a lone surrogate",
            ),
            (
                r#""\udc00a""#,
                "must not have an escape that leaves a lone surrogate",
            ),
            (
                r#""\ud800\ud800\udc00""#,
                "must not have an escape that leaves a lone surrogate",
            ),
            (
                r#""\ud800\n""#,
                "must not have an escape that leaves a lone surrogate",
            ),
        ] {
            let expected = format!("body.{member}|{member} {complaint}");
            assert_eq!(fault(with(member, Some(value))), expected, "{value}");
        }
        for value in [
            &format!("\"{}\"", "a".repeat(255)),
            &format!("\"{}\"", "\\u0061".repeat(255)),
            "\" \"",
        ] {
            assert_eq!(stored(with(member, Some(value))).len(), 1, "{value}");
        }
    }
    for (member, value, complaint) in [
        ("timestamp", "null", "must be a string"),
        ("timestamp", "1767322800", "must be a string"),
        ("timestamp", r#""""#, "must be in ISO 8601 format"),
        ("timestamp", r#""2026-02-30""#, "must be in ISO 8601 format"),
        (
            "timestamp",
            r#""2026-01-02\u0000""#,
            "must be in ISO 8601 format",
        ),
        (
            "timestamp",
            r#""\ud800""#,
            "must not have an escape that leaves a lone surrogate",
        ),
        ("payload", "null", "must be an object"),
        ("payload", "[]", "must be an object"),
        ("payload", r#""{}""#, "must be an object"),
        ("payload", "1e400", "must be an object"),
    ] {
        let expected = format!("body.{member}|{member} {complaint}");
        assert_eq!(fault(with(member, Some(value))), expected, "{value}");
    }
}

#[test]
fn required_members_must_be_there_once() {
    for member in ["topic", "event_id", "timestamp", "source"] {
        let (entries, rejected) = refused(with(member, None));
        assert_eq!(entries, [format!("body.{member}|field required|missing")]);
        assert_eq!(rejected, 1);
    }
    for member in ["topic", "event_id", "timestamp", "source", "payload"] {
        for again in ["null", "\"x\"", "{}"] {
            let body = with(member, None).replacen('{', &format!("{{\"{member}\":{again},"), 1);
            let body = body.trim_end_matches('}').to_owned() + &format!(",\"{member}\":{again}}}");
            let expected = format!("body.{member}|{member} appears more than once");
            let (entries, _) = refused(&body);
            assert!(
                entries.iter().any(|entry| entry.starts_with(&expected)),
                "{body} {entries:?}"
            );
        }
    }
    let body = with("topic", None).replacen('{', r#"{"topic":"a","t\u006fpic":"a","#, 1);
    assert_eq!(fault(body), "body.topic|topic appears more than once");
    let twice = EVENT.replacen('{', r#"{"events":1,"events":2,"#, 1);
    assert_eq!(
        fault(format!("[{twice}]")),
        "body.0.events|events appears more than once"
    );
    assert_eq!(
        fault(format!("{{\"events\":{twice}}}")),
        "body.events.0.events|events appears more than once"
    );
}
