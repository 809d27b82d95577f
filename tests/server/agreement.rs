//! `check`, `backup` and the start agree on which databases are right: whatever makes a start refuse a
//! database, or an answer fail, the check finds. What others may add for reading disturbs none of them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rusqlite::Connection;
use serde_json::json;

use crate::harness::{event, Setup};
use crate::serving::assert_serves_everything;
use crate::wait::wait_until;

/// What a start does with a damaged database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Refuses,
    /// Or refuses: the start does not look for this.
    MayServe,
}

use Start::{MayServe, Refuses};

/// SQL that damages a database with events of seq 1 to 21, three topics and the subscription `s`.
const DAMAGES: &[(Start, &str)] = &[
    // Named subscriptions.
    (MayServe, "UPDATE subscriptions SET after = 1000"),
    (MayServe, "UPDATE subscriptions SET after = -1"),
    (MayServe, "UPDATE subscriptions SET checksum = NULL"),
    (MayServe, "UPDATE subscriptions SET name = CAST(x'ff' AS TEXT)"),
    (MayServe, "UPDATE subscriptions SET name = ''"),
    (MayServe, "UPDATE subscriptions SET name = char(10)"),
    // Rows of events, after the last segment as everywhere.
    (MayServe, "UPDATE events SET event_id = CAST(x'ff' AS TEXT) WHERE seq = 20"),
    (MayServe, "UPDATE events SET source = CAST(x'61c3' AS TEXT) WHERE seq = 20"),
    (MayServe, "UPDATE events SET timestamp = CAST(x'80' AS TEXT) WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = CAST(x'7b22ff223a317d' AS TEXT) WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = '{\"cut' WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = '' WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = '[]' WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = '{} {}' WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = '{\"a\":' || char(10) || '1}' WHERE seq = 20"),
    (MayServe, "UPDATE events SET payload = CAST('{}' AS BLOB) WHERE seq = 20"),
    (
        MayServe,
        "UPDATE events SET payload = '{\"a\":' || replace(hex(zeroblob(200)), '00', '[') \
         || replace(hex(zeroblob(200)), '00', ']') || '}' WHERE seq = 20",
    ),
    (MayServe, "UPDATE events SET event_id = x'41' WHERE seq = 20"),
    (MayServe, "UPDATE events SET event_id = '' WHERE seq = 20"),
    (MayServe, "UPDATE events SET event_id = char(0) WHERE seq = 20"),
    (MayServe, "UPDATE events SET event_id = hex(zeroblob(128)) WHERE seq = 20"),
    (MayServe, "UPDATE events SET source = char(13) WHERE seq = 20"),
    (MayServe, "UPDATE events SET timestamp = 'yesterday' WHERE seq = 20"),
    (MayServe, "UPDATE events SET timestamp = 5 WHERE seq = 20"),
    (MayServe, "UPDATE events SET processed_at = 'now' WHERE seq = 20"),
    (MayServe, "UPDATE events SET topic_id = 'two' WHERE seq = 20"),
    (MayServe, "UPDATE events SET topic_id = 0 WHERE seq = 20"),
    (MayServe, "UPDATE events SET topic_id = 99 WHERE seq = 20"),
    (MayServe, "UPDATE events SET seq = -20 WHERE seq = 20"),
    (Refuses, "UPDATE events SET seq = 2000 WHERE seq = 20"),
    (MayServe, "DELETE FROM events WHERE seq = 20"),
    // Topics.
    (Refuses, "UPDATE topics SET name = CAST(x'ff' AS TEXT) WHERE id = 2"),
    (MayServe, "UPDATE topics SET name = '' WHERE id = 2"),
    (MayServe, "UPDATE topics SET name = 'a' || char(10) WHERE id = 2"),
    (Refuses, "DELETE FROM topics WHERE id = 2"),
    (Refuses, "UPDATE topics SET id = 7 WHERE id = 3"),
    (Refuses, "UPDATE topics SET events = -1 WHERE id = 2"),
    (Refuses, "UPDATE topics SET last_seq = -1 WHERE id = 2"),
    // Small tables.
    (Refuses, "DELETE FROM counters"),
    (MayServe, "UPDATE counters SET last_seq = 10"),
    (MayServe, "UPDATE counters SET last_seq = -1"),
    (MayServe, "UPDATE counters SET conflicts = -1"),
    (MayServe, "UPDATE counters SET topics_mark = 1000"),
    (Refuses, "DELETE FROM meta WHERE name = 'dedup'"),
    (Refuses, "UPDATE meta SET value = 'other' WHERE name = 'dedup'"),
    (Refuses, "UPDATE meta SET value = 5 WHERE name = 'dedup'"),
    (Refuses, "DELETE FROM meta WHERE name = 'fingerprint_key'"),
    (Refuses, "UPDATE meta SET value = x'00' WHERE name = 'fingerprint_key'"),
    (Refuses, "UPDATE meta SET value = 'text' WHERE name = 'fingerprint_key'"),
    (Refuses, "UPDATE meta SET value = 'text' WHERE name = 'database_id'"),
    (Refuses, "UPDATE meta SET value = x'00' WHERE name = 'database_id'"),
    (Refuses, "DELETE FROM retention"),
    (Refuses, "UPDATE retention SET keys_horizon = 5"),
    (Refuses, "UPDATE retention SET events_horizon = 5"),
    (Refuses, "UPDATE retention SET events_horizon = -5"),
    (Refuses, "UPDATE retention SET events_removed = 50"),
    (Refuses, "UPDATE retention SET checksum = NULL, events_removed = 50"),
    (Refuses, "UPDATE counters SET checksum = NULL, last_seq = 10"),
    (Refuses, "UPDATE counters SET checksum = NULL, conflicts = -1"),
    (Refuses, "UPDATE counters SET mark_checksum = NULL, topics_mark = 1000"),
    (MayServe, "INSERT INTO removed_times VALUES (5, 5, NULL)"),
    // The schema.
    (Refuses, "DROP TABLE subscriptions"),
    (Refuses, "DROP TABLE removed_keys"),
    (Refuses, "DROP VIEW event_log"),
    (Refuses, "ALTER TABLE events ADD COLUMN note TEXT DEFAULT 'x'"),
    (Refuses, "ALTER TABLE topics RENAME COLUMN name TO title"),
    (Refuses, "CREATE TRIGGER gone AFTER INSERT ON events BEGIN DELETE FROM events WHERE seq = new.seq; END"),
    (Refuses, "CREATE TRIGGER none BEFORE INSERT ON events BEGIN SELECT raise(IGNORE); END"),
    (Refuses, "CREATE TRIGGER count AFTER UPDATE ON counters BEGIN SELECT 1; END"),
    (Refuses, "CREATE TRIGGER seen INSTEAD OF INSERT ON event_log BEGIN SELECT 1; END"),
    (Refuses, "CREATE TABLE notes(a); CREATE TRIGGER own AFTER INSERT ON notes BEGIN DELETE FROM events; END"),
    (Refuses, "CREATE UNIQUE INDEX one ON events(event_id)"),
    (Refuses, "CREATE INDEX some ON events(source) WHERE source <> 'test'"),
    (Refuses, "CREATE INDEX length ON events(length(payload))"),
    (Refuses, "CREATE UNIQUE INDEX when_it_was ON subscriptions(updated_at)"),
];

