//! Conversions: there and back, and cut off at any moment.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use logagg::limits::MEMTABLE_ENTRIES;
use logagg::store::{Dedup, Outcome, Store};

use crate::databases::{fill, options, publication, run, Database, LARGE};

/// Conversions that are killed, each way.
const KILLS: u32 = 6;
/// Events in the database that they convert: a segment and some after it.
const KILLED_EVENTS: u64 = MEMTABLE_ENTRIES as u64 + 900;

/// Events whose keys take more memory than SQLite sorts in.
const SORTED_ON_DISK: u64 = 350_000;

/// Opens the database as a server would: it knows what is stored, and takes more.
fn is_usable(database: &Database, new: u64) {
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    let mut outcomes = Vec::new();
    let batch = publication([5, 50_000, new].into_iter());
    store
        .commit([&batch].into_iter(), 1, &mut outcomes)
        .unwrap();
    assert!(
        matches!(
            outcomes[..],
            [
                Outcome::Duplicate(6),
                Outcome::Duplicate(50_001),
                Outcome::Accepted(_)
            ]
        ),
        "{outcomes:?}"
    );
    store.close().unwrap();
}

#[test]
fn there_and_back_changes_nothing() {
    let database = Database::filled(Dedup::Index, LARGE);
    let content = database.content();
    for (to, segments) in [("constraint", 0), ("index", 2)] {
        let said = database.convert(to);
        assert_eq!((said.code, said.error.as_str()), (0, ""));
        assert_eq!(
            said.output,
            format!("the database now has the duplicate check {to}\n")
        );
        assert_eq!(database.dedup(), to);
        assert_eq!(database.content(), content);
        let report = database.is_clean().output;
        assert!(
            report.contains(&format!("segments: {segments}\n")),
            "{report}"
        );
        assert!(report.contains(&format!("events: {LARGE}\n")), "{report}");
        let again = database.convert(to);
        assert_eq!(again.code, 0);
        assert!(again.output.contains("already"), "{}", again.output);
        assert_eq!(database.content(), content);
    }
    is_usable(&database, LARGE);
    database.is_clean();
}

#[test]
fn an_empty_database_is_converted() {
    let database = Database::new();
    let store = Store::open(&options(&database.path, None)).unwrap();
    store.close().unwrap();
    for to in ["constraint", "index", "constraint"] {
        assert_eq!(database.convert(to).code, 0);
        assert_eq!(database.dedup(), to);
        database.is_clean();
    }
}

/// Kills a conversion at moments all over the time that it takes. The database is then right with the
/// one check or the other, and a rerun finishes.
#[test]
fn a_conversion_may_be_killed_at_any_moment() {
    for (from, to) in [
        (Dedup::Index, Dedup::Constraint),
        (Dedup::Constraint, Dedup::Index),
    ] {
        let (old, new) = (from.name(), to.name());
        let database = Database::filled(from, KILLED_EVENTS);
        let content = database.content();
        let start = Instant::now();
        assert_eq!(database.convert(new).code, 0);
        let whole = start.elapsed();
        assert_eq!(database.convert(old).code, 0);
        for kill in 0..KILLS {
            let moment = whole.mul_f64(f64::from(kill) / f64::from(KILLS));
            kill_conversion(&database, new, moment);
            let check = database.dedup();
            assert!(check == old || check == new, "{check}");
            database.is_clean();
            assert_eq!(database.content(), content);
            let rerun = database.convert(new);
            assert_eq!(rerun.code, 0, "killed after {moment:?}: {}", rerun.error);
            assert_eq!(database.dedup(), new);
            database.is_clean();
            assert_eq!(database.content(), content);
            assert_eq!(database.convert(old).code, 0);
        }
        // The server goes on with what a kill has left, and the parts of the index do not grow with it.
        kill_conversion(&database, new, whole / 2);
        is_usable(&database, 2_000_000);
        database.is_clean();
        assert_eq!(database.convert(old).code, 0);
        assert_eq!(database.dedup(), old);
        assert!(!database.is_clean().output.contains("unused"));
        assert_eq!(database.convert(new).code, 0);
        database.is_clean();
        is_usable(&database, 3_000_000);
    }
    println!(
        "FIGURE kills-convert: {} conversions of {KILLED_EVENTS} events killed, {KILLS} each way: the database \
         was right with the old check or the new one, no event had changed, and a rerun finished",
        2 * KILLS
    );
}

pub fn kill_conversion(database: &Database, to: &str, moment: Duration) {
    let mut child = database
        .conversion(to)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be started");
    thread::sleep(moment);
    // It may have come to its end already.
    let _ = child.kill();
    child.wait().expect("the child is ours");
}

/// The folder of the temporary files is named, and not that of the database.
#[test]
fn temporary_files_that_cannot_be_made_are_named() {
    let database = Database::new();
    let mut store = Store::open(&options(&database.path, Some(Dedup::Index))).unwrap();
    fill(&mut store, 0..SORTED_ON_DISK);
    store.close().unwrap();
    // Root may write to it, as far as its mode says, and nobody can make a file in it. Nobody else may.
    let taken = std::fs::File::create("/proc/logagg-test");
    assert!(taken.is_err(), "nothing can be made in /proc");
    let is_taken = rustix::fs::access("/proc", rustix::fs::Access::WRITE_OK).is_ok();
    let said = run(database
        .conversion("constraint")
        .env("SQLITE_TMPDIR", "/proc"));
    if is_taken {
        assert_eq!(said.code, 1, "{}", said.error);
        assert_eq!(said.error.lines().count(), 1, "{}", said.error);
        let folder = "no temporary file can be made in the folder /proc: set SQLITE_TMPDIR";
        assert!(said.error.contains(folder), "{}", said.error);
        assert_eq!(database.dedup(), "index");
        assert_eq!(run(&mut database.conversion("constraint")).code, 0);
    }
    assert_eq!(database.dedup(), "constraint");
    database.is_clean();
}
