//! Positions of another history: what is ahead of the newest event, and how a client tells one database
//! from another.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::{json, Value};

use crate::harness::{event, seqs_of, Item, Server, Setup, Stream};

fn publish(server: &Server, ids: std::ops::Range<u32>) {
    let events: Vec<Value> = ids.map(|id| event("t", &id.to_string())).collect();
    let answer = server.publish(&json!(events)).expect(200);
    assert_eq!(answer["accepted"], events.len());
}

fn reset(position: u64, last_seq: u64) -> Item {
    Item::Reset(json!({"position": position, "last_seq": last_seq}))
}

/// Runs a command that is to succeed.
fn run(arguments: &[&str], paths: &[&Path]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    let output = command.args(arguments).args(paths).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn restore(from: &Path, to: &Path) {
    let [from, to] = [from, to].map(|path| path.to_str().unwrap());
    run(&["restore", "--force", "--from", from, "--to", to], &[]);
}

fn database_id(server: &Server) -> String {
    let stats = server.json("/stats");
    let id = stats["database_id"].as_str().expect("an id").to_owned();
    for (target, headers) in [
        ("/events", &[][..]),
        ("/health", &[]),
        ("/subscribe?follow=0", &["Accept: application/x-ndjson"]),
    ] {
        let answer = server.client().request("GET", target, headers, b"");
        let named = answer.header("log-aggregator-database");
        assert_eq!(named, Some(id.as_str()), "{target}");
    }
    id
}

#[test]
fn a_stream_says_that_its_position_is_ahead_and_goes_on_from_the_newest() {
    let server = Server::start(&[]);
    publish(&server, 0..3);
    let lines = "Accept: application/x-ndjson";
    for headers in [
        &["Last-Event-ID: 1000"][..],
        &["Last-Event-ID: 1000", lines],
    ] {
        let mut stream = Stream::open(&server, "?topic=t*", headers);
        assert_eq!(stream.next(), reset(1000, 3));
    }
    // Whichever way the position comes.
    let mut streams = vec![
        (Stream::lines(&server, "?after=1000"), 1000),
        (Stream::events(&server, "?after=4&topic=t"), 4),
        (
            Stream::open(&server, "?after=1", &["Last-Event-ID: 9", lines]),
            9,
        ),
        (
            Stream::open(&server, "", &["Last-Event-ID: 99999999999999999999999"]),
            u64::MAX,
        ),
        (
            Stream::lines(&server, "?after=18446744073709551615"),
            u64::MAX,
        ),
    ];
    for (stream, position) in &mut streams {
        assert_eq!(stream.next(), reset(*position, 3));
    }
    publish(&server, 3..13);
    for (stream, _) in &mut streams {
        assert_eq!(stream.seqs(10), (4..14).collect::<Vec<u64>>());
    }
    // A position that is not ahead is none of another history.
    let mut at_head = Stream::lines(&server, "?after=13");
    publish(&server, 13..14);
    assert_eq!(at_head.seqs(1), [14]);
}

#[test]
fn a_stream_that_does_not_follow_ends_after_its_reset() {
    let server = Server::start(&[]);
    let mut empty = Stream::lines(&server, "?follow=false&after=1");
    assert_eq!(empty.try_next(), Ok(Some(reset(1, 0))));
    assert_eq!(empty.try_next(), Ok(None));
    publish(&server, 0..3);
    let mut stream = Stream::events(&server, "?follow=false&after=4");
    assert_eq!(stream.try_next(), Ok(Some(reset(4, 3))));
    assert_eq!(stream.try_next(), Ok(None));
    let mut whole = Stream::lines(&server, "?follow=false&after=3");
    assert_eq!(whole.try_next(), Ok(None));
}

#[test]
fn a_page_with_a_position_ahead_is_422() {
    let server = Server::start(&[]);
    let empty = server.get("/events?after=1").expect(422);
    assert_eq!(empty["detail"][0]["loc"], json!(["query", "after"]));
    assert_eq!(server.json("/events?after=0")["next"], Value::Null);
    publish(&server, 0..3);
    for target in [
        "/events?after=4",
        "/events?after=1000&topic=t",
        "/events?after=9223372036854775808&topic=none",
        "/events?limit=1&after=18446744073709551615",
    ] {
        let answer = server.get(target).expect(422);
        let detail = &answer["detail"][0];
        assert_eq!(detail["loc"], json!(["query", "after"]), "{target}");
        let sentence = detail["msg"].as_str().unwrap();
        assert!(
            sentence.ends_with(", but the greatest seq of an event is 3"),
            "{sentence}"
        );
    }
    assert_eq!(seqs_of(&server.json("/events?after=3")), [0; 0]);
    assert_eq!(seqs_of(&server.json("/events?before=1000")), [3, 2, 1]);
    publish(&server, 3..4);
    assert_eq!(seqs_of(&server.json("/events?after=3")), [4]);
}

#[test]
fn a_database_keeps_its_id_until_it_is_restored() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, 0..3);
    let id = database_id(&server);
    assert_eq!(id.len(), 36, "{id}");
    assert_eq!(server.json("/stats")["restored_from"], Value::Null);
    let shape = id.replace(
        |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c),
        "x",
    );
    assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    assert_eq!(&id[14..15], "4");
    assert_ne!(database_id(&Server::start(&[])), id);

    let path = setup.database_path();
    let copy = setup.directory().join("copy.db");
    let [from, to] = [path, &copy].map(|path| path.to_str().unwrap());
    run(&["backup", "--from", from, "--to", to], &[]);
    server.kill();
    let server = setup.start();
    assert_eq!(database_id(&server), id);
    server.stop();
    run(&["convert", "--dedup", "constraint"], &[path]);
    let server = setup.start();
    assert_eq!(database_id(&server), id);
    publish(&server, 3..6);
    server.stop();

    // A copy as it is has the id of its source, one that was restored its own.
    let mut ids = HashSet::from([id.clone()]);
    for _ in 0..2 {
        restore(&copy, path);
        run(&["check"], &[path]);
        let server = setup.start();
        assert!(ids.insert(database_id(&server)));
        let kept = database_id(&server);
        let server = server.restart();
        assert_eq!(database_id(&server), kept);
        let origin = json!({"database_id": id, "last_seq": 3});
        assert_eq!(server.json("/stats")["restored_from"], origin);
        publish(&server, 6..9);
        assert_eq!(seqs_of(&server.json("/events?after=0")), [1, 2, 3, 4, 5, 6]);
        server.stop();
        run(&["check"], &[path]);
    }
    let copied = Setup::new().database(&copy).start();
    assert_eq!(database_id(&copied), id);
}

