//! The forms of a body, where a fault in each is located, and the media types that are taken.

use serde_json::{json, Value};

use crate::harness::{event, events_of, Client, Server};

/// The ids of all stored events, oldest first.
fn stored_ids(client: &mut Client) -> Vec<String> {
    let page = client.get("/events?after=0&limit=1000").expect(200);
    let id = |event: &Value| event["event_id"].as_str().unwrap().to_owned();
    events_of(&page).iter().map(id).collect()
}

fn locs(answer: &Value) -> Vec<Value> {
    let details = answer["detail"].as_array().expect("detail is a list");
    details.iter().map(|detail| detail["loc"].clone()).collect()
}

#[test]
fn every_form_is_taken_and_keeps_its_order() {
    let e = |id: &str| event("t", id).to_string();
    let forms: [(String, &[&str]); 16] = [
        (e("a"), &["a"]),
        (format!(" \r\n\t{} \n\n", e("a")), &["a"]),
        (format!("[{}]", e("a")), &["a"]),
        (
            format!("[{},{},{}]", e("c"), e("a"), e("b")),
            &["c", "a", "b"],
        ),
        (format!("[\n {} ,\n {} \n]\n", e("b"), e("a")), &["b", "a"]),
        (
            format!("{{\"events\":[{},{}]}}", e("b"), e("a")),
            &["b", "a"],
        ),
        (format!("{{\"events\":{}}}", e("a")), &["a"]),
        (format!("{{\"\\u0065vents\":[{}]}}", e("a")), &["a"]),
        (
            format!("{{\"x\":1,\"topic\":7,\"events\":[{}],\"y\":{{}}}}", e("a")),
            &["a"],
        ),
        (format!("{}\n{}\n", e("b"), e("a")), &["b", "a"]),
        (format!("{}\n{}", e("b"), e("a")), &["b", "a"]),
        (format!("{}\r\n\r\n{}\r\n", e("b"), e("a")), &["b", "a"]),
        (
            format!("\n\n{}{}{}", e("c"), e("b"), e("a")),
            &["c", "b", "a"],
        ),
        (format!("{} \t {}", e("b"), e("a")), &["b", "a"]),
        (
            format!(
                "[{}]",
                (0..1000)
                    .map(|n| e(&n.to_string()))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            &[],
        ),
        ((0..1000).map(|n| e(&n.to_string()) + "\n").collect(), &[]),
    ];
    for (body, ids) in forms {
        let server = Server::start(&[]);
        let mut client = server.client();
        let answer = client.publish(&body).expect(200);
        let thousand: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
        let ids: Vec<_> = if ids.is_empty() {
            thousand
        } else {
            ids.iter().map(|id| (*id).to_owned()).collect()
        };
        assert_eq!(answer["accepted"], ids.len(), "{body:.200}");
        assert_eq!(stored_ids(&mut client), ids, "{body:.200}");
    }
}

#[test]
fn a_fault_is_located_as_the_form_says() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let good = event("t", "good");
    let mut bad = event("t", "bad");
    bad["timestamp"] = json!("soon");
    let member = "timestamp";
    for (body, loc) in [
        (format!("{bad}"), json!(["body", member])),
        (format!("\n{bad}\n"), json!(["body", member])),
        (format!("[{bad}]"), json!(["body", 0, member])),
        (format!("[{good},{good},{bad}]"), json!(["body", 2, member])),
        (format!("{good}\n{bad}\n"), json!(["body", 1, member])),
        (format!("{bad}{good}"), json!(["body", 0, member])),
        (
            format!("{{\"events\":[{good},{bad}]}}"),
            json!(["body", "events", 1, member]),
        ),
        (
            format!("{{\"events\":{bad}}}"),
            json!(["body", "events", 0, member]),
        ),
        (format!("[{good},7]"), json!(["body", 1])),
        (format!("[[{good}]]"), json!(["body", 0])),
        (
            format!("{{\"events\":[null,{good}]}}"),
            json!(["body", "events", 0]),
        ),
    ] {
        let answer = client.publish(&body).expect(422);
        assert_eq!(locs(&answer), [loc], "{body}");
    }
    // The shape of the example, word for word.
    let body = format!("{{\"events\":[{good},{good},{good},{bad}]}}");
    let expected = json!({"detail": [{
        "loc": ["body", "events", 3, "timestamp"],
        "msg": "timestamp must be in ISO 8601 format",
        "type": "value_error",
    }]});
    assert_eq!(client.publish(body).expect(422), expected);
    assert_eq!(stored_ids(&mut client), [""; 0]);
}

