//! Syncs that fail. The kernel may have thrown away what it could not write (fsync(2)), so a later sync
//! that succeeds proves nothing of it.

use rustix::io::Errno;

use super::{assert_refused, assert_unhealthy, publish, start, trouble, wait_until_healthy};
use crate::disk::{Call, Disk, File};
use crate::harness::{event, seqs_of};
use crate::serving::assert_serves_everything;

#[test]
fn a_log_that_cannot_be_synced() {
    trouble(&[], &[(Call::Sync, File::Log, Errno::IO)]);
    trouble(
        &["--dedup", "constraint"],
        &[(Call::Sync, File::Log, Errno::NOSPC)],
    );
}

/// Health comes back only with a commit that has reached the disk, and each probe is one.
#[test]
fn a_server_that_nobody_publishes_to_probes_the_disk() {
    let disk = Disk::new();
    let server = start(&disk, &[], 1);
    disk.fail(Call::Sync, File::Log, Errno::IO);
    assert_refused(&server.publish(&event("t", "2")));
    let failures = disk.failures();
    crate::wait::wait_until("two probes", || disk.failures() > failures + 1);
    assert_unhealthy(&server);
    disk.heal();
    wait_until_healthy(&server);
    assert_eq!(seqs_of(&server.json("/events")), [1]);
    server.stop();
}

/// Publishers do not notice, and what could not be copied is copied later.
#[test]
fn a_checkpoint_that_cannot_sync_is_done_again() {
    let disk = Disk::new();
    let server = start(&disk, &[], 1);
    disk.fail(Call::Sync, File::Database, Errno::IO);
    publish(&server, 2..=600);
    server
        .log()
        .wait_for(1, "the checkpoint failed and is tried again");
    disk.heal();
    publish(&server, 601..=1_200);
    assert_serves_everything(&server);
    let server = server.restart();
    assert_eq!(server.json("/stats")["unique_processed"], 1_200);
    server.stop();
}

/// With normal durability only checkpoints sync the log. When one finds that the disk does not take it,
/// commits are refused too: they would stand after a hole.
#[test]
fn normal_durability_refuses_too_when_the_log_cannot_be_synced() {
    let disk = Disk::new();
    let server = start(&disk, &["--durability", "normal"], 1);
    disk.fail(Call::Sync, File::Log, Errno::IO);
    let mut client = server.client();
    let mut stored = 1;
    let refused = loop {
        let answer = client.publish(event("t", &(stored + 1).to_string()).to_string());
        if answer.status != 200 {
            break answer;
        }
        stored += 1;
        assert!(stored < 5_000, "no checkpoint came");
    };
    assert_refused(&refused);
    assert_unhealthy(&server);
    disk.heal();
    wait_until_healthy(&server);
    publish(&server, stored + 1..=stored + 600);
    let server = server.restart();
    assert_eq!(server.json("/stats")["unique_processed"], stored + 600);
    server.stop();
}
