//! Files of a pattern that nobody writes to: they take no descriptor, and are shipped from when they grow.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use super::{age, append, lines, stop, text, wait_for_lines, Scene};
use crate::harness::Server;
use crate::program::Running;
use crate::random::number_from;
use crate::wait::wait_until;

/// The log files and their states that a process has open.
fn open_files(shipper: &Running) -> Vec<String> {
    let folder = format!("/proc/{}/fd", shipper.pid());
    let entries = fs::read_dir(folder).unwrap().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .map(|target| target.display().to_string())
        .filter(|target| target.contains("file-") && !target.contains(".pattern-"))
        .collect()
}

fn stored(server: &Server) -> u64 {
    server.json("/stats")["unique_processed"].as_u64().unwrap()
}

#[test]
fn a_quiet_file_is_closed_and_opened_again_when_it_grows() {
    let scene = Scene::matching("file-*.log");
    let server = scene.setup.start();
    let file = |name: &str| scene.folder.join(name);
    append(&file("file-a.log"), "a1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["a1"]);
    wait_until("the file to be closed", || open_files(&shipper).is_empty());
    append(&file("file-a.log"), "a2\n");
    wait_for_lines(&server, &["a1", "a2"]);
    wait_until("the file to be closed", || open_files(&shipper).is_empty());
    // Renamed with a new line, which the first one's state has, and truncated.
    append(&file("file-a.log"), "a3\n");
    fs::rename(file("file-a.log"), file("file-a.log.1")).unwrap();
    append(&file("file-a.log"), "a4\n");
    wait_for_lines(&server, &["a1", "a2", "a3", "a4"]);
    age(&file("file-a.log.1"));
    wait_until("the files to be closed", || open_files(&shipper).is_empty());
    fs::write(file("file-a.log"), "5\n").unwrap();
    wait_for_lines(&server, &["a1", "a2", "a3", "a4", "5"]);
    let output = stop(shipper);
    assert_eq!(output.stderr, "");
    let output = scene.once(&[]).expect(0);
    assert_eq!(output.sum("read"), 0, "{output:?}");
    assert_eq!(lines(&server).len(), 5);
}

/// While a shipper does not have a state open, another one may not use it unnoticed.
#[test]
fn the_state_of_a_closed_file_still_has_one_shipper() {
    let scene = Scene::matching("file-*.log");
    let server = scene.setup.start();
    let file = scene.folder.join("file-a.log");
    append(&file, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    wait_until("the file to be closed", || open_files(&shipper).is_empty());
    append(&file, "2\n");
    let arguments = scene.arguments(text(&file), &["--once"]);
    let other = crate::program::run_at(&scene.url, &arguments, b"");
    wait_for_lines(&server, &["1", "2"]);
    append(&file, "3\n");
    match other.code {
        // It has shipped the second line, and the first one must not go on from what it remembers.
        Some(0) if other.sum("accepted") > 0 => wait_until("the refusal", || {
            shipper.stderr().contains("another shipper")
        }),
        // It came after the first one had shipped it and closed the state again.
        Some(0) => wait_for_lines(&server, &["1", "2", "3"]),
        _ => {
            assert_eq!(other.code, Some(1), "{other:?}");
            assert!(other.stderr.contains("another shipper"), "{other:?}");
            wait_for_lines(&server, &["1", "2", "3"]);
        }
    }
    assert_eq!(server.json("/stats")["duplicate_dropped"], 0);
}

#[test]
fn thousands_of_quiet_files_need_few_descriptors() {
    // `QUIET_FILES=10000` is what is promised. Each takes some syncs of the disk.
    let files = number_from("QUIET_FILES", 400) as usize;
    let scene = Scene::matching("file-*.log");
    let server = scene.setup.start();
    let file = |number: usize| scene.folder.join(&format!("file-{number:05}.log"));
    for number in 0..files {
        append(&file(number), format!("{number}\n"));
    }
    let pattern = scene.folder.join(scene.argument);
    let mut command = Command::new("sh");
    command
        .env_clear()
        .args(["-c", "ulimit -n 256; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_logagg"))
        .args(scene.arguments(text(&pattern), &["--server", &scene.url]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let shipper = Running::spawn(&mut command);
    let all = files as u64;
    for part in (100..=all).step_by(100) {
        wait_until("all files to be shipped", || stored(&server) >= part);
    }
    assert_eq!(stored(&server), all);
    // Any of them may grow, be rotated, and go.
    for number in [0, files / 2, files - 1] {
        append(&file(number), "more\n");
    }
    wait_until("what has come", || stored(&server) == all + 3);
    fs::rename(file(7), scene.folder.join("file-00007.log.1")).unwrap();
    append(&file(7), "next\n");
    append(&scene.folder.join("file-new.log"), "new\n");
    wait_until("what has come", || stored(&server) == all + 5);
    let output = stop(shipper);
    assert_eq!(output.stderr, "");
    let stats = server.json("/stats");
    assert_eq!(stats["duplicate_dropped"], 0, "{stats}");
    let found: BTreeSet<String> = [lines_of(&server, 1), lines_of(&server, all)]
        .into_iter()
        .flatten()
        .collect();
    assert!(found.contains("0") && found.contains("new"), "{found:?}");
}

/// The lines of some events from a seq on.
fn lines_of(server: &Server, from: u64) -> Vec<String> {
    let target = format!("/events?topic=app&after={}&limit=100", from - 1);
    let page = server.json(&target);
    let events = page["events"].as_array().unwrap().iter();
    let line = |event: &serde_json::Value| event["payload"]["line"].as_str().map(str::to_owned);
    events.filter_map(line).collect()
}
