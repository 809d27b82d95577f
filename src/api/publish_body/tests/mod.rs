//! Each form and each refusal as a table. `rules` has the members of an event, `properties` what random
//! bodies must keep, `records` what is filled in.

use std::collections::BTreeMap;

use super::*;

mod properties;
mod records;
mod rules;

const EVENT: &str = concat!(
    r#"{"topic":"user.login","event_id":"evt-1","timestamp":"2026-01-02T03:04:05Z","#,
    r#""source":"auth","payload":{"a":1}}"#
);

/// The members of one stored event, in the order of [`EventSpans`].
type Fields = [String; 5];

fn fields(publication: &Publication) -> Vec<Fields> {
    let text = |span: crate::event::Span| {
        String::from_utf8(span.of(&publication.body).to_vec()).expect("spans are whole characters")
    };
    let fields = |event: &EventSpans| {
        [
            event.topic,
            event.event_id,
            event.timestamp,
            event.source,
            event.payload,
        ]
        .map(text)
    };
    publication.events.iter().map(fields).collect()
}

/// Each entry as `loc|msg|type`, the steps of loc joined by dots.
fn entries(details: &Details) -> Vec<String> {
    let mut json = Vec::new();
    details.write_array(&mut json);
    let list: serde_json::Value = serde_json::from_slice(&json).expect("details are JSON");
    let text = |value: &serde_json::Value| value.to_string().replace('"', "");
    let entry = |entry: &serde_json::Value| {
        let loc = entry["loc"].as_array().expect("loc is a list");
        let loc: Vec<String> = loc.iter().map(text).collect();
        format!(
            "{}|{}|{}",
            loc.join("."),
            text(&entry["msg"]),
            text(&entry["type"])
        )
    };
    list.as_array()
        .expect("details are a list")
        .iter()
        .map(entry)
        .collect()
}

fn run(body: impl AsRef<[u8]>, partial: bool) -> Result<Parsed, RejectedBody> {
    let body = body.as_ref();
    let result = parse(body.to_vec(), vec![EventSpans::default()], partial, 1000);
    if let Err(refused) = &result {
        assert_eq!(refused.body, body, "the body is handed back unchanged");
        assert!(refused.events.is_empty());
    }
    result
}

fn stored(body: impl AsRef<[u8]>) -> Vec<Fields> {
    let parsed = run(&body, false).unwrap_or_else(|refused| {
        let body = String::from_utf8_lossy(body.as_ref()).into_owned();
        panic!("{body}: {:?}", refused.error)
    });
    assert!(parsed.rejected.is_empty() && parsed.errors.as_slice().is_empty());
    fields(&parsed.publication)
}

/// The entries of a 422, and the count for the statistic.
fn refused(body: impl AsRef<[u8]>) -> (Vec<String>, u64) {
    match run(&body, false) {
        Err(RejectedBody {
            error: BodyError::Invalid(details),
            rejected,
            ..
        }) => (entries(&details), rejected),
        other => panic!("{}: {other:?}", String::from_utf8_lossy(body.as_ref())),
    }
}

/// The only entry of a 422 for one event, without its type.
fn fault(body: impl AsRef<[u8]>) -> String {
    let (entries, rejected) = refused(&body);
    let body = String::from_utf8_lossy(body.as_ref()).into_owned();
    assert_eq!((entries.len(), rejected), (1, 1), "{body}: {entries:?}");
    let (entry, kind) = entries[0].rsplit_once('|').expect("an entry has a type");
    assert_eq!(kind, "value_error");
    entry.to_owned()
}

fn event(id: &str) -> String {
    EVENT.replace("evt-1", id)
}

