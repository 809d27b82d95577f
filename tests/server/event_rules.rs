//! The members of an event: which values are taken and come back as sent, which are refused and where
//! the refusal points.

use serde_json::{json, Value};

use crate::harness::{event, Client, Server};
use crate::report::Tally;

static FAULTS: Tally = Tally::new(
    "bad-events",
    "bodies with one fault each answered 422 with the place of the fault; nothing of them stored or counted",
);

const STRINGS: [&str; 4] = ["topic", "event_id", "timestamp", "source"];
const NAMES: [&str; 3] = ["topic", "event_id", "source"];

fn with(member: &str, value: Value, event_id: &str) -> Value {
    let mut event = event("t", event_id);
    event[member] = value;
    event
}

/// Publishes an event that must be stored, and returns it as it is read back.
fn stored(client: &mut Client, event: &Value) -> Value {
    let answer = client.publish(event.to_string()).expect(200);
    assert_eq!(answer["accepted"], 1, "{event}");
    client.get("/events?limit=1").expect(200)["events"][0].take()
}

/// Publishes a body that must be refused for exactly one fault; returns its location and its message.
fn fault(client: &mut Client, body: impl AsRef<[u8]>) -> (Value, String) {
    let shown = String::from_utf8_lossy(body.as_ref())
        .chars()
        .take(300)
        .collect::<String>();
    let mut answer = client.publish(body).expect(422);
    let details = answer["detail"].as_array_mut().expect("detail is a list");
    assert_eq!(details.len(), 1, "{shown}: {details:?}");
    let mut keys: Vec<_> = details[0].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["loc", "msg", "type"]);
    assert!(details[0]["type"].is_string());
    let message = details[0]["msg"].as_str().expect("msg is a string");
    assert!(!message.is_empty());
    FAULTS.count();
    (details[0]["loc"].clone(), message.to_owned())
}

fn nothing_is_stored(server: &Server) {
    let stats = server.json("/stats");
    assert_eq!(
        (&stats["received"], &stats["last_seq"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(server.json("/events")["events"], json!([]));
    FAULTS.tell();
}

#[test]
fn legal_names_come_back_as_sent() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let names = [
        "a".to_owned(),
        " ".to_owned(),
        "x".repeat(255),
        // 127 letters of two bytes and one of one: 255 bytes.
        "ä".repeat(127) + "y",
        "user.login/ö?&=%20+#*\"\\'<>".to_owned(),
        "\u{80}\u{9f}\u{a0}\u{2028}\u{feff}\u{ffff}😀".to_owned(),
        "日本語".to_owned(),
    ];
    for (number, name) in names.iter().enumerate() {
        for member in NAMES {
            let sent = with(member, json!(name), &format!("{number}-{member}"));
            let mut read = stored(&mut client, &sent);
            let read = read.as_object_mut().unwrap();
            assert!(read.remove("seq").is_some_and(|seq| seq.is_u64()));
            assert!(read.remove("processed_at").is_some_and(|at| at.is_string()));
            assert_eq!(Value::from(read.clone()), sent);
        }
    }
}

#[test]
fn illegal_names_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut names = vec![
        String::new(),
        "x".repeat(256),
        "ä".repeat(128),
        "a\u{7f}b".to_owned(),
    ];
    names.extend((0..0x20).map(|code| format!("a{}", char::from(code))));
    for name in names {
        for member in NAMES {
            let (loc, message) = fault(&mut client, with(member, json!(name), "e").to_string());
            assert_eq!(loc, json!(["body", member]), "{name:?}");
            assert!(message.contains(member), "{message}");
        }
    }
    nothing_is_stored(&server);
}

#[test]
fn legal_timestamps_come_back_as_sent() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut timestamps: Vec<String> = [
        "2026-01-02",
        "2026-01-02T03:04",
        "2026-01-02T03:04Z",
        "2026-01-02 03:04:05",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05+05:30",
        "2026-01-02T03:04:05+0530",
        "2026-01-02T03:04:05+05",
        "2026-01-02T03:04-23:59",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02T00:00:00",
        "2026-01-02T23:59:60Z",
        "2026-01-02T12:34:60.5Z",
        "0000-01-01",
        "9999-12-31T23:59:59.999999999Z",
        "2024-02-29",
        "2000-02-29",
        "2026-12-31",
    ]
    .map(str::to_owned)
    .into();
    timestamps.extend((1..=9).map(|digits| format!("2026-01-02T03:04:05.{}", "7".repeat(digits))));
    for timestamp in timestamps {
        let sent = with("timestamp", json!(timestamp), &timestamp);
        assert_eq!(stored(&mut client, &sent)["timestamp"], timestamp);
    }
}

