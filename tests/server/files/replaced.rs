//! Files that are replaced, removed or renamed under a running server: nothing is promised any more that a
//! restart would not find.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use super::run;
use crate::harness::{event, seqs_of, Server, Setup};
use crate::wait::wait_until;

fn publish(server: &Server, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let answer = server.publish(&event("t", &number.to_string()));
        assert_eq!(answer.expect(200)["accepted"], 1);
    }
}

/// The database's file with this suffix, as `-wal`.
fn file(setup: &Setup, suffix: &str) -> PathBuf {
    setup.directory().join(&format!("events.db{suffix}"))
}

fn back_up(setup: &Setup, to: &Path) {
    let (from, to) = (setup.database_path(), to.to_str().unwrap());
    let from = from.to_str().unwrap();
    assert_eq!(run(["backup", "--from", from, "--to", to]).code, Some(0));
}

/// Nothing is taken in, and `/health` says why. What was answered, the events 1 to `last`, is still read.
fn is_refused(server: &Server, name: &str, last: u64) {
    for number in 0..3 {
        let answer = server.publish(&event("late", &number.to_string()));
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    // A repeat is a promise as well.
    assert_eq!(server.publish(&event("t", "1")).status, 503);
    let put = server.client().request(
        "PUT",
        "/subscriptions/s",
        &["Content-Type: application/json"],
        br#"{"after":0}"#,
    );
    assert_eq!(put.status, 503, "{put:?}");
    is_unhealthy(server, name);
    let page = server.json("/events?topic=t&limit=1000&after=0");
    assert_eq!(seqs_of(&page), (1..=last).collect::<Vec<_>>());
    assert_eq!(server.json("/events/t/1")["seq"], 1);
    server.log().wait_for(1, "the store cannot commit");
    let told = server.log().lines_with("the store cannot commit");
    assert_eq!(told.len(), 1, "{told:?}");
}

fn is_unhealthy(server: &Server, name: &str) {
    let health = server.get("/health").expect(503);
    assert_eq!(health["status"], "unhealthy", "{health}");
    let reason = health["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("the file {name} ")), "{reason}");
}

/// The server commits again, by itself or after a restart, and has the events 1 to `last` of topic `t`.
fn works(server: Server, last: u64) {
    let page = server.json("/events?topic=t&limit=1000&after=0");
    let seqs = seqs_of(&page);
    assert_eq!(seqs.len() as u64, last, "{seqs:?}");
    let answer = server.publish(&event("t", "1")).expect(200);
    assert_eq!(answer["duplicates"], 1);
    let answer = server.publish(&event("t", &(last + 1).to_string()));
    assert_eq!(answer.expect(200)["accepted"], 1);
    assert_eq!(server.json("/health")["status"], "healthy");
    let setup = server.setup().clone();
    server.stop();
    let path = setup.database_path().to_str().unwrap();
    assert_eq!(run(["check", path]).code, Some(0));
    let server = setup.start();
    let page = server.json("/events?topic=t&limit=1000&after=0");
    assert_eq!(seqs_of(&page).len() as u64, last + 1);
    server.stop();
}

#[test]
fn a_copy_that_is_moved_over_the_database() {
    for killed in [false, true] {
        let server = Server::start(&[]);
        publish(&server, 1..=3);
        let setup = server.setup().clone();
        let copy = setup.directory().join("copy.db");
        back_up(&setup, &copy);
        publish(&server, 4..=5);
        fs::rename(&copy, setup.database_path()).unwrap();
        is_refused(&server, "events.db", 5);
        // The log of the old file, which still has its name, must not meet the new one.
        match killed {
            true => server.kill(),
            false => server.stop(),
        };
        works(setup.start(), 3);
    }
}

#[test]
fn all_files_are_removed() {
    let server = Server::start(&[]);
    publish(&server, 1..=3);
    let setup = server.setup().clone();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        fs::remove_file(file(&setup, suffix)).unwrap();
    }
    is_refused(&server, "events.db", 3);
    // Whoever starts a second server in its place is left alone by the first.
    let second = setup.start();
    publish(&second, 1..=2);
    is_refused(&server, "events.db", 3);
    server.stop();
    publish(&second, 3..=3);
    second.kill();
    works(setup.start(), 3);
}

#[test]
fn the_log_is_removed_or_renamed() {
    for (gone, killed) in [
        (&["-wal", "-shm"][..], false),
        (&["-wal", "-shm"], true),
        (&["-wal"], true),
        (&["-wal"], false),
        (&["-shm"], true),
        (&["-shm"], false),
    ] {
        println!("{gone:?} {killed}");
        let server = Server::start(&[]);
        publish(&server, 1..=3);
        let setup = server.setup().clone();
        for suffix in gone {
            fs::rename(file(&setup, suffix), file(&setup, &format!(".{suffix}"))).unwrap();
        }
        is_refused(&server, &format!("events.db{}", gone[0]), 3);
        match killed {
            true => server.kill(),
            false => server.stop(),
        };
        works(setup.start(), 3);
    }
}

/// Another program has opened the database meanwhile and has a log of its own.
#[test]
fn the_log_of_another_program_is_left_alone() {
    let server = Server::start(&[]);
    publish(&server, 1..=3);
    let setup = server.setup().clone();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(file(&setup, suffix)).unwrap();
    }
    let other = rusqlite::Connection::open(setup.database_path()).unwrap();
    other
        .execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 3")
        .unwrap();
    let log = fs::read(file(&setup, "-wal")).unwrap();
    assert!(!log.is_empty());
    assert_eq!(server.publish(&event("late", "1")).status, 503);
    is_unhealthy(&server, "events.db-wal");
    server.stop();
    assert_eq!(fs::read(file(&setup, "-wal")).unwrap(), log);
    assert!(file(&setup, "-shm").exists());
}

