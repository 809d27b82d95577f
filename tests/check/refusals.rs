//! What is not a database of ours, what is in use, and arguments that are wrong.

use std::fs;

use logagg::store::{Dedup, Store};

use crate::databases::{options, program, run, Database, Said};

fn refused(said: &Said, sentence: &str) {
    assert_eq!((said.code, said.output.as_str()), (1, ""), "{}", said.error);
    assert_eq!(said.error.lines().count(), 1, "{}", said.error);
    assert!(said.error.contains(sentence), "{}", said.error);
}

#[test]
fn what_is_no_database_of_ours() {
    let cases: [(&[u8], &str); 2] = [
        (b"", "it is empty"),
        (&[b'x'; 5_000], "it is not an SQLite database"),
    ];
    for (content, sentence) in cases {
        let database = Database::new();
        fs::write(&database.path, content).unwrap();
        refused(&database.check(&[]), sentence);
        refused(&database.convert("index"), sentence);
        assert_eq!(fs::read(&database.path).unwrap(), content);
    }
    let other = Database::new();
    other.damage("CREATE TABLE t(x)");
    refused(&other.check(&[]), "another program");
    refused(&other.convert("index"), "another program");

    let newer = Database::small(Dedup::Index);
    newer.damage("PRAGMA user_version = 99");
    refused(&newer.check(&[]), "newer version");
    refused(&newer.convert("constraint"), "newer version");

    let missing = Database::new();
    refused(&missing.check(&[]), "No such file");
    refused(&missing.convert("index"), "No such file");
    assert!(!missing.path.exists());

    let folder = missing.path.parent().unwrap().to_str().unwrap();
    refused(&program(&["check", folder]), "it is a folder");
    refused(
        &program(&["convert", "--dedup", "index", folder]),
        "it is a folder",
    );
}

#[test]
fn a_database_in_use_is_not_converted() {
    let database = Database::small(Dedup::Index);
    let store = Store::open(&options(&database.path, None)).unwrap();
    refused(&database.convert("constraint"), "in use by another logagg");
    database.is_clean();
    store.close().unwrap();
    assert_eq!(database.convert("constraint").code, 0);
}

#[test]
fn the_other_check_is_refused_with_the_command_that_converts() {
    let database = Database::small(Dedup::Index);
    let refusal = Store::open(&options(&database.path, Some(Dedup::Constraint)))
        .err()
        .expect("it has the other check")
        .to_string();
    let (_, command) = refusal
        .split_once("convert it with: logagg ")
        .expect(&refusal);
    let path = database.path.to_str().unwrap();
    let arguments: Vec<&str> = command
        .split(' ')
        .map(|word| if word == "DATABASE" { path } else { word })
        .collect();
    let said = program(&arguments);
    assert_eq!(said.code, 0, "{}", said.error);
    assert_eq!(database.dedup(), "constraint");
}

#[test]
fn wrong_arguments_end_with_2() {
    for arguments in [
        &["check"][..],
        &["check", "--fast", "x"],
        &["check", "x", "y"],
        &["convert", "x"],
        &["convert", "--dedup", "both", "x"],
        &["convert", "--dedup", "index"],
    ] {
        assert_eq!(program(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_repeated_key_is_not_converted() {
    let again = "INSERT INTO events \
           SELECT seq + 200000, topic_id, event_id, timestamp, source, payload, processed_at \
           FROM events WHERE seq = 40; \
         UPDATE counters SET checksum = NULL, last_seq = 200040, unique_processed = unique_processed + 1";
    let database = Database::small(Dedup::Index);
    database.damage(again);
    refused(&database.convert("constraint"), "a key is stored twice");
    assert_eq!(database.dedup(), "index");

    let database = Database::small(Dedup::Constraint);
    database.damage("DROP INDEX events_key");
    database.damage(again);
    let said = run(&mut database.conversion("index"));
    refused(&said, "the events with seq 40 and 200040 have one key");
    assert_eq!(database.dedup(), "constraint");
}
