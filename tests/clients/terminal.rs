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
        (&[("NO_COLOR", "1")], "", "2026-01-02  t  s  \\u009b2J  {"),
        (&[], "--color=never", "2026-01-02  t  s  \\u009b2J  {"),
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
        let shown = terminal.read_until(&["0.10"]);
        assert!(shown.contains(expected), "{flag} {variables:?}: {shown:?}");
        assert!(!shown.contains('\u{9b}'), "{shown:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
