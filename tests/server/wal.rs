//! The write-ahead log when another program holds a snapshot for long: it grows, and shrinks afterwards,
//! without a stop of the service.

use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::checking::check_beside;
use crate::harness::{event, Server};
use crate::wait::wait_until;

/// Bytes of a log at rest (`WAL_KEPT_BYTES`), and some frames.
const AT_REST: u64 = 17 * 1024 * 1024;
/// More than the server copies by itself.
const LONG: u64 = 96 * 1024 * 1024;

fn wal_bytes(server: &Server) -> u64 {
    let stats = server.json("/stats");
    stats["wal_bytes"].as_u64().expect("a number")
}

/// A snapshot of the events, as any program may hold it.
fn snapshot(path: &Path) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.execute_batch("BEGIN").unwrap();
    db.query_row("SELECT count(*) FROM events", [], |_| Ok(()))
        .unwrap();
    db
}

/// Publishes requests of 4 MiB until the log is longer than `bytes`; says how many events these were.
fn grow(server: &Server, bytes: u64) -> u64 {
    let filling = "x".repeat(64 * 1024);
    let mut client = server.client();
    let mut events = 0;
    while wal_bytes(server) <= bytes {
        let batch: Vec<_> = (events..events + 64)
            .map(|n| {
                let mut event = event("t", &format!("e{n}"));
                event["payload"] = json!({ "filling": filling });
                event
            })
            .collect();
        client.publish(json!(batch).to_string()).expect(200);
        events += 64;
    }
    events
}

#[test]
fn a_snapshot_makes_it_grow_and_another_process_shortens_it() {
    let server = Server::start(&["--log-level", "debug", "--durability", "normal"]);
    server.publish(&event("t", "first")).expect(200);
    let held = snapshot(server.setup().database_path());
    let events = grow(&server, LONG);
    drop(held);
    server.publish(&event("t", "last")).expect(200);
    wait_until("the log to be short again", || {
        wal_bytes(&server) <= AT_REST
    });
    server
        .log()
        .wait_for(1, "another process copies the write-ahead log");
    check_beside(&server);
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], 1 + events + 1);
    let log = server.stop();
    assert!(!log.text().contains("WARN  "), "{}", log.text());
}

#[test]
fn it_can_be_copied_by_hand() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e")).expect(200);
    let copy = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
        command.arg("checkpoint").arg(path).output().unwrap()
    };
    let output = copy(server.setup().database_path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(
        output.status.success() && numbers[0] == numbers[1] && numbers[0] > 0,
        "{text}"
    );
    let missing = copy(&server.setup().directory().join("none.db"));
    let sentence = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(missing.status.code(), Some(1));
    assert!(sentence.contains("none.db"), "{sentence}");
    assert!(!server.setup().directory().join("none.db").exists());
}
