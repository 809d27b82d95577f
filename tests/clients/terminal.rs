//! What the clients show on a terminal: a bar, a view that renews itself, colours.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Stdio};

use rustix::process::{kill_process, Pid, Signal};
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};

use crate::fake::{chunk, line, stats, Fake, Reply, STREAM};
use crate::harness::Server;
use crate::program::{command, url};
use crate::publishing::lines;

/// A terminal whose other end the test holds.
struct Terminal {
    controller: File,
    path: String,
}

impl Terminal {
    fn open() -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap();
        Terminal {
            controller: File::from(controller),
            path: path.into_string().unwrap(),
        }
    }

    /// Starts a client whose output and errors go here.
    fn spawn(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(&self.path)
                .unwrap()
        };
        let mut command = command(arguments);
        command.envs(variables.iter().copied()).env("TERM", "xterm");
        command.stdin(Stdio::piped()).stdout(open()).stderr(open());
        command.spawn().unwrap()
    }

    /// Reads until the text holds all of these, and returns it.
    fn read_until(&mut self, parts: &[&str]) -> String {
        let mut text = Vec::new();
        let mut piece = [0; 4_096];
        loop {
            let shown = String::from_utf8_lossy(&text);
            if parts.iter().all(|part| shown.contains(part)) {
                return shown.into_owned();
            }
            let count = self.controller.read(&mut piece).unwrap_or(0);
            assert!(count > 0, "the terminal closed behind {shown:?}");
            text.extend_from_slice(&piece[..count]);
        }
    }
}

