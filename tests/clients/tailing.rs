//! `logagg tail` against what a stream can do: heartbeats, lines in pieces, connections that break.

use serde_json::Value;

use crate::fake::{chunk, line, stats, Asked, Fake, Reply, STREAM};
use crate::harness::{event, Server};
use crate::program::{run, run_at, Running};

/// A fake whose `/stats` names a last seq, and whose `/subscribe` answers by a function that gets the
/// number of its request.
fn subscribed(
    last_seq: u64,
    mut answer: impl FnMut(usize, &Asked) -> Reply + Send + 'static,
) -> Fake {
    let mut count = 0;
    Fake::start(move |_, asked| {
        if asked.target == "/stats" {
            return stats(last_seq);
        }
        count += 1;
        answer(count - 1, asked)
    })
}

/// A stream of these chunks, which ends as `end` says.
fn stream(chunks: &[&str], end: fn(Vec<u8>) -> Reply) -> Reply {
    let mut bytes = STREAM.to_owned();
    for text in chunks {
        bytes += &chunk(text);
    }
    end(bytes.into_bytes())
}

/// The seqs of lines of JSON.
fn seqs(lines: &[String]) -> Vec<u64> {
    let seq = |line: &String| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64();
    lines.iter().map(|line| seq(line).unwrap()).collect()
}

