//! `logagg export`: whole, exact, and gone on with where it was cut off.

use std::fs;

use serde_json::{json, Value};

use crate::fake::{chunk, line, stats, Fake, Reply, STREAM};
use crate::harness::{event, Server, TemporaryDirectory};
use crate::program::{run, run_at};
use crate::publishing::lines;

/// A fake with `last_seq` events that breaks each stream after a few of them, in several ways.
fn breaking(last_seq: u64) -> Fake {
    let mut count = 0;
    Fake::start(move |_, asked| {
        if asked.target == "/stats" {
            return stats(last_seq);
        }
        let after: u64 = asked.target.rsplit('=').next().unwrap().parse().unwrap();
        // The last event of the file, to be compared.
        if asked.target.starts_with("/events?limit=1&") {
            let page = format!(
                "{{\"count\":1,\"events\":[{}],\"next\":null}}",
                line(after + 1)
            );
            return Reply::json(200, &page);
        }
        count += 1;
        let until = (after + 3).min(last_seq);
        let text: String = (after + 1..=until).map(line).collect();
        let begun = STREAM.to_owned() + &chunk(&text);
        let cut = match count % 3 {
            _ if until == last_seq => return Reply::Bytes((begun + &chunk("")).into_bytes()),
            0 => begun,
            1 => begun + &chunk(&line(until + 1)[..30]),
            // The end is well-formed, and the line is not whole.
            _ => begun + &chunk(&line(until + 1)[..30]) + &chunk(""),
        };
        Reply::Last(cut.into_bytes())
    })
}

#[test]
fn an_export_is_whole_although_each_connection_breaks() {
    let fake = breaking(20);
    let output = run_at(&fake.url, &["export", "--topic", "a*", "--topic", "b"], b"").expect(0);
    assert_eq!(output.stdout, (1..=20).map(line).collect::<String>());
    assert_eq!(output.stderr, "logagg: 20 events exported, up to seq 20\n");
    assert_eq!(
        fake.targets()[1],
        "/subscribe?follow=false&topic=a%2A&topic=b&after=0"
    );
    // A part, to a file.
    let folder = TemporaryDirectory::new();
    let path = folder.join("part");
    let arguments = ["export", "--after", "5", "--output", path.to_str().unwrap()];
    run_at(&breaking(9).url, &arguments, b"").expect(0);
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        (6..=9).map(line).collect::<String>()
    );
}

#[test]
fn an_export_that_was_cut_off_is_gone_on_with() {
    let folder = TemporaryDirectory::new();
    let path = folder.join("events.ndjson");
    let name = path.to_str().unwrap();
    let whole: String = (1..=9).map(line).collect();
    let begun = line(1) + &line(2);
    for torn in [
        String::new(),
        line(3)[..40].to_owned(),
        "\0\0\0\0".to_owned(),
    ] {
        fs::write(&path, begun.clone() + &torn).unwrap();
        run_at(&breaking(9).url, &["export", "-o", name, "--resume"], b"").expect(0);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
    // Again there is nothing to add, and a new file is made where there is none.
    run_at(&breaking(9).url, &["export", "-o", name, "--resume"], b"").expect(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    fs::remove_file(&path).unwrap();
    run_at(&breaking(9).url, &["export", "-o", name, "--resume"], b"").expect(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    // Half a line and nothing else is an export that has just begun.
    fs::write(&path, &line(1)[..9]).unwrap();
    run_at(&breaking(9).url, &["export", "-o", name, "--resume"], b"").expect(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);

    let exists = run_at(&breaking(9).url, &["export", "-o", name], b"").expect(1);
    assert!(
        exists
            .stderr
            .contains("exists; remove it, or go on with it by --resume"),
        "{exists:?}"
    );
    fs::write(&path, "a letter\nto someone\n").unwrap();
    let other = run_at(&breaking(9).url, &["export", "-o", name, "--resume"], b"").expect(1);
    assert!(
        other
            .stderr
            .contains("does not end with an event of an export"),
        "{other:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "a letter\nto someone\n");
}

#[test]
fn an_export_that_fails_keeps_what_has_come() {
    let folder = TemporaryDirectory::new();
    let path = folder.join("events.ndjson");
    let fake = Fake::start(|number, _| match number {
        0 => stats(9),
        1 => Reply::Last((STREAM.to_owned() + &chunk(&(line(1) + &line(2)))).into_bytes()),
        _ => Reply::json(403, r#"{"detail":"No more."}"#),
    });
    let arguments = ["export", "--output", path.to_str().unwrap()];
    let output = run_at(&fake.url, &arguments, b"").expect(1);
    assert!(
        output.stderr.contains("2 events exported, up to seq 2\n"),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("--resume goes on with "),
        "{output:?}"
    );
    assert!(output.stderr.ends_with("(403): No more.\n"), "{output:?}");
    assert_eq!(fs::read_to_string(path).unwrap(), line(1) + &line(2));
}

/// From one server into another, with what is hard to keep.
#[test]
fn an_export_and_its_import_keep_every_byte() {
    let first = Server::start(&[]);
    let payloads = [
        r#"{"b":1,"a":2,"b":[0.10,1e400,-0,12345678901234567890]}"#,
        r#"{"s":"\ud800 \u0041\/é\u00e9🦀\u0000","":{}}"#,
        "{}",
    ];
    for (number, payload) in payloads.iter().enumerate() {
        let head =
            format!(r#"{{"topic":"tö\n\u0041","event_id":"{number}","timestamp":"2026-01-02","#);
        let body = head.replace("\\n", "") + &format!(r#""source":"s\"\\","payload":{payload}}}"#);
        first.client().publish(body).expect(200);
    }
    let mut huge = event("huge", "1");
    huge["payload"] = json!({"text": "é".repeat(3_000_000)});
    first.publish(&huge).expect(200);
    run(&first, &["publish"], lines("many", 0..3_000).as_bytes()).expect(0);

    let folder = TemporaryDirectory::new();
    let path = folder.join("events.ndjson");
    let name = path.to_str().unwrap();
    run(&first, &["export", "-o", name], b"").expect(0);
    let exported = fs::read_to_string(&path).unwrap();
    assert_eq!(exported.lines().count(), 3_004);
    for payload in payloads {
        assert!(
            exported.contains(&format!("\"payload\":{payload},")),
            "{payload}"
        );
    }
    let second = Server::start(&[]);
    let output = run(&second, &["import", name], b"").expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [3_004, 0]
    );
    let output = run(&second, &["import", name], b"").expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [0, 3_004]
    );
    // The same but for when it was taken in.
    let again = run(&second, &["export"], b"").expect(0).stdout;
    let without_time = |text: &str| -> Vec<String> {
        let cut = |line: &str| line.split(",\"processed_at\":").next().unwrap().to_owned();
        text.lines().map(cut).collect()
    };
    assert!(without_time(&exported) == without_time(&again));
    // A topic alone, and what is after a seq.
    let part = run(
        &first,
        &["export", "--topic", "man*", "--after", "3000"],
        b"",
    )
    .expect(0)
    .stdout;
    let events: Vec<Value> = part
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event["topic"] == "many"));
}