impl Terminal {
    /// What else has been shown, once nobody writes any more.
    fn rest(&mut self) -> String {
        let mut text = Vec::new();
        // It ends with an error, or with nothing (pty(7)).
        let _ = self.controller.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[test]
fn a_publisher_shows_a_bar_and_then_the_sums() {
    let server = Server::start(&[]);
    let path = server.setup().directory().join("events");
    std::fs::write(&path, lines("t", 0..2_000) + "nonsense\n").unwrap();
    let mut terminal = Terminal::open();
    let url = url(server.address());
    let arguments = ["publish", path.to_str().unwrap(), "--server", &url];
    let mut child = terminal.spawn(&arguments, &[]);
    let shown = terminal.read_until(&["events/s\r\n", "1 event was not stored\r\n"]);
    assert!(
        shown.contains("accepted 500, duplicates 0, rejected 0"),
        "{shown:?}"
    );
    assert!(shown.contains(":2001: not a JSON object"), "{shown:?}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn the_view_of_the_stats_renews_itself() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::open();
    let url = url(server.address());
    let mut child = terminal.spawn(&["stats", "--server", &url], &[]);
    terminal.read_until(&["received", "PER SECOND", "healthy", "wal_bytes"]);
    let mut client = server.client();
    let headers = ["Content-Type: application/x-ndjson"];
    let body = lines("t", 0..1_234);
    client
        .request("POST", "/publish", &headers, body.as_bytes())
        .expect(200);
    terminal.read_until(&["\x1b[19A\x1b[J", "1,234"]);
    server.kill();
    terminal.read_until(&["no answer from", "trying again"]);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_tail_is_coloured_on_a_terminal_unless_it_is_not_wanted() {
    let fake = Fake::start(|_, asked| match asked.target.as_str() {
        "/stats" => stats(0),
        _ => {
            let hostile = line(1).replace("\"e1\"", "\"\u{9b}2J\"");
            Reply::Bytes((STREAM.to_owned() + &chunk(&hostile) + &chunk("")).into_bytes())
        }
    });
    let coloured = "\x1b[2m2026-01-02\x1b[0m";
    let arguments = [
        "tail",
        "--no-follow",
        "--from",
        "start",
        "--server",
        &fake.url,
    ];
    for (variables, flag, expected) in [
        (&[][..], "", coloured),
        (
            &[("NO_COLOR", "1")],
            "",
            "2026-01-02  t  s  n=0.10  \\u009b2J",
        ),
        (&[], "--color=never", "2026-01-02  t  s  n=0.10  \\u009b2J"),
        (&[("NO_COLOR", "1")], "--color=always", coloured),
        (
            &[],
            "--json",
            "{\"seq\":1,\"topic\":\"t\",\"event_id\":\"\\u009b2J\",",
        ),
    ] {
        let mut terminal = Terminal::open();
        let mut all = arguments.to_vec();
        all.extend((!flag.is_empty()).then_some(flag));
        let mut child = terminal.spawn(&all, variables);
        let shown = terminal.read_until(&["0.10", "\r\n"]);
        assert!(shown.contains(expected), "{flag} {variables:?}: {shown:?}");
        assert!(!shown.contains('\u{9b}'), "{shown:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

/// A page of one event, whose message and id are hostile.
fn found(next: &str) -> Reply {
    let event = concat!(
        r#"{"seq":1,"topic":"t","event_id":"\u001b[2J","timestamp":"2026-01-02","source":"s","#,
        "\"payload\":{\"msg\":\"Declined \u{9b}2J\",\"level\":\"error\"},\"processed_at\":\"\"}"
    );
    let body =
        format!(r#"{{"count":1,"events":[{event}],"next":{next},"scanned":12000000,"through":1}}"#);
    Reply::json(200, &body)
}

#[test]
fn a_search_shows_levels_and_marks_what_was_found() {
    let fake = Fake::start(|_, _| found("null"));
    let plain = "level=error msg=\"Declined \\u009b2J\"  \\u001b[2J\r\n";
    let coloured = "\x1b[31merror\x1b[0m \x1b[2mmsg=\x1b[0m\"\x1b[7mDeclined\x1b[27m \\u009b2J\"";
    for (variables, flag, expected) in [
        (&[][..], "--color=auto", coloured),
        (&[("NO_COLOR", "1")], "--color=auto", plain),
        (&[], "--color=never", plain),
        (&[("NO_COLOR", "1")], "--color=always", coloured),
        (&[], "--json", "\"msg\":\"Declined \\u009b2J\""),
    ] {
        let mut terminal = Terminal::open();
        let arguments = ["search", "declined", flag, "--server", &fake.url];
        let mut child = terminal.spawn(&arguments, variables);
        let shown = terminal.read_until(&[expected, "\r\n"]);
        assert!(!shown.contains('\u{9b}'), "{shown:?}");
        assert!(!shown.contains("\x1b[2J"), "{shown:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    // One event is indented, and drives the terminal no more.
    let fake = Fake::start(|_, _| Reply::json(200, "{\"a\":\"\u{9b}2J\"}"));
    let mut terminal = Terminal::open();
    let mut child = terminal.spawn(&["get", "t", "1", "--server", &fake.url], &[]);
    terminal.read_until(&["{\r\n  \"a\": \"\\u009b2J\"\r\n}\r\n"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_long_search_shows_how_far_it_is_and_ends_with_what_it_found() {
    for limit in ["100", "all"] {
        let fake = Fake::start(|_, asked| match asked.target.as_str() {
            "/stats" => Reply::json(200, r#"{"first_seq":1,"last_seq":30000000}"#),
            "/next" => Reply::Silence(Vec::new()),
            _ => found("\"/next\""),
        });
        let mut terminal = Terminal::open();
        let arguments = ["search", "x", "--limit", limit, "--server", &fake.url];
        let mut child = terminal.spawn(&arguments, &[]);
        terminal.read_until(&["scanned 12,000,000 of 30,000,000, 1 found"]);
        fake.wait_for(3);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        drop(child.stdin.take());
        // The event has been shown, before or after the signal.
        let all = terminal.rest();
        assert!(limit == "all" || all.contains("\\u001b[2J"), "{all:?}");
    }
}
