//! `logagg publish` to a server that is well: which lines are taken, and what is said of the others.

use std::fs;

use serde_json::json;

use crate::harness::{event, events_of, Address, Server, Setup};
use crate::program::{command, run, run_at, url, Running};
use crate::wait::wait_until;

/// Events as NDJSON.
pub fn lines(topic: &str, numbers: std::ops::Range<u64>) -> String {
    let line = |number: u64| event(topic, &number.to_string()).to_string() + "\n";
    numbers.map(line).collect()
}

#[test]
fn events_come_from_standard_input_once() {
    let server = Server::start(&[]);
    let input = lines("t", 0..1_234);
    let first = run(&server, &["publish"], input.as_bytes()).expect(0);
    assert_eq!(
        ["read", "accepted", "duplicates", "rejected"].map(|name| first.sum(name)),
        [1_234, 1_234, 0, 0]
    );
    assert_eq!(first.stderr, "");
    let second = run(&server, &["publish", "-", "--batch", "7"], input.as_bytes()).expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|name| second.sum(name)),
        [0, 1_234]
    );
    // In the order of the lines.
    let page = server.json("/events?after=0&limit=1000");
    let ids = events_of(&page)
        .iter()
        .map(|event| event["event_id"].as_str().unwrap());
    assert!(ids.eq((0..1_000).map(|n| n.to_string()).collect::<Vec<_>>().iter()));
}

#[test]
fn events_come_from_files_and_keep_their_bytes() {
    let server = Server::start(&[]);
    let folder = server.setup().directory();
    let (one, two) = (folder.join("one"), folder.join("two"));
    let exact = r#"{"b":1,"a":12345678901234567890,"b":0.10,"e":1e400,"s":"\ud800 \u00e9é🦀\/"}"#;
    let head = r#"{"topic":"t ü","event_id":"é/1","timestamp":"2026-01-02","source":"s""#;
    fs::write(
        &one,
        format!("\u{feff}{head},\"payload\":{exact}}}\r\n\r\n"),
    )
    .unwrap();
    // Without a line end.
    fs::write(&two, lines("u", 0..3).trim_end()).unwrap();
    let files = [&one, &two].map(|path| path.to_str().unwrap());
    let output = run(
        &server,
        &["publish", files[0], files[1], "-"],
        lines("v", 0..2).as_bytes(),
    );
    assert_eq!(output.expect(0).sum("accepted"), 6);
    let stored = server.get("/events/t%20%C3%BC/%C3%A9%2F1").text();
    assert!(
        stored.contains(&format!("\"payload\":{exact},")),
        "{stored}"
    );
    let missing = run(&server, &["publish", files[0], "/no/such"], b"").expect(1);
    assert_eq!(
        missing.stderr,
        "logagg: cannot read /no/such: No such file or directory (os error 2)\n"
    );
    let folder = run(&server, &["publish", "/"], b"").expect(1);
    assert!(
        folder.stderr.contains("cannot read /: is a directory"),
        "{folder:?}"
    );
}

