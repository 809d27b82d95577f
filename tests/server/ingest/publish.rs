//! `POST /publish` with records that need not be events: the bodies that shippers send, and each rule.

use serde_json::{json, Value};

use super::{post, stored};
use crate::encodings;
use crate::harness::{Response, Server, Setup};

const WHOLE: &str = "/publish?payload=whole&topic=logs";

fn texts<'e>(events: &'e [Value], member: &str) -> Vec<&'e str> {
    let text = |event: &'e Value| event[member].as_str().expect("it is a string");
    events.iter().map(text).collect()
}

fn payloads(server: &Server) -> Vec<Value> {
    let events = stored(server).into_iter();
    events.map(|event| event["payload"].clone()).collect()
}

fn send(server: &Server, target: &str, media_type: &str, body: &str) -> Response {
    let media_type = format!("Content-Type: {media_type}");
    server
        .client()
        .request("POST", target, &[&media_type], body.as_bytes())
}

#[test]
fn the_bodies_of_shippers_are_taken() {
    let record = |n: usize| format!(r#"{{"date":1767323045.{n}25,"log":"line {n}","n":{n}}}"#);
    let (a, b) = (record(1), record(2));
    let flat = r#"{"@timestamp":"2026-01-02T03:04:05.678Z","message":"hi","host":"h"}"#;
    for (shipper, media_type, body) in [
        ("Fluent Bit, json", "application/json", format!("[{a},{b}]")),
        (
            "Fluent Bit, json_lines",
            "application/x-ndjson",
            format!("{a}\n{b}"),
        ),
        (
            "Fluent Bit, json_stream",
            "application/json",
            format!("{a}{b}"),
        ),
        ("Vector, json", "application/json", format!("[{a},{b}]")),
        (
            "Vector, newline_delimited",
            "application/x-ndjson",
            format!("{a}\n{b}\n"),
        ),
        (
            "Logstash, json_batch",
            "application/json",
            format!("[{a},{b}]"),
        ),
        (
            "syslog-ng, format-json with a line feed",
            "application/json",
            format!("{a}\n{b}\n"),
        ),
    ] {
        let server = Server::start(&[]);
        let target = format!("{WHOLE}&event_id=hash&source=s");
        for _ in 0..2 {
            let answer = send(&server, &target, media_type, &body).expect(200);
            assert_eq!(answer["received"], 2, "{shipper}: {answer}");
        }
        let events = stored(&server);
        assert_eq!(
            texts(&events, "timestamp"),
            ["2026-01-02T03:04:05.125Z", "2026-01-02T03:04:05.225Z"],
            "{shipper}"
        );
        assert_eq!(events[1]["payload"]["log"], "line 2", "{shipper}");
        // Logstash's format json: one object a request.
        let answer = send(&server, &target, "application/json", flat).expect(200);
        assert_eq!(answer["accepted"], 1);
    }
}

#[test]
fn a_member_is_the_identity_of_retries() {
    let server = Server::start(&[]);
    let target = format!("{WHOLE}&event_id=meta.uid,/n&results=true");
    let body = r#"[{"meta":{"uid":"a"},"n":1},{"n":2}]"#;
    let answer = post(&mut server.client(), &target, body).expect(200);
    assert_eq!(answer["accepted"], 2);
    // Cut into other requests, at another time and from another connection.
    for record in [r#"{"n":2}"#, r#"{"meta":{"uid":"a"},"n":1}"#] {
        let answer = post(&mut server.client(), &target, record).expect(200);
        assert_eq!(answer["results"][0]["status"], "duplicate", "{answer}");
    }
    let other = r#"{"n":2,"x":0}"#;
    let answer = post(&mut server.client(), &target, other).expect(200);
    assert_eq!(answer["results"][0]["status"], "conflict", "{answer}");
    assert_eq!(texts(&stored(&server), "event_id"), ["a", "2"]);
}

#[test]
fn events_may_lack_members() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = r#"{"events":[{"topic":"own","event_id":"a","source":"me","timestamp":"2026-01-02"},
        {"event_id":7,"payload":{"x": 1},"ts":1767323045678}, {"event_id":"c"}]}"#;
    let target = "/publish?topic=t&source=s&timestamp=ts";
    let answer = post(&mut client, target, body).expect(200);
    assert_eq!(answer["accepted"], 3);
    let events = stored(&server);
    assert_eq!(texts(&events, "topic"), ["own", "t", "t"]);
    assert_eq!(texts(&events, "event_id"), ["a", "7", "c"]);
    assert_eq!(texts(&events, "source"), ["me", "s", "s"]);
    let times = texts(&events, "timestamp");
    assert_eq!(times[..2], ["2026-01-02", "2026-01-02T03:04:05.678Z"]);
    assert_eq!(events[1]["payload"], json!({"x": 1}));
    // The time of receipt is another one, which makes no conflict.
    let answer = post(&mut client, &format!("{target}&results=1"), body).expect(200);
    for result in answer["results"].as_array().unwrap() {
        assert_eq!(result["status"], "duplicate", "{answer}");
    }
    // Without a name in the query nothing is filled in.
    let answer = post(&mut client, "/publish?results=1", r#"{"event_id":"d"}"#);
    assert_eq!(
        answer.expect(422)["detail"][0]["loc"],
        json!(["body", "topic"])
    );
}

