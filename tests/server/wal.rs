//! The write-ahead log when another program holds a snapshot for long: it grows, and shrinks afterwards,
//! without a stop of the service.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::json;

use crate::checking::check_beside;
use crate::harness::{event, Server};
use crate::serving::assert_serves_everything;
use crate::wait::wait_until;

/// Bytes of a log at rest (`WAL_KEPT_BYTES`), and some frames.
const AT_REST: u64 = 17 * 1024 * 1024;
/// More than the server copies by itself.
const LONG: u64 = 64 * 1024 * 1024;

fn wal_bytes(server: &Server) -> u64 {
    let stats = server.json("/stats");
    stats["wal_bytes"].as_u64().expect("a number")
}

/// A snapshot of the events, as any program may hold it.
fn snapshot(path: &Path) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.execute_batch("BEGIN").unwrap();
    db.query_row("SELECT count(*) FROM events", [], |_| Ok(()))
        .unwrap();
    db
}

/// Publishes requests of 4 MiB until the log is longer than `bytes`; says how many events these were.
fn grow(server: &Server, bytes: u64) -> u64 {
    let filling = "x".repeat(64 * 1024);
    let mut client = server.client();
    let mut events = 0;
    while wal_bytes(server) <= bytes {
        let batch: Vec<_> = (events..events + 64)
            .map(|n| {
                let mut event = event("t", &format!("e{n}"));
                event["payload"] = json!({ "filling": filling });
                event
            })
            .collect();
        client.publish(json!(batch).to_string()).expect(200);
        events += 64;
    }
    events
}

#[test]
fn a_snapshot_makes_it_grow_and_another_process_shortens_it() {
    let server = Server::start(&["--log-level", "debug", "--durability", "normal"]);
    server.publish(&event("t", "first")).expect(200);
    let held = snapshot(server.setup().database_path());
    let events = grow(&server, LONG);
    drop(held);
    server.publish(&event("t", "last")).expect(200);
    wait_until("the log to be short again", || {
        wal_bytes(&server) <= AT_REST
    });
    server.log().wait_for(1, "another process copies the WAL");
    check_beside(&server);
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], 1 + events + 1);
    let log = server.stop();
    assert!(!log.text().contains("WARN  "), "{}", log.text());
}

/// The processes that a process has started and that have not been waited for.
fn children(of: Pid) -> Vec<Pid> {
    let pid = of.as_raw_nonzero();
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    let pids = text.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.filter_map(Pid::from_raw).collect()
}

/// Whether a process is in this state (proc_pid_stat(5)); one that has been waited for is in none.
fn is_in_state(pid: Pid, state: &str) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    Some(stat.contains(&format!(") {state} ")))
}

fn has_ended(pid: Pid) -> bool {
    is_in_state(pid, "Z").unwrap_or(true)
}

/// Waits for a long log to be copied; the process that paces this, and the one that does it.
fn helpers(server: &Server) -> (Pid, Pid) {
    let mut found = None;
    wait_until("a process that copies and one that paces it", || {
        let pacer = children(server.pid()).first().copied();
        found = pacer.and_then(|pacer| Some((pacer, *children(pacer).first()?)));
        found.is_some()
    });
    found.unwrap()
}

/// A server whose log is long, and nobody holds it back any more; and how many events it has.
fn with_a_long_log() -> (Server, u64) {
    let server = Server::start(&["--durability", "normal"]);
    server.publish(&event("t", "first")).expect(200);
    let held = snapshot(server.setup().database_path());
    let events = grow(&server, LONG);
    drop(held);
    (server, 1 + events)
}

fn expect_a_short_log(server: &Server, events: u64) {
    wait_until("the log to be short again", || wal_bytes(server) <= AT_REST);
    check_beside(server);
    assert_eq!(server.json("/stats")["unique_processed"], events);
    assert_serves_everything(server);
}

#[test]
fn nobody_copies_it_whom_nobody_paces() {
    let (server, events) = with_a_long_log();
    let idle = Connection::open(server.setup().database_path()).unwrap();
    idle.query_row("SELECT count(*) FROM topics", [], |_| Ok(()))
        .unwrap();
    let (pacer, copier) = helpers(&server);
    // On a machine that is slow to stop it, it may have copied all before, and both be gone.
    wait_until("the process that copies to be stopped", || {
        has_ended(copier) || is_in_state(copier, "T").unwrap_or(true)
    });
    let _ = kill_process(pacer, Signal::KILL);
    wait_until("the process that copied to end", || has_ended(copier));
    expect_a_short_log(&server, events);
    // It went on from where it was: nothing was lost that would need the database opened again.
    let log = server.log();
    assert_eq!(
        log.lines_with("the database has been opened again"),
        [""; 0]
    );
    assert_eq!(log.lines_with("is tried again in"), [""; 0]);
    drop(idle);
}

#[test]
fn a_server_may_be_killed_while_it_is_copied() {
    let (server, events) = with_a_long_log();
    let (pacer, copier) = helpers(&server);
    let setup = server.setup().clone();
    server.kill();
    let server = setup.start();
    expect_a_short_log(&server, events);
    wait_until("the helpers of the killed one to end", || {
        has_ended(pacer) && has_ended(copier)
    });
}

/// The stop ends the processes that copy it, does that itself, and leaves a short one, also where another program has
/// the database open.
#[test]
fn a_stop_while_it_is_copied_leaves_it_short() {
    let (server, events) = with_a_long_log();
    let setup = server.setup().clone();
    let idle = Connection::open(setup.database_path()).unwrap();
    idle.query_row("SELECT count(*) FROM topics", [], |_| Ok(()))
        .unwrap();
    let (pacer, copier) = helpers(&server);
    // From the first time that it has been stopped on, it ends with the one that paces it.
    wait_until("the process that copies to be stopped", || {
        has_ended(copier) || is_in_state(copier, "T").unwrap_or(true)
    });
    for helper in [pacer, copier] {
        let _ = kill_process(helper, Signal::STOP);
    }
    let log = server.stop();
    assert!(!log.text().contains("WARN  "), "{}", log.text());
    wait_until("the processes that copied to end", || {
        has_ended(pacer) && has_ended(copier)
    });
    let left = fs::metadata(setup.database_path().with_extension("db-wal"));
    assert_eq!(left.map_or(0, |about| about.len()), 0);
    drop(idle);
    let server = setup.start();
    expect_a_short_log(&server, events);
}

#[test]
fn it_can_be_copied_by_hand() {
    let server = Server::start(&[]);
    server.publish(&event("t", "e")).expect(200);
    let copy = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
        command.arg("checkpoint").arg(path).output().unwrap()
    };
    let output = copy(server.setup().database_path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(
        output.status.success() && numbers[0] == numbers[1] && numbers[0] > 0,
        "{text}"
    );
    let missing = copy(&server.setup().directory().join("none.db"));
    let sentence = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(missing.status.code(), Some(1));
    assert!(sentence.contains("none.db"), "{sentence}");
    assert!(!server.setup().directory().join("none.db").exists());
}
