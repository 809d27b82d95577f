//! A disk in trouble under the real server: what cannot be stored is refused and nothing of it is stored,
//! what can be read is read, and the service resumes by itself when the trouble is over.

mod reads;
mod recovery;
mod space;
mod standard_error;
mod syncs;
mod writes;

use std::fs;

use rustix::io::Errno;
use serde_json::json;

use crate::disk::{Call, Disk, File};
use crate::harness::{event, seqs_of, Response, Server, Setup};
use crate::report::Tally;
use crate::serving::assert_serves_everything;

static TROUBLES: Tally = Tally::new(
    "disk-trouble",
    "disks in trouble (writes or syncs that fail, no room, a quota, read-only): 60 publications refused with \
     503 on each and nothing of them stored, the service healthy again by itself, every answered event there \
     then and after a restart",
);

/// A server on a disk of its own, with `count` events of topic `t`.
fn start(disk: &Disk, flags: &[&str], count: u64) -> Server {
    let setup = Setup::new().flags(flags.iter().copied());
    let server = disk.under(setup).start();
    publish(&server, 1..=count);
    server
}

/// Publishes events of topic `t` that are new.
fn publish(server: &Server, numbers: impl Iterator<Item = u64>) {
    let mut client = server.client();
    for number in numbers {
        let body = event("t", &number.to_string()).to_string();
        assert_eq!(client.publish(body).expect(200)["accepted"], 1);
    }
}

/// A 503 that says when to try again.
fn assert_refused(answer: &Response) {
    assert!(!answer.sentence(503).is_empty());
    let seconds = answer.header("retry-after").map(str::parse::<u32>);
    assert!(matches!(seconds, Some(Ok(1..))), "{answer:?}");
}

/// `/health` is unhealthy, with a reason.
fn assert_unhealthy(server: &Server) {
    let health = server.get("/health").expect(503);
    assert_eq!(health["status"], "unhealthy", "{health}");
    assert_eq!(health["consumer_running"], false, "{health}");
    assert!(
        health["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{health}"
    );
}

/// Waits until the trouble is over; then everything is served.
fn wait_until_healthy(server: &Server) {
    crate::wait::wait_until("health", || server.get("/health").status == 200);
    assert_serves_everything(server);
}

/// Open descriptors, and KiB of memory.
fn costs(server: &Server) -> (usize, u64) {
    let folder = format!("/proc/{}", server.pid().as_raw_nonzero());
    let descriptors = fs::read_dir(format!("{folder}/fd")).unwrap().count();
    let status = fs::read_to_string(format!("{folder}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let memory = line.unwrap().split_whitespace().nth(1).unwrap();
    (descriptors, memory.parse().unwrap())
}

/// Makes calls fail, publishes in vain for a while, and lets them succeed again.
fn trouble(flags: &[&str], faults: &[(Call, File, Errno)]) {
    println!("{faults:?}");
    let disk = Disk::new();
    let server = start(&disk, flags, 5);
    // A repeat is committed without a sync, so it may stand in the log after what is synced.
    assert_eq!(
        server.publish(&event("t", "5")).expect(200)["duplicates"],
        1
    );
    let count = |server: &Server| server.json("/stats")["unique_processed"].as_u64().unwrap();

    let mut before = (0, 0);
    for round in 0..60 {
        for (call, file, error) in faults {
            disk.fail(*call, *file, *error);
        }
        let refused = json!([event("t", "1"), event("refused", &round.to_string())]);
        assert_refused(&server.publish(&refused));
        if round == 10 {
            before = costs(&server);
        }
    }
    assert!(disk.failures() > 0);
    assert_unhealthy(&server);
    // What is stored is still read, and nothing of what was refused is.
    assert_eq!(seqs_of(&server.json("/events")), [5, 4, 3, 2, 1]);
    assert_eq!(server.json("/events/t/3")["seq"], 3);
    assert_eq!(server.get("/events/refused/1").status, 404);
    assert_eq!(server.json("/topics")["count"], 1);
    assert_eq!(count(&server), 5);
    let (descriptors, memory) = costs(&server);
    // Connections that have just closed may be counted at either time.
    assert!(
        descriptors <= before.0 + 3,
        "{descriptors}, {before:?} before"
    );
    assert!(
        memory <= before.1 + 4_096,
        "{memory} KiB, {before:?} before"
    );

    disk.heal();
    wait_until_healthy(&server);
    publish(&server, 6..=8);
    assert_eq!(server.get("/events/refused/1").status, 404);
    let log = server.log().clone();
    let server = server.restart();
    assert_eq!(log.lines_with("closing the database failed"), [""; 0]);
    assert_eq!(log.lines_with("the store cannot commit").len(), 1);
    assert_eq!(count(&server), 8);
    assert_eq!(server.json("/events?limit=100")["count"], 8);
    assert_eq!(server.json("/stats")["received"], 9);
    server.stop();
    TROUBLES.count();
    TROUBLES.tell();
}
