//! Signals that end a process by default where an error or a line in the log does: the limit of a file's
//! size (`ulimit -f`), and signals that mean nothing here.

use std::process::Command;

use rustix::process::{prlimit, Resource, Rlimit, Signal};
use serde_json::{json, Value};

use super::finish;
use crate::harness::{event, seqs_of, Server};
use crate::wait::wait_until;

/// Bytes that a file may have.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(server.pid()), Resource::Fsize, limit).expect("the child is ours");
}

fn large(id: &str) -> Value {
    let mut event = event("t", id);
    event["payload"] = json!({"filling": "f".repeat(100_000)});
    event
}

#[test]
fn a_limit_of_the_size_of_files_is_a_full_disk() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    let log_bytes = server.json("/stats")["wal_bytes"].as_u64().unwrap();
    limit_files(&server, Some(log_bytes + 50_000));
    for number in 0..3 {
        let answer = server.publish(&large(&format!("large-{number}")));
        assert!(!answer.sentence(503).is_empty());
    }
    let health = server.get("/health").expect(503);
    assert_eq!(health["status"], "unhealthy", "{health}");
    assert_eq!(seqs_of(&server.json("/events")), [1]);
    assert_eq!(server.get("/events/t/large-0").status, 404);
    limit_files(&server, None);
    wait_until("health", || server.get("/health").status == 200);
    assert_eq!(server.publish(&large("large-0")).expect(200)["accepted"], 1);
    let server = server.restart();
    assert_eq!(seqs_of(&server.json("/events")), [2, 1]);
    server.stop();
}

/// Commands that write files say what was wrong and leave nothing half done.
#[test]
fn a_command_that_reaches_the_limit_says_so() {
    let server = Server::start(&[]);
    server.publish(&large("1")).expect(200);
    let setup = server.setup().clone();
    let copy = setup.directory().join("copy.db");
    let exported = setup.directory().join("events.ndjson");
    let address = server.log().lines_with("listening on ")[0].clone();
    let (_, address) = address.split_once("listening on ").unwrap();
    let database = setup.database_path().to_str().unwrap();
    let (copy, exported) = (copy.to_str().unwrap(), exported.to_str().unwrap());
    let backup = ["backup", "--from", database, "--to", copy];
    let export = ["export", "--server", address, "--output", exported];
    for arguments in [&backup[..], &export] {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg("ulimit -f 20; exec \"$0\" \"$@\"");
        shell.arg(env!("CARGO_BIN_EXE_logagg")).args(arguments);
        let said = finish(&mut shell);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.error.contains("cannot "), "{said:?}");
    }
    assert!(!std::path::Path::new(copy).exists());
    assert_eq!(server.json("/health")["status"], "healthy");
    server.stop();
}

#[test]
fn signals_that_mean_nothing_end_no_server() {
    let server = Server::start(&[]);
    for signal in [
        Signal::USR1,
        Signal::USR2,
        Signal::HUP,
        Signal::XFSZ,
        Signal::PIPE,
    ] {
        server.signal(signal);
        server
            .publish(&event("t", &format!("{signal:?}")))
            .expect(200);
    }
    server.log().wait_for(2, "it means nothing here");
    server.log().wait_for(1, "no tokens file is configured");
    assert_eq!(seqs_of(&server.json("/events")).len(), 5);
    server.stop();
}

/// It comes a second or more before the end that nobody can put off.
#[test]
fn the_limit_of_processor_time_ends_the_server_in_good_order() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    let setup = server.setup().clone();
    server.signal(Signal::XCPU);
    let log = server.log().clone();
    assert_eq!(server.wait().code(), Some(0), "{}", log.text());
    let server = setup.start();
    assert_eq!(seqs_of(&server.json("/events")), [1]);
    server.stop();
}
