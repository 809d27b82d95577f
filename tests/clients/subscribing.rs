//! `logagg subscriptions`, and a tail that acknowledges what it has printed.

use std::fs::OpenOptions;

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::fake::{chunk, line, Fake, Reply, STREAM};
use crate::harness::{event, Server};
use crate::program::{command, run, run_at, url, Running};
use crate::wait::wait_until;

fn publish(server: &Server, ids: std::ops::Range<u32>) {
    let events: Vec<Value> = ids.map(|id| event("t", &id.to_string())).collect();
    server.publish(&json!(events)).expect(200);
}

/// What a fake answers about a subscription.
fn position(after: u64) -> Reply {
    let body = format!(r#"{{"name":"m","after":{after},"lag":0,"updated_at":"x"}}"#);
    Reply::json(200, &body)
}

#[test]
fn a_subscription_is_created_listed_moved_and_deleted() {
    let server = Server::start(&[]);
    publish(&server, 0..5);
    let subscriptions = |arguments: &[&str]| {
        let arguments = [&["subscriptions"], arguments].concat();
        run(&server, &arguments, b"")
    };
    let said = |arguments: &[&str]| subscriptions(arguments).expect(0).stdout;
    assert_eq!(said(&["create", "a"]), "a: after seq 0, lag 5\n");
    let now = said(&["create", "ü /b*", "--after", "now"]);
    assert_eq!(now, "ü /b*: after seq 5, lag 0\n");
    assert_eq!(
        said(&["create", "c", "--after", "3"]),
        "c: after seq 3, lag 2\n"
    );
    // One that exists is not moved by accident.
    let exists = subscriptions(&["create", "c"]).expect(1);
    assert!(exists.stderr.contains("after seq 3; --move moves it"));
    let moved = said(&["create", "c", "--after", "1", "--move"]);
    assert_eq!(moved, "c: after seq 1, lag 4\n");
    assert_eq!(said(&["ack", "c", "4"]), "c: after seq 4, lag 1\n");
    // Never back.
    assert_eq!(said(&["ack", "c", "2"]), "c: after seq 4, lag 1\n");
    let held = said(&["create", "h", "--hold", "--after", "2"]);
    assert_eq!(held, "h: after seq 2, lag 3, holds events\n");
    assert_eq!(server.json("/subscriptions/h")["hold"], true);
    let beyond = subscriptions(&["ack", "c", "6"]).expect(1);
    assert!(beyond.stderr.contains("the greatest seq of an event is 5"));

    let list = said(&["list"]);
    let rows: Vec<Vec<&str>> = list
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 5, "{list}");
    assert!(list.starts_with("AFTER SEQ  LAG  UPDATED"), "{list}");
    assert!(rows[3].ends_with(&["yes", "h"]), "{list}");
    assert!(rows[4].ends_with(&["no", "ü", "/b*"]), "{list}");
    let json: Value = serde_json::from_str(&said(&["list", "--json"])).unwrap();
    assert_eq!(json, server.json("/subscriptions"));

    assert_eq!(said(&["delete", "c"]), "");
    for gone in [&["delete", "c"][..], &["ack", "c", "1"], &["ack", "ü", "1"]] {
        let output = subscriptions(gone).expect(1);
        assert!(output.stderr.contains("there is no subscription"));
    }
    subscriptions(&["create", ""]).expect(2);
    subscriptions(&["create", "x", "--after", "-1"]).expect(2);
    subscriptions(&[]).expect(2);
}

