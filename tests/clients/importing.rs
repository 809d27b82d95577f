//! `logagg import`: what an export holds is stored once, whatever else its lines have.

use std::fs;

use serde_json::json;

use crate::fake::line;
use crate::harness::{event, events_of, Server};
use crate::program::run;

#[test]
fn importing_twice_stores_once_and_keeps_the_order() {
    let server = Server::start(&[]);
    let path = server.setup().directory().join("export");
    // Seqs of another server, with gaps.
    let text: String = [7, 9, 100, 4_000].into_iter().map(line).collect();
    fs::write(&path, text).unwrap();
    let name = path.to_str().unwrap();
    let output = run(&server, &["import", name], b"").expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [4, 0]
    );
    let output = run(&server, &["import", name, "--batch", "1"], b"").expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [0, 4]
    );
    let page = server.json("/events?after=0");
    let ids: Vec<_> = events_of(&page)
        .iter()
        .map(|event| &event["event_id"])
        .collect();
    assert_eq!(ids, ["e7", "e9", "e100", "e4000"]);
    assert!(server
        .get("/events/t/e7")
        .text()
        .contains("\"payload\":{\"n\":0.10},"));
}

#[test]
fn another_content_under_the_same_key_fails_and_the_rest_is_imported() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e1")).expect(200);
    let output = run(&server, &["import"], (line(1) + &line(2)).as_bytes()).expect(1);
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [1, 1]
    );
    assert!(
        output
            .stderr
            .starts_with("standard input:1: an event of this key is stored"),
        "{output:?}"
    );
    assert!(
        output
            .stderr
            .contains("1 event was not stored because of another content"),
        "{output:?}"
    );
    assert_eq!(server.json("/events/t/e1")["payload"], json!({"n": 1}));
}

#[test]
fn a_torn_export_is_told_of() {
    let server = Server::start(&[]);
    let torn = line(1) + &line(2)[..50];
    let output = run(&server, &["import"], torn.as_bytes()).expect(1);
    assert_eq!(["accepted", "rejected"].map(|sum| output.sum(sum)), [1, 1]);
    assert!(
        output.stderr.starts_with("standard input:2: not JSON"),
        "{output:?}"
    );
}