#[test]
fn what_is_not_json_is_located_at_the_body_with_line_and_column() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let good = event("t", "good").to_string();
    for body in [
        "{".to_owned(),
        "{]".to_owned(),
        "nonsense".to_owned(),
        "{'topic':'t'}".to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}]"),
        format!("{good},{good}"),
        format!("[{good},]"),
        format!("[{good}"),
        format!("[{good} {good}]"),
        format!("[{good}] trailing"),
        format!("{good}\n{{broken\n"),
        format!("{{\"events\":[{good}],}}"),
        format!("{{\"events\":[{good}]"),
        good.replace("test", "line\nbreak"),
        good.replace("test", "\\x41"),
        good.replace("\"n\":1", "\"n\":01"),
        good.replace("\"n\":1", "\"n\":NaN"),
        good.replace("\"n\":1", "\"n\":+1"),
        good.replace("\"n\":1", "\"n\":\"\\u12g4\""),
        good.replace("\"n\":1", "\"n\":1 /* why */"),
    ] {
        for target in ["/publish", "/publish?partial=true"] {
            let answer = client.publish_to(target, &body).expect(422);
            assert_eq!(locs(&answer), [json!(["body"])], "{body}");
            let message = answer["detail"][0]["msg"].as_str().unwrap();
            assert!(
                message.contains("line ") && message.contains("column "),
                "{message}"
            );
        }
    }
    let answer = client
        .publish(format!("{good}\n{good}\n{{\"a\" 1}}"))
        .expect(422);
    let message = answer["detail"][0]["msg"].as_str().unwrap();
    assert!(message.contains("line 3 column 6"), "{message}");
    assert_eq!(stored_ids(&mut client), [""; 0]);
}

#[test]
fn a_body_without_an_event_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for body in [
        "",
        " ",
        "\r\n",
        "\u{feff}",
        "[]",
        " [ ] ",
        "{\"events\":[]}",
        "{\"events\":[],\"x\":1}",
    ] {
        for target in ["/publish", "/publish?partial=true"] {
            let answer = client.publish_to(target, body).expect(422);
            assert_eq!(locs(&answer)[0][0], "body", "{body:?}");
        }
    }
    for body in [
        "1",
        "null",
        "true",
        "\"x\"",
        "{\"events\":1}",
        "{\"events\":null}",
        "{\"events\":\"x\"}",
    ] {
        let answer = client.publish(body).expect(422);
        assert_eq!(locs(&answer)[0][0], "body", "{body}");
    }
}

#[test]
fn json_media_types_are_taken_whatever_the_form() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let types = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"utf-8\";x=y",
        "application/json ;",
        "application/vnd.example.v1+json",
        "application/cloudevents+json; charset=UTF-8",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
    ];
    for (number, media_type) in types.iter().enumerate() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|part| event("t", &format!("{number}{part}")));
        for body in [
            a.to_string(),
            format!("[{b}]"),
            format!("{{\"events\":[{c}]}}"),
            format!("{a}\n{d}\n"),
        ] {
            let header = format!("Content-Type: {media_type}");
            let answer = client.request("POST", "/publish", &[&header], body.as_bytes());
            assert_eq!(answer.expect(200)["accepted"], 1, "{media_type}");
        }
    }
}

#[test]
fn other_media_types_are_415_and_the_sentence_says_what_to_send() {
    let server = Server::start(&[]);
    let body = event("t", "e").to_string();
    for media_type in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/jsonx",
        "application/xml",
        "application/*",
        "*/*",
        "json",
        "text/plain; application/json",
        "text/plain, application/json",
    ] {
        let header = format!("Content-Type: {media_type}");
        let answer = server
            .client()
            .request("POST", "/publish", &[&header], body.as_bytes());
        let sentence = answer.sentence(415);
        assert!(
            sentence.contains("application/json"),
            "{media_type}: {sentence}"
        );
    }
    let answer = server
        .client()
        .request("POST", "/publish", &[], body.as_bytes());
    assert!(answer.sentence(415).contains("application/json"));
    assert_eq!(server.json("/stats")["received"], 0);
}
