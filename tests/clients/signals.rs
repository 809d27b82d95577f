//! What ends a client early: signals, and a reader that had enough.

use std::process::Stdio;

use rustix::process::Signal;

use crate::fake::{chunk, line, stats, Fake, Reply, STREAM};
use crate::harness::{fixed_address, Server, TemporaryDirectory};
use crate::program::{command, Running};
use crate::publishing::lines;
use crate::wait::wait_until;

/// What has been read is published, the sums are printed, and a shell sees the signal.
#[test]
fn a_publisher_that_is_stopped_says_what_it_did() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = Server::start(&[]);
        let arguments = ["publish", "--linger", "1h", "--batch", "10"];
        let mut publisher = Running::start(&server, &arguments);
        publisher.send(lines("t", 0..15).as_bytes());
        wait_until("a batch", || server.json("/stats")["received"] == 10);
        publisher.signal(signal);
        let output = publisher.wait().expect(code);
        assert_eq!(["read", "accepted"].map(|name| output.sum(name)), [15, 15]);
        assert_eq!(server.json("/stats")["received"], 15);
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn a_publisher_without_a_server_is_stopped_at_once() {
    let url = format!("http://{}", fixed_address());
    let mut publisher = Running::start_at(&url, &["publish", "--give-up-after", "never"]);
    publisher.send(lines("t", 0..1).as_bytes());
    publisher.wait_for_word("trying again");
    publisher.signal(Signal::INT);
    let output = publisher.wait().expect(130);
    assert_eq!(output.sum("without an answer"), 1);
    assert!(output
        .stderr
        .ends_with("the first event without an answer is standard input:1\n"));
}

#[test]
fn a_publication_under_way_is_answered_first() {
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    let fake = Fake::start(move |_, _| {
        answered.recv().unwrap();
        Reply::json(
            200,
            r#"{"errors":[],"results":[{"status":"accepted","seq":1}]}"#,
        )
    });
    let mut publisher = Running::start_at(&fake.url, &["publish", "--batch", "1"]);
    publisher.send(lines("t", 0..1).as_bytes());
    fake.wait_for(1);
    publisher.signal(Signal::INT);
    answer.send(()).unwrap();
    assert_eq!(publisher.wait().expect(130).sum("accepted"), 1);
}

/// The second signal does not wait for anything.
#[test]
fn a_second_signal_ends_it_as_signals_do() {
    let fake = Fake::start(|_, _| Reply::Silence(Vec::new()));
    let mut publisher = Running::start_at(&fake.url, &["publish", "--batch", "1"]);
    publisher.send(lines("t", 0..1).as_bytes());
    fake.wait_for(1);
    publisher.signal(Signal::INT);
    // The two may not be taken for one: they are of different kinds.
    publisher.signal(Signal::TERM);
    assert_eq!(publisher.wait().code, None);
}

/// A stream on which nothing comes: two events, and then silence.
fn quiet() -> Fake {
    Fake::start(|_, asked| match asked.target.as_str() {
        "/stats" => stats(0),
        _ => Reply::Silence((STREAM.to_owned() + &chunk(&(line(1) + &line(2)))).into_bytes()),
    })
}

#[test]
fn a_tail_is_stopped_at_once() {
    let fake = quiet();
    let tail = Running::start_at(&fake.url, &["tail", "--from", "start"]);
    tail.wait_for_lines(2);
    tail.signal(Signal::INT);
    let output = tail.wait().expect(130);
    assert_eq!((output.stdout.lines().count(), &output.stderr[..]), (2, ""));
}

/// What has come is in the file, and the export goes on from there.
#[test]
fn an_export_that_is_stopped_keeps_what_has_come() {
    let fake = quiet();
    let folder = TemporaryDirectory::new();
    let path = folder.join("events");
    let arguments = ["export", "--output", path.to_str().unwrap()];
    let export = Running::start_at(&fake.url, &arguments);
    fake.wait_for(2);
    // Before or after the two events, which nothing shows from outside.
    export.signal(Signal::INT);
    let output = export.wait().expect(130);
    let exported = std::fs::read_to_string(&path).unwrap();
    assert!((line(1) + &line(2)).starts_with(&exported), "{exported:?}");
    let count = exported.lines().count();
    assert!(output.stderr.starts_with(&format!(
        "logagg: {count} events exported, up to seq {count}\n"
    )));
    assert!(exported.is_empty() || exported.ends_with('\n'));
}

/// As in `logagg tail | head -1`: it does not wait for a further event to find that nobody reads.
#[test]
fn a_tail_ends_when_its_reader_does() {
    let fake = quiet();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = command(&["tail", "--from", "start", "--server", &fake.url]);
    command.stdout(Stdio::from(writer));
    let tail = Running::spawn(&mut command);
    drop(command);
    let mut first = String::new();
    let mut reader = std::io::BufReader::new(reader);
    std::io::BufRead::read_line(&mut reader, &mut first).unwrap();
    assert!(first.contains("e1"));
    drop(reader);
    let output = tail.wait().expect(0);
    assert_eq!(output.stderr, "");
}