#[test]
fn each_way_to_lose_a_connection_loses_no_event_and_doubles_none() {
    let one_and_two = line(1) + &line(2);
    let half = line(3)[..20].to_owned();
    let fake = subscribed(0, move |number, _| match number {
        // Two events and half a third, and the connection is cut.
        0 => stream(&[&one_and_two, &half], Reply::Last),
        // Cut within a chunk.
        1 => Reply::Last((STREAM.to_owned() + "fff\r\n" + &line(3) + &half).into_bytes()),
        // Heartbeats, an event in pieces, and then a silence that is too long.
        2 => stream(
            &["\n", &line(4)[..5], &line(4)[5..], "\n", "\n"],
            Reply::Silence,
        ),
        3 => Reply::with(503, "Retry-After: 0\r\n", r#"{"detail":"Ending."}"#),
        4 => Reply::Last(Vec::new()),
        // A server that ends well.
        5 => stream(&[&line(5), ""], Reply::Last),
        _ => stream(&[&(line(7) + &line(900))], Reply::Silence),
    });
    let tail = Running::start_at(
        &fake.url,
        &["tail", "--from", "1", "--json", "--timeout", "5s"],
    );
    let lines = tail.wait_for_lines(7);
    assert_eq!(seqs(&lines), [1, 2, 3, 4, 5, 7, 900]);
    // As the server sent them.
    assert_eq!(lines[0], line(1).trim_end());
    let targets = fake.targets();
    let afters: Vec<&str> = targets[..7]
        .iter()
        .map(|target| target.rsplit('=').next().unwrap())
        .collect();
    assert_eq!(afters, ["0", "2", "3", "4", "4", "4", "5"]);
    assert_eq!(targets[0], "/subscribe?follow=true&after=0");
    assert!(fake.asked()[0].has("accept: application/x-ndjson"));
}

/// What is committed while there is no connection, before anything has come, is not left out.
#[test]
fn from_now_on_is_from_one_seq_on() {
    let fake = subscribed(41, |number, _| match number {
        0 => stream(&["\n"], Reply::Last),
        _ => stream(&[&line(42)], Reply::Silence),
    });
    let tail = Running::start_at(
        &fake.url,
        &["tail", "--from", "now", "--json", "a b*", "ü&"],
    );
    assert_eq!(seqs(&tail.wait_for_lines(1)), [42]);
    let expected = "/subscribe?follow=true&topic=a%20b%2A&topic=%C3%BC%26&after=41";
    assert_eq!(fake.targets(), ["/stats", expected, expected]);
}

#[test]
fn the_newest_come_first_and_then_what_follows_them() {
    let fake = Fake::start(|_, asked| match asked.target.as_str() {
        "/stats" => stats(9),
        "/events?limit=3&topic=t" => {
            let events = [line(8), line(7)].join(",");
            let next = "\"/events?topic=t&limit=3&before=7\"";
            Reply::json(
                200,
                &format!("{{\"count\":2,\"events\":[{events}],\"next\":{next}}}"),
            )
        }
        "/events?topic=t&limit=3&before=7" => {
            let events = [line(5), line(2)].join(",");
            Reply::json(
                200,
                &format!("{{\"count\":2,\"events\":[{events}],\"next\":\"/events\"}}"),
            )
        }
        // After the newest that was shown, not after the last seq of all.
        "/subscribe?follow=true&topic=t&after=8" => stream(&[&line(11)], Reply::Silence),
        other => panic!("{other}"),
    });
    let tail = Running::start_at(&fake.url, &["tail", "-n", "3", "t", "--json"]);
    assert_eq!(seqs(&tail.wait_for_lines(4)), [5, 7, 8, 11]);
}

#[test]
fn without_any_event_it_follows_the_last_seq() {
    let fake = Fake::start(|_, asked| match asked.target.as_str() {
        "/stats" => stats(9),
        "/events?limit=10" => Reply::json(200, r#"{"count":0,"events":[],"next":null}"#),
        "/subscribe?follow=true&after=9" => stream(&[&line(10)], Reply::Silence),
        other => panic!("{other}"),
    });
    let tail = Running::start_at(&fake.url, &["tail"]);
    let shown = tail.wait_for_lines(1);
    assert_eq!(shown, ["2026-01-02  t  s  n=0.10  e10"]);
    // None of the newest are asked for.
    let fake = Fake::start(|_, asked| match asked.target.as_str() {
        "/stats" => stats(9),
        "/subscribe?follow=true&after=9" => stream(&[&line(10)], Reply::Silence),
        other => panic!("{other}"),
    });
    Running::start_at(&fake.url, &["tail", "-n", "0"]).wait_for_lines(1);
}

#[test]
fn it_ends_where_it_is_not_to_follow() {
    let fake = subscribed(2, |number, asked| {
        assert_eq!(
            asked.target,
            format!("/subscribe?follow=false&after={number}")
        );
        match number {
            0 => stream(&[&line(1)], Reply::Last),
            _ => stream(&[&line(2), ""], Reply::Bytes),
        }
    });
    let output = run_at(
        &fake.url,
        &["tail", "--from", "start", "--no-follow", "--json"],
        b"",
    );
    let lines: Vec<String> = output.expect(0).stdout.lines().map(str::to_owned).collect();
    assert_eq!(seqs(&lines), [1, 2]);
}

#[test]
fn the_newest_alone_need_no_subscription() {
    let server = Server::start(&[]);
    for id in ["1", "2", "3"] {
        server.publish(&event("t", id)).expect(200);
        server.publish(&event("u", id)).expect(200);
    }
    let output = run(&server, &["tail", "--no-follow", "-n", "2", "t"], b"").expect(0);
    let line = |id| format!("2026-01-02T03:04:05Z  t  test  n=1  {id}\n");
    assert_eq!(output.stdout, line(2) + &line(3));
    let arguments = ["tail", "--no-follow", "--color", "always"];
    let coloured = run(&server, &arguments, b"").expect(0);
    assert_eq!(coloured.stdout.lines().count(), 6);
    assert!(
        coloured
            .stdout
            .lines()
            .all(|line| line.starts_with("\x1b[2m2026")),
        "{coloured:?}"
    );
}

#[test]
fn a_gap_is_told_and_what_is_out_of_order_is_an_error() {
    let fake = subscribed(0, |number, _| match number {
        0 => stream(
            &["{\"gap\":{\"from\":1,\"to\":40}}\n", &line(41)],
            Reply::Last,
        ),
        _ => stream(&[&line(42), &line(42)], Reply::Silence),
    });
    let tail = Running::start_at(&fake.url, &["tail", "--from", "start", "--json"]);
    let output = tail.wait().expect(1);
    assert_eq!(output.stdout.lines().count(), 2);
    assert!(output
        .stderr
        .contains("the events from seq 1 to 40 have been removed by the server"));
    assert!(
        output
            .stderr
            .contains("a line after seq 42 is out of order"),
        "{output:?}"
    );
    assert_eq!(fake.targets()[1], "/subscribe?follow=true&after=41");
}

#[test]
fn what_is_refused_is_said() {
    let fake = Fake::start(|_, _| Reply::json(401, r#"{"detail":"Send a token."}"#));
    let output = run_at(&fake.url, &["tail"], b"").expect(1);
    assert!(
        output.stderr.ends_with("(401): Send a token.\n"),
        "{output:?}"
    );
    assert_eq!(fake.asked().len(), 1);
}
