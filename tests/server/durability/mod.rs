//! What an answer promises, with the process killed at any moment: an event that was answered is stored
//! exactly once and exactly as it was sent, a request without an answer is stored whole or not at all, and
//! the counters agree with the rows.
//!
//! Killing shows what a crash of the process leaves. What a loss of power leaves is shown in `power`.

mod check;
mod publisher;

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::harness::{event, Server, Setup, TemporaryDirectory};
use crate::random::{number_from, Random};
use check::{Database, Ledger, Shown};
use publisher::{publish_until_killed, Style};

const PUBLISHERS: u64 = 4;

/// Kills a server again and again while it is being published to, each time at another moment, and
/// goes on with the same database. `TORTURE_ROUNDS` makes it longer, `TORTURE_SEED` repeats a run.
fn kill_again_and_again(dedup: &str) {
    let rounds = number_from("TORTURE_ROUNDS", 20);
    let seed = number_from("TORTURE_SEED", u64::from(std::process::id()));
    println!("TORTURE_SEED={seed} TORTURE_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let setup = Setup::new().flags(["--log-duplicates", "off", "--dedup", dedup]);
    let mut ledger = Ledger::default();
    for round in 0..rounds {
        let server = setup.start();
        let sent = torture(&server, round, &mut random, ledger.last_seq());
        server.kill();
        // As another program finds it, before the server has had a chance to repair anything.
        let database = Database::open(setup.database_path());
        println!("round {round}: {} requests", sent.len());
        ledger.check(&sent, &database);
        drop(database);
        let server = setup.start();
        ledger.check_server(&server, &mut random);
        if random.chance(2) {
            server.kill();
        } else {
            server.stop();
        }
    }
    let server = setup.start();
    let answer = server.publish(&event("end", "1")).expect(200);
    assert_eq!(answer["accepted"], 1);
    let Shown {
        answered,
        events,
        whole,
        missing,
    } = ledger.shown();
    println!(
        "FIGURE kills-{dedup}: {rounds} kills under load: {answered} requests with {events} events answered \
         and all of them stored, each key once and with the content that came first; of the requests without \
         an answer {whole} stored whole, {missing} not at all"
    );
}

#[test]
fn what_was_answered_survives_being_killed_with_the_constraint() {
    kill_again_and_again("constraint");
}

#[test]
fn what_was_answered_survives_being_killed_with_the_index() {
    kill_again_and_again("index");
}

/// Publishes from several connections until the server is killed; returns what was sent.
fn torture(
    server: &Server,
    round: u64,
    random: &mut Random,
    last_seq: u64,
) -> Vec<publisher::Sent> {
    let styles = [Style::Single, Style::Batch, Style::Pipelined, Style::Mixed];
    let moment = Duration::from_millis(random.below(120));
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| {
                let random = random.fork();
                let style = styles[number as usize % styles.len()];
                let name = format!("{round}-{number}");
                let client = server.client();
                scope.spawn(move || publish_until_killed(client, &name, style, random))
            })
            .collect();
        // At least one event of the round is there, so that each round shows something.
        let mut observer = server.client();
        crate::wait::wait_until("the first event", || {
            observer.get("/stats").expect(200)["last_seq"].as_u64() > Some(last_seq)
        });
        thread::sleep(moment);
        server.signal(rustix::process::Signal::KILL);
        let join = |publisher: thread::ScopedJoinHandle<Vec<_>>| publisher.join().unwrap();
        publishers.into_iter().flat_map(join).collect()
    })
}

/// The shortest way to lose something: kill in the instant of the answer.
#[test]
fn an_answer_is_not_sent_before_the_commit() {
    let setup = Setup::new();
    for number in 0..10 {
        let server = setup.start();
        let event_id = number.to_string();
        let answer = server.publish(&event("instant", &event_id)).expect(200);
        server.kill();
        assert_eq!(answer["accepted"], 1);
        let database = Database::open(setup.database_path());
        assert_eq!(database.rows_of("instant", &event_id), 1);
    }
    let server = setup.start();
    let stats = server.json("/stats");
    assert_eq!(stats["received"], 10);
    assert_eq!(stats["last_seq"], 10);
    for number in 0..10 {
        let again = server.publish(&event("instant", &number.to_string()));
        assert_eq!(again.expect(200)["duplicates"], 1);
    }
}

/// Another program may hold the file open over a kill and a restart.
#[test]
fn a_reader_of_the_file_outlives_the_server() {
    let setup = Setup::new();
    let server = setup.start();
    server.publish(&event("read", "1")).expect(200);
    let database = Database::open(setup.database_path());
    assert_eq!(database.rows_of("read", "1"), 1);
    server.kill();
    let server = setup.start();
    server.publish(&event("read", "2")).expect(200);
    assert_eq!(database.rows_of("read", "2"), 1);
    server.stop();
    assert_eq!(database.rows_of("read", "1"), 1);
}

/// A checkpoint copies the pages of the write-ahead log into the file, the header first. Killed after
/// that, the file is shorter than its header says until the log is read again.
#[test]
fn a_checkpoint_may_be_cut_off_behind_its_first_page() {
    let setup = Setup::new();
    let server = setup.start();
    for number in 0..50 {
        server
            .publish(&event("torn", &number.to_string()))
            .expect(200);
    }
    server.kill();
    // The first page as the whole checkpoint would leave it.
    let copy = TemporaryDirectory::new();
    let file = |folder: &TemporaryDirectory, suffix| folder.join(&format!("events.db{suffix}"));
    for suffix in ["", "-wal"] {
        fs::copy(file(setup.directory(), suffix), file(&copy, suffix)).unwrap();
    }
    let whole = rusqlite::Connection::open(file(&copy, "")).unwrap();
    whole
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(whole);
    let pages = fs::read(file(&copy, "")).unwrap();
    let torn = fs::File::options()
        .write(true)
        .open(file(setup.directory(), ""));
    torn.unwrap().write_all(&pages[..4_096]).unwrap();
    assert!(fs::metadata(setup.database_path()).unwrap().len() < pages.len() as u64);

    let server = setup.start();
    assert_eq!(server.json("/stats")["unique_processed"], 50);
    assert_eq!(server.json("/events?limit=1000")["count"], 50);
    server.restart().stop();
}
