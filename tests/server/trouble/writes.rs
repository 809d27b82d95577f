//! Writes that fail, and files and folders that can no longer be written.

use std::fs;

use rustix::io::Errno;

use super::{assert_refused, assert_unhealthy, publish, start, trouble, wait_until_healthy};
use crate::disk::{Call, Disk, File};
use crate::harness::{event, seqs_of, Setup};
use crate::serving::assert_serves_everything;
use crate::wait::wait_until;

#[test]
fn a_log_that_cannot_be_written() {
    trouble(&[], &[(Call::Write, File::Log, Errno::IO)]);
    trouble(
        &["--durability", "normal"],
        &[(Call::Write, File::Log, Errno::IO)],
    );
}

#[test]
fn a_full_disk() {
    let full = [
        (Call::Write, File::Log, Errno::NOSPC),
        (Call::Write, File::Database, Errno::NOSPC),
        (Call::Write, File::Other, Errno::NOSPC),
        (Call::Open, File::Other, Errno::NOSPC),
    ];
    trouble(&["--dedup", "index"], &full);
    trouble(&["--dedup", "constraint"], &full);
}

/// What a subscription holds is not removed to make room, and what does not fit is refused.
#[test]
fn a_full_disk_while_a_subscription_holds_old_events() {
    let disk = Disk::new();
    let server = start(&disk, &["--retain-events", "1s"], 0);
    let put = |body: &str| {
        let json = ["Content-Type: application/json"];
        let mut client = server.client();
        let answer = client.request("PUT", "/subscriptions/behind", &json, body.as_bytes());
        answer.expect(200)
    };
    put(r#"{"after":0,"hold":true}"#);
    publish(&server, 1..=20);
    server
        .log()
        .wait_for(1, "the subscription \"behind\" holds the events after seq");
    for (call, file) in [
        (Call::Write, File::Log),
        (Call::Write, File::Database),
        (Call::Write, File::Other),
        (Call::Open, File::Other),
    ] {
        disk.fail(call, file, Errno::NOSPC);
    }
    for round in 0..20 {
        assert_refused(&server.publish(&event("refused", &round.to_string())));
    }
    assert_unhealthy(&server);
    assert_eq!(server.json("/events?after=0&limit=100")["count"], 20);
    disk.heal();
    wait_until_healthy(&server);
    publish(&server, 21..=22);
    assert_eq!(server.json("/events?after=0&limit=100")["count"], 22);
    put(r#"{"hold":false}"#);
    wait_until("the events that are too old to go", || {
        server.json("/events?after=0&limit=100")["count"] == 0
    });
    server.stop();
}

#[test]
fn a_quota_that_is_used_up() {
    trouble(&[], &[(Call::Write, File::Log, Errno::DQUOT)]);
}

#[test]
fn a_file_system_that_has_become_read_only() {
    let files = [File::Database, File::Log, File::Other, File::Folder];
    let faults: Vec<_> = [Call::Write, Call::Sync, Call::Open, Call::Unlink]
        .into_iter()
        .flat_map(|call| files.map(|file| (call, file, Errno::ROFS)))
        .collect();
    trouble(&[], &faults);
}

/// The database can be written, but not copied to: the log grows, and publishers notice nothing.
#[test]
fn a_checkpoint_that_cannot_write() {
    let disk = Disk::new();
    let server = start(&disk, &[], 0);
    disk.fail(Call::Write, File::Database, Errno::IO);
    publish(&server, 1..=600);
    server
        .log()
        .wait_for(1, "the checkpoint failed and is tried again");
    publish(&server, 601..=650);
    assert_eq!(server.json("/health")["status"], "healthy");
    let grown = server.json("/stats")["wal_bytes"].as_u64().unwrap();
    disk.heal();
    publish(&server, 651..=1_000);
    assert_serves_everything(&server);
    let server = server.restart();
    assert_eq!(server.json("/stats")["unique_processed"], 1_000);
    assert!(server.json("/stats")["wal_bytes"].as_u64().unwrap() < grown);
    server.stop();
}

/// Nothing can be made or removed in the folder any more. The server has what it needs.
#[test]
fn a_folder_that_has_become_read_only() {
    let disk = Disk::new();
    let server = start(&disk, &[], 3);
    for file in [File::Database, File::Log, File::Other] {
        disk.fail(Call::Open, file, Errno::ACCESS);
        disk.fail(Call::Unlink, file, Errno::ACCESS);
    }
    publish(&server, 4..=6);
    assert_eq!(server.json("/health")["status"], "healthy");
    let setup = server.setup().clone();
    server.stop();
    let (code, log) = setup.fail();
    assert_ne!(code, 0);
    assert!(log.contains("cannot be opened"), "{log}");
    disk.heal();
    let server = setup.start();
    assert_eq!(seqs_of(&server.json("/events")), [6, 5, 4, 3, 2, 1]);
    server.stop();
}

/// A server that cannot start says so and leaves the database as it was.
#[test]
fn a_start_on_a_disk_in_trouble_fails_with_a_reason() {
    let disk = Disk::new();
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, 1..=3);
    server.kill();
    let under = disk.under(setup.clone());
    let before = fs::read(setup.database_path()).unwrap();
    for (call, file) in [
        (Call::Write, File::Log),
        (Call::Sync, File::Log),
        (Call::Read, File::Database),
        (Call::Read, File::Log),
    ] {
        disk.fail(call, file, Errno::IO);
        let (code, log) = under.fail();
        assert_ne!(code, 0, "{call:?} {file:?}");
        assert!(log.contains("cannot open the database"), "{log}");
        disk.heal();
        assert_eq!(fs::read(setup.database_path()).unwrap(), before);
    }
    let server = under.start();
    assert_eq!(seqs_of(&server.json("/events")), [3, 2, 1]);
    server.stop();
}
