//! `logagg check` beside a server that is busy.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::harness::{event, Server};

const EVENTS_PER_REQUEST: u64 = 1_000;
/// Events that are stored before the last check begins: more than a memtable.
const EVENTS: u64 = 110_000;

#[test]
fn a_busy_servers_database_is_right_and_the_server_does_not_notice() {
    for dedup in ["index", "constraint"] {
        let server = Server::start(&["--dedup", dedup, "--durability", "normal"]);
        let stored = AtomicU64::new(0);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = server.client();
                while !is_over.load(Ordering::Relaxed) {
                    let from = stored.load(Ordering::Relaxed);
                    let events: Vec<Value> = (from..from + EVENTS_PER_REQUEST)
                        .map(|n| event(&format!("topic-{}", n % 5), &format!("event-{n}")))
                        .collect();
                    client.publish(Value::from(events).to_string()).expect(200);
                    stored.fetch_add(EVENTS_PER_REQUEST, Ordering::Relaxed);
                }
            });
            let checked = thread::scope(|scope| {
                let check = || {
                    let mut checks = 0;
                    while stored.load(Ordering::Relaxed) < EVENTS || checks < 3 {
                        check_beside(&server);
                        checks += 1;
                    }
                };
                scope.spawn(check).join()
            });
            is_over.store(true, Ordering::Relaxed);
            checked.expect("each check found the database right");
        });
        let stats = server.json("/stats");
        assert_eq!(stats["unique_processed"], stored.load(Ordering::Relaxed));
        assert_eq!(stats["duplicate_dropped"], 0);
        check_beside(&server);
        let log = server.stop();
        assert!(!log.text().contains("ERROR"), "{}", log.text());
    }
}

/// Asserts that `logagg check` finds nothing wrong with a server's database.
pub fn check_beside(server: &Server) {
    let (code, said) = check(server.setup().database_path());
    assert_eq!(code, 0, "{said}");
}

/// The exit code of `logagg check`, and what it says.
pub fn check(database: &Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_logagg"))
        .arg("check")
        .arg(database)
        .output()
        .expect("the program can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("an exit code"), said)
}