/// [`EVENT`] with one member's JSON text replaced, or the member left out.
fn with(member: &str, value: Option<&str>) -> String {
    let mut members: BTreeMap<&str, &str> = [
        ("topic", r#""t""#),
        ("event_id", r#""i""#),
        ("timestamp", r#""2026-01-02""#),
        ("source", r#""s""#),
        ("payload", r#"{"a":1}"#),
    ]
    .into();
    match value {
        Some(value) => members.insert(member, value),
        None => members.remove(member),
    };
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn every_form_is_taken() {
    let (a, b, c) = (event("a"), event("b"), event("c"));
    for (ids, body) in [
        ("a", a.clone()),
        ("a", format!(" \t\r\n{a}\r\n")),
        ("a", format!("\u{feff}{a}")),
        ("a", format!("[{a}]")),
        ("ab", format!("[{a},{b}]")),
        ("ab", format!("\u{feff} [ {a} \n,\r\t {b} ] ")),
        ("ab", format!("{{\"events\":[{a},{b}]}}")),
        ("a", format!("{{\"events\":{a}}}")),
        ("a", format!("{{ \"events\" : {a} }} ")),
        (
            "ab",
            format!("{{ \"events\" : [ {a} , {b} ] , \"x\" : 1 }} "),
        ),
        ("ab", format!("{{\"ev\\u0065nts\":[{a},{b}]}}")),
        ("ab", format!("{a}{b}")),
        ("abc", format!("{a}\n{b}\n{c}\n")),
        ("abc", format!("\u{feff}\n\n{a}\r\n{b} {c}\r\n\r\n")),
    ] {
        let got: String = stored(&body).into_iter().map(|[_, id, ..]| id).collect();
        assert_eq!(got, ids, "{body}");
    }
    let expected = [
        "user.login",
        "evt-1",
        "2026-01-02T03:04:05Z",
        "auth",
        "{\"a\":1}",
    ];
    assert_eq!(stored(EVENT), [expected.map(String::from)]);
}

/// Without this a mistake in the short way would only show as processor time.
#[test]
fn what_clients_send_goes_the_short_way() {
    let with_all = with(
        "payload",
        Some(
            r#"{"a":[1,-2.5e+3,0,{}],"b":{"c":[true,false,null,[]]},"d":"\"\\\/\u00e9é","e" : "" }"#,
        ),
    );
    let unknown = EVENT.replacen('{', r#"{"level":{"deep":[[["x"]]]},"#, 1);
    for body in [
        EVENT.to_owned(),
        format!(" {EVENT}\n{EVENT}\r\n"),
        format!("[{EVENT},\n  {with_all}]"),
        format!("{{ \"events\": [{EVENT}, {unknown}] }}"),
        EVENT.replace(",\"", ", \"").replace("\":", "\": "),
    ] {
        let mut events = Vec::new();
        let mut sink = EventSink::new(&body, 0, &mut events);
        assert!(quick::read(&body, &mut sink, 10), "{body}");
        assert_eq!(events, run(&body, false).unwrap().publication.events);
    }
}

#[test]
fn a_wrapper_s_other_members_are_ignored() {
    let wrapper = format!(
        r#"{{"topic":7,"topic":"\ud800","payload":null,"x":[1e400],"x":1,"events":[{EVENT}],"source":[]}}"#
    );
    assert_eq!(stored(wrapper).len(), 1);
    // Only the outermost object can be a wrapper: `events` is unknown to an event.
    assert_eq!(
        stored(format!("[{}]", EVENT.replacen('{', r#"{"events":1,"#, 1))).len(),
        1
    );
}

#[test]
fn faults_are_located_by_the_form() {
    let bad = with("topic", Some("1"));
    for (body, loc) in [
        (bad.clone(), "body.topic"),
        (format!("[{bad}]"), "body.0.topic"),
        (format!("[{EVENT},{bad}]"), "body.1.topic"),
        (format!("{bad}{EVENT}"), "body.0.topic"),
        (format!("{EVENT}\n{bad}\n"), "body.1.topic"),
        (
            format!("{{\"events\":[{EVENT},{bad}]}}"),
            "body.events.1.topic",
        ),
        (format!("{{\"events\":{bad}}}"), "body.events.0.topic"),
        // Behind the first object of a sequence `events` means nothing.
        (
            format!("{EVENT}{}", bad.replacen('{', "{\"events\":[1],", 1)),
            "body.1.topic",
        ),
    ] {
        assert_eq!(
            fault(&body),
            format!("{loc}|topic must be a string"),
            "{body}"
        );
    }
    for value in [
        "1e400",
        "null",
        "\"\\ud800\"",
        "[{}]",
        &("[".repeat(100_000) + &"]".repeat(100_000)),
    ] {
        for (body, loc) in [
            (format!("[{value}]"), "body.0"),
            (format!("[ {EVENT} , {value} , {EVENT} ]"), "body.1"),
            (format!("{{\"events\":[{EVENT},{value}]}}"), "body.events.1"),
            (format!("{EVENT}\n{value}\n{EVENT}"), "body.1"),
        ] {
            assert_eq!(fault(&body), format!("{loc}|event must be an object"));
        }
    }
    for value in ["5", "\"text\"", "null", "1e400"] {
        assert_eq!(fault(value), "body|event must be an object");
    }
}

#[test]
fn all_faults_are_listed_up_to_a_hundred() {
    let (entries, rejected) = refused(r#"[{"topic":"","timestamp":"x","payload":[]},{}]"#);
    assert_eq!(
        entries,
        [
            "body.0.topic|topic must not be empty|value_error",
            "body.0.event_id|field required|missing",
            "body.0.timestamp|timestamp must be in ISO 8601 format|value_error",
            "body.0.source|field required|missing",
            "body.0.payload|payload must be an object|value_error",
            "body.1.topic|field required|missing",
            "body.1.event_id|field required|missing",
            "body.1.timestamp|field required|missing",
            "body.1.source|field required|missing",
        ]
    );
    assert_eq!(rejected, 2);
    let (entries, rejected) = refused("{}".repeat(30));
    assert_eq!((entries.len(), rejected), (100, 30));
    assert_eq!(entries[99], "body.24.source|field required|missing");
    let (entries, rejected) = refused(format!("[{}1]", "1,".repeat(199)));
    assert_eq!((entries.len(), rejected), (100, 200));
}

#[test]
fn no_event_is_refused() {
    for (body, loc) in [
        ("", "body"),
        (" \r\n", "body"),
        ("\u{feff}", "body"),
        ("[]", "body"),
        (" [ ] ", "body"),
        ("{\"events\":[]}", "body.events"),
        ("{\"topic\":1, \"events\" : [ ] }", "body.events"),
    ] {
        let expected = format!("{loc}|at least one event is required|value_error");
        assert_eq!(refused(body), (vec![expected], 0), "{body}");
        assert!(run(body, true).is_err());
    }
}

#[test]
fn events_must_be_an_array_and_stand_once() {
    for value in ["5", "null", "\"x\"", "true", "1e400"] {
        let body = format!("{{\"events\":{value},\"a\":1}}");
        assert_eq!(
            fault(&body),
            "body.events|events must be an array of events"
        );
        assert!(run(&body, true).is_err());
    }
    for body in [
        format!("{{\"events\":[{EVENT}],\"events\":[{EVENT}]}}"),
        format!("{{\"events\":[{EVENT}],\"x\":1,\"ev\\u0065nts\":null}}"),
    ] {
        assert_eq!(fault(&body), "body.events|events appears more than once");
        assert!(run(&body, true).is_err());
    }
}

#[test]
fn what_is_not_json_is_located_by_line_and_column() {
    for (body, place) in [
        ("{", "line 1 column 1"),
        ("{\"a\":1,\n \"b\" 2}", "line 2 column 6"),
        ("[\n\n  x]", "line 3 column 3"),
        (
            &format!("{EVENT}\n{EVENT}\n{{\"topic\":}}"),
            "line 3 column 10",
        ),
        (&format!("\u{feff}x{EVENT}"), "line 1 column 1"),
        (
            &format!("{{}}\n{EVENT},{EVENT}"),
            &format!("line 2 column {}", EVENT.len() + 1),
        ),
    ] {
        let fault = fault(body);
        assert!(fault.starts_with("body|body is not JSON: "), "{fault}");
        assert!(fault.ends_with(place), "{body}: {fault}");
    }
}

#[test]
fn what_is_not_json_is_refused_whole() {
    for body in [
        "nul",
        "nulll",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":\"\n\"}",
        "{\"a\n\":1}",
        "{\"a\\u0041\n\":1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\u{c}1}",
        "{} ]",
        "[{}]]",
        "[{}][{}]",
        "[{}] {}",
        "[{},]",
        "[,{}]",
        "[{} {}]",
        "[{}",
        "{\"events\":[{}]}{}",
        "{\"events\":[{}]} 1",
        "{\"events\":[{},]}",
        "{\"events\":}",
        "{}{\"a\"}",
        "{}1-2",
        "{}truefalse",
        "{},{}",
        "\u{feff}\u{feff}{}",
        "// {}",
    ] {
        let fault = fault(body);
        assert!(
            fault.starts_with("body|body is not JSON: "),
            "{body}: {fault}"
        );
        // However many good events stand before it, and also where partial was asked for.
        if body.starts_with('{') {
            let refused = run(format!("{EVENT}{EVENT}{body}"), true);
            let expected = !body.contains("events\":[{}]}");
            assert_eq!(refused.is_err(), expected, "{body}");
        }
    }
}

#[test]
fn what_is_not_utf_8_is_refused() {
    assert_eq!(
        fault(b"{\"a\":\"\xff\"}"),
        "body|body is not UTF-8 at byte 6"
    );
    assert_eq!(
        fault(b"\xef\xbb\xbf{\xed\xa0\x80}"),
        "body|body is not UTF-8 at byte 4"
    );
    assert_eq!(fault(b"\xfe\xff\0{\0}"), "body|body is not UTF-8 at byte 0");
}

#[test]
fn partial_keeps_the_good_events() {
    let (a, b) = (event("a"), event("b"));
    let body = format!(
        "[1e400, {a}, {}, {b}, {{}}]",
        with("topic", Some("\"\\ud800\""))
    );
    let parsed = run(&body, true).expect("partial");
    let ids: Vec<String> = fields(&parsed.publication)
        .into_iter()
        .map(|f| f[1].clone())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(parsed.rejected, [0, 2, 4]);
    let errors = entries(&parsed.errors);
    assert_eq!(errors.len(), 1 + 1 + 4);
    assert_eq!(errors[0], "body.0|event must be an object|value_error");
    assert!(errors[1].starts_with("body.2.topic|"));
    assert!(errors[2].starts_with("body.4.topic|"));

    let parsed = run("{}", true).expect("partial, and nothing left");
    assert!(parsed.publication.events.is_empty());
    assert_eq!(parsed.rejected, [0]);
    assert_eq!(
        entries(&parsed.errors)[0],
        "body.topic|field required|missing"
    );
    // Errors are capped, the count is not.
    let parsed = run("{}".repeat(200) + EVENT, true).expect("partial");
    assert_eq!(parsed.rejected.len(), 200);
    assert_eq!(parsed.errors.as_slice().len(), 100);
    assert_eq!(parsed.publication.events.len(), 1);
}

#[test]
fn more_events_than_allowed_are_too_many() {
    let parse = |body: String, max| parse(body.into_bytes(), Vec::new(), true, max);
    let array = |n: usize| format!("[{}]", vec![EVENT; n].join(","));
    let forms: [&dyn Fn(usize) -> String; 4] = [
        &|n| EVENT.repeat(n),
        &array,
        &|n| format!("{{\"events\":{}}}", array(n)),
        // Those that are rejected count too.
        &|n| format!("[{}]", vec!["1"; n].join(",")),
    ];
    for form in forms {
        assert!(parse(form(3), 3).is_ok());
        let refused = parse(form(4), 3).expect_err("one too many");
        assert_eq!((refused.error, refused.rejected), (BodyError::TooMany, 0));
        // Reading ends there, whatever follows.
        let refused = parse(form(9).replacen(']', "", 1) + "!", 3).expect_err("too many");
        assert_eq!(refused.error, BodyError::TooMany);
    }
}

#[test]
fn the_buffers_come_back() {
    let events = Vec::with_capacity(77);
    let parsed = parse(EVENT.into(), events, false, 10).expect("a legal event");
    assert_eq!(parsed.publication.events.capacity(), 77);
    // Nothing is appended to a body in which nothing had to be changed.
    assert_eq!(parsed.publication.body, EVENT.as_bytes());
    let refused = parse(b"[".to_vec(), parsed.publication.events, false, 10).expect_err("no JSON");
    assert_eq!(refused.events.capacity(), 77);
}
