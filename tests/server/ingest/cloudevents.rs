//! CloudEvents, in their three modes.

use serde_json::{json, Value};

use super::stored;
use crate::encodings;
use crate::harness::{Response, Server};

const ONE: &str = "Content-Type: application/cloudevents+json; charset=utf-8";
const BATCH: &str = "Content-Type: application/cloudevents-batch+json";

fn send(server: &Server, target: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Response {
    server
        .client()
        .request("POST", target, headers, body.as_ref())
}

fn event(id: &str) -> String {
    let rest = r#""type":"order.paid","time":"2026-01-02T03:04:05Z","data":{"n":1}"#;
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/shop",{rest}}}"#)
}

#[test]
fn a_structured_event_is_stored_as_it_was_sent() {
    let server = Server::start(&[]);
    let text = event("7");
    let answer = send(&server, "/cloudevents", &[ONE], &text).expect(200);
    let expected = json!({
        "received": 1, "accepted": 1, "duplicates": 0,
        "message": "Received 1 events, accepted 1, rejected 0 duplicates"
    });
    assert_eq!(answer, expected);
    let answer = send(&server, "/cloudevents?results=true", &[ONE], &text).expect(200);
    assert_eq!(
        answer["results"],
        json!([{"status": "duplicate", "seq": 1}])
    );
    let stored = &stored(&server)[0];
    let member = |name: &str| stored[name].as_str().unwrap().to_owned();
    assert_eq!(member("topic"), "order.paid");
    assert_eq!(member("event_id"), "/shop|7");
    assert_eq!(member("timestamp"), "2026-01-02T03:04:05Z");
    assert_eq!(member("source"), "/shop");
    assert_eq!(
        stored["payload"],
        serde_json::from_str::<Value>(&text).unwrap()
    );
}

#[test]
fn of_a_batch_the_good_ones_are_stored() {
    let server = Server::start(&["--ring-capacity", "3"]);
    let good: Vec<String> = (0..10).map(|n| event(&n.to_string())).collect();
    let bad = [r#"{"specversion":"1.0","id":"x","source":"s"}"#, "7"];
    let body = format!("[{},{},{}]", bad[0], good.join(","), bad[1]);
    let answer = send(&server, "/cloudevents?results=true", &[BATCH], &body).expect(200);
    assert_eq!(
        (&answer["received"], &answer["rejected"]),
        (&json!(10), &json!(2))
    );
    assert_eq!(answer["errors"][0]["loc"], json!(["body", 0, "type"]));
    assert_eq!(answer["errors"][1]["loc"], json!(["body", 11]));
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 12);
    for (place, status) in [
        (0, "rejected"),
        (1, "accepted"),
        (10, "accepted"),
        (11, "rejected"),
    ] {
        assert_eq!(results[place]["status"], status, "{answer}");
    }
    assert_eq!(stored(&server).len(), 10);
    assert_eq!(server.json("/stats")["rejected"], 2);
    // All of them bad.
    let answer = send(
        &server,
        "/cloudevents",
        &[BATCH],
        format!("[{}]", bad.join(",")),
    );
    let detail = &answer.expect(422)["detail"];
    assert_eq!(detail[0]["loc"], json!(["body", 0, "type"]));
    assert_eq!(detail[1]["loc"], json!(["body", 1]));
    // An empty batch is legal.
    let answer = send(&server, "/cloudevents", &[BATCH], "[]").expect(200);
    assert_eq!(answer["received"], 0);
}

#[test]
fn the_attributes_of_binary_events_are_fields() {
    let server = Server::start(&[]);
    let attributes = [
        "ce-specversion: 1.0",
        "CE-Id: 7%207",
        "ce-source: /a|b%25",
        "ce-type: t",
        "ce-subject: Euro%20%E2%82%AC",
    ];
    let with = |media_type: Option<&'static str>| {
        attributes.into_iter().chain(media_type).collect::<Vec<_>>()
    };
    let bodies: [(Option<&str>, &[u8], Value); 6] = [
        (
            Some("Content-Type: application/json"),
            b"{ \"n\": 1}",
            json!({"n": 1}),
        ),
        (
            Some("Content-Type: application/problem+json"),
            b"[1]",
            json!([1]),
        ),
        (None, b"3", json!(3)),
        (None, b"text", json!("text")),
        (Some("Content-Type: text/plain"), b"3", json!("3")),
        (Some("Content-Type: image/png"), b"\xff\x00", Value::Null),
    ];
    for (media_type, body, data) in bodies {
        let server = Server::start(&[]);
        send(&server, "/cloudevents", &with(media_type), body).expect(200);
        let event = &stored(&server)[0];
        assert_eq!(event["event_id"], "/a%7Cb%25|7 7");
        let payload = &event["payload"];
        assert_eq!(payload["subject"], "Euro €");
        assert_eq!(payload["data"], data);
        let value = media_type.map(|field| field.trim_start_matches("Content-Type: "));
        assert_eq!(payload["datacontenttype"].as_str(), value);
        let base64 = payload["data_base64"].as_str();
        assert_eq!(base64, data.is_null().then_some("/wA="));
    }
    let broken = with(Some("Content-Type: application/json"));
    send(&server, "/cloudevents", &broken, "{").expect(422);
    let answer = send(
        &server,
        "/cloudevents",
        &["ce-specversion: 1.0", "ce-id: "],
        "{}",
    );
    let detail = answer.expect(422)["detail"].clone();
    let places: Vec<&Value> = detail
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| &fault["loc"])
        .collect();
    let expected = ["ce-id", "ce-source", "ce-type"].map(|field| json!(["header", field]));
    assert_eq!(places, expected.iter().collect::<Vec<_>>());
}