#[test]
fn illegal_timestamps_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for timestamp in [
        "",
        "yesterday",
        "1767323045",
        "20260102",
        "2026-1-2",
        "26-01-02",
        "2026-01",
        "2026-W01-1",
        "2026-001",
        "2026/01/02",
        "+2026-01-02",
        "-2026-01-02",
        "12026-01-02",
        " 2026-01-02",
        "2026-01-02 ",
        "2026-01-02\n",
        "2026-01-02Z",
        "2026-01-02+01:00",
        "2026-01-02T",
        "2026-01-02T03",
        "2026-01-02T0304",
        "2026-01-02T030405",
        "2026-01-02_03:04:05",
        "2026-01-02  03:04:05",
        "2026-01-02T3:04:05",
        "2026-01-02T03:04:05.",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04.5",
        "2026-01-02T03:04:05.1234567890",
        "2026-01-02T03:04:05 Z",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05Z+01:00",
        "2026-01-02T03:04:05+",
        "2026-01-02T03:04:05+5",
        "2026-01-02T03:04:05+05:",
        "2026-01-02T03:04:05+05:3",
        "2026-01-02T03:04:05+05:30:00",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+05:60",
        "2026-01-02T03:04:05\u{2212}05:00",
        "2026-01-02T24:00:00",
        "2026-01-02T03:60:00",
        "2026-01-02T03:04:61",
        "2026-00-02",
        "2026-13-02",
        "2026-01-00",
        "2026-01-32",
        "2026-04-31",
        "2026-02-30",
        "2026-02-29",
        "1900-02-29",
        "\u{ff12}026-01-02",
    ] {
        let (loc, message) = fault(
            &mut client,
            with("timestamp", json!(timestamp), "e").to_string(),
        );
        assert_eq!(loc, json!(["body", "timestamp"]), "{timestamp:?}");
        assert_eq!(message, "timestamp must be in ISO 8601 format");
    }
    nothing_is_stored(&server);
}

#[test]
fn a_member_of_another_type_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for value in [
        json!(null),
        json!(1),
        json!(true),
        json!(["x"]),
        json!({"x": "y"}),
    ] {
        for member in STRINGS {
            let body = with(member, value.clone(), "e").to_string();
            assert_eq!(
                fault(&mut client, body).0,
                json!(["body", member]),
                "{value}"
            );
        }
    }
    for value in [json!(null), json!(1), json!(true), json!([{}]), json!("{}")] {
        let body = with("payload", value.clone(), "e").to_string();
        assert_eq!(
            fault(&mut client, body).0,
            json!(["body", "payload"]),
            "{value}"
        );
    }
    nothing_is_stored(&server);
}

#[test]
fn four_members_are_required_and_the_payload_is_not() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for member in STRINGS {
        let mut event = event("t", "e");
        event.as_object_mut().unwrap().remove(member);
        assert_eq!(
            fault(&mut client, event.to_string()).0,
            json!(["body", member])
        );
    }
    let answer = client.publish("{}").expect(422);
    let locs: Vec<_> = answer["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["loc"])
        .collect();
    assert_eq!(
        locs,
        STRINGS
            .map(|member| json!(["body", member]))
            .iter()
            .collect::<Vec<_>>()
    );
    nothing_is_stored(&server);

    let mut bare = event("t", "e");
    bare.as_object_mut().unwrap().remove("payload");
    assert_eq!(stored(&mut client, &bare)["payload"], json!({}));
    // What was absent is `{}`, so sending that is no conflict.
    bare["payload"] = json!({});
    let again = client
        .publish_to("/publish?results=true", bare.to_string())
        .expect(200);
    assert_eq!(again["results"], json!([{"status": "duplicate", "seq": 1}]));
}

#[test]
fn unknown_members_are_ignored() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut sent = event("t", "e");
    for (name, value) in [
        ("level", json!(null)),
        ("Topic", json!(1)),
        ("", json!([])),
        ("seq", json!(99)),
        ("processed_at", json!("never")),
    ] {
        sent[name] = value;
    }
    let read = stored(&mut client, &sent);
    assert_eq!(read["seq"], 1);
    assert_ne!(read["processed_at"], "never");
    assert!(read.get("level").is_none() && read.get("Topic").is_none() && read.get("").is_none());

    // Even repeated, deep ones and numbers without bound.
    let tail = format!(
        ",\"x\":1e999,\"x\":\"\\ud800\",\"deep\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let mut body = event("t", "e2").to_string();
    body.pop();
    assert_eq!(client.publish(body + &tail).expect(200)["accepted"], 1);
}

