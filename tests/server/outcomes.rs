//! What a publication is answered: results, conflicts, partial acceptance.

use serde_json::{json, Value};

use crate::harness::{event, events_of, seqs_of, Server};

fn list(ids: &[&str]) -> String {
    let events: Vec<_> = ids.iter().map(|id| event("t", id)).collect();
    Value::from(events).to_string()
}

fn changed(event_id: &str, member: &str, value: Value) -> Value {
    let mut event = event("t", event_id);
    event[member] = value;
    event
}

#[test]
fn results_are_in_the_order_of_the_events() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let answer = client.publish_to("/publish?results=true", list(&["a", "b", "a", "c", "b"]));
    let accepted = |seq: u64| json!({"status": "accepted", "seq": seq});
    let duplicate = |seq: u64| json!({"status": "duplicate", "seq": seq});
    let expected = json!({
        "received": 5, "accepted": 3, "duplicates": 2,
        "message": "Received 5 events, accepted 3, rejected 2 duplicates",
        "results": [accepted(1), accepted(2), duplicate(1), accepted(3), duplicate(2)],
    });
    assert_eq!(answer.expect(200), expected);
    let answer = client
        .publish_to("/publish?results=1", list(&["c", "d"]))
        .expect(200);
    assert_eq!(answer["results"][0], duplicate(3));
    let seq = answer["results"][1]["seq"].as_u64().unwrap();
    assert!(seq > 3);
    assert_eq!(client.get("/events/t/d").expect(200)["seq"], seq);
    let page = client.get("/events?after=0").expect(200);
    assert_eq!(seqs_of(&page), [1, 2, 3, seq]);
}

#[test]
fn members_that_were_not_asked_for_are_absent() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for target in [
        "/publish",
        "/publish?results=false",
        "/publish?results=0&partial=false",
        "/publish?partial=0&other=x",
    ] {
        let answer = client.publish_to(target, list(&["a"])).expect(200);
        let names: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 4, "{target}: {names:?}");
        for name in ["received", "accepted", "duplicates", "message"] {
            assert!(answer.get(name).is_some(), "{name}");
        }
    }
    let answer = client
        .publish_to("/publish?partial=true", list(&["z"]))
        .expect(200);
    assert_eq!(
        (&answer["rejected"], &answer["errors"]),
        (&json!(0), &json!([]))
    );
    assert!(answer.get("results").is_none());
}

#[test]
fn an_event_that_differs_from_the_stored_one_is_a_conflict() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let stored = event("t", "e");
    client.publish(stored.to_string()).expect(200);
    for other in [
        changed("e", "timestamp", json!("2026-01-02T03:04:05+00:00")),
        changed("e", "source", json!("another")),
        changed("e", "payload", json!({"n": 2})),
    ] {
        let answer = client
            .publish_to("/publish?results=true", other.to_string())
            .expect(200);
        assert_eq!(
            (&answer["accepted"], &answer["duplicates"]),
            (&json!(0), &json!(1))
        );
        assert_eq!(answer["results"], json!([{"status": "conflict", "seq": 1}]));
    }
    // Within one request too, and unknown members do not count.
    let mut same = event("t", "f");
    same["more"] = json!(1);
    let body = json!([event("t", "f"), same, changed("f", "source", json!("x"))]);
    let answer = client
        .publish_to("/publish?results=true", body.to_string())
        .expect(200);
    let statuses: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["status"])
        .collect();
    assert_eq!(statuses, ["accepted", "duplicate", "conflict"]);

    let stats = server.json("/stats");
    assert_eq!(
        (&stats["conflicts"], &stats["duplicate_dropped"]),
        (&json!(4), &json!(5))
    );
    // The first write stays.
    let kept = client.get("/events/t/e").expect(200);
    for member in ["timestamp", "source", "payload"] {
        assert_eq!(kept[member], stored[member]);
    }
    let log = server.stop();
    assert_eq!(
        log.lines_with("Duplicate event detected and dropped: ")
            .len(),
        5
    );
    // Each of those that conflict has a second line, with the word that people search for.
    let conflicts = log.lines_with("conflict");
    assert_eq!(conflicts.len(), 4, "{conflicts:?}");
    assert!(conflicts[0].contains(" WARN "), "{conflicts:?}");
    assert!(conflicts[0].ends_with("topic=t, event_id=e, seq=1"));
    assert!(conflicts[3].ends_with("topic=t, event_id=f, seq=2"));
}

