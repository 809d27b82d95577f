//! A publication that is refused leaves nothing behind, whatever is wrong with it.

use serde_json::{json, Value};

use crate::harness::{event, Server};

fn events(count: usize) -> Vec<Value> {
    (0..count).map(|n| event("t", &format!("e{n}"))).collect()
}

#[test]
fn one_bad_event_refuses_all_and_stores_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for position in [0, 7, 19] {
        let mut events = events(20);
        events[position]["topic"] = json!("");
        let sequence: String = events.iter().map(Value::to_string).collect();
        for body in [
            json!(events).to_string(),
            json!({ "events": events }).to_string(),
            sequence,
        ] {
            assert_eq!(
                client.publish(body).expect(422)["detail"]
                    .as_array()
                    .unwrap()
                    .len(),
                1
            );
        }
    }
    let stats = server.json("/stats");
    assert_eq!(stats["received"], 0);
    assert_eq!(stats["rejected"], 9);
    assert_eq!(stats["topics"], json!([]));
    assert_eq!(server.json("/topics"), json!({"count": 0, "topics": []}));
    assert_eq!(server.get("/events/t/e1").status, 404);
    // The same events, once they are all good, are new.
    let answer = client.publish(json!(events(20)).to_string()).expect(200);
    assert_eq!(answer["accepted"], 20);
}

#[test]
fn more_events_than_the_ring_holds_are_413() {
    let server = Server::start(&["--ring-capacity", "3"]);
    let mut client = server.client();
    let four = events(4);
    let sequence: String = four.iter().map(Value::to_string).collect();
    let equal = json!(vec![event("t", "e0"); 4]).to_string();
    for body in [
        json!(four).to_string(),
        json!({ "events": four }).to_string(),
        sequence,
        equal,
    ] {
        for target in ["/publish", "/publish?partial=true"] {
            let sentence = client.publish_to(target, &body).sentence(413);
            assert!(sentence.contains('3'), "{sentence}");
        }
    }
    assert_eq!(server.json("/stats")["received"], 0);
    assert_eq!(
        client.publish(json!(events(3)).to_string()).expect(200)["accepted"],
        3
    );
    assert_eq!(server.json("/stats")["queue_capacity"], 3);
}

#[test]
fn ten_thousand_events_are_taken_by_default_and_no_more() {
    let server = Server::start(&["--log-duplicates", "off"]);
    let mut client = server.client();
    client
        .publish(json!(events(10_001)).to_string())
        .sentence(413);
    let answer = client.publish(json!(events(10_000)).to_string());
    assert_eq!(answer.expect(200)["accepted"], 10_000);
    assert_eq!(server.json("/stats")["batches"], 1);
}

#[test]
fn bad_query_values_are_422_and_name_the_parameter() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = event("t", "e").to_string();
    for name in ["results", "partial"] {
        for value in ["yes", "2", "True", "TRUE", "", "true%20", "null", "%zz"] {
            let answer = client
                .publish_to(&format!("/publish?{name}={value}"), &body)
                .expect(422);
            assert_eq!(
                answer["detail"][0]["loc"],
                json!(["query", name]),
                "{value}"
            );
            assert_eq!(answer["detail"].as_array().unwrap().len(), 1);
        }
    }
    assert_eq!(server.json("/stats")["received"], 0);
    let answer = client
        .publish_to("/publish?%72esults=%74rue&x=%zz", &body)
        .expect(200);
    assert_eq!(answer["results"][0]["status"], "accepted");
}

#[test]
fn events_refused_by_validation_are_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let rejected = || server.json("/stats")["rejected"].clone();
    client.publish("not JSON").expect(422);
    assert_eq!(rejected(), 1);
    client.publish(b"\xff\xff").expect(422);
    assert_eq!(rejected(), 2);
    // Two bad ones, one of them with two faults; the good one is refused with them but is not bad.
    let body = json!([{"topic": ""}, event("t", "e"), 5]).to_string();
    client.publish(&body).expect(422);
    assert_eq!(rejected(), 4);
    client
        .publish_to("/publish?partial=true", &body)
        .expect(200);
    assert_eq!(rejected(), 6);
    let server = server.restart();
    assert_eq!(server.json("/stats")["rejected"], 0);
}
