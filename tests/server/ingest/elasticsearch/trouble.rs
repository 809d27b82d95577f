//! Bulk requests to a server that is locked, killed, cut off, or has a small ring.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::json;

use super::{bulk, error_type, items, send, statuses, BULK, NDJSON};
use crate::encodings;
use crate::harness::{Server, Setup};
use crate::ingest::stored;

#[test]
fn a_locked_database_is_unavailable_shards() {
    let server = Server::start(&[]);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = server.client();
    let body = "{\"index\":{\"_id\":\"1\"}}\n{}\n";
    for target in [BULK, "/elasticsearch/a/_doc/1"] {
        let response = send(&mut client, "PUT", target, body);
        assert_eq!(error_type(&response, 503), "unavailable_shards_exception");
        assert!(response.header("retry-after").is_some());
    }
    let response = send(&mut client, "GET", "/elasticsearch/_cluster/health", "");
    assert_eq!(response.expect(503)["status"], "red");
    other.execute_batch("ROLLBACK").unwrap();
    server.log().wait_for(1, "the store commits again");
    let response = send(&mut client, "GET", "/elasticsearch/_cluster/health", "");
    assert_eq!(response.expect(200)["status"], "green");
    assert_eq!(statuses(&bulk(&mut client, body)), [201]);
    assert_eq!(stored(&server).len(), 1);
}

/// A bulk body of records with these numbers as ids.
fn numbered(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let lines = numbers
        .map(|n| format!("{{\"create\":{{\"_index\":\"t\",\"_id\":\"{n}\"}}}}\n{{\"n\":{n}}}\n"));
    lines.collect::<String>().into_bytes()
}

fn numbers(server: &Server) -> Vec<u64> {
    stored(server)
        .iter()
        .map(|event| event["payload"]["n"].as_u64().unwrap())
        .collect()
}

#[test]
fn more_records_than_the_ring_holds_are_answered_in_order() {
    let server = Server::start(&["--ring-capacity", "7"]);
    let mut client = server.client();
    let answer = bulk(&mut client, numbered(0..1_000));
    assert_eq!(
        (&answer["errors"], statuses(&answer)),
        (&json!(false), vec![201; 1_000])
    );
    let seqs: Vec<u64> = items(&answer)
        .iter()
        .map(|item| item["_seq_no"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=1_000).collect::<Vec<_>>());
    let ids: Vec<String> = items(&answer)
        .iter()
        .map(|item| item["_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    // Again, in other pieces and compressed.
    let gzip = encodings::gzip(&numbered(500..1_010));
    let response = client.request("POST", BULK, &[NDJSON, "Content-Encoding: gzip"], &gzip);
    let mut expected = vec![200; 500];
    expected.extend([201; 10]);
    assert_eq!(statuses(&response.expect(200)), expected);
    assert_eq!(numbers(&server), (0..1_010).collect::<Vec<_>>());
}

#[test]
fn a_killed_server_and_a_retry_store_each_record_once() {
    let setup = Setup::new().flags(["--ring-capacity", "50"]);
    let mut server = setup.start();
    let body = numbered(0..2_000);
    // Killed at other places each time, with some of the parts committed.
    for round in 1..=4 {
        let mut client = server.client();
        client.send_request("POST", BULK, &[NDJSON], &body);
        let committed = round * 100;
        while server.json("/stats")["received"].as_u64() < Some(committed) {}
        server.kill();
        server = setup.start();
        let found = numbers(&server);
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        if found.len() == 2_000 {
            break;
        }
    }
    let answer = bulk(&mut server.client(), &body);
    assert!(statuses(&answer)
        .into_iter()
        .all(|status| status == 200 || status == 201));
    assert_eq!(numbers(&server), (0..2_000).collect::<Vec<_>>());
}

#[test]
fn a_body_or_an_answer_that_is_cut_off_leaves_no_doubt() {
    let server = Server::start(&[]);
    let body = numbered(0..500);
    let head = format!(
        "POST {BULK} HTTP/1.1\r\nHost: h\r\n{NDJSON}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = server.client();
    client.send(&head);
    client.send(&body[..body.len() - 1]);
    client.shutdown_write();
    drop(client);
    assert!(stored(&server).is_empty());
    let mut client = server.client();
    client.send(&head);
    client.send(&body);
    drop(client);
    // The client that does not know what became of it sends it again.
    let answer = bulk(&mut server.client(), &body);
    assert!(statuses(&answer)
        .into_iter()
        .all(|status| status == 200 || status == 201));
    assert_eq!(numbers(&server), (0..500).collect::<Vec<_>>());
}

#[test]
fn ids_that_the_server_makes_are_told() {
    let server = Server::start(&[]);
    let body = "{\"create\":{}}\n{\"n\":1}\n".repeat(50);
    for _ in 0..2 {
        let answer = bulk(&mut server.client(), &body);
        for item in items(&answer) {
            let target = format!("/events/elasticsearch/{}", item["_id"].as_str().unwrap());
            assert_eq!(server.json(&target)["seq"], item["_seq_no"]);
        }
    }
    let events = stored(&server);
    let ids: BTreeSet<&str> = events
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids.len(),
        100,
        "a retry without an identity is stored again"
    );
    let metrics = server.get("/metrics").text();
    for line in [
        "log_aggregator_ingest_identities_total{protocol=\"elasticsearch\",identity=\"auto\"} 100",
        "log_aggregator_ingest_records_total{protocol=\"elasticsearch\",result=\"accepted\"} 100",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
