//! Syncs that fail once and succeed then, although what the failed one should have brought to the disk is
//! gone. Each of these runs loses answered events, or the database, on a store that goes on as if nothing
//! had happened.

use std::path::Path;

use rusqlite::Connection;
use rustix::io::Errno;

use super::promise::{Promise, Rest};
use super::session::{kill, Session};
use super::{cut_behind, cuts, seed};
use crate::disk::{Call, Disk, Entry, File};
use crate::harness::{event, Client, Setup};
use crate::wait::wait_until;

/// Publishes new events until that many are stored; what is refused is sent again.
fn publish(client: &mut Client, stored: &mut u64, count: u64) {
    let until = *stored + count;
    wait_until("events to be stored", || {
        while *stored < until && publish_one(client, *stored + 1) {
            *stored += 1;
        }
        *stored == until
    });
}

/// Publishes an event; says whether it was stored.
fn publish_one(client: &mut Client, number: u64) -> bool {
    let event_id = format!("{number} {}", "f".repeat(150));
    match client.publish(event("t", &event_id).to_string()) {
        answer if answer.status == 503 => false,
        answer => answer.expect(200)["accepted"] == 1,
    }
}

/// A repeat is committed without a sync. When the sync of a new event fails after it, the repeat's part
/// of the log may be lost, and with it whatever is written after that hole.
fn a_hole_in_the_log(key: &str, flags: &[&str], promises: bool) {
    let disk = Disk::new();
    let setup = Setup::new().flags(flags.iter().copied());
    let server = disk.recorded(&setup, 0).start();
    let mut client = server.client();
    let mut stored = 0;
    publish(&mut client, &mut stored, 20);
    for _ in 0..5 {
        assert!(!publish_one(&mut client, 7), "it is a repeat");
    }
    disk.fail(Call::Sync, File::Log, Errno::IO);
    while publish_one(&mut client, stored + 1) {
        stored += 1;
        assert!(stored < 5_000, "nothing was synced");
    }
    disk.heal();
    let healed = disk.entries().len();
    publish(&mut client, &mut stored, 50);
    kill(server, &disk, &setup, 0);
    let session = Session::of(&disk, setup);
    let promise = Promise::of(&session, Rest::MayBeRefused);
    let seed = seed();
    let report = cut_behind(&session, &promise, healed, cuts(30), seed, promises);
    report.expect_whole(key);
}

#[test]
fn a_hole_in_the_log_is_filled_before_the_next_answer() {
    a_hole_in_the_log("log-hole-index", &["--dedup", "index"], true);
    a_hole_in_the_log("log-hole-constraint", &["--dedup", "constraint"], true);
}

#[test]
fn a_hole_in_the_log_is_filled_before_the_next_checkpoint() {
    a_hole_in_the_log("log-hole-normal", &["--durability", "normal"], false);
}

/// The next server finds a log that the operating system still shows whole.
#[test]
fn a_hole_that_an_earlier_server_has_left_is_filled_at_the_start() {
    let disk = Disk::new();
    let setup = Setup::new();
    let server = disk.recorded(&setup, 0).start();
    let mut client = server.client();
    let mut stored = 0;
    publish(&mut client, &mut stored, 20);
    assert!(!publish_one(&mut client, 7), "it is a repeat");
    disk.fail(Call::Sync, File::Log, Errno::IO);
    assert!(!publish_one(&mut client, stored + 1));
    kill(server, &disk, &setup, 0);
    disk.heal();
    let server = disk.recorded(&setup, 1).start();
    let started = disk.entries().len();
    // What was refused may have come back whole.
    stored = server.json("/stats")["unique_processed"].as_u64().unwrap();
    publish(&mut server.client(), &mut stored, 30);
    kill(server, &disk, &setup, 1);
    let session = Session::of(&disk, setup);
    let promise = Promise::of(&session, Rest::MayBeRefused);
    let report = cut_behind(&session, &promise, started, cuts(30), seed(), true);
    report.expect_whole("log-hole-start");
}

/// SQLite does not sync what it has copied of a log that a reader holds back, but remembers it as
/// copied. The next checkpoint's sync is to cover it; when that fails, only a new copy helps.
#[test]
fn what_a_reader_has_held_back_is_copied_again() {
    let disk = Disk::new();
    let setup = Setup::new();
    let server = disk.recorded(&setup, 0).start();
    let mut client = server.client();
    let mut stored = 0;
    publish(&mut client, &mut stored, 150);
    let reader = Connection::open(setup.database_path()).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM events")
        .unwrap();
    while copied(setup.database_path()) == 0 {
        publish(&mut client, &mut stored, 50);
        assert!(stored < 5_000, "no checkpoint came");
    }
    reader.execute_batch("ROLLBACK").unwrap();
    drop(reader);
    disk.fail(Call::Sync, File::Database, Errno::IO);
    while disk.failures() == 0 {
        publish(&mut client, &mut stored, 50);
        assert!(stored < 10_000, "no checkpoint came");
    }
    disk.heal();
    let healed = disk.entries().len();
    wait_until("the next checkpoint", || {
        publish(&mut client, &mut stored, 100);
        disk.entries()[healed..].contains(&Entry::Sync(File::Database))
    });
    // The log begins anew, over what it held.
    publish(&mut client, &mut stored, 400);
    kill(server, &disk, &setup, 0);
    let session = Session::of(&disk, setup);
    let promise = Promise::of(&session, Rest::MayBeRefused);
    let report = cut_behind(&session, &promise, healed, cuts(30), seed(), true);
    report.expect_whole("log-hole-reader");
}

/// Frames of the log that SQLite takes for copied.
fn copied(path: &Path) -> i64 {
    let other = Connection::open(path).unwrap();
    other
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(2))
        .unwrap()
}
