//! Reads that fail. SQLite's cache hides them; a change by another program empties it.

use rusqlite::Connection;
use rustix::io::Errno;

use super::{assert_refused, assert_unhealthy, publish, start, wait_until_healthy};
use crate::disk::{Call, Disk, File};
use crate::harness::{event, seqs_of, Server};
use crate::serving::assert_serves_everything;

/// Changes the file as another program does.
fn touch(server: &Server) {
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.execute_batch("PRAGMA user_version = 3").unwrap();
}

fn reads_fail(dedup: &str, in_log: bool) {
    let disk = Disk::new();
    let server = start(&disk, &["--dedup", dedup], 40);
    // What has been copied into the database is read from there.
    let server = if in_log { server } else { server.restart() };
    // Held open, so that its going does not copy the log.
    let other = Connection::open(server.setup().database_path()).unwrap();
    touch(&server);
    assert_eq!(server.json("/events?limit=1000")["count"], 40);
    touch(&server);
    for file in [File::Database, File::Log] {
        disk.fail(Call::Read, file, Errno::IO);
    }
    for _ in 0..20 {
        for target in [
            "/events",
            "/events?topic=t",
            "/events?after=3",
            "/events/t/7",
        ] {
            assert_refused(&server.get(target));
        }
    }
    assert_refused(&server.publish(&event("t", "new")));
    assert_unhealthy(&server);
    assert_eq!(server.json("/stats")["unique_processed"], 40);
    disk.heal();
    wait_until_healthy(&server);
    assert_eq!(server.json("/events?limit=1000")["count"], 40);
    assert_eq!(server.json("/events/t/7")["seq"], 7);
    assert_eq!(server.get("/events/t/new").status, 404);
    publish(&server, 41..=42);
    assert_serves_everything(&server);
    drop(other);
    let server = server.restart();
    assert_eq!(seqs_of(&server.json("/events?limit=3")), [42, 41, 40]);
    server.stop();
}

#[test]
fn a_log_that_cannot_be_read() {
    reads_fail("index", true);
    reads_fail("constraint", true);
}

#[test]
fn a_database_that_cannot_be_read() {
    reads_fail("index", false);
    reads_fail("constraint", false);
}
