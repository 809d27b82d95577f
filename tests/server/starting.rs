//! Which databases a server starts on, and how it refuses the others.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use crate::harness::{event, seqs_of, Server, Setup};

/// Starts a server that must fail with exit code 1 and one sentence that holds `part`.
fn refused(setup: &Setup, part: &str) {
    let (code, text) = setup.fail();
    assert_eq!(code, 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(part), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// A database with 2,000 events, of which the server has let go.
fn filled() -> Setup {
    let server = Server::start(&["--durability", "normal"]);
    let setup = server.setup().clone();
    let events: Vec<_> = (0..2_000)
        .map(|n| event("t", &format!("event-{n}")))
        .collect();
    server.publish(&json!(events)).expect(200);
    server.stop();
    setup
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    assert!(bytes.len() > 100_000, "there is something to damage");
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_port_in_use_is_refused_and_the_first_server_is_undisturbed() {
    let first = Server::start(&[]);
    let mut client = first.client();
    let address = first.log().lines_with("listening on ")[0].clone();
    let (_, address) = address.split_once("http://").unwrap();
    refused(&Setup::new().listen([address]), "in use");
    assert_eq!(
        client.publish(event("t", "e").to_string()).expect(200)["accepted"],
        1
    );
    assert_eq!(first.json("/health")["status"], "healthy");
    first.stop();
}

#[test]
fn a_second_server_on_a_database_is_refused_and_the_first_is_undisturbed() {
    let first = Server::start(&[]);
    first.publish(&event("t", "1")).expect(200);
    let setup = first.setup().clone();
    refused(&setup, "in use by another logagg");
    // Another name of the same file leads to the same lock.
    let link = setup.directory().join("link.db");
    std::os::unix::fs::symlink(setup.database_path(), &link).unwrap();
    refused(&setup.clone().database(link), "in use by another logagg");
    first.publish(&event("t", "2")).expect(200);
    assert_eq!(seqs_of(&first.json("/events")), [2, 1]);
    // The lock goes with the process, however it ends.
    first.kill();
    let next = setup.start();
    assert_eq!(seqs_of(&next.json("/events")), [2, 1]);
}

/// A link whose target the first server makes is another name of the same file from then on.
#[test]
fn a_link_to_a_database_that_is_yet_to_be_made_leads_to_one_lock() {
    let setup = Setup::new();
    let link = setup.directory().join("link.db");
    std::os::unix::fs::symlink(setup.database_path(), &link).unwrap();
    let through_link = setup.clone().database(link);
    let first = through_link.start();
    refused(&through_link, "in use by another logagg");
    refused(&setup, "in use by another logagg");
    first.publish(&event("t", "1")).expect(200);
    first.stop();
    assert_eq!(setup.start().json("/stats")["received"], 1);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_was() {
    let setup = Setup::new();
    let other = Connection::open(setup.database_path()).unwrap();
    other
        .execute_batch("CREATE TABLE notes(text); INSERT INTO notes VALUES ('keep')")
        .unwrap();
    drop(other);
    let before = fs::read(setup.database_path()).unwrap();
    refused(&setup, "another program");
    assert_eq!(fs::read(setup.database_path()).unwrap(), before);

    // One that only says who it belongs to.
    let setup = Setup::new();
    let other = Connection::open(setup.database_path()).unwrap();
    other
        .execute_batch("PRAGMA application_id = 7; PRAGMA user_version = 1")
        .unwrap();
    drop(other);
    refused(&setup, "another program");
}

#[test]
fn what_is_no_database_is_refused_and_left_as_it_was() {
    let text = "once upon a time there was a file that was no database. ".repeat(200);
    for bytes in [
        b"x".to_vec(),
        text.into_bytes(),
        vec![0; 8_192],
        b"SQLite format 3\0".to_vec(),
    ] {
        let setup = Setup::new();
        fs::write(setup.database_path(), &bytes).unwrap();
        refused(&setup, "database");
        assert_eq!(fs::read(setup.database_path()).unwrap(), bytes);
    }
}

#[test]
fn a_damaged_database_is_refused() {
    let page = 4_096;
    for part in [2, 3, 10] {
        let setup = filled();
        damage(setup.database_path(), |bytes| {
            bytes.truncate(bytes.len() / part / page * page)
        });
        refused(&setup, "damaged");
    }
    let setup = filled();
    damage(setup.database_path(), |bytes| {
        bytes.truncate(bytes.len() - 1_000)
    });
    refused(&setup, "damaged");
    // Pages in the middle overwritten, by noise, by zeros, and the first page after its header.
    for (from, pages, byte) in [
        (50_000, 4, 0xff),
        (70_000, 10, 0),
        (100, 1, 0xaa),
        (page, 2, 0x5a),
    ] {
        let setup = filled();
        damage(setup.database_path(), |bytes| {
            bytes[from..from + pages * page - 100].fill(byte)
        });
        refused(&setup, "damaged");
    }
}

#[test]
fn a_database_without_its_tables_is_refused() {
    for sql in [
        "DROP VIEW event_log; DROP TABLE events",
        "DROP TABLE counters",
        "DELETE FROM counters",
        "DROP VIEW event_log; DROP TABLE topics",
    ] {
        let setup = filled();
        Connection::open(setup.database_path())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        refused(&setup, "damaged");
    }
}

#[test]
fn a_newer_version_is_refused() {
    let setup = filled();
    let newer = Connection::open(setup.database_path()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    refused(&setup, "newer version");
}

#[test]
fn a_database_that_stays_locked_is_refused() {
    let setup = filled();
    let other = Connection::open(setup.database_path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    refused(&setup, "locked by another program");
    drop(other);
    assert_eq!(setup.start().json("/stats")["received"], 2_000);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let setup = Setup::new();
    let file = setup.directory().join("file");
    fs::write(&file, "not a folder").unwrap();
    refused(&setup.clone().database(file.join("events.db")), "folder");
    refused(
        &setup.clone().database(file.join("deep/down/events.db")),
        "folder",
    );
    // A folder where the database should be.
    let folder = setup.directory().join("folder");
    fs::create_dir(&folder).unwrap();
    refused(&setup.database(folder), "folder");
}

#[test]
fn folders_are_made_and_an_empty_file_is_a_new_database() {
    let setup = Setup::new();
    let deep = setup.directory().join("a/b c/ä/events.db");
    let server = setup.clone().database(&deep).start();
    server.publish(&event("t", "e")).expect(200);
    server.stop();
    assert!(deep.is_file());

    fs::write(setup.database_path(), "").unwrap();
    let server = setup.start();
    server.publish(&event("t", "e")).expect(200);
    let server = server.restart();
    assert_eq!(server.json("/stats")["received"], 1);
    server.stop();

    // A relative name is one in the current folder.
    let server = setup.clone().database("relative.db").start();
    server.publish(&event("t", "e")).expect(200);
    assert!(setup.directory().join("relative.db").is_file());
}

#[test]
fn the_file_can_be_read_by_others_while_the_server_runs() {
    let server = Server::start(&[]);
    let reader = Connection::open(server.setup().database_path()).unwrap();
    let mut sent = event("user.login", "evt-1");
    sent["payload"] = json!({"n": 0.5});
    server.publish(&sent).expect(200);
    let row: (i64, String, String, String, String, String) = reader
        .query_row(
            "SELECT seq, topic, event_id, source, payload, processed_at FROM event_log",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )
        .unwrap();
    let one = server.json("/events/user.login/evt-1");
    let text = |name: &str| one[name].as_str().unwrap().to_owned();
    assert_eq!(
        row,
        (
            1,
            text("topic"),
            text("event_id"),
            text("source"),
            r#"{"n":0.5}"#.to_owned(),
            text("processed_at")
        )
    );
}
