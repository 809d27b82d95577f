//! What shippers send to a front: it is answered in the words of a node, and the same is stored.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::{json, Value};

use crate::engine::shared;
use crate::front::front;
use crate::harness::{Response, Server, Setup};
use crate::shipped::{self, Sent, BULK, JOURNAL};

/// What is another at each server is replaced: ids that are made, seqs, durations.
fn plain(text: &str) -> String {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let mut text = Regex::new(uuid)
        .unwrap()
        .replace_all(text, "UUID")
        .into_owned();
    for name in ["took", "_seq_no", "ackId", "seq"] {
        let number = Regex::new(&format!("\"{name}\":\\d+")).unwrap();
        text = number
            .replace_all(&text, format!("\"{name}\":N"))
            .into_owned();
    }
    text
}

fn shown(response: &Response) -> String {
    let mut headers: Vec<String> = response
        .headers
        .iter()
        .filter(|(name, _)| !["date", "content-length"].contains(&&*name.to_ascii_lowercase()))
        .map(|(name, value)| format!("{name}: {}", plain(value)))
        .collect();
    headers.sort();
    let body = plain(&String::from_utf8_lossy(&response.body));
    format!("{} {headers:?} {body}", response.status)
}

/// All that is stored, but for what is another at each server.
fn stored(server: &Server) -> Vec<String> {
    let page = server.json("/events?after=0&limit=1000");
    assert_eq!(page["next"], Value::Null);
    let day = Regex::new("^20(2[0-57-9]|26-1|[3-9])").unwrap();
    let event = |event: &Value| {
        let mut event = event.clone();
        for name in ["seq", "processed_at"] {
            event[name] = Value::Null;
        }
        // The time of receipt; what the requests name is of January 2026.
        let is_own = event["timestamp"].as_str().unwrap().starts_with("2026-01");
        assert!(is_own || day.is_match(event["timestamp"].as_str().unwrap()));
        if !is_own {
            event["timestamp"] = Value::Null;
        }
        plain(&event.to_string())
    };
    page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(event)
        .collect()
}

/// The counts of records and identities.
fn counts(server: &Server) -> BTreeSet<String> {
    let text = server.get("/metrics").text();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("log_aggregator_ingest_"));
    lines.map(str::to_owned).collect()
}

fn compare(database: &str, requests: Vec<Sent>) {
    let Some(engine) = shared() else {
        return;
    };
    let front = front(&engine.database(database));
    let node = Server::start(&[]);
    crate::front_engine::wait_until_healthy(&front);
    for Sent {
        method,
        target,
        headers,
        body,
    } in requests
    {
        let answers = [&front, &node].map(|server| {
            let mut client = server.client();
            client.send_request(method, target, &headers, &body);
            shown(&client.response_to(method))
        });
        let body = String::from_utf8_lossy(&body);
        assert_eq!(
            answers[0], answers[1],
            "{method} {target} {headers:?} {body}"
        );
    }
    assert_eq!(stored(&front), stored(&node));
    assert_eq!(counts(&front), counts(&node));
    let [ours, theirs] = [&front, &node].map(|server| server.json("/stats"));
    for name in [
        "received",
        "unique_processed",
        "duplicate_dropped",
        "conflicts",
        "rejected",
    ] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
}

#[test]
fn otlp_is_taken_as_by_a_node() {
    compare("shippers_otlp", shipped::of_otlp());
}

#[test]
fn elasticsearch_is_taken_as_by_a_node() {
    compare("shippers_elasticsearch", shipped::of_elasticsearch());
}

#[test]
fn loki_is_taken_as_by_a_node() {
    compare("shippers_loki", shipped::of_loki());
}

#[test]
fn hec_is_taken_as_by_a_node() {
    compare("shippers_hec", shipped::of_hec());
}

#[test]
fn datadog_and_gelf_are_taken_as_by_a_node() {
    compare("shippers_datadog", shipped::of_datadog_and_gelf());
}

