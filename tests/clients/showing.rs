//! `logagg topics` and `logagg stats`.

use serde_json::Value;

use crate::fake::{Fake, Reply};
use crate::harness::{event, Server};
use crate::program::{run, run_at};

#[test]
fn topics_are_a_table_or_json() {
    let server = Server::start(&[]);
    let header = "EVENTS  LAST SEQ  LAST RECEIVED  TOPIC\n";
    assert_eq!(run(&server, &["topics"], b"").expect(0).stdout, header);
    for (topic, id) in [("a", "1"), ("日本 z", "1"), ("a", "2")] {
        server.publish(&event(topic, id)).expect(200);
    }
    let output = run(&server, &["topics"], b"").expect(0);
    let rows: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split("  ").collect())
        .collect();
    assert_eq!(rows.len(), 3);
    let cells = |row: &[&str]| -> Vec<String> {
        let cells = row.iter().filter(|cell| !cell.is_empty());
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let (first, second) = (cells(&rows[1]), cells(&rows[2]));
    assert_eq!(
        (&first[..2], &first[3][..]),
        (&["2".to_owned(), "3".to_owned()][..], "a")
    );
    assert_eq!(second[3], "日本 z");
    let output = run(&server, &["topics", "--json"], b"").expect(0);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json, server.json("/topics"));
}

#[test]
fn stats_are_lines_or_json_where_nobody_watches() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    server.publish(&event("t", "1")).expect(200);
    let output = run(&server, &["stats"], b"").expect(0);
    for (name, value) in [
        ("received", 2),
        ("unique_processed", 1),
        ("duplicate_dropped", 1),
        ("topic_count", 1),
        ("last_seq", 1),
        ("first_seq", 1),
        ("events_removed", 0),
        ("queue_capacity", 10_000),
    ] {
        assert_eq!(output.sum(name), value);
    }
    assert!(output
        .stdout
        .ends_with(concat!("\nversion: ", env!("CARGO_PKG_VERSION"), "\n")));
    let output = run(&server, &["stats", "--json"], b"").expect(0);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["received"], 2);
}

/// Once, unless it is asked to try longer.
#[test]
fn a_question_is_tried_once() {
    for arguments in [
        &["topics"][..],
        &["stats"],
        &["stats", "--once"],
        &["topics", "--json"],
    ] {
        let output = run_at("http://127.0.0.1:1", arguments, b"").expect(1);
        assert_eq!(
            output.stderr,
            "logagg: no answer from http://127.0.0.1:1: Connection refused\n"
        );
        assert_eq!(output.stdout, "");
    }
    let fake = Fake::start(|number, _| match number {
        0 => Reply::Last(Vec::new()),
        _ => Reply::json(200, r#"{"count":0,"topics":[]}"#),
    });
    run_at(&fake.url, &["topics"], b"").expect(1);
    let fake = Fake::start(|number, _| match number {
        0 => Reply::Last(Vec::new()),
        _ => Reply::json(200, r#"{"count":0,"topics":[]}"#),
    });
    run_at(&fake.url, &["topics", "--give-up-after", "1m"], b"").expect(0);
}

/// What a server says of itself cannot drive the terminal.
#[test]
fn names_are_escaped() {
    let fake = Fake::start(|_, _| {
        let topic =
            r#"{"topic":"a\u001b[2Jb","events":1,"last_seq":1,"last_processed_at":"\u009b"}"#;
        Reply::json(200, &format!(r#"{{"count":1,"topics":[{topic}]}}"#))
    });
    let output = run_at(&fake.url, &["topics"], b"").expect(0);
    assert!(
        output.stdout.ends_with("  \\u009b         a\\u001b[2Jb\n"),
        "{output:?}"
    );
}

#[test]
fn topics_can_be_chosen_and_sorted() {
    let server = Server::start(&[]);
    for (topic, id) in [
        ("order.a", "1"),
        ("order.b", "1"),
        ("order.b", "2"),
        ("user", "1"),
        ("order.a", "2"),
        ("order.b", "3"),
        ("order.c", "1"),
    ] {
        server.publish(&event(topic, id)).expect(200);
    }
    for (arguments, expected) in [
        (&["order."][..], &["order.a", "order.b", "order.c"][..]),
        (&["order.*"], &["order.a", "order.b", "order.c"]),
        (&["user"], &["user"]),
        (&["nothing"], &[]),
        (
            &["--sort", "events"],
            &["order.b", "order.a", "order.c", "user"],
        ),
        (
            &["--sort", "newest", "o"],
            &["order.c", "order.b", "order.a"],
        ),
        (
            &["--sort", "name"],
            &["order.a", "order.b", "order.c", "user"],
        ),
    ] {
        let arguments = [&["topics"], arguments].concat();
        let table = run(&server, &arguments, b"").expect(0);
        let rows = table.stdout.lines().skip(1);
        let names: Vec<&str> = rows.filter_map(|row| row.split(' ').next_back()).collect();
        assert_eq!(names, expected, "{arguments:?}");
        let json = run(&server, &[&arguments[..], &["--json"]].concat(), b"").expect(0);
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(json["count"], expected.len());
        let topics = json["topics"].as_array().unwrap();
        let names: Vec<&Value> = topics.iter().map(|topic| &topic["topic"]).collect();
        assert_eq!(names, expected, "{arguments:?}");
    }
}
