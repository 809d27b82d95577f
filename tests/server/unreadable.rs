//! A page of the database that SQLite itself cannot read, met by a running server: it says which table it is of and
//! what to do, and goes on reading.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{json, Value};

use crate::harness::{event, Server, Setup};
use crate::wait::wait_until;

const PAGE: u64 = 4_096;
const EVENTS: u64 = 3_000;

/// Flips a bit on the first leaf of an index, so that SQLite cannot read the page.
fn break_index(path: &Path, name: &str) {
    let database = Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: i64 = database.query_row(sql, [name], |row| row.get(0)).unwrap();
    let mut page = root.cast_unsigned();
    drop(database);
    let mut options = fs::File::options();
    let file = options.read(true).write(true).open(path).unwrap();
    let mut content = [0; PAGE as usize];
    loop {
        file.read_exact_at(&mut content, (page - 1) * PAGE).unwrap();
        // An interior page of an index (SQLite file format §1.6).
        if content[0] != 2 {
            break;
        }
        let cell = usize::from(u16::from_be_bytes([content[12], content[13]]));
        page = u32::from_be_bytes(content[cell..cell + 4].try_into().unwrap()).into();
    }
    assert_eq!(content[0], 10);
    let kind = (page - 1) * PAGE;
    file.write_all_at(&[content[0] ^ 2], kind).unwrap();
}

fn publish_all(server: &Server) -> crate::harness::Response {
    let events: Vec<Value> = (0..EVENTS)
        .map(|n| event("t", &format!("event {n}")))
        .collect();
    server.publish(&json!(events))
}

#[test]
fn a_damaged_index_of_sqlites_is_named() {
    let setup = Setup::new().flags(["--dedup", "constraint"]);
    let server = setup.start();
    assert_eq!(publish_all(&server).expect(200)["accepted"], EVENTS);
    let other = Connection::open(setup.database_path()).unwrap();
    wait_until("the write-ahead log to be copied", || {
        let pragma = "PRAGMA wal_checkpoint(TRUNCATE)";
        other.query_row(pragma, [], |row| row.get::<_, i64>(0)) == Ok(0)
    });
    break_index(setup.database_path(), "events_key");
    // After a commit of another program, the server reads again what it has in memory.
    let version: i64 = other
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    other.pragma_update(None, "user_version", version).unwrap();
    drop(other);
    publish_all(&server).sentence(503);
    let named = "a page of the table events or of an index on it is damaged";
    let line = server.log().wait_for(1, named).remove(0);
    assert!(line.contains("logagg check"), "{line}");
    let page = server.json("/events?limit=10");
    assert_eq!(page["count"], 10, "{page}");
    let log = server.stop();
    // SQLite's own words say neither what is damaged nor what to do.
    assert!(!log.text().contains("malformed"), "{}", log.text());
}
