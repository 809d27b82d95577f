//! Requests that read, and streams, whose engine is slow or answers with something else.

use std::cell::Cell;

use super::{nothing, row, usual, Asked, Said, World};
use crate::app::stream::FeedStatus;
use crate::limits::FRONT_PARTS_MAX;

/// The columns of an event as a slice of several has them.
fn event_row(seq: &str, found: &str) -> Said {
    let at = "1800000000000000";
    row(&[seq, "t", "id", "2026-01-01T00:00:00Z", "s", "{}", at, found])
}

fn is_slice(asked: &Asked) -> bool {
    asked.sql.starts_with("WITH found")
}

#[test]
fn streams_that_are_behind_do_not_pile_up_while_the_engine_is_silent() {
    let is_silent = Cell::new(false);
    let mut world = World::new(|asked: &Asked| match is_silent.get() {
        true => Said::Waits,
        false if asked.is_head() => row(&["1000", "1", "1000"]),
        false if is_slice(asked) => event_row("7", "1"),
        false => usual(asked),
    });
    is_silent.set(false);
    let count = 40;
    for ticket in 0..count {
        world.ask(ticket, "GET /subscribe?after=0&follow=false", "");
    }
    is_silent.set(true);
    for _ in 0..20 {
        world.pass(5_000);
        let waiting = world.front.reads.len();
        assert!(waiting <= FRONT_PARTS_MAX + 1, "{waiting} reads");
    }
    is_silent.set(false);
    world.pass(5_000);
    assert_eq!(world.streams.len() as u64, count);
    for stream in &world.streams {
        assert!(
            matches!(stream.status, Ok(FeedStatus::Ended)),
            "{:?}",
            stream.status
        );
    }
}

#[test]
fn a_search_that_waits_is_refused_alone() {
    let mut world = World::new(|asked: &Asked| match is_slice(asked) {
        true => Said::Waits,
        false if asked.is_head() => row(&["7", "7", "7"]),
        false => usual(asked),
    });
    let health = |world: &mut World| {
        let answer = world.ask(99, "GET /health", "");
        answer.map(|response| response.status)
    };
    assert_eq!(health(&mut world), Some(200));
    world.ask(1, "GET /events?q=word", "");
    for _ in 0..150 {
        world.pass(100);
        assert_eq!(health(&mut world), Some(200), "at {} ms", world.now.mono_ms);
    }
    assert_eq!(world.status(1), Some(503));
    world.publish(2, "1");
    assert_eq!(world.status(2), Some(200));
}

#[test]
fn an_engine_that_says_nothing_at_all_is_no_healthy_one() {
    let is_silent = Cell::new(false);
    let mut world = World::new(|asked: &Asked| match is_silent.get() {
        true => Said::Waits,
        false => usual(asked),
    });
    is_silent.set(true);
    // Nobody asks for anything.
    world.pass(25_000);
    let health = world.ask(1, "GET /health", "");
    assert_eq!(health.map(|response| response.status), Some(503));
    is_silent.set(false);
    world.pass(5_000);
    let health = world.ask(1, "GET /health", "");
    assert_eq!(health.map(|response| response.status), Some(200));
}

#[test]
fn a_row_that_makes_no_sense_is_an_error_and_no_end() {
    for (broken, is_good_alone) in [
        (event_row("x", "1"), false),
        (event_row("7", "many"), true),
        (row(&["7"]), false),
        (event_row("-7", "1"), false),
    ] {
        let broken = match broken {
            Said::Rows(rows) => rows,
            _ => Vec::new(),
        };
        let (is_broken, is_empty) = (Cell::new(true), Cell::new(false));
        let mut world = World::new(|asked: &Asked| {
            let is_row = is_slice(asked) || asked.sql.contains("k.event_id = $2");
            match is_row {
                true if is_broken.get() => Said::Rows(broken.clone()),
                true => event_row("7", "1"),
                false if asked.is_head() && !is_empty.get() => row(&["7", "7", "7"]),
                false => usual(asked),
            }
        });
        world.pass(2_000);
        world.ask(1, "GET /subscribe?after=0&q=word", "");
        world.pass(100);
        assert!(world.streams[0].status.is_err(), "a replay goes on");
        for (ticket, line) in [
            (2, "GET /events"),
            (3, "GET /events?q=word"),
            (4, "GET /events/t/id"),
        ] {
            if ticket == 4 && is_good_alone {
                continue;
            }
            world.ask(ticket, line, "");
            assert_eq!(world.status(ticket), Some(503), "{line}");
        }
        world.streams.clear();
        is_empty.set(true);
        world.pass(2_000);
        world.ask(5, "GET /subscribe", "");
        is_empty.set(false);
        world.pass(3_000);
        // Who follows has got nothing, and misses nothing.
        assert_eq!(world.streams[0].text, "");
        is_broken.set(false);
        world.pass(3_000);
        let text = &world.streams[0].text;
        assert!(text.contains("\"seq\":7"), "{text}");
    }
}

#[test]
fn statistics_and_positions_that_make_no_sense_are_errors() {
    let broken = Cell::new("");
    let mut world = World::new(|asked: &Asked| match asked.sql.contains(broken.get()) {
        true if !broken.get().is_empty() => row(&["x", "x", "x"]),
        _ if asked.sql.starts_with("WITH new AS") => row(&["0"; 9]),
        _ if asked.sql.contains("count(*) FROM logagg.topics") => row(&["0"]),
        _ if asked.sql.contains("pg_database_size") => row(&["0"]),
        _ => usual(asked),
    });
    for (ticket, (part, line)) in (1..).zip([
        ("WITH new AS", "GET /stats"),
        ("pg_database_size", "GET /stats"),
        ("max(e.seq)", "GET /topics"),
        ("FROM logagg.subscriptions", "GET /subscriptions"),
        ("FROM logagg.subscriptions", "GET /subscriptions/x"),
        ("FROM logagg.subscriptions", "GET /subscribe?subscription=x"),
        ("SELECT (SELECT seq", "GET /topics"),
        ("SELECT (SELECT seq", "GET /subscribe"),
    ]) {
        broken.set(part);
        world.ask(ticket, line, "");
        assert_eq!(world.status(ticket), Some(503), "{part}: {line}");
    }
    broken.set("");
    world.ask(20, "GET /stats", "");
    assert_eq!(world.status(20), Some(200));
}

#[test]
fn a_subscription_that_is_refused_as_too_far_ahead_is_not_one_too_many() {
    let last = Cell::new(5);
    let mut world = World::new(|asked: &Asked| {
        if asked.is_head() {
            let last = last.get().to_string();
            return row(&[&last, "1", &last]);
        }
        if asked.sql.starts_with("INSERT INTO logagg.subscriptions") {
            // It is too far ahead, and somebody publishes.
            last.set(10);
            return nothing();
        }
        usual(asked)
    });
    world.ask(1, "PUT /subscriptions/x", r#"{"after":8}"#);
    let (_, answer) = world.answers.iter().find(|(to, _)| *to == 1).unwrap();
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        answer.status == 422 && text.contains("greatest seq"),
        "{text}"
    );
}
