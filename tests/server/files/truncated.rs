//! Files that are truncated in place under a running server: nothing is read from what is left, nothing more is
//! promised, and no start takes the rest for a database.

use std::fs::File;
use std::path::PathBuf;

use super::{refused, run};
use crate::harness::{event, seqs_of, Server, Setup};
use crate::wait::wait_until;

/// Shortens the file with this suffix, as `-wal`.
fn truncate(setup: &Setup, suffix: &str, bytes: u64) {
    let file = File::options().write(true).open(file(setup, suffix));
    file.unwrap().set_len(bytes).unwrap();
}

fn file(setup: &Setup, suffix: &str) -> PathBuf {
    setup.directory().join(&format!("events.db{suffix}"))
}

fn length(setup: &Setup, suffix: &str) -> u64 {
    file(setup, suffix).metadata().unwrap().len()
}

fn publish(server: &Server, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let answer = server.publish(&event("t", &number.to_string()));
        assert_eq!(answer.expect(200)["accepted"], 1);
    }
}

/// The server does not start, and says why.
fn is_refused(setup: &Setup, why: &str) {
    let (code, log) = setup.fail();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(why), "{log}");
}

/// The server says what happened, and neither reads nor writes any more.
fn is_given_up(server: &Server, name: &str) {
    wait_until("the fault", || server.get("/health").status == 503);
    let health = server.get("/health").expect(503);
    let reason = health["reason"].as_str().unwrap();
    let sentence = format!("the file {name} was truncated: ");
    assert!(reason.starts_with(&sentence), "{reason}");
    for path in ["/events?topic=t&after=0", "/events/t/1", "/topics"] {
        assert_eq!(server.get(path).status, 503, "{path}");
    }
    for id in ["1", "new"] {
        let answer = server.publish(&event("t", id));
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    let told = server.log().lines_with("the store cannot commit");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_database_that_is_emptied() {
    for is_killed in [false, true] {
        let server = Server::start(&[]);
        publish(&server, 1..=5);
        let server = server.restart();
        publish(&server, 6..=8);
        let setup = server.setup().clone();
        truncate(&setup, "", 0);
        is_given_up(&server, "events.db");
        match is_killed {
            true => server.kill(),
            false => server.stop(),
        };
        // What is left is neither copied into the empty file nor removed.
        assert_eq!(length(&setup, ""), 0);
        let log = length(&setup, "-wal");
        assert!(log > 0);
        let path = setup.database_path().to_str().unwrap();
        let copy = file(&setup, "-copy");
        let backup = ["backup", "--from", path, "--to", copy.to_str().unwrap()];
        for arguments in [&["check", path][..], &backup] {
            refused(&run(arguments), "the file is empty, and it was not");
        }
        is_refused(&setup, "the file is empty, and it was not");
        assert_eq!(length(&setup, "-wal"), log);
    }
}

/// It is noticed before a checkpoint makes the file long again.
#[test]
fn a_database_that_is_emptied_while_events_come() {
    let server = Server::start(&[]);
    publish(&server, 1..=5);
    let server = server.restart();
    truncate(server.setup(), "", 0);
    let events: Vec<_> = (0..500)
        .map(|number| event("other", &number.to_string()))
        .collect();
    let body = serde_json::json!(events).to_string();
    let mut client = server.client();
    let mut rounds = 0;
    wait_until("the fault", || {
        rounds += 1;
        let text = body.replace("other", &format!("other-{rounds}"));
        client.publish(text).status == 503
    });
    assert_eq!(length(server.setup(), ""), 0);
    is_given_up(&server, "events.db");
}

/// The log still has all pages.
#[test]
fn a_database_that_is_emptied_before_its_log_was_copied() {
    let server = Server::start(&[]);
    publish(&server, 1..=5);
    let setup = server.setup().clone();
    truncate(&setup, "", 0);
    wait_until("the copy", || length(&setup, "") > 4_096);
    assert_eq!(server.get("/health").status, 200);
    publish(&server, 6..=6);
    server.kill();
    let server = setup.start();
    let page = server.json("/events?topic=t&after=0");
    assert_eq!(seqs_of(&page), [1, 2, 3, 4, 5, 6]);
    server.stop();
    let path = setup.database_path().to_str().unwrap();
    assert_eq!(run(["check", path]).code, Some(0));
}

#[test]
fn a_database_that_loses_its_end() {
    let server = Server::start(&[]);
    publish(&server, 1..=5);
    let server = server.restart();
    publish(&server, 6..=6);
    let setup = server.setup().clone();
    truncate(&setup, "", length(&setup, "") / 2);
    is_given_up(&server, "events.db");
    server.kill();
    is_refused(&setup, "the file is shorter than its header says");
}

#[test]
fn a_log_that_is_truncated() {
    for bytes in [0, 32, 10_000] {
        let server = Server::start(&[]);
        publish(&server, 1..=5);
        let server = server.restart();
        publish(&server, 6..=9);
        let setup = server.setup().clone();
        assert!(length(&setup, "-wal") > bytes);
        truncate(&setup, "-wal", bytes);
        is_given_up(&server, "events.db-wal");
        server.stop();
        // What the database has is served again.
        let server = setup.start();
        let page = server.json("/events?topic=t&after=0");
        assert_eq!(&seqs_of(&page)[..5], [1, 2, 3, 4, 5]);
        publish(&server, 20..=20);
        server.stop();
        let path = setup.database_path().to_str().unwrap();
        assert_eq!(run(["check", path]).code, Some(0));
    }
}

/// Commits make the file long again, with a hole at its start.
#[test]
fn a_log_that_is_truncated_while_events_come() {
    let server = Server::start(&[]);
    publish(&server, 1..=5);
    truncate(server.setup(), "-wal", 0);
    let mut number = 5;
    wait_until("the fault", || {
        number += 1;
        let answer = server.publish(&event("t", &number.to_string()));
        answer.status == 503
    });
    is_given_up(&server, "events.db-wal");
}

/// Another program gives pages back, and empties the log.
#[test]
fn files_that_become_shorter_for_good_reasons() {
    let server = Server::start(&[]);
    let payload = "x".repeat(100_000);
    for number in 0..20 {
        let mut event = event("large", &number.to_string());
        event["payload"] = serde_json::json!({ "text": payload });
        server.publish(&event).expect(200);
    }
    let server = server.restart();
    let setup = server.setup().clone();
    let before = length(&setup, "");
    {
        let other = rusqlite::Connection::open(setup.database_path()).unwrap();
        let commits = "CREATE TABLE other(text); INSERT INTO other SELECT payload FROM events; \
                       PRAGMA wal_checkpoint(TRUNCATE)";
        other.execute_batch(commits).unwrap();
        assert!(length(&setup, "") > before);
        publish(&server, 1..=1);
        other
            .execute_batch("DROP TABLE other; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        assert_eq!(length(&setup, "-wal"), 0);
    }
    publish(&server, 2..=2);
    // Stopping looks at the files.
    let log = server.stop();
    assert!(!log.text().contains("truncated"), "{}", log.text());
    let path = setup.database_path().to_str().unwrap();
    assert_eq!(run(["check", path]).code, Some(0));
}
