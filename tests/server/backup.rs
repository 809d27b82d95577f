//! `logagg backup` beside a server whose publishers do not stop, and what is restored from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rusqlite::{Connection, OpenFlags};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::{json, Value};

use logagg::limits::WAL_KEPT_BYTES;

use crate::checking::check_beside;
use crate::harness::{Server, Setup};
use crate::wait::wait_until;

const PUBLISHERS: usize = 3;
const EVENTS_PER_REQUEST: u64 = 200;
/// Events of each publisher that are stored before the backup begins, some 40 MB in all.
const EVENTS_BEFORE: u64 = 12_000;
/// Bytes to which the write-ahead log grows while the backup is held still.
const LOG_BYTES: u64 = 2 * WAL_KEPT_BYTES as u64;

fn own_event(publisher: usize, number: u64) -> Value {
    json!({
        "topic": format!("topic-{}", number % 5),
        "event_id": format!("{publisher}-{number}"),
        "timestamp": "2026-01-02T03:04:05Z",
        "source": "test",
        "payload": {"filling": "f".repeat(900)},
    })
}

fn request(publisher: usize, from: u64) -> String {
    let events = (from..from + EVENTS_PER_REQUEST).map(|number| own_event(publisher, number));
    Value::from(events.collect::<Vec<_>>()).to_string()
}

/// Publishers that run at full speed, and how many events of each have been answered.
struct Load<'a> {
    server: &'a Server,
    answered: [AtomicU64; PUBLISHERS],
    is_over: AtomicBool,
}

impl Load<'_> {
    fn publish(&self, publisher: usize) {
        let mut client = self.server.client();
        let answered = &self.answered[publisher];
        while !self.is_over.load(Ordering::Relaxed) {
            let from = answered.load(Ordering::SeqCst);
            let answer = client.publish(request(publisher, from)).expect(200);
            assert_eq!(answer["accepted"], EVENTS_PER_REQUEST);
            answered.store(from + EVENTS_PER_REQUEST, Ordering::SeqCst);
        }
    }

    fn answered(&self) -> [u64; PUBLISHERS] {
        [0, 1, 2].map(|publisher: usize| self.answered[publisher].load(Ordering::SeqCst))
    }

    /// Waits until each publisher has had `events` more events answered.
    fn goes_on(&self, events: u64) {
        let before = self.answered();
        wait_until("publishing to go on", || {
            let now = self.answered();
            (0..PUBLISHERS).all(|publisher| now[publisher] >= before[publisher] + events)
        });
    }
}

fn program(verb: &str, from: &Path, to: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command
        .arg(verb)
        .arg("--from")
        .arg(from)
        .arg("--to")
        .arg(to);
    command
}

/// Waits for the end of a command that is to succeed.
fn done(child: Child) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("the child is ours");
    let text = String::from_utf8_lossy(&stderr);
    assert_eq!((status.code(), &*text), (Some(0), ""));
    String::from_utf8(stdout).expect("it says what it did in UTF-8")
}

fn spawn(mut command: Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program can be started")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

/// Begins a backup and holds it still in its middle.
fn begin_backup(database: &Path, copy: &Path) -> Child {
    let partial = with_suffix(copy, ".partial");
    for _ in 0..20 {
        let child = spawn(program("backup", database, copy));
        wait_until("the backup to begin", || {
            size(&partial) > 0 || copy.exists()
        });
        kill_process(Pid::from_child(&child), Signal::STOP).expect("the child is ours");
        if partial.exists() && size(&partial) < size(database) / 2 {
            return child;
        }
        kill_process(Pid::from_child(&child), Signal::CONT).expect("the child is ours");
        done(child);
        fs::remove_file(copy).expect("it was made");
    }
    panic!("no backup could be held still in its middle");
}

/// How many events of a publisher the copy holds. They are the first that it published, without a gap.
fn events_of(copy: &Connection, publisher: usize) -> u64 {
    let sql = "SELECT count(*), max(CAST(substr(event_id, 3) AS INTEGER)) FROM events \
               WHERE event_id LIKE ?1 || '-%'";
    let row = |row: &rusqlite::Row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (count, last) = copy.query_row(sql, [publisher.to_string()], row).unwrap();
    assert_eq!(count, last + 1, "publisher {publisher}");
    count as u64
}

#[test]
fn a_backup_under_load_restored_and_checked() {
    for dedup in ["index", "constraint"] {
        let setup = Setup::new().flags(["--dedup", dedup, "--durability", "normal"]);
        let server = setup.start();
        let database = setup.database_path().to_owned();
        let log = with_suffix(&database, "-wal");
        let copy = setup.directory().join("copy.db");
        let load = Load {
            server: &server,
            answered: Default::default(),
            is_over: AtomicBool::new(false),
        };
        let before = thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let load = &load;
                scope.spawn(move || load.publish(publisher));
            }
            // A test that fails must let the publishers end.
            let backup = scope.spawn(|| {
                load.goes_on(EVENTS_BEFORE);
                let before = load.answered();
                let child = begin_backup(&database, &copy);
                wait_until("the log to grow", || size(&log) > LOG_BYTES);
                kill_process(Pid::from_child(&child), Signal::CONT).expect("the child is ours");
                let said = done(child);
                assert!(said.starts_with("copied and checked "), "{said}");
                load.goes_on(EVENTS_PER_REQUEST);
                wait_until("the log to shrink", || size(&log) <= WAL_KEPT_BYTES as u64);
                before
            });
            let before = backup.join();
            load.is_over.store(true, Ordering::Relaxed);
            before.expect("the backup was made")
        });
        check_beside(&server);
        let log = server.stop();
        assert!(!log.text().contains("ERROR"), "{}", log.text());

        let reader = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let held = [0, 1, 2].map(|publisher| events_of(&reader, publisher));
        drop(reader);
        for publisher in 0..PUBLISHERS {
            assert!(held[publisher] >= before[publisher], "{held:?} {before:?}");
        }
        println!(
            "FIGURE backup-under-load-{dedup}: `logagg backup` beside {PUBLISHERS} publishers at full speed \
             held all {} events that had been answered before; restored and checked, the server that it \
             gave knew each of its {} events, and the write-ahead log, grown to over {} MiB, shrank again.",
            before.iter().sum::<u64>(),
            held.iter().sum::<u64>(),
            LOG_BYTES >> 20,
        );
        serve_restored(&copy, dedup, held);
    }
}

/// Restores the copy elsewhere and serves from it: it knows what it holds and takes what it does not.
fn serve_restored(copy: &Path, dedup: &str, held: [u64; PUBLISHERS]) {
    let setup = Setup::new().flags(["--dedup", dedup]);
    done(spawn(program("restore", copy, setup.database_path())));
    let server = setup.start();
    let total: u64 = held.iter().sum();
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], total);
    assert_eq!(stats["last_seq"], total);
    let mut client = server.client();
    for (publisher, held) in held.into_iter().enumerate() {
        for from in (0..=held).step_by(EVENTS_PER_REQUEST as usize) {
            let answer = client.publish(request(publisher, from)).expect(200);
            let accepted = if from < held { 0 } else { EVENTS_PER_REQUEST };
            assert_eq!(answer["accepted"], accepted, "{publisher} from {from}");
        }
    }
    let refusal = spawn(program("restore", copy, server.setup().database_path()));
    let refusal = refusal.wait_with_output().expect("the child is ours");
    let text = String::from_utf8_lossy(&refusal.stderr);
    assert_eq!(refusal.status.code(), Some(1), "{text}");
    assert!(text.contains("in use by another logagg"), "{text}");
    check_beside(&server);
    server.stop();
}