#[test]
fn what_breaks_a_rule_is_422_and_not_kept() {
    let server = Server::start(&[]);
    for body in [
        "",
        "{",
        "[]",
        "7",
        r#"{"specversion":"0.3","id":"i","source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"","source":"s","type":"t"}"#,
        r#"{"specversion":"1.0","id":7,"source":"s","type":"t"}"#,
    ] {
        let answer = send(&server, "/cloudevents", &[ONE], body).expect(422);
        assert_eq!(answer["detail"][0]["loc"][0], "body", "{answer}");
    }
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let deep = event("d").replace("{\"n\":1}", &deep);
    send(&server, "/cloudevents", &[ONE], deep).expect(422);
    for query in ["results=maybe", "topic=", "event_id=auto,x"] {
        let name = query.split('=').next().unwrap();
        let answer = send(
            &server,
            &format!("/cloudevents?{query}"),
            &[ONE],
            event("1"),
        );
        assert_eq!(
            answer.expect(422)["detail"][0]["loc"],
            json!(["query", name])
        );
    }
    let coded = [ONE, "Content-Encoding: gzip"];
    let answer = send(&server, "/cloudevents", &coded, "not gzip").expect(422);
    assert_eq!(answer["detail"][0]["loc"], json!(["body"]));
    for media_type in [
        "Content-Type: application/json",
        "Content-Type: application/cloudevents+avro",
    ] {
        send(&server, "/cloudevents", &[media_type], event("1")).expect(415);
    }
    assert!(stored(&server).is_empty());
    send(
        &server,
        "/cloudevents",
        &coded,
        encodings::gzip(event("1").as_bytes()),
    )
    .expect(200);
    assert_eq!(stored(&server).len(), 1);
}

#[test]
fn a_webhook_is_greeted() {
    let server = Server::start(&[]);
    let headers = [
        "WebHook-Request-Origin: bus.example",
        "WebHook-Request-Rate: 120",
    ];
    let answer = server
        .client()
        .request("OPTIONS", "/cloudevents", &headers, b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("webhook-allowed-origin"), Some("bus.example"));
    assert_eq!(answer.header("webhook-allowed-rate"), Some("*"));
    let answer = server.client().request("OPTIONS", "/cloudevents", &[], b"");
    assert_eq!(
        (answer.status, answer.header("allow")),
        (204, Some("POST, OPTIONS"))
    );
    server.client().get("/cloudevents").expect(405);
}
