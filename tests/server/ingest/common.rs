//! What holds for the records of all protocols, tried with one that has no rules of its own.

use std::collections::BTreeSet;

use serde_json::{json, Value};

use super::{post, stored};
use crate::encodings;
use crate::harness::{Server, Setup};

const PATH: &str = "/api/v2/logs";

fn texts<'e>(events: &'e [Value], member: &str) -> Vec<&'e str> {
    let text = |event: &'e Value| event[member].as_str().expect("it is a string");
    events.iter().map(text).collect()
}

#[test]
fn what_is_missing_is_filled_in_from_the_query() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let target =
        format!("{PATH}?topic=a%20b&source=s&timestamp=at.ms&event_id=/ids/0,meta.uid,auto");
    let body = r#"[{"service":"web","hostname":"h","ids":["first"],"at":{"ms":1767323045678}},
        {"meta":{"uid":7},"at":{"ms":0},"time":1767323045},{"x":1}]"#;
    post(&mut client, &target, body).expect(202);
    let events = stored(&server);
    assert_eq!(texts(&events, "topic"), ["a b"; 3]);
    assert_eq!(texts(&events, "source"), ["s"; 3]);
    assert_eq!(texts(&events, "event_id")[..2], ["first", "7"]);
    let times = texts(&events, "timestamp");
    assert_eq!(
        times[..2],
        ["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05Z"]
    );
    let processed_at = events[2]["processed_at"].as_str().unwrap();
    assert!(
        times[2] > "2026-01-03" && times[2] <= processed_at,
        "the time of receipt"
    );
    let id = texts(&events, "event_id")[2];
    assert_eq!((id.len(), &id[14..15]), (36, "7"), "{id}");
}

#[test]
fn a_retry_with_an_identity_is_stored_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = r#"[{"id":"a","n":1},{"id":"b","n":2},{"id":"a","n":1}]"#;
    let target = format!("{PATH}?event_id=id,auto");
    for _ in 0..3 {
        // The time of receipt and the peer are others each time, which makes no conflict.
        post(&mut server.client(), &target, body).expect(202);
    }
    assert_eq!(texts(&stored(&server), "event_id"), ["a", "b"]);
    let stats = server.json("/stats");
    assert_eq!(stats["duplicate_dropped"], 7, "{stats}");
    post(&mut client, &target, r#"{"id":"a","n":9}"#).expect(202);
    assert_eq!(
        stored(&server)[0]["payload"]["n"],
        1,
        "the first write stays"
    );
}

#[test]
fn a_hash_is_an_identity_where_the_record_has_a_time() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let target = format!("{PATH}?event_id=hash");
    let equal = r#"{"time": 1767323045, "n": 1}"#;
    let body = format!("[{equal},{equal},{{\"n\":1}}]");
    for _ in 0..2 {
        post(&mut client, &target, &body).expect(202);
    }
    let events = stored(&server);
    let ids: BTreeSet<&str> = texts(&events, "event_id").into_iter().collect();
    let hashes: Vec<&str> = ids
        .iter()
        .copied()
        .filter(|id| id.starts_with("h-"))
        .collect();
    assert_eq!((hashes.len(), ids.len()), (2, 4), "{ids:?}");
    assert_eq!(hashes[1], format!("{}.2", hashes[0]));
}

#[test]
fn a_bad_record_leaves_its_neighbours() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
    let body = format!("[{{\"n\":1}},7,{deep},{{\"n\":2}}]");
    post(&mut client, PATH, body).expect(202);
    assert_eq!(stored(&server).len(), 2);
    assert_eq!(server.json("/stats")["rejected"], 2);
    let answer = post(&mut client, PATH, format!("[{deep}]")).expect(400);
    let detail = answer["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("128 levels"), "{detail}");
}

