//! `logagg ship`: lines of log files to events, through all that happens to log files.

mod compressed;
mod content;
mod encodings;
mod histories;
mod interruptions;
mod patterns;
mod quiet;
mod records;
mod refusals;
mod renamed;
mod rewritten;
mod rotation;
mod siblings;
mod states;
mod stdin;
mod torture;
mod unfinished;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{fixed_address, Server, Setup, TemporaryDirectory};
use crate::program::{run_at, Output, Running};
use crate::wait::wait_until;

const TOPIC: &str = "app";

/// A server that has the same address after each start, and a folder with a log file.
struct Scene {
    setup: Setup,
    url: String,
    folder: TemporaryDirectory,
    /// What is followed in it: the log file, or a pattern.
    argument: &'static str,
}

impl Scene {
    fn new() -> Scene {
        Scene::matching("app.log")
    }

    fn matching(argument: &'static str) -> Scene {
        let address = fixed_address();
        Scene {
            setup: Setup::new()
                .listen([address.to_string()])
                .flags(["--log-duplicates", "off"]),
            url: format!("http://{address}"),
            folder: TemporaryDirectory::new(),
            argument,
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("app.log")
    }

    fn arguments<'a>(&self, log: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["ship", log, "--topic", TOPIC, "--source", "test"];
        arguments.extend(flags);
        arguments
    }

    /// A shipper that follows the log file.
    fn follow(&self, flags: &[&str]) -> Running {
        let log = self.folder.join(self.argument);
        Running::start_at(&self.url, &self.arguments(text(&log), flags))
    }

    /// Ships what is there.
    fn once(&self, flags: &[&str]) -> Output {
        let log = self.folder.join(self.argument);
        let arguments = self.arguments(text(&log), flags);
        run_at(&self.url, &[&arguments[..], &["--once"]].concat(), b"")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the names are ours")
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_ref()).unwrap();
}

/// The events of the topic, oldest first.
fn events(server: &Server) -> Vec<Value> {
    let mut client = server.client();
    let mut target = format!("/events?topic={TOPIC}&after=0&limit=1000");
    let mut events = Vec::new();
    loop {
        let page = client.get(&target).expect(200);
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => target = next.to_owned(),
            None => return events,
        }
    }
}

/// The lines of the events, oldest first.
fn lines(server: &Server) -> Vec<String> {
    let line = |event: &Value| match event["payload"]["line"].as_str() {
        Some(line) => line.to_owned(),
        None => event["payload"].to_string(),
    };
    events(server).iter().map(line).collect()
}

fn wait_for_lines(server: &Server, expected: &[&str]) {
    let mut found = Vec::new();
    let what = format!("the lines {expected:?}");
    wait_until(&what, || {
        found = lines(server);
        found.len() >= expected.len()
    });
    assert_eq!(found, expected);
}

fn wait_until_stored(server: &Server, count: u64) {
    let what = format!("{count} events");
    wait_until(&what, || server.json("/stats")["unique_processed"] == count);
}

/// Ends a shipper by SIGTERM.
fn stop(shipper: Running) -> Output {
    shipper.signal(Signal::TERM);
    shipper.wait().expect(0)
}

/// Makes a file as old as one that nobody writes to any more.
fn age(path: &Path) {
    let hour = std::time::Duration::from_secs(3_600);
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(fs::metadata(path).unwrap().modified().unwrap() - hour)
        .unwrap();
}

/// As `logrotate` does with `copytruncate`.
fn copy_and_truncate(log: &Path, copy: &Path) {
    fs::copy(log, copy).unwrap();
    fs::File::options()
        .write(true)
        .open(log)
        .unwrap()
        .set_len(0)
        .unwrap();
}
