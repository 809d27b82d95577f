//! What becomes of messages, whatever form they have.

use std::io::Write;
use std::os::unix::net::UnixDatagram;

use serde_json::{json, Value};

use super::{start, start_with};
use crate::harness::Setup;
use crate::ingest::sockets::{events, tcp, udp, unix_path};

/// Topic, source and payload.
fn shown(event: &Value) -> Value {
    json!([event["topic"], event["source"], event["payload"]])
}

#[test]
fn rfc_5424_becomes_an_event_with_all_its_members() {
    let server = start();
    let data = r#"[a@1 x="1" y="\"\]" x="2"][b]"#;
    let head = "<165>1 2003-10-11T22:14:15.003-07:00 host.example evntslog 8710 ID47";
    let line = format!("{head} {data} An event");
    udp(&server).send(line.as_bytes()).unwrap();
    let events = events(&server, 1);
    let expected = json!(["evntslog", "host.example", {
        "facility": 20, "severity": 5, "hostname": "host.example", "appname": "evntslog", "procid": "8710",
        "msgid": "ID47", "structured_data": {"a@1": {"x": ["1", "2"], "y": "\"]"}, "b": {}}, "message": "An event",
    }]);
    assert_eq!(shown(&events[0]), expected);
    assert_eq!(events[0]["timestamp"], "2003-10-11T22:14:15.003-07:00");
    // A new UUID of version 7.
    let id = events[0]["event_id"].as_str().unwrap();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id}");
}

#[test]
fn what_is_nil_is_left_out_and_filled_in() {
    let server = start();
    udp(&server).send(b"<14>1 - - - - - -").unwrap();
    let events = events(&server, 1);
    let expected = json!(["syslog", "127.0.0.1", {"facility": 1, "severity": 6}]);
    assert_eq!(shown(&events[0]), expected);
    // The time of receipt, with microseconds.
    let time = events[0]["timestamp"].as_str().unwrap();
    assert_eq!((time.len(), time.ends_with('Z')), (27, true), "{time}");
}

#[test]
fn rfc_3164_is_read_as_it_is_found() {
    let server = start();
    let socket = udp(&server);
    let cases = [
        (
            "<34>Oct 11 22:14:15 mymachine su[7]: failed",
            json!(["su", "mymachine", {
                "facility": 4, "severity": 2, "hostname": "mymachine", "appname": "su", "procid": "7",
                "message": "failed",
            }]),
        ),
        (
            "<13>2026-01-02T03:04:05.6+01:00 h app: text\n",
            json!(["app", "h", {"facility": 1, "severity": 5, "hostname": "h", "appname": "app", "message": "text"}]),
        ),
        (
            "<13>tag: no time\0",
            json!(["tag", "127.0.0.1", {"facility": 1, "severity": 5, "appname": "tag", "message": "no time"}]),
        ),
        (
            "no priority: at all",
            json!(["syslog", "127.0.0.1", {"facility": 1, "severity": 5, "message": "no priority: at all"}]),
        ),
        (
            "<34>1 not quite RFC 5424",
            json!(["syslog", "127.0.0.1", {"facility": 4, "severity": 2, "message": "1 not quite RFC 5424"}]),
        ),
        (
            "<999>x",
            json!(["syslog", "127.0.0.1", {"facility": 1, "severity": 5, "message": "<999>x"}]),
        ),
    ];
    for (line, _) in &cases {
        socket.send(line.as_bytes()).unwrap();
    }
    let events = events(&server, cases.len());
    for (event, (line, expected)) in events.iter().zip(&cases) {
        assert_eq!(shown(event), *expected, "{line}");
    }
    assert_eq!(events[1]["timestamp"], "2026-01-02T03:04:05.6+01:00");
    let time = events[0]["timestamp"].as_str().unwrap();
    assert!(time.ends_with("-10-11T22:14:15Z"), "{time}");
}

#[test]
fn on_a_unix_socket_host_and_zone_are_those_of_the_machine() {
    let server = start_with(Setup::new().variable("TZ", "ABC-5:30"));
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(unix_path(&server)).unwrap();
    for line in [
        "<13>Oct 11 22:14:15 app[1]: from syslog(3)",
        "<13>Oct 11 22:14:15 other app: from a relay",
        "<13>Oct 11 22:14:15 some text without a tag",
    ] {
        socket.send(line.as_bytes()).unwrap();
    }
    let events = events(&server, 3);
    let about = rustix::system::uname();
    let name = about.nodename().to_str().unwrap();
    let found: Vec<_> = events
        .iter()
        .map(|event| json!([event["topic"], event["source"]]))
        .collect();
    assert_eq!(
        found,
        [
            json!(["app", name]),
            json!(["app", "other"]),
            json!(["syslog", name])
        ]
    );
    assert_eq!(events[0]["payload"].get("hostname"), None);
    assert_eq!(events[2]["payload"]["message"], "some text without a tag");
    for event in &events {
        let time = event["timestamp"].as_str().unwrap();
        assert!(time.ends_with("-10-11T22:14:15+05:30"), "{time}");
    }
}

#[test]
fn bytes_that_are_no_text_are_escaped() {
    let server = start();
    tcp(&server)
        .write_all(b"<1>t\\: a\xff\\b\n<1>a\0b\n")
        .unwrap();
    let events = events(&server, 2);
    let expected = json!(["t\\\\", "127.0.0.1", {
        "facility": 0, "severity": 1, "appname": "t\\\\", "message": "a\\xff\\\\b", "escaped": true,
    }]);
    assert_eq!(shown(&events[0]), expected);
    assert_eq!(events[1]["payload"]["message"], "a\0b");
}

#[test]
fn names_are_made_legal() {
    let server = start();
    let long = "x".repeat(300);
    let line = format!("<1>1 - {long} a\u{7f}b - - - text");
    udp(&server).send(line.as_bytes()).unwrap();
    let event = &events(&server, 1)[0];
    assert_eq!(event["topic"], "a_b");
    assert_eq!(event["source"], long[..255]);
    assert_eq!(event["payload"]["hostname"], long);
}

#[test]
fn the_setting_for_records_says_how_they_become_events() {
    let setup = Setup::new().flags([
        "--ingest",
        "syslog?topic=logs&event_id=structured_data.id@1.n,hash",
    ]);
    let server = start_with(setup);
    let socket = udp(&server);
    let time = "2026-01-02T03:04:05Z";
    for _ in 0..2 {
        socket
            .send(format!("<1>1 {time} h a - - [id@1 n=\"7\"] x").as_bytes())
            .unwrap();
        socket
            .send(format!("<1>1 {time} h a - - - y").as_bytes())
            .unwrap();
        // Without a time of its own each is another.
        socket.send(b"<1>1 - h a - - - z").unwrap();
    }
    let events = events(&server, 4);
    let ids: Vec<_> = events
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids[0], "7");
    assert!(ids[1].starts_with("h-") && ids[1].len() == 34, "{}", ids[1]);
    assert!(events.iter().all(|event| event["topic"] == "logs"));
}