#[test]
fn what_is_missing_is_422_and_partial_keeps_the_rest() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = r#"[{"event_id":"a"},{"n":1},[],{"event_id":"b"}]"#;
    let answer = post(&mut client, "/publish?topic=t", body).expect(422);
    let detail = &answer["detail"][0];
    assert_eq!(detail["loc"], json!(["body", 1, "event_id"]));
    assert_eq!(detail["type"], "missing");
    assert!(stored(&server).is_empty());
    let target = "/publish?topic=t&partial=true&results=true";
    let answer = post(&mut client, target, body).expect(200);
    assert_eq!(
        (&answer["received"], &answer["rejected"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(answer["errors"][0]["loc"], json!(["body", 1, "event_id"]));
    let statuses: Vec<&Value> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| &result["status"])
        .collect();
    assert_eq!(statuses, ["accepted", "rejected", "rejected", "accepted"]);
    let answer = post(&mut client, target, "[{}]").expect(200);
    assert_eq!(
        (&answer["received"], &answer["rejected"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(texts(&stored(&server), "event_id"), ["a", "b"]);
}

#[test]
fn bad_values_of_the_query_are_422() {
    let server = Server::start(&[]);
    for query in [
        "topic=",
        "topic=a&topic=b",
        "source=%00",
        "event_id=auto,id",
        "event_id=",
        "timestamp=/~2",
        "payload=all",
        "topic=%ff",
    ] {
        let target = format!("/publish?{query}");
        let answer = post(&mut server.client(), &target, "{}").expect(422);
        let name = query.split('=').next().unwrap();
        assert_eq!(
            answer["detail"][0]["loc"],
            json!(["query", name]),
            "{answer}"
        );
    }
    let answer = post(&mut server.client(), "/publish?payload=whole", "{}").expect(422);
    assert_eq!(answer["detail"][0]["loc"], json!(["query", "topic"]));
    assert_eq!(answer["detail"][0]["type"], "missing");
}

#[test]
fn limits_codings_and_media_types_are_as_for_events() {
    let server = Server::start(&["--ring-capacity", "3"]);
    let mut client = server.client();
    let target = format!("{WHOLE}&event_id=auto");
    post(&mut client, &target, "{}{}{}").expect(200);
    post(&mut client, &target, "{}{}{}{}").expect(413);
    for body in ["", "[]", "{\"events\":[]}", "{} x", "\u{1}"] {
        post(&mut client, &target, body).expect(422);
    }
    send(&server, &target, "text/plain", "{}").expect(415);
    let gzip = encodings::gzip(b"{\"n\":1}");
    let headers = ["Content-Type: application/json", "Content-Encoding: gzip"];
    client.request("POST", &target, &headers, &gzip).expect(200);
    assert_eq!(payloads(&server).len(), 4);
}

#[test]
fn a_setting_says_it_for_those_that_have_no_query() {
    let setup = Setup::new().flags(["--ingest", "publish?payload=whole&topic=t&event_id=id,auto"]);
    let server = setup.start();
    let mut client = server.client();
    for target in ["/publish", "/publish?topic=mine", "/publish"] {
        post(&mut client, target, r#"{"id":"x","topic":"no"}"#).expect(200);
    }
    let events = stored(&server);
    assert_eq!(texts(&events, "topic"), ["t", "mine"]);
    assert_eq!(texts(&events, "event_id"), ["x", "x"]);
}

#[test]
fn identities_are_counted_by_where_they_are_from() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = r#"[{"event_id":"own"},{"uid":"member"},{"date":1767323045},{}]"#;
    post(&mut client, "/publish?topic=t&event_id=uid,hash", body).expect(200);
    let metrics = server.get("/metrics").text();
    for identity in ["own", "member", "hash", "auto"] {
        let line = format!(
            "log_aggregator_ingest_identities_total{{protocol=\"publish\",identity=\"{identity}\"}} 1"
        );
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[test]
fn equal_records_of_two_topics_keep_their_hashes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let record = |topic: &str| format!(r#"{{"topic":"{topic}","date":1767323045}}"#);
    let target = "/publish?source=s&event_id=hash";
    post(&mut client, target, record("a") + &record("b")).expect(200);
    // The retry of the second alone.
    post(&mut client, target, record("b")).expect(200);
    assert_eq!(stored(&server).len(), 2);
}