#[test]
fn a_tail_of_a_subscription_goes_on_where_the_last_one_ended() {
    let server = Server::start(&[]);
    publish(&server, 0..3);
    let tail = |arguments: &[&str]| {
        let all = [&["tail", "--subscription", "m", "--json"], arguments].concat();
        let output = run(&server, &[&all[..], &["--no-follow"]].concat(), b"");
        let ids = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["event_id"].as_str().unwrap().to_owned()
        };
        output.expect(0).stdout.lines().map(ids).collect::<Vec<_>>()
    };
    let unknown = run(&server, &["tail", "--subscription", "m"], b"").expect(1);
    assert!(unknown.stderr.contains("there is no subscription"));
    run(&server, &["subscriptions", "create", "m"], b"").expect(0);
    assert_eq!(tail(&[]), ["0", "1", "2"]);
    assert_eq!(server.json("/subscriptions/m")["lag"], 0);
    assert_eq!(tail(&[]), [""; 0]);
    publish(&server, 3..5);
    assert_eq!(tail(&["other"]), [""; 0]);
    // What it did not show has not been acknowledged.
    assert_eq!(tail(&["t"]), ["3", "4"]);
    for other in ["--from=1", "--number=1"] {
        run(&server, &["tail", "--subscription", "m", other], b"").expect(2);
    }
}

#[test]
fn a_tail_that_follows_acknowledges_as_it_prints() {
    let server = Server::start(&[]);
    run(&server, &["subscriptions", "create", "m"], b"").expect(0);
    let tail = Running::start(&server, &["tail", "--subscription", "m"]);
    for id in 0..3 {
        publish(&server, id..id + 1);
        tail.wait_for_lines(usize::try_from(id).unwrap() + 1);
        wait_until("an acknowledgement", || {
            server.json("/subscriptions/m")["after"] == id + 1
        });
    }
    // One that is deleted meanwhile has no position to keep.
    run(&server, &["subscriptions", "delete", "m"], b"").expect(0);
    publish(&server, 3..4);
    let output = tail.wait().expect(1);
    assert!(output.stderr.contains("there is no subscription"));
    assert_eq!(output.stdout.lines().count(), 4);
}

#[test]
fn what_could_not_be_printed_is_not_acknowledged() {
    let server = Server::start(&[]);
    publish(&server, 0..3);
    run(&server, &["subscriptions", "create", "m"], b"").expect(0);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let address = url(server.address());
    let mut tail = command(&["tail", "--subscription", "m", "--server", &address]);
    let output = Running::spawn(tail.stdout(full)).finish().expect(1);
    assert!(output.stderr.contains("cannot write standard output"));
    assert_eq!(server.json("/subscriptions/m")["after"], 0);
}

/// An acknowledgement without an answer is sent again; a signal does not cut it off.
#[test]
fn acknowledgements_are_sent_again_until_they_are_answered() {
    let mut acknowledgements = 0;
    let fake = Fake::start(move |_, asked| match asked.target.as_str() {
        "/subscriptions/m" => position(7),
        "/subscriptions/m/ack" => {
            assert_eq!(asked.body, b"{\"seq\":9}");
            acknowledgements += 1;
            match acknowledgements {
                1 => Reply::Last(Vec::new()),
                2 => Reply::with(503, "Retry-After: 0\r\n", r#"{"detail":"Full."}"#),
                _ => position(9),
            }
        }
        "/subscribe?follow=true&after=7" => {
            Reply::Silence((STREAM.to_owned() + &chunk(&(line(8) + &line(9)))).into_bytes())
        }
        other => panic!("{other}"),
    });
    let tail = Running::start_at(&fake.url, &["tail", "--subscription", "m"]);
    tail.wait_for_lines(2);
    fake.wait_for(5);
    tail.signal(Signal::INT);
    assert_eq!(tail.wait().expect(130).stdout.lines().count(), 2);
}

/// A subscription that is deleted, and the answer is lost: the second try finds nothing, and that is right.
#[test]
fn what_was_deleted_by_a_lost_request_is_deleted() {
    let fake = Fake::start(|number, asked| {
        assert_eq!(
            (&asked.method[..], &asked.target[..]),
            ("DELETE", "/subscriptions/m")
        );
        match number {
            0 => Reply::Last(Vec::new()),
            _ => Reply::json(404, r#"{"detail":"No."}"#),
        }
    });
    let delete = ["subscriptions", "delete", "m", "--give-up-after", "1m"];
    run_at(&fake.url, &delete, b"").expect(0);
    run_at(&fake.url, &["subscriptions", "delete", "m"], b"").expect(1);
}
