//! `logagg simulate` against the real server, which passes, and against stand-ins that must not.

use std::thread;

use rustix::process::Signal;

use crate::fake::{Fake, Reply};
use crate::faulty::{start, Fault};
use crate::harness::{Server, Setup};
use crate::program::{run, run_at, Output, Running};

/// The cells of the line of the table that begins so: what was sent, what the server says, the verdict.
fn row<'a>(output: &'a Output, what: &str) -> [&'a str; 3] {
    let line = output.stdout.lines().find(|line| line.starts_with(what));
    let line = line.unwrap_or_else(|| panic!("no {what} in {output:?}"));
    let cells = line[what.len()..].split("  ").map(str::trim);
    let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
    cells.try_into().unwrap_or_else(|_| panic!("{line}"))
}

const COUNTS: [&str; 4] = [
    "received",
    "unique_processed",
    "duplicate_dropped",
    "conflicts",
];

#[test]
fn what_it_says_of_a_server_is_what_the_server_says() {
    let server = Server::start(&["--log-duplicates", "off"]);
    let arguments = [
        "simulate",
        "--events=3000",
        "--duplicates=40%",
        "--lost-answers=25%",
        "--batch=50",
        "--topics=7",
        "--seed=11",
        "--alone",
    ];
    let output = run(&server, &arguments, b"").expect(0);
    assert_eq!(output.stderr, "");
    assert!(!output.stdout.contains("DIFFERS"), "{output:?}");
    assert_eq!(output.stdout.matches("\n   OK\n").count(), 6, "{output:?}");

    let stats = server.json("/stats");
    for name in COUNTS {
        let [_, found, verdict] = row(&output, &format!("/stats: {name} grew by"));
        assert_eq!((found, verdict), (&stats[name].to_string()[..], "OK"));
    }
    let unique = stats["unique_processed"].to_string();
    assert_eq!(
        row(&output, "/events: different events"),
        [&unique[..], &unique, "OK"]
    );
    // The load's 3,000 without 40 %, and those of the scenarios.
    assert_eq!(unique, (3_000 - 1_200 + 1 + 14 + 12).to_string());
    assert!(
        output.stdout.contains("answers lost on purpose: 19"),
        "{output:?}"
    );
    let topics = server.json("/topics");
    assert_eq!(topics["count"], 7 + 2 + 4);
}

/// Several at the same time do not disturb each other, nor what was there before.
#[test]
fn it_can_be_run_again_and_beside_others() {
    let server = Server::start(&["--log-duplicates", "off"]);
    let arguments = [
        "simulate", "--events", "500", "--seed", "5", "--batch", "20",
    ];
    run(&server, &arguments, b"").expect(0);
    let (first, second) = thread::scope(|scope| {
        let one = || run(&server, &arguments, b"");
        let other = scope.spawn(one);
        (one(), other.join().unwrap())
    });
    for output in [first, second] {
        let output = output.expect(0);
        assert!(
            output.stdout.contains("Others may publish meanwhile"),
            "{output:?}"
        );
    }
    let mut arguments = arguments.to_vec();
    arguments.push("--alone");
    run(&server, &arguments, b"").expect(0);
}

#[test]
fn it_goes_over_a_unix_socket_too() {
    let setup = Setup::new();
    let path = setup.directory().join("socket");
    let server = setup
        .clone()
        .listen([format!("unix:{}", path.display())])
        .start();
    let arguments = ["simulate", "--events=200", "--lost-answers=1", "--alone"];
    run(&server, &arguments, b"").expect(0);
}

#[test]
fn scenarios_alone_are_enough_for_a_look() {
    let server = Server::start(&[]);
    let output = run(&server, &["simulate", "--events", "0"], b"").expect(0);
    assert_eq!(row(&output, "/events: different events")[1], "27");
}

/// The stand-in without a fault passes, so what fails below fails for the fault.
#[test]
fn each_fault_is_found() {
    let arguments = ["simulate", "--events", "300", "--batch", "30", "--alone"];
    let good = run_at(&start(Fault::None).url, &arguments, b"").expect(0);
    assert!(!good.stdout.contains("DIFFERS"), "{good:?}");
    for (fault, what) in [
        (Fault::StoresNothing, "/events: different events"),
        (Fault::Loses, "/events: different events"),
        (Fault::Doubles, "/events: events stored twice"),
        (Fault::AcceptsAgain, "/events: events stored twice"),
        (Fault::Alters, "/events: events not as sent"),
        (Fault::Overwrites, "/events: events not as sent"),
        (Fault::CountsLess, "/stats: unique_processed grew by"),
        (Fault::CountsTwice, "/stats: unique_processed grew by"),
    ] {
        let fake = start(fault);
        let output = run_at(&fake.url, &arguments, b"").expect(1);
        assert_eq!(row(&output, what)[2], "DIFFERS", "{fault:?}: {output:?}");
        assert!(output.stderr.contains("differ"), "{fault:?}: {output:?}");
    }
}

/// Where others may publish, too much in `/stats` says nothing, and too little still does.
#[test]
fn beside_others_only_too_little_is_a_fault() {
    let arguments = ["simulate", "--events", "100"];
    run_at(&start(Fault::CountsTwice).url, &arguments, b"").expect(0);
    run_at(&start(Fault::CountsLess).url, &arguments, b"").expect(1);
}

#[test]
fn a_signal_ends_it() {
    let fake = Fake::start(|_, asked| match &asked.target[..] {
        "/stats" => Reply::json(
            200,
            r#"{"received":0,"unique_processed":0,"duplicate_dropped":0,"conflicts":0,"queue_size":0,"last_seq":0,
                "rejected":0,"batches":0,"topic_count":0,"first_seq":0,"events_removed":0,"queue_capacity":0,
                "connections":0,"subscribers":0,"database_bytes":0,"wal_bytes":0,"uptime_human":"","version":""}"#,
        ),
        _ => Reply::with(503, "Retry-After: 60\r\n", r#"{"detail":"later"}"#),
    });
    let running = Running::start_at(&fake.url, &["simulate"]);
    fake.wait_for(2);
    running.signal(Signal::TERM);
    running.wait().expect(143);
}

#[test]
fn wrong_arguments_are_named() {
    for (argument, said) in [
        ("--duplicates=2", "a share is a number from 0 to 1"),
        ("--lost-answers=x", "a share is a number from 0 to 1"),
        ("--batch=0", "0 is not in 1..="),
    ] {
        let output = run_at("http://127.0.0.1:1", &["simulate", argument], b"").expect(2);
        assert!(output.stderr.contains(said), "{output:?}");
    }
}