#[test]
fn journald_is_taken_as_by_a_node() {
    compare("shippers_journald", shipped::of_journald());
}

#[test]
fn cloudevents_and_records_are_taken_as_by_a_node() {
    compare("shippers_events", shipped::of_events());
}

/// Lines of a bulk request with one document each.
fn bulk(ids: std::ops::Range<usize>) -> String {
    let line =
        |id| format!("{{\"create\":{{\"_index\":\"web\",\"_id\":\"{id}\"}}}}\n{{\"n\":{id}}}\n");
    ids.map(line).collect()
}

#[test]
fn a_request_with_more_than_the_queue_holds_is_stored_in_parts_and_answered_once() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("shippers_parts");
    let flags = [
        "--ring-capacity",
        "100",
        "--ingest",
        "elasticsearch?source=box",
    ];
    let front = Setup::new().store(&url).flags(flags).start();
    for (status, word) in [(201, "created"), (200, "noop")] {
        let answer = front
            .client()
            .request("POST", "/_bulk", &[BULK], bulk(0..1_050).as_bytes());
        let answer = answer.expect(200);
        assert_eq!(answer["errors"], false);
        let items = answer["items"].as_array().unwrap();
        assert_eq!(items.len(), 1_050);
        for (number, item) in items.iter().enumerate() {
            let item = &item["create"];
            assert_eq!(
                (&item["status"], &item["result"]),
                (&json!(status), &json!(word))
            );
            assert_eq!(item["_id"], number.to_string());
            assert_eq!(item["_seq_no"], number + 1);
        }
    }
    let kept =
        "SELECT count(*), count(DISTINCT event_id), min(source), max(source) FROM logagg.event_log";
    assert_eq!(engine.sql("shippers_parts", kept), "1050|1050|box|box");
    let journal: String = (0..1_050)
        .map(|n| format!("__CURSOR=c{n}\nMESSAGE=m\n\n"))
        .collect();
    let answer = front
        .client()
        .request("POST", "/upload", &[JOURNAL], journal.as_bytes());
    assert_eq!((answer.status, answer.text().as_str()), (200, "OK."));
    let kept = "SELECT count(*) FROM logagg.event_log WHERE topic = 'journald'";
    assert_eq!(engine.sql("shippers_parts", kept), "1050");
}

#[test]
fn a_token_is_asked_for_and_what_a_front_has_not_got_is_501() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("shippers_tokens");
    let setup = Setup::new().store(&url);
    let path = setup.directory().join("tokens");
    let tokens = "shipper publish long-enough-token-of-a-shipper\n\
                  reader read long-enough-token-of-a-reader\n";
    std::fs::write(&path, tokens).unwrap();
    let front = setup
        .flags(["--auth-tokens-file", path.to_str().unwrap()])
        .start();
    let ask = |header: &str| {
        let headers = [BULK, header];
        front
            .client()
            .request("POST", "/_bulk", &headers, bulk(0..1).as_bytes())
            .status
    };
    assert_eq!(ask("X: y"), 401);
    assert_eq!(
        ask("Authorization: ApiKey long-enough-token-of-a-reader"),
        403
    );
    assert_eq!(
        ask("Authorization: ApiKey long-enough-token-of-a-shipper"),
        200
    );
    let headers = [BULK, "Authorization: ApiKey long-enough-token-of-a-shipper"];
    let answer = front
        .client()
        .request("POST", "/_bulk", &headers, b"{\"create\":{}}\n[]\n");
    assert_eq!(answer.expect(200)["errors"], true);
    let line = "records were rejected and are not kept: 1, protocol=elasticsearch";
    front.log().wait_for(1, line);
    let read = ["Authorization: Bearer long-enough-token-of-a-reader"];
    assert_eq!(
        front
            .client()
            .request("GET", "/rejected", &read, b"")
            .status,
        501
    );
}
