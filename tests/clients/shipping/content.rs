//! What becomes of a line: its payload, its time and its id.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use serde_json::{json, Value};

use super::{append, events, lines, Scene};

#[test]
fn lines_become_payloads_with_their_own_times() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(
        &scene.log(),
        b"plain \"text\"\n\
          {\"a\": 1.50, \"time\": \"2026-01-02T03:04:05Z\"}\n\
          2026-01-02 03:04:05,678 INFO hello\r\n\
          \n\
          caf\xe9 \\ x\n\
          [1, 2]\n\
          unfinished",
    );
    let output = scene.once(&[]).expect(0);
    assert_eq!((output.sum("read"), output.sum("accepted")), (7, 7));
    let found = events(&server);
    let payloads: Vec<&Value> = found.iter().map(|event| &event["payload"]).collect();
    assert_eq!(
        payloads,
        [
            &json!({"line": "plain \"text\""}),
            &json!({"a": 1.50, "time": "2026-01-02T03:04:05Z"}),
            &json!({"line": "2026-01-02 03:04:05,678 INFO hello"}),
            &json!({"line": ""}),
            &json!({"line": r"caf\xe9 \\ x", "escaped": true}),
            &json!({"line": "[1, 2]"}),
            &json!({"line": "unfinished"}),
        ]
    );
    assert_eq!(found[1]["timestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(found[2]["timestamp"], "2026-01-02 03:04:05.678");
    // All that have no time of their own were read at once.
    for event in [&found[3], &found[4], &found[5]] {
        assert_eq!(event["timestamp"], found[0]["timestamp"]);
    }
    let ids: BTreeSet<&str> = found
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 7);
    assert_eq!(found[0]["source"], "test");
    assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
}

/// A time is what the line says, with all that belongs to it, or the time of reading.
#[test]
fn times_of_real_loggers_are_understood_or_not_taken() {
    const LINES: [(&str, Option<&str>); 10] = [
        (
            "2026-11-30 01:02:03 +0200 x",
            Some("2026-11-30 01:02:03+02:00"),
        ),
        ("2026-11-30 01:02:03.123 CET [99] LOG:  x", None),
        ("11/30/2026 01:02:03 PM x", Some("2026-11-30T13:02:03")),
        ("2026-11-30 04:30:30, x", Some("2026-11-30 04:30:30")),
        (
            "2026-11-30 04:30:30,672:DEBUG x",
            Some("2026-11-30 04:30:30.672"),
        ),
        (
            "::1 - - [30/Nov/2026:01:02:03 +0100] \"GET /\"",
            Some("2026-11-30T01:02:03+01:00"),
        ),
        (
            "\u{1b}[32m2026/11/30 01:02:03\u{1b}[0m x",
            Some("2026-11-30 01:02:03"),
        ),
        (
            "level=info ts=2026-11-30T01:02:03Z",
            Some("2026-11-30T01:02:03Z"),
        ),
        ("{\"ts\":1796000523.5}", Some("2026-11-30T01:02:03.5Z")),
        (
            "{\"@timestamp\":\"no\",\"time\":1796000523456}",
            Some("2026-11-30T01:02:03.456Z"),
        ),
    ];
    let scene = Scene::new();
    let server = scene.setup.start();
    let now = time::OffsetDateTime::now_utc();
    for (line, _) in LINES {
        append(&scene.log(), format!("{line}\n"));
    }
    // Today without a year, as syslog writes it: the nearest one is this.
    let month = &now.month().to_string()[..3];
    append(
        &scene.log(),
        format!("{month} {:2} 01:02:03 host x\n", now.day()),
    );
    assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 11);
    let found = events(&server);
    let read_at = found[1]["timestamp"].as_str().unwrap();
    assert!(read_at.ends_with('Z') && read_at.len() == "2026-11-30T01:02:03.456789Z".len());
    for (event, (line, expected)) in found.iter().zip(LINES) {
        assert_eq!(event["timestamp"], expected.unwrap_or(read_at), "{line}");
    }
    assert_eq!(found[10]["timestamp"], format!("{}T01:02:03", now.date()));
}

/// What is remembered only saves work: without it the server tells what it has.
#[test]
fn without_its_state_a_file_is_shipped_again_and_stored_once() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(
        &scene.log(),
        "2026-01-02T03:04:05Z one\n{\"ts\":\"2026-01-02\"}\n",
    );
    let state = scene.folder.join("elsewhere/state");
    let flags = ["--state", super::text(&state)];
    scene.once(&flags).expect(0);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    fs::remove_dir_all(&state).unwrap();
    append(&scene.log(), "2026-01-02T03:04:06Z two\n");
    // Under another name, too.
    let renamed = scene.folder.join("renamed.log");
    fs::rename(scene.log(), &renamed).unwrap();
    fs::hard_link(&renamed, scene.log()).unwrap();
    let output = scene.once(&flags).expect(0);
    assert_eq!((output.sum("accepted"), output.sum("duplicates")), (1, 2));
    assert!(!output.stdout.contains("another content"), "{output:?}");
    assert_eq!(events(&server).len(), 3);
    assert_eq!(server.json("/stats")["conflicts"], 0);
}

#[test]
fn files_that_are_alike_and_lines_that_are_alike_are_not_the_same() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let other = scene.folder.join("other.log");
    for path in [&scene.log(), &other] {
        append(path, "begin\nsame\nsame\n");
    }
    let log = scene.log();
    let mut arguments = scene.arguments(super::text(&log), &["--once"]);
    arguments.push(super::text(&other));
    let output = crate::program::run_at(&scene.url, &arguments, b"").expect(0);
    assert_eq!((output.sum("accepted"), output.sum("duplicates")), (6, 0));
    assert_eq!(events(&server).len(), 6);
}

#[test]
fn a_line_that_is_too_long_comes_in_pieces_that_make_it_up() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let long = "0123456789é".repeat(250_000);
    append(&scene.log(), format!("short\n{long}\nshort again\n"));
    let output = scene.once(&[]).expect(0);
    assert_eq!(output.sum("accepted"), 5);
    let found = events(&server);
    let pieces: Vec<&Value> = found[1..4].iter().map(|event| &event["payload"]).collect();
    let text: String = pieces
        .iter()
        .map(|piece| piece["line"].as_str().unwrap())
        .collect();
    assert!(text == long, "{} bytes of {}", text.len(), long.len());
    for (number, piece) in pieces.iter().enumerate() {
        assert_eq!(piece["part"], number + 1);
        assert_eq!(piece["more"], number < 2);
    }
    assert_eq!(found[4]["payload"], json!({"line": "short again"}));
}

/// A writer that does not append goes on where it was when the file is truncated.
#[test]
fn what_was_never_written_is_passed_over() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "before\n");
    scene.once(&[]).expect(0);
    let mut file = File::options().write(true).open(scene.log()).unwrap();
    file.set_len(0).unwrap();
    file.seek(SeekFrom::Start(3_000_000)).unwrap();
    file.write_all(b"after\n").unwrap();
    scene.once(&[]).expect(0);
    assert_eq!(lines(&server), ["before", "after"]);
}

#[test]
fn from_the_end_only_what_is_new_is_shipped() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "old\nold\nbegun");
    let flags = ["--from-end"];
    assert_eq!(scene.once(&flags).expect(0).sum("read"), 0);
    append(&scene.log(), " and ended\nnew\n");
    assert_eq!(scene.once(&flags).expect(0).sum("accepted"), 2);
    // The state is what counts from now on.
    append(&scene.log(), "newer\n");
    scene.once(&flags).expect(0);
    assert_eq!(lines(&server), ["begun and ended", "new", "newer"]);
}