/// Damages of what only one duplicate check has.
const DAMAGES_OF_INDEX: &[(Start, &str)] = &[
    (
        Refuses,
        "INSERT INTO segments(first_seq, last_seq, level, entries, first_page) VALUES (1, 1000, 0, 5, 1)",
    ),
    (Refuses, "INSERT INTO segments(first_seq, last_seq, level, entries, first_page) VALUES (1, 5, 0, 5, 1)"),
    (Refuses, "INSERT INTO segments(first_seq, last_seq, level, entries, first_page) VALUES (1, 5, 99, 5, 1)"),
    (Refuses, "DROP TABLE segments"),
    (Refuses, "INSERT INTO removed_keys VALUES (5, x'00', 0, NULL)"),
];
const DAMAGES_OF_CONSTRAINT: &[(Start, &str)] = &[
    (Refuses, "DROP INDEX events_key"),
    (
        Refuses,
        "DROP INDEX events_by_topic; CREATE INDEX events_by_topic ON events(seq)",
    ),
];

/// What others may add.
const ADDITIONS: &[&str] = &[
    "CREATE INDEX by_source ON events(source)",
    "CREATE INDEX by_time ON events(processed_at DESC, source COLLATE NOCASE)",
    "CREATE VIEW newest AS SELECT * FROM event_log ORDER BY seq DESC LIMIT 10",
    "CREATE TABLE notes(seq INTEGER PRIMARY KEY REFERENCES events(seq) ON DELETE RESTRICT, note TEXT UNIQUE); \
     INSERT INTO notes VALUES (1, 'first')",
    "ANALYZE",
];

