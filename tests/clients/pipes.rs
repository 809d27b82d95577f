//! Files that commands open may be pipes: none is waited for without an end, and a signal ends the wait.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::thread;

use rustix::fs::{mknodat, FileType, Mode, CWD};
use rustix::process::Signal;

use crate::harness::{Server, TemporaryDirectory};
use crate::program::{run, Running};
use crate::publishing::lines;
use crate::wait::wait_until;

fn pipe(folder: &TemporaryDirectory, name: &str) -> PathBuf {
    let path = folder.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

#[test]
fn a_token_is_not_waited_for_from_a_pipe_that_nobody_writes_to() {
    let server = Server::start(&[]);
    let folder = TemporaryDirectory::new();
    let path = pipe(&folder, "token");
    for command in [&["topics"][..], &["bench"], &["simulate"], &["publish"]] {
        let flags = ["--token-file", path.to_str().unwrap()];
        let output = run(&server, &[command, &flags].concat(), b"").expect(2);
        assert!(output.stderr.contains("no program writes to"), "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    }
}

/// As a shell gives it: `--token-file <(print-token)`.
#[test]
fn a_token_may_come_from_a_pipe() {
    let server = Server::start(&[]);
    let folder = TemporaryDirectory::new();
    let path = pipe(&folder, "token");
    // Held open, so that the client meets a pipe that has a writer.
    let mut options = OpenOptions::new();
    let mut writer = options.read(true).write(true).open(&path).unwrap();
    let flags = ["topics", "--token-file", path.to_str().unwrap()];
    let client = Running::start(&server, &flags);
    writer.write_all(b"a-token-of-a-pipe\n").unwrap();
    wait_until("the token to be read", || {
        // What is left in the pipe is what nobody has read.
        rustix::io::ioctl_fionread(&writer).unwrap() == 0
    });
    drop(writer);
    client.finish().expect(0);
}

#[test]
fn events_from_a_pipe_are_waited_for_and_a_signal_ends_it() {
    let server = Server::start(&[]);
    let folder = TemporaryDirectory::new();
    let path = pipe(&folder, "events");
    for (command, signal) in [("publish", Signal::TERM), ("import", Signal::INT)] {
        let arguments = [command, path.to_str().unwrap()];
        let client = Running::start(&server, &arguments);
        let (number, from) = (signal.as_raw(), 0);
        wait_until("the pipe to be open", || has_open(&client, &path));
        client.signal(signal);
        client.wait().expect(128 + number);
        // Who writes later is read to the end.
        let client = Running::start(&server, &arguments);
        let path = path.clone();
        let writer = thread::spawn(move || fs::write(path, lines(command, from..3)).unwrap());
        assert_eq!(client.wait().expect(0).sum("accepted"), 3);
        writer.join().unwrap();
    }
}

fn has_open(client: &Running, path: &std::path::Path) -> bool {
    let entries = fs::read_dir(format!("/proc/{}/fd", client.pid()));
    let mut entries = entries.into_iter().flatten().flatten();
    entries.any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

#[test]
fn files_that_are_written_to_are_no_pipes() {
    let server = Server::start(&[]);
    let folder = TemporaryDirectory::new();
    let path = pipe(&folder, "export");
    let path = path.to_str().unwrap();
    for flags in [&["--resume"][..], &[]] {
        let arguments = [&["export", "--output", path], flags].concat();
        let output = run(&server, &arguments, b"").expect(1);
        assert!(output.stderr.contains(path), "{output:?}");
    }
    // The state of a shipper.
    let log = folder.join("app.log");
    fs::write(&log, "1\n").unwrap();
    let log = log.to_str().unwrap();
    let arguments = ["ship", log, "--topic", "t", "--source", "s", "--once"];
    run(&server, &arguments, b"").expect(0);
    let entries = fs::read_dir(folder.path()).unwrap().flatten();
    let mut names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let state = names.find(|name| name.contains(".ship-")).unwrap();
    fs::remove_file(folder.join(&state)).unwrap();
    pipe(&folder, &state);
    let output = run(&server, &arguments, b"").expect(1);
    assert!(output.stderr.contains("not an ordinary file"), "{output:?}");
}