#[test]
fn partial_stores_the_good_events_and_names_the_bad_ones() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.publish(event("t", "old").to_string()).expect(200);
    let bad = changed("bad", "timestamp", json!("soon"));
    let body = json!({"events": [event("t", "a"), bad, event("t", "old"), 7, event("t", "b")]});
    let answer = client
        .publish_to("/publish?partial=true&results=true", body.to_string())
        .expect(200);
    assert_eq!(
        ["received", "accepted", "duplicates", "rejected"]
            .map(|name| answer[name].as_u64().unwrap()),
        [3, 2, 1, 2]
    );
    assert_eq!(
        answer["message"],
        "Received 3 events, accepted 2, rejected 1 duplicates"
    );
    let expected = json!([
        {"status": "accepted", "seq": 2},
        {"status": "rejected"},
        {"status": "duplicate", "seq": 1},
        {"status": "rejected"},
        {"status": "accepted", "seq": 3},
    ]);
    assert_eq!(answer["results"], expected);
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors[0]["loc"], json!(["body", "events", 1, "timestamp"]));
    assert_eq!(errors[0]["msg"], "timestamp must be in ISO 8601 format");
    assert_eq!(errors[0]["type"], "value_error");
    assert_eq!(errors[1]["loc"], json!(["body", "events", 3]));
    assert_eq!(errors.len(), 2);
    let stats = server.json("/stats");
    assert_eq!(
        (&stats["received"], &stats["rejected"]),
        (&json!(4), &json!(2))
    );
}

#[test]
fn partial_with_nothing_good_is_still_an_answer() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (body, loc) in [
        ("{}".to_owned(), json!(["body", "topic"])),
        ("[{}]".to_owned(), json!(["body", 0, "topic"])),
        ("{}\n{}".to_owned(), json!(["body", 0, "topic"])),
    ] {
        let answer = client
            .publish_to("/publish?partial=1&results=1", &body)
            .expect(200);
        assert_eq!(
            (&answer["received"], &answer["accepted"]),
            (&json!(0), &json!(0)),
            "{body}"
        );
        assert_eq!(answer["errors"][0]["loc"], loc);
        assert_eq!(answer["results"][0], json!({"status": "rejected"}));
    }
    let stats = server.json("/stats");
    assert_eq!(
        (&stats["received"], &stats["rejected"]),
        (&json!(0), &json!(4))
    );
    assert_eq!(events_of(&server.json("/events")).len(), 0);
}

#[test]
fn at_most_a_hundred_faults_are_listed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let bad: Vec<_> = (0..150)
        .map(|n| changed(&n.to_string(), "source", json!("")))
        .collect();
    let body = json!({ "events": bad }).to_string();
    let answer = client.publish(&body).expect(422);
    let details = answer["detail"].as_array().unwrap();
    assert_eq!(details.len(), 100);
    for (index, detail) in details.iter().enumerate() {
        assert_eq!(detail["loc"], json!(["body", "events", index, "source"]));
    }
    let answer = client
        .publish_to("/publish?partial=true&results=true", &body)
        .expect(200);
    assert_eq!(answer["rejected"], 150);
    assert_eq!(answer["errors"].as_array().unwrap().len(), 100);
    assert_eq!(answer["results"].as_array().unwrap().len(), 150);
}

#[test]
fn publications_that_were_pipelined_are_stored_in_their_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let headers = ["Content-Type: application/json"];
    for n in 0..50 {
        let body = list(&[&format!("{n}a"), &format!("{n}b")]);
        client.send_request("POST", "/publish?results=true", &headers, body.as_bytes());
    }
    for n in 0..50 {
        let answer = client.response().expect(200);
        let seqs: Vec<_> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["seq"])
            .collect();
        assert_eq!(seqs, [&json!(2 * n + 1), &json!(2 * n + 2)]);
    }
}
