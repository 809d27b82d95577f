//! A write-ahead log that does not belong to the database beside it: SQLite would replay old pages over newer
//! ones.

use std::fs;
use std::path::Path;

use super::{refused, run};
use crate::harness::{event, Server, Setup};

fn publish(server: &Server, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let answer = server.publish(&event("t", &number.to_string()));
        assert_eq!(answer.expect(200)["accepted"], 1);
    }
}

fn last_seq(server: &Server) -> u64 {
    server.json("/stats")["last_seq"].as_u64().unwrap()
}

fn log_of(database: &Path) -> std::path::PathBuf {
    format!("{}-wal", database.display()).into()
}

/// A database with `count` events whose server was killed, so that they are in its log.
fn killed_with(count: u64) -> Setup {
    let server = Server::start(&[]);
    let setup = server.setup().clone();
    publish(&server, 1..=count);
    server.kill();
    setup
}

/// All commands refuse the database, and leave it and its log as they are.
fn refused_by_all(setup: &Setup, part: &str) {
    let database = setup.database_path();
    let state = || {
        (
            fs::read(database).unwrap(),
            fs::read(log_of(database)).unwrap(),
        )
    };
    let before = state();
    let (code, text) = setup.fail();
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    assert!(
        text.contains("events.db-wal ") && text.contains(part),
        "{text}"
    );
    let name = database.to_str().unwrap();
    let copy = setup.directory().join("other-copy.db");
    let copy = copy.to_str().unwrap();
    refused(&run(["check", name]), part);
    refused(&run(["convert", "--dedup", "constraint", name]), part);
    refused(&run(["backup", "--from", name, "--to", copy]), part);
    assert!(state() == before, "something was changed");
}

/// What is only in the log is not missing in the file.
#[test]
fn a_log_that_was_left_behind_is_taken_again_and_again() {
    let setup = killed_with(10);
    for round in 1..4 {
        let server = setup.start();
        assert_eq!(last_seq(&server), 10 * round);
        publish(&server, 10 * round + 1..=10 * (round + 1));
        let path = setup.database_path().to_str().unwrap();
        assert_eq!(run(["check", path]).code, Some(0));
        server.kill();
        assert_eq!(run(["check", path]).code, Some(0));
    }
    restarts_with(&setup, 40);
}

fn restarts_with(setup: &Setup, last: u64) {
    let server = setup.start();
    assert_eq!(last_seq(&server), last);
    server.publish(&event("t", "1")).expect(200);
    publish(&server, last + 1..=last + 1);
    server.stop();
    let path = setup.database_path().to_str().unwrap();
    assert_eq!(run(["check", path]).code, Some(0));
}

/// While another program has the database open, closing it leaves the log and copies nothing of it.
#[test]
fn a_log_that_another_program_kept_at_the_stop_is_taken() {
    let server = Server::start(&[]);
    let setup = server.setup().clone();
    publish(&server, 1..=5);
    server.stop();
    let server = setup.start();
    publish(&server, 6..=10);
    let path = setup.database_path().to_str().unwrap();
    let other = rusqlite::Connection::open(path).unwrap();
    let count = |other: &rusqlite::Connection| -> i64 {
        let count = "SELECT count(*) FROM events";
        other.query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&other), 10);
    publish(&server, 11..=30);
    server.stop();
    assert!(log_of(setup.database_path()).exists());
    assert_eq!(run(["check", path]).code, Some(0));
    restarts_with(&setup, 30);
    assert_eq!(count(&other), 31);
}

#[test]
fn the_log_of_an_older_run_is_refused() {
    for flags in [&[][..], &["--durability", "normal"]] {
        let setup = killed_with(20).flags(flags.iter().copied());
        let log = log_of(setup.database_path());
        let older = fs::read(&log).unwrap();
        let server = setup.start();
        publish(&server, 21..=70);
        server.stop();
        assert!(!log.exists());
        fs::write(&log, &older).unwrap();
        refused_by_all(&setup, "is of an older run");
        fs::remove_file(&log).unwrap();
        restarts_with(&setup, 70);
    }
}

