//! A database that a server without summaries has written: it is searched at once, and gets its summaries while that
//! goes on.

use rusqlite::{params, Connection};
use serde_json::{json, Value};

use super::summaries::{number, wait_for_summaries, BLOCK, EVENTS};
use super::{metric, walk};
use crate::harness::{seqs_of, Client, Setup};

/// Writes the database with [`EVENTS`] events.
fn fill(db: &Connection) {
    db.execute_batch(include_str!("version_3.sql")).unwrap();
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    db.execute_batch("BEGIN").unwrap();
    let at = 1_767_323_045_000_000_i64;
    let topics = ["t.a", "t.b", "u"];
    for (id, topic) in topics.iter().enumerate() {
        let mut numbers = (0..EVENTS).filter(|n| n % 3 == id as u64);
        let (count, last) = (numbers.clone().count(), numbers.next_back().map(|n| n + 1));
        let values = params![
            id as i64 + 1,
            topic,
            count as i64,
            last.map(|n| n as i64),
            at
        ];
        let sql = "INSERT INTO topics VALUES (?1, ?2, ?3, ?4, ?5)";
        db.execute(sql, values).unwrap();
    }
    let mut insert = db
        .prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .unwrap();
    for n in 0..EVENTS {
        let event = number(n);
        let topic = topics.iter().position(|topic| event["topic"] == *topic);
        let [id, time, source] = ["event_id", "timestamp", "source"].map(|name| text(&event, name));
        let payload = event["payload"].to_string();
        let topic = topic.unwrap() as i64 + 1;
        let values = params![n as i64 + 1, topic, id, time, source, payload, at];
        insert.execute(values).unwrap();
    }
    let sql = "INSERT INTO counters VALUES (1, ?1, ?1, 0, 0, ?1)";
    db.execute(sql, [EVENTS as i64]).unwrap();
    db.execute_batch("COMMIT").unwrap();
}

/// Compares what is found with what was written.
fn search(client: &mut Client) {
    for (query, expected) in [
        ("event_id=id-5000", vec![5_001]),
        ("q=era2&where=n=9000", vec![9_001]),
        ("q=absent", vec![]),
        ("where=rare=true", vec![5_001]),
    ] {
        let found = walk(client, &format!("/events?{query}"));
        assert_eq!((found.seqs, found.scanned), (expected, EVENTS), "{query}");
    }
    let found = walk(client, "/events?q=declined&limit=1000&after=0");
    assert!(found.seqs.iter().copied().eq(1..=EVENTS));
    let mut next = json!("/histogram?since=2026-01-02&until=2026-01-03&interval=1d");
    let mut matched = 0;
    while let Some(target) = next.as_str() {
        let histogram = client.get(target).expect(200);
        matched += histogram["matched"].as_u64().unwrap();
        next = histogram["next"].clone();
    }
    assert_eq!(matched, BLOCK);
}

#[test]
fn a_database_without_summaries_is_searched_at_once_and_gets_them() {
    let setup = Setup::new();
    let db = Connection::open(setup.database_path()).unwrap();
    fill(&db);
    drop(db);
    let server = setup.start();
    let mut client = server.client();
    search(&mut client);
    wait_for_summaries(&server);
    let skipped = metric(&mut client, "search_seqs_skipped_total");
    search(&mut client);
    assert!(metric(&mut client, "search_seqs_skipped_total") > skipped + 4 * BLOCK);
    // What was there is known, and what comes is found.
    client.publish(number(7).to_string()).expect(200);
    client.publish(number(EVENTS).to_string()).expect(200);
    let page = client.get("/events?q=era3&limit=1").expect(200);
    assert_eq!(seqs_of(&page), [EVENTS + 1]);
    let stats = client.get("/stats").expect(200);
    assert_eq!(stats["duplicate_dropped"], json!(1));
    drop(client);
    server.stop();
    let (code, said) = crate::checking::check(setup.database_path());
    assert_eq!(code, 0, "{said}");
}