#[test]
fn bad_lines_are_named_and_the_others_are_stored() {
    let server = Server::start(&[]);
    let path = server.setup().directory().join("events");
    let good = lines("t", 0..3);
    let good: Vec<&str> = good.lines().collect();
    let mut text = Vec::new();
    for line in [
        good[0].as_bytes(),
        b"",
        br#"{"topic":"t","event_id":"x","timestamp":"yesterday"}"#,
        br#"{"topic":"t""#,
        good[1].as_bytes(),
        b"\x00\x01\xfe\xff binary \xc3",
        br#"[{"topic":"t"}]"#,
        br#"{"topic":"","event_id":"x","timestamp":"2026-01-02","source":"\u001b[2J"}"#,
        good[2].as_bytes(),
    ] {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    fs::write(&path, &text).unwrap();
    let path = path.to_str().unwrap();
    let output = run(&server, &["publish", path], b"").expect(1);
    assert_eq!(
        ["read", "accepted", "duplicates", "rejected"].map(|name| output.sum(name)),
        [8, 3, 0, 5]
    );
    let mut told: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(told.pop(), Some("logagg: 5 events were not stored"));
    told.sort_unstable();
    let expected = [
        "3: timestamp must be in ISO 8601 format; source: field required",
        "4: not JSON: EOF while parsing an object at column 12",
        "6: not UTF-8",
        "7: not a JSON object; each line is to be one event",
        "8: topic must not be empty; source must not contain control characters",
    ];
    assert_eq!(told, expected.map(|line| format!("{path}:{line}")));
    assert_eq!(server.json("/stats")["unique_processed"], 3);
}

#[test]
fn many_bad_lines_are_counted_and_the_first_are_named() {
    let server = Server::start(&[]);
    let bad = "{\"topic\":\"t\"}\n".repeat(1_000);
    let input = bad + &lines("t", 0..5);
    let output = run(&server, &["publish"], input.as_bytes()).expect(1);
    assert_eq!(
        ["accepted", "rejected"].map(|name| output.sum(name)),
        [5, 1_000]
    );
    assert_eq!(output.stderr.matches("standard input:").count(), 100);
    assert!(output
        .stderr
        .contains("further lines like these are only counted"));
}

#[test]
fn what_is_too_much_for_one_request_is_sent_in_several() {
    let server = Server::start(&["--ring-capacity", "10", "--max-body-bytes", "4096"]);
    let mut large = event("t", "large");
    large["payload"] = json!({"text": "x".repeat(5_000)});
    let input = lines("t", 0..50) + &large.to_string() + "\n" + &lines("t", 50..100);
    let output = run(&server, &["publish"], input.as_bytes()).expect(1);
    assert_eq!(
        ["accepted", "rejected"].map(|name| output.sum(name)),
        [100, 1]
    );
    assert!(
        output
            .stderr
            .starts_with("standard input:51: too large for the server\n"),
        "{output:?}"
    );
    let page = server.json("/events?after=0&limit=1000");
    let ids = events_of(&page)
        .iter()
        .map(|event| event["event_id"].clone());
    assert!(ids.eq((0..100).map(|n| json!(n.to_string()))));
}

#[test]
fn a_huge_line_is_refused_by_the_server_and_the_next_is_stored() {
    let server = Server::start(&[]);
    let mut huge = event("t", "huge");
    huge["payload"] = json!({"text": "x".repeat(20_000_000)});
    let mut large = event("t", "large");
    large["payload"] = json!({"text": "x".repeat(10_000_000)});
    let input = format!("{huge}\n{large}\n{}", lines("t", 0..1));
    let output = run(&server, &["publish"], input.as_bytes()).expect(1);
    assert_eq!(
        ["accepted", "rejected"].map(|name| output.sum(name)),
        [2, 1]
    );
    assert!(
        output.stderr.starts_with("standard input:1: "),
        "{output:?}"
    );
}

#[test]
fn members_that_are_missing_are_filled_in() {
    let server = Server::start(&[]);
    let arguments = [
        "publish", "--topic", "t", "--source", "s", "--now", "--ids", "hash",
    ];
    let input = b"{\"payload\":{\"a\":0.10}}\n{\"topic\":\"own\",\"event_id\":\"1\"}\n";
    for accepted in [2, 0] {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        assert_eq!(
            run(&server, &arguments, input).expect(0).sum("accepted"),
            accepted
        );
    }
    let event = &server.json("/events?topic=t")["events"][0];
    assert_eq!(
        (&event["source"], &event["payload"]),
        (&json!("s"), &json!({"a": 0.10}))
    );
    assert_eq!(server.json("/events/own/1")["source"], "s");
    let arguments = [
        "publish", "--topic", "t", "--source", "s", "--now", "--ids", "uuid",
    ];
    assert_eq!(
        run(&server, &arguments, b"{}\n{}\n")
            .expect(0)
            .sum("accepted"),
        2
    );
}

#[test]
fn a_slow_source_is_published_as_it_comes() {
    let server = Server::start(&[]);
    let mut publisher = Running::start(&server, &["publish", "--linger", "10ms"]);
    for number in 0..3 {
        publisher.send(lines("t", number..number + 1).as_bytes());
        wait_until("the event", || {
            server.json("/stats")["received"] == number + 1
        });
    }
    // Half a line is no event yet, and at the end it is.
    let last = lines("t", 3..4);
    publisher.send(&last.as_bytes()[..10]);
    publisher.send(last[10..].trim_end().as_bytes());
    assert_eq!(publisher.finish().expect(0).sum("accepted"), 4);
}

#[test]
fn a_part_of_a_file_is_passed_over() {
    let server = Server::start(&[]);
    let arguments = ["publish", "--from-line", "8"];
    let output = run(&server, &arguments, lines("t", 0..10).as_bytes()).expect(0);
    assert_eq!(["read", "accepted"].map(|name| output.sum(name)), [3, 3]);
    assert_eq!(server.json("/events?after=0")["events"][0]["event_id"], "7");
}

#[test]
fn a_conflict_is_a_duplicate_that_is_told_of() {
    let server = Server::start(&[]);
    run(&server, &["publish"], lines("t", 0..2).as_bytes()).expect(0);
    let mut other = event("t", "1");
    other["payload"] = json!({"other": true});
    let input = lines("t", 0..1) + &other.to_string();
    let output = run(&server, &["publish"], input.as_bytes()).expect(0);
    assert_eq!(
        ["duplicates", "of these with another content"].map(|name| output.sum(name)),
        [2, 1]
    );
    assert!(
        output
            .stderr
            .starts_with("standard input:2: an event of this key"),
        "{output:?}"
    );
}

#[test]
fn it_goes_over_a_unix_socket_too() {
    let setup = Setup::new();
    let path = setup.directory().join("socket");
    let server = setup
        .clone()
        .listen([format!("unix:{}", path.display())])
        .start();
    assert!(matches!(server.address(), Address::Unix(_)));
    let output = run(&server, &["publish"], lines("t", 0..10).as_bytes()).expect(0);
    assert_eq!(output.sum("accepted"), 10);
}

#[test]
fn tokens_come_from_the_environment_or_a_file() {
    let setup = Setup::new();
    let tokens = setup.directory().join("tokens");
    fs::write(&tokens, "writer publish secret-w\nreader read secret-r\n").unwrap();
    let server = setup
        .clone()
        .flags(["--auth-tokens-file".into(), tokens.into_os_string()])
        .start();
    let input = lines("t", 0..1);

    let none = run(&server, &["publish"], input.as_bytes()).expect(1);
    assert!(
        none.stderr.contains("the token is missing or unknown"),
        "{none:?}"
    );
    assert_eq!(none.sum("without an answer"), 1);
    let with = |token: &str| {
        let mut command = command(&["publish", "--server", &url(server.address())]);
        let mut running = Running::spawn(command.env("LOGAGG_TOKEN", token));
        running.send(input.as_bytes());
        running.finish()
    };
    let wrong = with("secret-x").expect(1);
    assert!(
        wrong.stderr.contains("(401)") && !wrong.stderr.contains("secret"),
        "{wrong:?}"
    );
    let reader = with("secret-r").expect(1);
    assert!(
        reader
            .stderr
            .contains("the token does not allow this (403)"),
        "{reader:?}"
    );
    assert_eq!(with("secret-w").expect(0).sum("accepted"), 1);

    let file = setup.directory().join("token");
    fs::write(&file, "secret-w\n").unwrap();
    let arguments = ["publish", "--token-file", file.to_str().unwrap()];
    let output = run_at(&url(server.address()), &arguments, input.as_bytes()).expect(0);
    assert_eq!(output.sum("duplicates"), 1);
}

#[test]
fn one_event_comes_from_the_command_line() {
    let server = Server::start(&[]);
    let message = "{\"n\":1,\n \"exact\":0.10}";
    let arguments = ["publish", "-t", "order.paid", "-s", "shop", "-m", message];
    let first = run(&server, &arguments, b"").expect(0);
    let second = run(&server, &arguments, b"").expect(0);
    assert_ne!(first.stdout, second.stdout, "each has an id of its own");
    assert_eq!(first.stderr, "");
    let id = first.stdout.trim_end();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");
    let event = server.json(&format!("/events/order.paid/{id}"));
    assert_eq!(event["source"], "shop");
    let page = server.get(&format!("/events/order.paid/{id}"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("\"exact\":0.10}"), "{text}");

    // With an id of one's own it is stored once.
    let own = ["--event-id", "evt-7"];
    for (message, said) in [("{}", ""), ("{\"other\":1}", "stored with another content")] {
        let arguments = ["publish", "-t", "t", "-s", "s", "-m", message];
        let output = run(&server, &[&arguments[..], &own].concat(), b"").expect(0);
        assert_eq!(output.stdout, "evt-7\n");
        assert!(output.stderr.contains(said), "{output:?}");
        assert_eq!(output.stderr.is_empty(), said.is_empty(), "{output:?}");
    }
    assert_eq!(server.json("/stats")["unique_processed"], 3);
}

#[test]
fn one_event_that_cannot_be_published_is_refused() {
    let server = Server::start(&[]);
    for (arguments, code, said) in [
        (
            &["-t", "t", "-s", "s", "-m", "hello"][..],
            2,
            "--message is not a JSON object",
        ),
        (
            &["-t", "t", "-s", "s", "-m", "[1]"],
            2,
            "--message is not a JSON object",
        ),
        (
            &["-t", "t", "-s", "s", "-m", "{\"a\":1}{}"],
            2,
            "--message is not a JSON object",
        ),
        (&["-t", "t", "-m", "{}"], 2, "--source"),
        (&["-s", "s", "-m", "{}"], 2, "--topic"),
        (
            &["-t", "t", "-s", "s", "-m", "{}", "file"],
            2,
            "cannot be used with",
        ),
        (&["-t", "t", "-s", "s", "--event-id", "1"], 2, "--message"),
        (&["-t", "a\tb", "-s", "s", "-m", "{}"], 1, "topic"),
    ] {
        let output = run(&server, &[&["publish"], arguments].concat(), b"").expect(code);
        assert!(output.stderr.contains(said), "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, "", "{arguments:?}");
    }
    assert_eq!(server.json("/stats")["received"], 0);
}