/// A database that was stopped properly, for each duplicate check.
fn original(dedup: &str) -> &'static Setup {
    static ORIGINALS: [OnceLock<Setup>; 2] = [const { OnceLock::new() }; 2];
    ORIGINALS[usize::from(dedup == "index")].get_or_init(|| {
        let server = Setup::new().flags(["--dedup", dedup]).start();
        let topic = |n: u32| ["a", "b", "c"][n as usize % 3];
        let events: Vec<_> = (0..21).map(|n| event(topic(n), &n.to_string())).collect();
        server.publish(&json!(events)).expect(200);
        let headers = ["Content-Type: application/json"];
        let mut client = server.client();
        let put = client.request("PUT", "/subscriptions/s", &headers, b"{\"after\":3}");
        put.expect(200);
        let setup = server.setup().clone();
        server.stop();
        setup
    })
}

/// A copy of it, changed by SQL.
fn changed(dedup: &str, sql: &str) -> Setup {
    let setup = Setup::new();
    fs::copy(original(dedup).database_path(), setup.database_path()).unwrap();
    let db = Connection::open(setup.database_path()).unwrap();
    db.execute_batch(sql)
        .unwrap_or_else(|e| panic!("{sql}: {e}"));
    db.close().unwrap();
    setup
}

/// Whether a command ends well, and what it says.
fn command(arguments: &[&dyn AsRef<OsStr>]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn check(setup: &Setup) -> (bool, String) {
    command(&[&"check", &setup.database_path()])
}

fn backup(setup: &Setup, copy: &Path) -> (bool, String) {
    command(&[&"backup", &"--from", &setup.database_path(), &"--to", &copy])
}

/// What a server says that ends at its start; none if it listens.
fn refusal(setup: &Setup) -> Option<String> {
    let socket = setup.directory().join("socket");
    let mut child = Command::new(env!("CARGO_BIN_EXE_logagg"))
        .arg("serve")
        .arg("--database")
        .arg(setup.database_path())
        .arg("--listen")
        .arg(format!("unix:{}", socket.display()))
        .stderr(fs::File::create(setup.directory().join("log")).unwrap())
        .spawn()
        .unwrap();
    let log = || fs::read_to_string(setup.directory().join("log")).unwrap();
    let mut status = None;
    wait_until("the server", || {
        status = child.try_wait().unwrap();
        status.is_some() || log().contains("listening on")
    });
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
        return None;
    }
    assert_eq!(status.unwrap().code(), Some(1));
    Some(log())
}

