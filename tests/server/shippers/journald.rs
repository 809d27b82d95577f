//! systemd-journal-upload, with journals that systemd-journal-remote writes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::debian;
use crate::harness::{Address, Server, Setup};
use crate::ingest::stored;
use crate::wait::wait_until;

/// Both programs; none if one is missing.
fn programs() -> Option<(Command, Command)> {
    Some((
        debian("lib/systemd/systemd-journal-upload")?,
        debian("lib/systemd/systemd-journal-remote")?,
    ))
}

/// Copies of a command's program and environment.
fn again(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    for (name, value) in command.get_envs() {
        copy.env(name, value.expect("nothing is removed"));
    }
    copy
}

/// An entry in the export format.
fn entry(number: usize) -> String {
    let (time, monotonic) = (1_767_323_045_000_000_u64 + number as u64, 1_000 + number);
    format!(
        "__CURSOR=s=1;i={number:x}\n__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={monotonic}\n\
         _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=box\n_SYSTEMD_UNIT=unit.service\nN={number}\n\
         MESSAGE\n\x0a\0\0\0\0\0\0\0two\nlines\x01\n\n"
    )
}

/// Appends entries with these numbers to a journal.
fn write_journal(remote: &Command, path: &Path, numbers: std::ops::Range<usize>) {
    let mut remote = again(remote);
    remote.arg(format!("--output={}", path.display())).arg("-");
    let remote = remote.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = remote.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for number in numbers {
        input.write_all(entry(number).as_bytes()).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn url(server: &Server) -> String {
    match server.address() {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(_) => unreachable!("the tests listen on TCP"),
    }
}

/// Uploads a journal once; says whether the program found that well done.
fn upload(program: &Command, server: &Server, journal: &Path) -> bool {
    let mut command = again(program);
    command.arg("-u").arg(url(server));
    command
        .arg(format!("--file={}", journal.display()))
        .arg("--follow=no");
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

/// Asserts that the entries with these numbers are stored, each once, in order.
fn expect_entries(server: &Server, numbers: std::ops::Range<usize>) {
    let events = stored(server);
    let found: Vec<usize> = events
        .iter()
        .map(|event| event["payload"]["N"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(found, numbers.collect::<Vec<_>>());
}

fn count(server: &Server) -> u64 {
    server.json("/stats")["unique_processed"].as_u64().unwrap()
}

#[test]
fn a_journal_arrives_whole_and_its_retry_is_stored_once() {
    let Some((program, remote)) = programs() else {
        return;
    };
    let server = Server::start(&[]);
    let journal = server.setup().directory().join("test.journal");
    write_journal(&remote, &journal, 0..100);
    for _ in 0..2 {
        assert!(upload(&program, &server, &journal));
    }
    expect_entries(&server, 0..100);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 100);
    let first = &stored(&server)[0];
    for (name, value) in [
        ("topic", "unit.service"),
        ("source", "box"),
        ("timestamp", "2026-01-02T03:04:05.000000Z"),
    ] {
        assert_eq!(first[name], value);
    }
    assert!(first["event_id"].as_str().unwrap().starts_with("s="));
    assert_eq!(first["payload"]["MESSAGE"], "two\nlines\u{1}");
}

#[test]
fn the_export_format_may_come_from_a_file() {
    let Some((program, _)) = programs() else {
        return;
    };
    let server = Server::start(&[]);
    let path = server.setup().directory().join("journal.export");
    std::fs::write(&path, (0..100).map(entry).collect::<String>()).unwrap();
    let mut command = again(&program);
    let command = command.arg("-u").arg(url(&server)).arg(&path);
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    expect_entries(&server, 0..100);
}

/// The uploader as its service runs it: it follows the journal, keeps its state, and is started again when it ends.
struct Service {
    program: Command,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
    is_over: AtomicBool,
}

impl Service {
    fn new(program: Command, server: &Server, folder: &Path, state: &Path) -> Service {
        Service {
            program,
            arguments: vec![
                format!("--url={}", url(server)),
                format!("--directory={}", folder.display()),
                "--follow=yes".to_owned(),
                format!("--save-state={}", state.display()),
            ],
            child: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    fn run(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            let mut slot = self.child.lock().unwrap();
            if slot
                .as_mut()
                .is_none_or(|child| child.try_wait().unwrap().is_some())
            {
                let mut command = again(&self.program);
                let command = command.args(&self.arguments).stderr(Stdio::null());
                *slot = Some(command.spawn().unwrap());
            }
            drop(slot);
            thread::sleep(Duration::from_millis(50));
        }
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Ends the service, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_server_that_is_killed_and_comes_back_gets_each_entry_once() {
    const ENTRIES: usize = 6_000;
    let Some((program, remote)) = programs() else {
        return;
    };
    // Many commits, so that it is killed in the middle.
    let setup = Setup::with_fixed_address().flags(["--ring-capacity", "20"]);
    let mut server = setup.start();
    let folder: PathBuf = setup.directory().join("journal");
    std::fs::create_dir(&folder).unwrap();
    let (journal, state) = (folder.join("test.journal"), setup.directory().join("state"));
    write_journal(&remote, &journal, 0..ENTRIES);
    let service = Service::new(program, &server, &folder, &state);
    let server = thread::scope(|scope| {
        scope.spawn(|| service.run());
        let _end = End(&service.is_over);
        for round in 1..3 {
            wait_until("some entries", || count(&server) > round * 300);
            server.kill();
            // More comes while it is away.
            let from = ENTRIES + (round as usize - 1) * 100;
            write_journal(&remote, &journal, from..from + 100);
            server = setup.start();
        }
        wait_until("all entries", || count(&server) == ENTRIES as u64 + 200);
        // What comes later goes on from there.
        write_journal(&remote, &journal, ENTRIES + 200..ENTRIES + 300);
        wait_until("the last entries", || {
            count(&server) == ENTRIES as u64 + 300
        });
        server
    });
    expect_entries(&server, 0..ENTRIES + 300);
}

#[test]
fn nothing_is_lost_while_the_server_is_full_for_ten_seconds() {
    let Some((program, remote)) = programs() else {
        return;
    };
    let server = Server::start(&[]);
    let journal = server.setup().directory().join("test.journal");
    write_journal(&remote, &journal, 0..100);
    let other = crate::ingest::sockets::lock(&server);
    thread::scope(|scope| {
        // As its service starts it again.
        scope.spawn(|| (0..2_000).any(|_| upload(&program, &server, &journal)));
        wait_until("503", || server.get("/health").status == 503);
        thread::sleep(Duration::from_secs(10));
        assert!(stored(&server).is_empty());
        other.execute_batch("ROLLBACK").unwrap();
    });
    expect_entries(&server, 0..100);
}
