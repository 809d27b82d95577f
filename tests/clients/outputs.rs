//! Where the commands write to: standard output as `-`, and exit codes that tell whether all of it arrived.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use serde_json::{json, Value};

use crate::harness::{event, unread_pipe, Server, TemporaryDirectory};
use crate::program::{command, run, url, Output, Running};

fn publish(server: &Server, count: u32) {
    let events: Vec<Value> = (0..count).map(|id| event("t", &id.to_string())).collect();
    server.publish(&json!(events)).expect(200);
}

/// Runs a client of `server` that writes to `stdout`.
fn run_into(server: &Server, arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    let mut command = command(arguments);
    if !matches!(arguments[0], "man" | "completions" | "check") {
        command.args(["--server", &url(server.address())]);
    }
    command.stdout(stdout);
    let running = Running::spawn(&mut command);
    drop(command);
    running.finish()
}

#[test]
fn a_dash_is_standard_output_and_no_file() {
    let server = Server::start(&[]);
    publish(&server, 3);
    let folder = TemporaryDirectory::new();
    let exported = run(&server, &["export"], b"").expect(0);
    let mut export = command(&["export", "-o", "-", "--server", &url(server.address())]);
    export.current_dir(folder.join("."));
    let output = Running::spawn(&mut export).finish().expect(0);
    assert_eq!(output.stdout, exported.stdout);
    assert_eq!(output.stdout.lines().count(), 3);
    let resumed = run(&server, &["export", "--output", "-", "--resume"], b"").expect(2);
    assert!(
        resumed.stderr.contains("--resume needs a file"),
        "{resumed:?}"
    );
    // What cannot go to standard output is refused.
    let database = server.setup().database_path().to_str().unwrap();
    for arguments in [
        &["man", "--folder", "-"][..],
        &["backup", "--from", database, "--to", "-"],
        &["restore", "--from", database, "--to", "-"],
        &["serve", "--port", "0", "--database", "-"],
    ] {
        let mut refused = command(arguments);
        refused.current_dir(folder.join("."));
        let output = Running::spawn(&mut refused).finish().expect(2);
        assert!(output.stderr.contains("./-"), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(folder.join(".")).unwrap().count(), 0);
}

/// As in `logagg export | head -1`.
#[test]
fn what_nobody_reads_is_not_done() {
    let server = Server::start(&[]);
    publish(&server, 3);
    for arguments in [
        &["export"][..],
        &["export", "-o", "-"],
        &["tail", "--no-follow"],
        &["tail", "--no-follow", "--from", "start"],
        &["topics"],
        &["topics", "--json"],
        &["stats"],
        &["stats", "--json"],
        &["man"],
        &["completions", "bash"],
        &["bench", "--duration", "10ms"],
    ] {
        let output = run_into(&server, arguments, unread_pipe()).expect(1);
        let sentence = "logagg: standard output was closed before all was written\n";
        assert!(
            output.stderr.ends_with(sentence),
            "{arguments:?}: {output:?}"
        );
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = run_into(&server, arguments, full).expect(1);
        assert!(
            output.stderr.contains("cannot write standard output: "),
            "{arguments:?}: {output:?}"
        );
    }
    // What does its work all the same says so by its exit code, whoever reads the sums.
    let database = server.setup().database_path().to_str().unwrap();
    run_into(&server, &["check", database], unread_pipe()).expect(0);
    // Nothing but its reader ends a tail that follows.
    let output = run_into(&server, &["tail"], unread_pipe()).expect(0);
    assert_eq!(output.stderr, "");
}

#[test]
fn an_export_that_is_cut_off_says_how_far_it_came() {
    let server = Server::start(&[]);
    publish(&server, 9_000);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut export = command(&["export", "--server", &url(server.address())]);
    export.stdout(writer);
    let export_running = Running::spawn(&mut export);
    drop(export);
    let mut first = String::new();
    let mut reader =
        std::io::BufReader::with_capacity(64, File::from(std::os::fd::OwnedFd::from(reader)));
    std::io::BufRead::read_line(&mut reader, &mut first).unwrap();
    assert!(first.starts_with("{\"seq\":1,"), "{first}");
    drop(reader);
    let output = export_running.wait().expect(1);
    assert!(
        output.stderr.contains("events exported, up to seq "),
        "{output:?}"
    );
}

/// For these 1 means that nothing was found, so a reader that goes is another code.
#[test]
fn a_search_that_nobody_reads_has_not_found_nothing() {
    let server = Server::start(&[]);
    publish(&server, 3);
    for arguments in [
        &["search"][..],
        &["search", "--count"],
        &["search", "--fields"],
        &["get", "t", "1"],
    ] {
        run_into(&server, arguments, unread_pipe()).expect(141);
    }
}