/// Gives the rows of `meta` the checksums that belong to what they hold.
fn give_checksums(db: &Connection) {
    use rusqlite::types::Value;
    let mut statement = db.prepare("SELECT name, value FROM meta").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let rows: Vec<(String, Value)> = rows.unwrap().map(Result::unwrap).collect();
    for (name, value) in rows {
        let (tag, bytes) = match value {
            Value::Null => (b'n', Vec::new()),
            Value::Integer(number) => (b'i', number.to_be_bytes().to_vec()),
            Value::Real(number) => (b'r', number.to_be_bytes().to_vec()),
            Value::Text(text) => (b't', text.into_bytes()),
            Value::Blob(blob) => (b'b', blob),
        };
        let all = [name.as_bytes(), &[0, tag], &bytes].concat();
        let checksum = crc32fast::hash(&all).cast_signed();
        let sql = "UPDATE meta SET checksum = ?2 WHERE name = ?1";
        db.execute(sql, (name, checksum)).unwrap();
    }
}

#[test]
fn a_database_without_an_id_gets_one_and_one_that_is_none_is_refused() {
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, 0..3);
    server.stop();
    let path = setup.database_path();
    let change = |sql: &str| {
        let db = Connection::open(path).unwrap();
        db.execute(sql, []).unwrap();
        give_checksums(&db);
    };
    change("DELETE FROM meta WHERE name = 'database_id'");
    run(&["check"], &[path]);
    // Restored, it has one of its own at once.
    let other = setup.directory().join("other.db");
    restore(path, &other);
    let restored = Setup::new().database(&other).start();
    let server = setup.start();
    let id = database_id(&server);
    assert_ne!(database_id(&restored), id);
    let server = server.restart();
    assert_eq!(database_id(&server), id);
    server.stop();
    for wrong in ["'x'", "x'00'", "7", "upper(value)", "NULL"] {
        change(&format!(
            "UPDATE meta SET value = {wrong} WHERE name = 'database_id'"
        ));
        let (code, log) = setup.fail();
        assert_eq!(code, 1);
        assert!(log.contains("it is damaged"), "{log}");
        let mut check = Command::new(env!("CARGO_BIN_EXE_logagg"));
        let output = check.arg("check").arg(path).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains("problem: meta: "), "{report}");
        change(&format!(
            "UPDATE meta SET value = '{id}' WHERE name = 'database_id'"
        ));
    }
    assert_eq!(database_id(&setup.start()), id);
    // Of what it was restored from, likewise.
    for row in ["('restored_from', 'x')", "('restored_from', '{id}')"] {
        change(&format!(
            "INSERT INTO meta(name, value) VALUES {}",
            row.replace("{id}", &id)
        ));
        assert_eq!(setup.fail().0, 1);
        change("DELETE FROM meta WHERE name = 'restored_from'");
    }
    change(&format!(
        "INSERT INTO meta(name, value) VALUES ('restored_from', '{id}'), ('restored_seq', 4)"
    ));
    assert!(setup.fail().1.contains("restored_seq is 4"));
    let mut check = Command::new(env!("CARGO_BIN_EXE_logagg"));
    let output = check.arg("check").arg(path).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(
        report.contains("problem: meta: restored_seq is 4"),
        "{report}"
    );
}
