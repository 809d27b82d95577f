//! Faults after which the database has to be opened again, and what is answered until that has succeeded.

use rusqlite::Connection;
use rustix::io::Errno;
use serde_json::json;

use super::{publish, start};
use crate::disk::{Call, Disk, File};
use crate::harness::{event, Server, Stream};
use crate::serving::assert_serves_everything;

const OPENED_AGAIN: &str = "the database has been opened again";
const DEFERRED: &str = "a checkpoint, a merge, the counts";

/// Publishes events until `is_done`, or as many as bring some checkpoints.
fn publish_until(server: &Server, mut is_done: impl FnMut() -> bool) {
    let mut client = server.client();
    let stored = server.json("/stats")["unique_processed"].clone();
    for number in 0..1_000 {
        if is_done() {
            return;
        }
        let events: Vec<_> = (0..20)
            .map(|n| event("more", &format!("{stored}-{number}-{n}")))
            .collect();
        client.publish(json!(events).to_string()).expect(200);
    }
}

/// Has a checkpoint copy a part of the log only, and the next one fail to sync: SQLite takes the part for
/// copied, but it need not be on the disk. The database has to be opened again before the next checkpoint.
fn fail_a_checkpoint(server: &Server, disk: &Disk) {
    let reader = Connection::open(server.setup().database_path()).unwrap();
    publish_until(server, || frames(&reader).0 > 500);
    // Frames behind this snapshot cannot be copied.
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM events";
    reader.query_row(count, [], |_| Ok(())).unwrap();
    let observer = Connection::open(server.setup().database_path()).unwrap();
    publish_until(server, || frames(&observer).1 > 0);
    assert!(frames(&observer).1 > 0, "no checkpoint came");
    drop((reader, observer));
    disk.fail(Call::Sync, File::Database, Errno::IO);
    let has_failed = || !server.log().lines_with(DEFERRED).is_empty();
    publish_until(server, has_failed);
    assert!(has_failed(), "no checkpoint came");
}

/// Frames in the log, and those of them that have been copied.
fn frames(db: &Connection) -> (i64, i64) {
    let sql = "PRAGMA wal_checkpoint(NOOP)";
    db.query_row(sql, [], |row| Ok((row.get(1)?, row.get(2)?)))
        .unwrap()
}

#[test]
fn a_database_that_was_opened_again_answers_everything() {
    for dedup in ["index", "constraint"] {
        let disk = Disk::new();
        let server = start(&disk, &["--dedup", dedup], 5);
        fail_a_checkpoint(&server, &disk);
        disk.heal();
        publish_until(&server, || {
            !server.log().lines_with(OPENED_AGAIN).is_empty()
        });
        assert_serves_everything(&server);
        let mut live = Stream::events(&server, "");
        publish(&server, 6..=8);
        live.seqs(3);
        drop(live);
        let server = server.restart();
        assert_serves_everything(&server);
        server.stop();
    }
}
