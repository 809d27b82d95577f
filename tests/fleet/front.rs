//! A front: the service over a store that several servers share.

use serde_json::{json, Value};

use crate::engine::shared;
use crate::harness::{event, Server, Setup};

/// A front over a store.
pub fn front(url: &str) -> Server {
    Setup::new().store(url).start()
}

/// The outcomes of a publication, as `status seq`.
pub fn results(server: &Server, events: &Value) -> Vec<String> {
    let mut client = server.client();
    let answer = client.publish_to("/publish?results=true", events.to_string());
    let answer = answer.expect(200);
    let results = answer["results"].as_array().unwrap();
    let shown =
        |result: &Value| format!("{} {}", result["status"].as_str().unwrap(), result["seq"]);
    results.iter().map(shown).collect()
}

#[test]
fn an_event_is_stored_once_whichever_front_it_comes_to() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("fronts");
    let [first, second] = [front(&url), front(&url)];
    let events = json!([event("a", "1"), event("a", "1"), event("b", "1")]);
    let once = ["accepted 1", "duplicate 1", "accepted 3"];
    assert_eq!(results(&first, &events), once);
    // A topic that the other front has made, one of its own, and another content.
    let mut other = event("a", "1");
    other["source"] = json!("another");
    let events = json!([event("b", "1"), other, event("c", "1")]);
    let then = ["duplicate 3", "conflict 1", "accepted 6"];
    assert_eq!(results(&second, &events), then);
    assert_eq!(results(&first, &json!([event("c", "1")])), ["duplicate 6"]);
    let kept = engine.sql(
        "fronts",
        "SELECT seq, topic, event_id, source, payload FROM logagg.event_log ORDER BY seq",
    );
    assert_eq!(
        kept,
        "1|a|1|test|{\"n\":1}\n3|b|1|test|{\"n\":1}\n6|c|1|test|{\"n\":1}"
    );
    // Each commit has a record of its own, also where all were duplicates.
    let batches = "SELECT events, stored, duplicates, conflicts FROM logagg.batches ORDER BY id";
    assert_eq!(engine.sql("fronts", batches), "3|2|1|0\n3|1|2|1\n1|0|1|0");
    let lines = second.log().lines_with("conflict");
    assert!(lines[0].contains("seq=1"), "{lines:?}");
    // A topic that has gone under living connections is made again.
    engine.sql(
        "fronts",
        "TRUNCATE logagg.topics, logagg.keys, logagg.events, logagg.batches",
    );
    assert_eq!(results(&first, &json!([event("c", "1")])), ["accepted 1"]);
}

#[test]
fn what_is_refused_is_refused_as_by_a_node() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("refusals");
    let (front, node) = (front(&url), Server::start(&[]));
    let bad = r#"{"topic":"","event_id":"1","timestamp":"never","source":"s"}"#;
    let good = event("t", "1").to_string();
    for (target, body) in [
        ("/publish", bad),
        ("/publish", "[]"),
        ("/publish", "no"),
        ("/publish?results=maybe", good.as_str()),
        ("/publish?partial=true&results=true", bad),
        ("/publish", good.as_str()),
        ("/publish?results=true", good.as_str()),
        ("/nowhere", good.as_str()),
    ] {
        let answers = [&front, &node].map(|server| {
            let answer = server.client().publish_to(target, body);
            (answer.status, answer.text())
        });
        assert_eq!(answers[0], answers[1], "{target} {body}");
    }
    for target in ["/", "/openapi.json", "/nothing", "/health?x=1"] {
        let answers = [&front, &node].map(|server| server.get(target).status);
        assert_eq!(answers[0], answers[1], "{target}");
    }
}