/// What does not go as it must with databases that are damaged by SQL.
fn disagree(dedup: &str, damages: &[(Start, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (expected, sql) in damages {
        let setup = changed(dedup, sql);
        let (is_right, said) = check(&setup);
        if is_right {
            wrong.push(format!("{dedup}: the check passes {sql}\n{said}"));
        }
        let copy = setup.directory().join("copy.db");
        if backup(&setup, &copy).0 || copy.exists() {
            wrong.push(format!("{dedup}: the backup passes {sql}"));
        }
        let refusal = refusal(&setup);
        let is_refused = matches!(&refusal, Some(log) if log.contains("cannot open the database"));
        if *expected == Refuses && !is_refused {
            wrong.push(format!(
                "{dedup}: the start does not refuse {sql}: {refusal:?}"
            ));
        }
    }
    wrong
}

#[test]
fn what_makes_a_start_or_an_answer_fail_is_found_by_the_check() {
    let mut wrong = Vec::new();
    for (dedup, own) in [
        ("index", DAMAGES_OF_INDEX),
        ("constraint", DAMAGES_OF_CONSTRAINT),
    ] {
        wrong.extend(disagree(dedup, DAMAGES));
        wrong.extend(disagree(dedup, own));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_others_add_for_reading_disturbs_nobody() {
    for dedup in ["index", "constraint"] {
        for sql in ADDITIONS {
            let setup = changed(dedup, sql);
            let (is_right, said) = check(&setup);
            assert!(is_right, "{dedup}: {sql}\n{said}");
            let copy = setup.directory().join("copy.db");
            let (is_copied, said) = backup(&setup, &copy);
            assert!(is_copied, "{dedup}: {sql}\n{said}");
            let server = setup.start();
            assert_eq!(
                server.publish(&event("new", "new")).expect(200)["accepted"],
                1
            );
            assert_serves_everything(&server);
            server.stop();
        }
    }
}

/// A refusal names what stands in the way, so that it can be dropped.
#[test]
fn a_trigger_is_named() {
    let sql = "CREATE TRIGGER \"my trigger\" AFTER INSERT ON events BEGIN SELECT 1; END";
    let setup = changed("index", sql);
    let (code, log) = setup.fail();
    assert_eq!(code, 1);
    assert!(
        log.contains("the trigger \"my trigger\" on events"),
        "{log}"
    );
    let db = Connection::open(setup.database_path()).unwrap();
    db.execute_batch("DROP TRIGGER \"my trigger\"").unwrap();
    drop(db);
    let server = setup.start();
    assert_serves_everything(&server);
    server.stop();
}

/// What another program adds while the server runs does not swallow what is answered 200 for.
#[test]
fn a_trigger_that_is_made_later_changes_nothing() {
    for trigger in [
        "AFTER INSERT ON events BEGIN DELETE FROM events WHERE seq = new.seq; END",
        "BEFORE INSERT ON events BEGIN SELECT raise(IGNORE); END",
        "AFTER UPDATE ON counters BEGIN UPDATE counters SET last_seq = 0; END",
    ] {
        for dedup in ["index", "constraint"] {
            let setup = changed(dedup, "SELECT 1");
            let server = setup.start();
            let db = Connection::open(setup.database_path()).unwrap();
            db.execute_batch(&format!("CREATE TRIGGER late {trigger}"))
                .unwrap();
            drop(db);
            let events: Vec<_> = (0..30).map(|n| event("new", &n.to_string())).collect();
            let answer = server.publish(&json!(events)).expect(200);
            assert_eq!(answer["accepted"], 30, "{trigger}");
            assert_serves_everything(&server);
            server.stop();
            let (code, log) = setup.fail();
            assert!(code == 1 && log.contains("the trigger \"late\""), "{log}");
        }
    }
}

/// Where a commit cannot change the rows that it must, it fails, and says so.
#[test]
fn a_commit_that_changes_other_rows_than_it_must_is_refused() {
    for sql in [
        "CREATE UNIQUE INDEX late ON events(source)",
        "DELETE FROM counters",
    ] {
        for dedup in ["index", "constraint"] {
            let setup = changed(dedup, "SELECT 1");
            let server = setup.start();
            let db = Connection::open(setup.database_path()).unwrap();
            db.execute_batch("UPDATE events SET source = 'source ' || seq")
                .unwrap();
            db.execute_batch(sql).unwrap();
            let mut one = event("new", "1");
            one["source"] = json!("source 7");
            assert_eq!(server.publish(&one).status, 503, "{dedup}: {sql}");
            let count = "SELECT count(*) FROM events";
            let count: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
            assert_eq!(count, 21);
            drop(server);
        }
    }
}
