//! Single events, topics, names in paths and queries, and what is refused there.

use rusqlite::Connection;
use serde_json::{json, Value};

use crate::harness::{event, events_of, seqs_of, Response, Server, TIMEOUT};

fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn one_event_has_the_members_of_a_page() {
    let server = Server::start(&[]);
    let sent = event("user.login", "evt-002");
    server.publish(&sent).expect(200);
    let one = server.json("/events/user.login/evt-002");
    assert_eq!(one, server.json("/events")["events"][0]);
    let names: Vec<_> = one
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names.len(), 7, "{names:?}");
    for member in ["topic", "event_id", "timestamp", "source", "payload"] {
        assert_eq!(one[member], sent[member]);
    }
    assert_eq!(one["seq"], 1);
    let processed_at = one["processed_at"].as_str().unwrap();
    // As in the example: microseconds, UTC.
    let form = "2026-01-02T03:04:05.678901Z";
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape(processed_at), shape(form));
}

#[test]
fn names_in_paths_and_queries_are_percent_decoded() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let names = [
        "a/b",
        "a b",
        "a+b",
        "100%",
        "?x=1&y",
        "#",
        "日本😀",
        "..",
        ".",
        "*",
        "a*b",
        "%2F",
        "\"\\",
        "\u{feff}",
    ];
    for (number, name) in names.iter().enumerate() {
        client.publish(event(name, name).to_string()).expect(200);
        let seq = number as u64 + 1;
        let path = format!("/events/{0}/{0}", encoded(name));
        let one = client.get(&path).expect(200);
        assert_eq!(
            (&one["topic"], &one["event_id"]),
            (&json!(name), &json!(name))
        );
        assert_eq!(one["seq"], seq);
        if *name != "*" {
            let page = client
                .get(&format!("/events?topic={}", encoded(name)))
                .expect(200);
            assert_eq!(seqs_of(&page), [seq], "{name}");
            assert_eq!(page["topic"], *name);
        }
    }
    // A plus sign is itself in a path; capital and small hexadecimal digits are equal.
    assert_eq!(client.get("/events/a+b/a%2bb").expect(200)["topic"], "a+b");
    assert_eq!(
        client.get("/events/a%2Fb/a%2fb").expect(200)["topic"],
        "a/b"
    );
    // `next` is an address that can be used as it is.
    let events: Vec<_> = (0..3)
        .map(|n| event("ä &=#+%/*?", &n.to_string()))
        .collect();
    client.publish(json!(events).to_string()).expect(200);
    let page = client
        .get(&format!("/events?topic={}&limit=2", encoded("ä &=#+%/*?")))
        .expect(200);
    let next = client.get(page["next"].as_str().unwrap()).expect(200);
    assert_eq!(events_of(&next).len(), 1);
    assert_eq!(next["topic"], "ä &=#+%/*?");
}

#[test]
fn what_is_not_there_is_404_with_a_sentence() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e")).expect(200);
    for path in [
        "/events/t/none".to_owned(),
        "/events/none/e".to_owned(),
        "/events/T/e".to_owned(),
        "/events/t/e/".to_owned(),
        "/events/t/e/x".to_owned(),
        "/events/t".to_owned(),
        "/events/t/".to_owned(),
        "/events//e".to_owned(),
        "/events/".to_owned(),
        "/events/t/%".to_owned(),
        "/events/t/%6".to_owned(),
        "/events/t/%zz".to_owned(),
        "/events/t/%ff".to_owned(),
        "/events/t/%00".to_owned(),
        "/events/t%0a/e".to_owned(),
        format!("/events/{}/e", "x".repeat(256)),
        "/event/t/e".to_owned(),
        "/Events".to_owned(),
        "/stats/".to_owned(),
        "//stats".to_owned(),
        "/nothing".to_owned(),
    ] {
        assert!(!server.get(&path).sentence(404).is_empty(), "{path}");
    }
}