#[test]
fn a_repeated_member_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let whole = event("t", "e");
    for member in ["topic", "event_id", "timestamp", "source", "payload"] {
        let mut start = whole.to_string();
        start.pop();
        let body = format!("{start},\"{member}\":{}}}", whole[member]);
        assert_eq!(fault(&mut client, body).0, json!(["body", member]));
        // The same name written with an escape.
        let escaped = format!("\\u{:04x}{}", member.as_bytes()[0], &member[1..]);
        let body = format!("{start},\"{escaped}\":null}}");
        assert_eq!(fault(&mut client, body).0, json!(["body", member]));
    }
    let body = format!("{{\"events\":[{whole}],\"events\":[{whole}]}}");
    assert_eq!(fault(&mut client, body).0, json!(["body", "events"]));
    nothing_is_stored(&server);
}

#[test]
fn a_lone_surrogate_in_a_string_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for escape in ["\\ud800", "\\udc00", "a\\ud83dz", "\\udc00\\ud800"] {
        for member in NAMES {
            let body = with(member, json!("HERE"), "e")
                .to_string()
                .replace("HERE", escape);
            assert_eq!(
                fault(&mut client, body).0,
                json!(["body", member]),
                "{escape}"
            );
        }
    }
    let body = with("timestamp", json!("HERE"), "e")
        .to_string()
        .replace("HERE", "\\ud800");
    assert_eq!(fault(&mut client, body).0, json!(["body", "timestamp"]));
    nothing_is_stored(&server);
}

#[test]
fn keys_are_compared_after_unescaping_and_byte_for_byte() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut send = |topic: &str, event_id: &str| {
        let body = format!(
            "{{\"topic\":\"{topic}\",\"event_id\":\"{event_id}\",\"timestamp\":\"2026-01-02\",\"source\":\"s\"}}"
        );
        let answer = client.publish_to("/publish?results=1", body).expect(200);
        answer["results"][0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(send("t", "a-1😀/"), "accepted");
    assert_eq!(send("t", "\\u0061\\u002d1\\ud83d\\ude00\\/"), "duplicate");
    assert_eq!(send("\\u0074", "a-1😀/"), "duplicate");
    // Another case, another normal form, white space and a moved boundary are other keys.
    assert_eq!(send("T", "a-1😀/"), "accepted");
    assert_eq!(send("t", "A-1😀/"), "accepted");
    assert_eq!(send("t", "a-1😀/ "), "accepted");
    assert_eq!(send("t", "\u{e9}"), "accepted");
    assert_eq!(send("t", "e\u{301}"), "accepted");
    assert_eq!(send("ta", "-1😀/"), "accepted");
}

#[test]
fn a_body_is_utf8_with_at_most_one_byte_order_mark() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let whole = event("t", "e").to_string();
    for body in [
        whole.replace("\"test\"", "\"te\u{0}st\"").into_bytes(),
        [b"\xff".as_slice(), whole.as_bytes()].concat(),
        whole
            .replace("test", "HERE")
            .into_bytes()
            .iter()
            .map(|b| if *b == b'H' { 0xe9 } else { *b })
            .collect(),
        // A surrogate and an overlong form, as no UTF-8 has them.
        [b"{\"x\":\"\xed\xa0\x80\"}".as_slice(), whole.as_bytes()].concat(),
        [b"{\"x\":\"\xc0\xaf\"}".as_slice(), whole.as_bytes()].concat(),
        // UTF-16 with its mark.
        [0xff, 0xfe]
            .into_iter()
            .chain(whole.encode_utf16().flat_map(u16::to_le_bytes))
            .collect(),
        format!("\u{feff}\u{feff}{whole}").into_bytes(),
        format!("{whole}\u{feff}").into_bytes(),
        format!("{whole}\n\u{feff}{whole}").into_bytes(),
        format!(" \u{feff}{whole}").into_bytes(),
    ] {
        assert_eq!(fault(&mut client, body).0, json!(["body"]));
    }
    nothing_is_stored(&server);
    for (number, body) in [
        format!("\u{feff}{}", event("t", "1")),
        format!("\u{feff} \n[{}]", event("t", "2")),
        format!("\u{feff}{}\n{}", event("t", "3"), event("t", "3")),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(client.publish(body).expect(200)["accepted"], 1, "{number}");
    }
}