/// Whoever means it can have it.
#[test]
fn without_the_lock_file_nothing_is_known() {
    let setup = killed_with(20);
    let log = log_of(setup.database_path());
    let older = fs::read(&log).unwrap();
    let server = setup.start();
    publish(&server, 21..=70);
    server.stop();
    fs::write(&log, &older).unwrap();
    fs::remove_file(setup.directory().join("events.db.lock")).unwrap();
    let server = setup.start();
    assert_eq!(last_seq(&server), 20);
    server.stop();
}

#[test]
fn the_log_of_a_file_that_was_replaced_is_refused() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, 1..=10);
    let copy = setup.directory().join("copy.db");
    let (from, to) = (setup.database_path(), copy.to_str().unwrap());
    let from = from.to_str().unwrap();
    assert_eq!(run(["backup", "--from", from, "--to", to]).code, Some(0));
    publish(&server, 11..=20);
    server.kill();
    let log = log_of(setup.database_path());
    let content = fs::read(setup.database_path()).unwrap();
    let kept = setup.directory().join("kept.db");
    fs::rename(setup.database_path(), &kept).unwrap();
    fs::copy(&copy, setup.database_path()).unwrap();
    refused_by_all(&setup, "belongs to another file");
    // Put back, it has its log again.
    fs::rename(&kept, setup.database_path()).unwrap();
    assert_eq!(fs::read(setup.database_path()).unwrap(), content);
    let server = setup.start();
    assert_eq!(last_seq(&server), 20);
    server.kill();
    fs::rename(&copy, setup.database_path()).unwrap();
    fs::remove_file(&log).unwrap();
    restarts_with(&setup, 10);
}

#[test]
fn a_copy_written_over_the_file_does_not_meet_its_log() {
    let setup = killed_with(10);
    let server = setup.start();
    let older = setup.directory().join("older.db");
    let (from, to) = (setup.database_path(), older.to_str().unwrap());
    let from = from.to_str().unwrap();
    assert_eq!(run(["backup", "--from", from, "--to", to]).code, Some(0));
    publish(&server, 11..=20);
    let setup = server.restart().setup().clone();
    let server = setup.start();
    publish(&server, 21..=25);
    server.kill();
    fs::copy(&older, setup.database_path()).unwrap();
    refused_by_all(&setup, "does not belong to what was copied over");
    // Without a log it is what somebody has put there.
    fs::remove_file(log_of(setup.database_path())).unwrap();
    restarts_with(&setup, 10);
}

/// Copied with its log and its lock file, or restored: another file, of which the record says nothing.
#[test]
fn copies_are_opened() {
    let setup = killed_with(10);
    let server = setup.start();
    let backup = setup.directory().join("backup.db");
    let (from, to) = (
        setup.database_path().to_str().unwrap(),
        backup.to_str().unwrap(),
    );
    assert_eq!(run(["backup", "--from", from, "--to", to]).code, Some(0));
    publish(&server, 11..=20);
    server.kill();
    let copies = setup.directory().join("copies");
    fs::create_dir(&copies).unwrap();
    for suffix in ["", "-wal", ".lock"] {
        let name = format!("events.db{suffix}");
        fs::copy(setup.directory().join(&name), copies.join(&name)).unwrap();
    }
    restarts_with(&setup.clone().database(copies.join("events.db")), 20);
    let restore = ["restore", "--from", to, "--to", from, "--force"];
    assert_eq!(run(restore).code, Some(0));
    restarts_with(&setup, 10);
}

/// An older program has run meanwhile and left the record as it was; or nobody can read it.
#[test]
fn a_record_that_is_old_or_no_record_refuses_nothing() {
    let setup = killed_with(10);
    let lock = setup.directory().join("events.db.lock");
    let old = fs::read(&lock).unwrap();
    assert!(old.starts_with(b"last_seq "), "{old:?}");
    let server = setup.start();
    publish(&server, 11..=20);
    server.kill();
    for content in [&old[..], b"", &[0; 134], &old[..50], b"last_seq 99\n"] {
        fs::write(&lock, content).unwrap();
        let server = setup.start();
        assert_eq!(last_seq(&server), 20);
        server.kill();
    }
    restarts_with(&setup, 20);
}