#[test]
fn what_is_put_back_is_served_again() {
    let server = Server::start(&[]);
    publish(&server, 1..=3);
    let setup = server.setup().clone();
    let aside = |suffix: &str| setup.directory().join(&format!("aside{suffix}"));
    let mut last = 3;
    for moved in [&[""][..], &["-wal"], &["-shm"], &["", "-wal", "-shm"]] {
        for suffix in moved {
            fs::rename(file(&setup, suffix), aside(suffix)).unwrap();
        }
        assert_eq!(server.publish(&event("late", "1")).status, 503);
        is_unhealthy(&server, &format!("events.db{}", moved[0]));
        for suffix in moved {
            fs::rename(aside(suffix), file(&setup, suffix)).unwrap();
        }
        // Nobody has to publish for it.
        wait_until("health", || server.get("/health").status == 200);
        publish(&server, last + 1..=last + 2);
        last += 2;
    }
    assert_eq!(
        server.log().lines_with("the store commits again").len(),
        4,
        "{}",
        server.log().text()
    );
    works(server.restart(), last);
}

/// What has been put aside is whole by itself, whatever becomes of the server.
#[test]
fn what_was_moved_aside_holds_all_that_was_answered() {
    let server = Server::start(&["--durability", "normal"]);
    publish(&server, 1..=5);
    let setup = server.setup().clone();
    let aside = setup.directory().join("aside.db");
    fs::rename(setup.database_path(), &aside).unwrap();
    assert_eq!(server.publish(&event("late", "1")).status, 503);
    server.kill();
    works(setup.database(aside).start(), 5);
}

#[test]
fn a_folder_that_is_renamed() {
    let setup = Setup::new();
    let (folder, other) = (
        setup.directory().join("data"),
        setup.directory().join("old"),
    );
    let setup = setup.database(folder.join("events.db"));
    let server = setup.start();
    publish(&server, 1..=3);
    fs::rename(&folder, &other).unwrap();
    is_refused(&server, "events.db", 3);
    fs::rename(&other, &folder).unwrap();
    wait_until("health", || server.get("/health").status == 200);
    works(server, 3);
}

#[test]
fn a_link_that_leads_to_another_file() {
    let setup = Setup::new();
    let (first, second) = (
        setup.directory().join("1.db"),
        setup.directory().join("2.db"),
    );
    fs::write(&second, "").unwrap();
    let link = setup.directory().join("link.db");
    symlink(&first, &link).unwrap();
    let setup = setup.database(&link);
    let server = setup.start();
    publish(&server, 1..=3);
    fs::remove_file(&link).unwrap();
    symlink(&second, &link).unwrap();
    is_refused(&server, "1.db", 3);
    fs::remove_file(&link).unwrap();
    symlink(&first, &link).unwrap();
    wait_until("health", || server.get("/health").status == 200);
    works(server, 3);
}

/// Nobody publishes who would make it look.
#[test]
fn a_server_that_nobody_publishes_to_notices_it() {
    let server = Server::start(&[]);
    publish(&server, 1..=1);
    fs::remove_file(server.setup().database_path()).unwrap();
    wait_until("the fault", || server.get("/health").status == 503);
    is_refused(&server, "events.db", 1);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("log_aggregator_healthy 0"), "{metrics}");
    server.stop();
}

/// Publishers at full speed when the file is moved aside: what was answered is in it, each event of it.
#[test]
fn whatever_is_answered_while_the_file_is_moved_is_in_it() {
    const PUBLISHERS: u64 = 4;
    let setup = Setup::new();
    for round in 0..3 {
        let server = setup.start();
        let aside = setup.directory().join("aside.db");
        let is_over = AtomicBool::new(false);
        let answered: Vec<u64> = thread::scope(|scope| {
            let work = |publisher: u64| {
                let (server, is_over) = (&server, &is_over);
                move || {
                    let mut client = server.client();
                    let mut answered = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let id = format!("{round}-{publisher}-{answered}");
                        let answer = client.publish(event("t", &id).to_string());
                        match answer.status {
                            200 => answered += 1,
                            _ => assert_eq!(answer.status, 503),
                        }
                    }
                    answered
                }
            };
            let publishers: Vec<_> = (0..PUBLISHERS).map(|n| scope.spawn(work(n))).collect();
            wait_until("some events", || {
                server.json("/stats")["last_seq"].as_u64() >= Some(50 * (round + 1))
            });
            fs::rename(setup.database_path(), &aside).unwrap();
            wait_until("the fault", || server.get("/health").status == 503);
            is_over.store(true, Ordering::Relaxed);
            publishers.into_iter().map(|p| p.join().unwrap()).collect()
        });
        server.kill();
        for suffix in ["-wal", "-shm"] {
            fs::remove_file(file(&setup, suffix)).unwrap();
        }
        fs::rename(&aside, setup.database_path()).unwrap();
        let server = setup.start();
        for (publisher, answered) in answered.iter().enumerate() {
            let ids = (0..*answered).map(|number| format!("{round}-{publisher}-{number}"));
            let events: Vec<_> = ids.map(|id| event("t", &id)).collect();
            let answer = server.publish(&json!(events)).expect(200);
            assert_eq!(answer["duplicates"], *answered, "{answer}");
        }
        server.stop();
    }
}