#[test]
fn a_bad_query_refuses_the_request() {
    let server = Server::start(&[]);
    for query in [
        "topic=",
        "event_id=auto,id",
        "timestamp=/~2",
        "source=a&source=b",
        "payload=all",
    ] {
        let answer = post(
            &mut server.client(),
            &format!("{PATH}?{query}"),
            "{\"n\":1}",
        );
        let name = query.split('=').next().unwrap();
        let detail = answer.expect(400)["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(detail.starts_with(name), "{detail}");
    }
    post(
        &mut server.client(),
        &format!("{PATH}?page=1&ddtags=x"),
        "{\"n\":1}",
    )
    .expect(202);
    assert_eq!(stored(&server).len(), 1);
}

#[test]
fn more_records_than_the_ring_holds_are_committed_one_part_after_the_other() {
    let server = Server::start(&["--ring-capacity", "7"]);
    let records: Vec<Value> = (0..100).map(|n| json!({"id": n % 90, "n": n})).collect();
    let body = serde_json::to_vec(&records).unwrap();
    let target = format!("{PATH}?event_id=id");
    post(&mut server.client(), &target, &body).expect(202);
    let events = stored(&server);
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["payload"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..90).collect::<Vec<_>>());
    let stats = server.json("/stats");
    assert_eq!(stats["duplicate_dropped"], 10, "{stats}");
    // Others are served between the parts, and an encoded body goes the same way.
    let gzip = encodings::gzip(&body);
    let headers = ["Content-Type: application/json", "Content-Encoding: gzip"];
    let response = server.client().request("POST", &target, &headers, &gzip);
    response.expect(202);
    assert_eq!(stored(&server).len(), 90);
}

#[test]
fn what_cannot_be_decoded_is_refused_in_the_shape_of_the_protocol() {
    let server = Server::start(&["--max-body-bytes", "2048"]);
    let send = |coding: &str, body: &[u8]| {
        let coding = format!("Content-Encoding: {coding}");
        let headers = ["Content-Type: application/json", &coding];
        server.client().request("POST", PATH, &headers, body)
    };
    assert_eq!(
        send("gzip", b"not gzip").expect(400)["errors"][0]["status"],
        "400"
    );
    assert_eq!(send("br", b"x").expect(415)["errors"][0]["status"], "415");
    let large = vec![b' '; 4096];
    assert_eq!(
        send("identity", &large).expect(413)["errors"][0]["status"],
        "413"
    );
    let bomb = encodings::gzip(&large);
    assert_eq!(
        send("gzip", &bomb).expect(413)["errors"][0]["status"],
        "413"
    );
}

#[test]
fn settings_are_the_query_of_those_that_can_send_none() {
    let setup = Setup::new().flags(["--ingest", "datadog?topic=all&event_id=id"]);
    let server = setup.start();
    for target in [PATH, "/api/v2/logs?topic=mine"] {
        post(
            &mut server.client(),
            target,
            r#"{"id":"x","service":"web"}"#,
        )
        .expect(202);
    }
    let events = stored(&server);
    assert_eq!(texts(&events, "topic"), ["all", "mine"]);
    assert_eq!(texts(&events, "event_id"), ["x", "x"]);
}

#[test]
fn a_token_may_come_in_the_way_of_each_shipper() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "shipper publish secret\nreader read other\n").unwrap();
    let server = setup.flags(["--auth-tokens-file".into(), path]).start();
    let send = |header: &str| {
        let headers = ["Content-Type: application/json", header];
        server
            .client()
            .request("POST", PATH, &headers, b"{\"n\":1}")
            .status
    };
    // Base64 of any:secret and of id:secret.
    for header in [
        "Authorization: Bearer secret",
        "Authorization: Basic YW55OnNlY3JldA==",
        "Authorization: ApiKey secret",
        "Authorization: apikey aWQ6c2VjcmV0",
        "Authorization: Splunk secret",
        "DD-API-KEY: secret",
    ] {
        assert_eq!(send(header), 202, "{header}");
    }
    for (header, status) in [
        ("X: y", 401),
        ("Authorization: Basic c2VjcmV0", 401),
        ("Authorization: Digest secret", 401),
        ("DD-API-KEY: wrong", 401),
        ("DD-API-KEY: other", 403),
    ] {
        assert_eq!(send(header), status, "{header}");
    }
    server.client().get("/api/v1/validate").expect(200);
}
