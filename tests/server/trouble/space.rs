//! A file system that is really full. Only root can make a small one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{assert_refused, assert_unhealthy, wait_until_healthy};
use crate::harness::{event, Setup, TemporaryDirectory};
use crate::report::skipped;

/// A file system in memory of 2 MiB. It is unmounted when this value goes.
struct SmallDisk(TemporaryDirectory);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = TemporaryDirectory::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_disk_that_is_filled_and_emptied() {
    let Some(disk) = SmallDisk::mount() else {
        skipped(
            "a_disk_that_is_filled_and_emptied",
            "a small file system cannot be mounted, which needs root",
        );
        return;
    };
    let setup = Setup::new().database(disk.path().join("events.db"));
    let server = setup.start();
    let (mut stored, mut refusals) = (0, 0);
    for round in 0..2 {
        server
            .publish(&event("kept", &round.to_string()))
            .expect(200);
        stored += 1;
        let ballast = disk.path().join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write(&[0; 4_096]).is_ok() {}
        drop(file);

        // The log has room that it keeps, so the first may still fit.
        let mut refused = 0;
        for number in 0..40 {
            let body = event("filling", &format!("{round} {number} {}", "f".repeat(200)));
            let events = json!([body, event("refused", &format!("{round} {number}"))]);
            let answer = server.publish(&events);
            if answer.status == 200 {
                stored += 2;
            } else {
                assert_refused(&answer);
                refused += 1;
            }
        }
        assert!(refused > 0, "the disk is full");
        refusals += refused;
        assert_unhealthy(&server);
        assert_eq!(server.json("/events?limit=1000")["count"], stored);

        fs::remove_file(&ballast).unwrap();
        wait_until_healthy(&server);
        assert_eq!(server.json("/stats")["unique_processed"], stored);
    }
    let server = server.restart();
    assert_eq!(server.json("/events?limit=1000")["count"], stored);
    assert_eq!(server.json("/stats")["received"], stored);
    server.stop();
    println!(
        "FIGURE disk-full: a file system filled up twice: {refusals} publications refused with 503 and \
         nothing of them stored, every answered event there when it had room again and after a restart"
    );
}