#[test]
fn bad_queries_are_422_and_name_the_parameter() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let too_long = format!("topic={}", "x".repeat(257));
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=+5", "limit"),
        ("limit=5.0", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=%zz", "limit"),
        ("limit=5&limit=5", "limit"),
        ("after=x", "after"),
        ("after=-1", "after"),
        ("after=", "after"),
        ("after=1&after=2", "after"),
        ("before=1e3", "before"),
        ("before=0x10", "before"),
        ("before=1&before=1", "before"),
        ("topic=", "topic"),
        ("topic", "topic"),
        ("topic=a&topic=", "topic"),
        ("topic=%", "topic"),
        ("topic=%ff", "topic"),
        ("topic=%00", "topic"),
        ("topic=a%0A*", "topic"),
        (&too_long, "topic"),
    ] {
        let answer = client.get(&format!("/events?{query}")).expect(422);
        assert_eq!(
            answer["detail"][0]["loc"],
            json!(["query", name]),
            "{query}"
        );
        assert!(
            answer["detail"][0]["msg"]
                .as_str()
                .is_some_and(|msg| msg.contains(name)),
            "{query}"
        );
        assert_eq!(answer["detail"][0]["type"], "value_error");
    }
    let both = client.get("/events?after=1&before=9").expect(422);
    assert_eq!(both["detail"][0]["loc"][0], "query");
    // The longest pattern: a prefix of 255 bytes and its star.
    let longest = format!("/events?topic={}*&_unknown=%zz&&limit=7", "x".repeat(255));
    assert_eq!(client.get(&longest).expect(200)["count"], 0);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e")).expect(200);
    let mut client = server.client();
    for target in [
        "/events",
        "/events/t/e",
        "/events/t/none",
        "/events?limit=0",
        "/topics",
        "/stats",
        "/health",
        "/",
    ] {
        let get = client.get(target);
        let head = client.request("HEAD", target, &[], b"");
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!((&*head.version, &*get.version), ("1.1", "1.1"));
        assert!(head.body.is_empty());
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{target}"
        );
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        // The answers to /stats differ in what they count.
        assert!(target == "/stats" || length == get.body.len(), "{target}");
    }
    // The connection is still in step.
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn topics_are_in_the_order_of_their_bytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let sorted = [
        "!", "A", "Z", "Z.", "a", "a b", "a.b", "aa", "b", "Ä", "ä", "日本", "\u{fffd}", "😀",
    ];
    let mut names = sorted;
    names.rotate_left(5);
    names.swap(0, 7);
    for name in names {
        client.publish(event(name, "e").to_string()).expect(200);
    }
    // Two more for one of them, and a duplicate, which changes nothing.
    client
        .publish(json!([event("a.b", "f"), event("a.b", "g"), event("b", "e")]).to_string())
        .expect(200);
    let check = |server: &Server| {
        let topics = server.json("/topics");
        assert_eq!(topics["count"], sorted.len());
        let list = topics["topics"].as_array().unwrap();
        let names: Vec<_> = list
            .iter()
            .map(|topic| topic["topic"].as_str().unwrap())
            .collect();
        assert_eq!(names, sorted);
        assert_eq!(server.json("/stats")["topics"], json!(sorted));
        for topic in list {
            let name = topic["topic"].as_str().unwrap();
            let page = server.json(&format!("/events?topic={}", encoded(name)));
            let newest: &Value = &page["events"][0];
            assert_eq!(topic["events"], page["count"], "{name}");
            assert_eq!(topic["last_seq"], newest["seq"], "{name}");
            assert_eq!(topic["last_processed_at"], newest["processed_at"], "{name}");
            assert_eq!(topic.as_object().unwrap().len(), 4);
        }
        assert_eq!(list[6]["events"], 3);
    };
    check(&server);
    check(&server.restart());
}

#[test]
fn what_cannot_be_read_is_503_and_never_a_404_or_a_shorter_page() {
    let server = Server::start(&[]);
    let events: Vec<_> = (1..=10).map(|n| event("t", &n.to_string())).collect();
    server.publish(&json!(events)).expect(200);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.busy_timeout(TIMEOUT).unwrap();
    let targets = [
        "/events",
        "/events?topic=t",
        "/events?after=0&topic=t*",
        "/events/t/5",
    ];
    let check = |status: u16| {
        for target in targets {
            let answer = server.get(target);
            assert_eq!(answer.status, status, "{target}: {answer:?}");
            assert!(
                status == 200 || answer.header("retry-after").is_some(),
                "{answer:?}"
            );
        }
    };
    check(200);
    other
        .execute_batch("ALTER TABLE events RENAME TO hidden")
        .unwrap();
    check(503);
    other
        .execute_batch("ALTER TABLE hidden RENAME TO events")
        .unwrap();
    check(200);
    // A row that nothing legal can be made of.
    other
        .execute_batch("UPDATE events SET topic_id = 99 WHERE seq = 5")
        .unwrap();
    assert_eq!(server.get("/events").status, 503);
    other
        .execute_batch("UPDATE events SET topic_id = 1, payload = x'ff00' WHERE seq = 5")
        .unwrap();
    check(503);
    other
        .execute_batch("UPDATE events SET payload = '{}' WHERE seq = 5")
        .unwrap();
    check(200);
    assert_eq!(server.json("/events/t/5")["payload"], json!({}));
}

/// In a terminal the prompt begins a line after what `curl` has printed.
#[test]
fn answers_end_with_one_line_end() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let is_ended = |answer: &Response, what: &str| {
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            text.ends_with("}\n") && !text.ends_with("\n\n"),
            "{what}: {text}"
        );
        serde_json::from_str::<Value>(&text).expect("it is JSON");
    };
    for (body, status) in [(event("t", "1").to_string(), 200), ("{}".to_owned(), 422)] {
        let answer = client.publish(body);
        assert_eq!(answer.status, status);
        is_ended(&answer, "publish");
    }
    let targets = [
        "/",
        "/events",
        "/events?q=x",
        "/events/t/1",
        "/events/t/2",
        "/topics",
        "/stats",
        "/health",
        "/histogram",
        "/fields",
        "/subscriptions",
        "/rejected",
        "/nothing",
        "/openapi.json",
    ];
    for target in targets {
        is_ended(&client.get(target), target);
    }
    // A list that is so long that it is sent in parts.
    for part in 0..3 {
        let events: Vec<Value> = (0..500)
            .map(|n| event(&format!("topic {part} {n} {}", "x".repeat(200)), "1"))
            .collect();
        client.publish(json!(events).to_string()).expect(200);
    }
    let answer = client.get("/topics");
    assert!(answer.body.len() > 256 * 1024, "{}", answer.body.len());
    is_ended(&answer, "a long list of topics");
}
