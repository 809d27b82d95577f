//! Faults after which the database has to be opened again, and what is answered until that has succeeded.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use rusqlite::Connection;
use rustix::io::Errno;
use serde_json::json;

use super::{assert_refused, assert_unhealthy, publish, start, wait_until_healthy};
use crate::disk::{Call, Disk, File};
use crate::harness::{event, Response, Server, Stream, TIMEOUT};
use crate::serving::assert_serves_everything;
use crate::wait::wait_until;

const OPENED_AGAIN: &str = "the database has been opened again";
const DEFERRED: &str = "the checkpoint failed and is tried again";

/// Publishes events until `is_done`.
fn publish_until(server: &Server, mut is_done: impl FnMut() -> bool) {
    let mut client = server.client();
    let stored = server.json("/stats")["unique_processed"].clone();
    let begun = Instant::now();
    for number in 0.. {
        if is_done() {
            return;
        }
        assert!(begun.elapsed() < TIMEOUT, "published in vain");
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
    // Frames after this snapshot cannot be copied.
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM events";
    reader.query_row(count, [], |_| Ok(())).unwrap();
    let observer = Connection::open(server.setup().database_path()).unwrap();
    publish_until(server, || frames(&observer).1 > 0);
    drop((reader, observer));
    disk.fail(Call::Sync, File::Database, Errno::IO);
    let has_failed = || !server.log().lines_with(DEFERRED).is_empty();
    publish_until(server, has_failed);
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

/// Has the disk lose what the log has after its first `synced` frames, and makes the server look. From then on
/// the log cannot be read.
fn lose_the_end_of_the_log(server: &Server, disk: &Disk, synced: u64) {
    let path = server.setup().database_path();
    let log = path.with_file_name("events.db-wal");
    let log = fs::File::options().write(true).open(log).unwrap();
    log.write_all_at(&[0; 4_096], 32 + synced * (24 + 4_096))
        .unwrap();
    disk.fail(Call::Sync, File::Log, Errno::IO);
    assert_refused(&server.publish(&event("t", "refused")));
    disk.fail(Call::Read, File::Log, Errno::IO);
    disk.mend(Call::Sync, File::Log);
}

const TARGETS: [&str; 8] = [
    "/events",
    "/events?topic=t",
    "/events/t/1",
    "/topics",
    "/stats",
    "/subscriptions",
    "/subscriptions/s",
    "/subscribe?follow=false",
];

/// The database is opened again, and that fails at one read after the other: what has been read of it by
/// then is shown to nobody.
#[test]
fn nothing_is_shown_of_half_a_database() {
    let disk = Disk::new();
    let server = start(&disk, &[], 5);
    let mut large = event("large", "0");
    large["payload"] = json!({ "filling": "x".repeat(64 * 1024) });
    for number in 0..100 {
        large["event_id"] = json!(number.to_string());
        server.publish(&large).expect(200);
    }
    let headers = ["Content-Type: application/json"];
    let put = server
        .client()
        .request("PUT", "/subscriptions/s", &headers, b"{\"after\":3}");
    put.expect(200);
    let mut export = Stream::lines(&server, "?follow=false");
    // What is shown, but for the time since the start.
    let shown = |answer: &Response| {
        let text = answer.text();
        let text = text.split("uptime_seconds").next().unwrap_or_default();
        (answer.status, text.to_owned())
    };
    let path = server.setup().database_path();
    let synced = frames(&Connection::open(path).unwrap()).0 as u64;
    let repeat = event("t", "1");
    assert_eq!(server.publish(&repeat).expect(200)["duplicates"], 1);
    let before: Vec<_> = TARGETS.map(|target| shown(&server.get(target))).into();
    lose_the_end_of_the_log(&server, &disk, synced);
    let mut spared = 0;
    let mut outages = 0;
    loop {
        disk.fail(Call::Read, File::Database, Errno::IO);
        disk.spare(spared);
        let failures = disk.failures();
        wait_until("a try", || {
            disk.failures() > failures || server.get("/health").status == 200
        });
        disk.spare(0);
        if server.get("/health").status == 200 {
            break;
        }
        spared += 1 + spared / 2;
        // Before it is closed, the database is read as ever.
        let mut refusals = 0;
        for (target, before) in TARGETS.iter().zip(&before) {
            let answer = server.get(target);
            if answer.status == 503 {
                assert_refused(&answer);
                refusals += 1;
            } else {
                assert_eq!(shown(&answer), *before, "{target}");
            }
        }
        outages += u32::from(refusals == TARGETS.len());
        assert_refused(&server.publish(&event("t", "refused")));
        let metrics = server.get("/metrics").text();
        let line = "\nlog_aggregator_unique_processed_total 105\n";
        assert!(metrics.contains(line), "{metrics}");
        assert_unhealthy(&server);
    }
    assert!(outages > 5, "{outages}");
    while let Ok(item) = export.try_next() {
        assert!(item.is_some(), "an export that was cut off ended well");
    }

    disk.heal();
    wait_until_healthy(&server);
    // The disk has lost what was never synced, and nothing else.
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], 105);
    assert_eq!(stats["duplicate_dropped"], 0);
    assert_eq!(server.json("/subscriptions/s")["after"], 3);
    publish(&server, 6..=8);
    assert_serves_everything(&server);
    let server = server.restart();
    assert_serves_everything(&server);
    server.stop();
}

/// The frames of the log that have been written again, as the log of the program says: first and last.
fn written_again(server: &Server) -> Vec<(u64, u64)> {
    let lines = server.log().lines_with("have been written again");
    let numbers = lines.iter().map(|line| {
        let words = line.split_whitespace().filter_map(|word| word.parse().ok());
        words.collect::<Vec<u64>>()
    });
    numbers.map(|of_line| (of_line[0], of_line[1])).collect()
}

/// As long as another program has the database open, SQLite cannot forget what it takes for copied. That is
/// found out a few times, each time after twice as much has been published, and the log is not written
/// again for it.
#[test]
fn an_idle_connection_of_another_program_is_not_run_into_again_and_again() {
    let disk = Disk::new();
    let server = start(&disk, &["--log-level", "debug"], 5);
    let idle = Connection::open(server.setup().database_path()).unwrap();
    frames(&idle);
    fail_a_checkpoint(&server, &disk);
    disk.heal();
    let frames_before = frames(&idle).0;
    let mut client = server.client();
    let mut large = event("large", "0");
    large["payload"] = json!({ "filling": "x".repeat(512 * 1024) });
    let mut number = 0;
    let tries = || server.log().lines_with(OPENED_AGAIN).len();
    // The first try comes a second after the failure, and by then more may have been published.
    let begun = Instant::now();
    while tries() == 0 || frames(&idle).0 < frames_before + 8_000 {
        assert!(begun.elapsed() < TIMEOUT, "no try was made");
        large["event_id"] = json!(number.to_string());
        client.publish(large.to_string()).expect(200);
        number += 1;
    }
    // A try for each thousand frames would be eight.
    let tries = tries();
    assert!((1..=4).contains(&tries), "{tries}");
    let again = written_again(&server);
    assert!((1..=2).contains(&again.len()), "{again:?}");
    for (first, last) in again {
        assert!(last - first < 200, "frames {first} to {last}");
    }
    assert_serves_everything(&server);

    drop(idle);
    wait_until("the log to be copied", || {
        large["event_id"] = json!(number.to_string());
        client.publish(large.to_string()).expect(200);
        number += 1;
        server.json("/stats")["wal_bytes"].as_u64().unwrap() < 20_000_000
    });
    assert_serves_everything(&server);
    server.stop();
}
