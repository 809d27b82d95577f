//! Searches whose engine is slow.

use std::cell::Cell;

use serde_json::Value;

use super::{usual, Asked, Said, World};
use crate::app::service::Service;
use crate::limits::FRONT_SEARCH_EVENTS;

/// Events of the store: every third seq has one.
const EVENTS: u64 = 20_000;
const LAST: u64 = 3 * EVENTS;

/// What the store has in a part that is asked for.
fn part(asked: &Asked) -> Said {
    let (from, end, limit) = (asked.number(0), asked.number(1), asked.number(2));
    let (first, last) = match asked.sql.contains("DESC") {
        true => (end, from - 1),
        false => (from + 1, end),
    };
    let (first, last) = (first.div_ceil(3).max(1), last.min(LAST) / 3);
    let mut seqs: Vec<u64> = (first..=last).map(|number| 3 * number).collect();
    if asked.sql.contains("DESC") {
        seqs.reverse();
    }
    seqs.truncate(limit as usize);
    let found = seqs.len().to_string();
    let text = |text: &str| Some(text.to_owned());
    let rows = seqs.iter().map(|seq| {
        vec![
            Some(seq.to_string()),
            text("t"),
            Some(format!("id {seq}")),
            Some(format!("2026-01-01T{:02}:00:00Z", seq % 24)),
            text(["web", "db"][(seq % 2) as usize]),
            text("{\"level\":\"info\"}"),
            text("1767225600000000"),
            Some(found.clone()),
        ]
    });
    Said::Rows(rows.collect())
}

/// An engine with these events, which answers for a part when it has been let.
fn world(waits: &Cell<bool>) -> World<'_> {
    World::new(|asked: &Asked| {
        if asked.is_head() {
            let row = [LAST, 3, LAST].map(|seq| Some(seq.to_string()));
            return Said::Rows(vec![row.to_vec()]);
        }
        if !asked.sql.starts_with("WITH found") {
            return usual(asked);
        }
        match waits.replace(true) {
            true => Said::Waits,
            false => part(asked),
        }
    })
}

/// Asks, lets each part take 400 ms, and gives the answer.
fn answer(world: &mut World, waits: &Cell<bool>, ticket: u64, target: &str) -> Value {
    let line = format!("GET {target}");
    assert!(world.ask(ticket, &line, "").is_none(), "{target}");
    while world.answers.is_empty() {
        world.pass(400);
        waits.set(false);
        world.run();
    }
    let (_, response) = world.answers.remove(0);
    assert_eq!(response.status, 200);
    serde_json::from_slice(&response.body).unwrap()
}

fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn the_answers_of_a_walk_add_up() {
    let waits = Cell::new(true);
    let mut world = world(&waits);
    for filters in ["", "source=db&", "q=info&topic=t*&"] {
        let range = "since=2026-01-01&until=2026-01-02&interval=1h&by=source";
        let mut next = Some(format!("/histogram?{filters}{range}"));
        let (mut counts, mut scanned, mut pages) = (vec![0; 24], 0, 0);
        while let Some(target) = next {
            pages += 1;
            let page = answer(&mut world, &waits, pages, &target);
            for (sum, count) in counts.iter_mut().zip(numbers(&page["counts"])) {
                *sum += count;
            }
            scanned += page["scanned"].as_u64().unwrap();
            next = page["next"].as_str().map(str::to_owned);
        }
        let mut expected = vec![0; 24];
        for number in 1..=EVENTS {
            if filters != "source=db&" || number % 2 == 1 {
                expected[(3 * number % 24) as usize] += 1;
            }
        }
        assert_eq!(counts, expected, "{filters}");
        assert_eq!(scanned, LAST - 2, "{filters}");
        assert!(pages > 2, "{filters}: {pages} pages");
    }
}

#[test]
fn the_events_of_a_walk_are_all_events() {
    let waits = Cell::new(true);
    let mut world = world(&waits);
    for direction in ["after=0", "before=18446744073709551615"] {
        let mut next = Some(format!("/events?q=id&limit=1000&event_id=id*&{direction}"));
        let (mut found, mut scanned) = (0, 0);
        while let Some(target) = next {
            let page = answer(&mut world, &waits, 1, &target);
            found += page["count"].as_u64().unwrap();
            scanned += page["scanned"].as_u64().unwrap();
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!((found, scanned), (EVENTS, LAST - 2), "{direction}");
    }
}

#[test]
fn a_list_of_fields_ends_with_its_second_or_its_sample() {
    let waits = Cell::new(true);
    let mut world = world(&waits);
    let page = answer(&mut world, &waits, 1, "/fields?sample=1000000");
    assert_eq!(page["complete"], false);
    let matched = page["matched"].as_u64().unwrap();
    assert!(
        matched >= FRONT_SEARCH_EVENTS as u64 && matched < EVENTS,
        "{matched}"
    );
    let page = answer(&mut world, &waits, 2, "/fields?sample=300");
    assert_eq!([&page["matched"], &page["scanned"]], [100, 300]);
    assert_eq!(page["through"], LAST - 299);
}

#[test]
fn whoever_has_gone_is_not_searched_for() {
    let waits = Cell::new(true);
    let mut world = world(&waits);
    assert!(world.ask(1, "GET /fields?sample=1000000", "").is_none());
    assert!(world
        .ask(2, "GET /histogram?since=2026-01-01", "")
        .is_none());
    world.pass(100);
    assert_eq!(world.front.searches(), 2);
    assert!(world.front.ends_with_client(1));
    world.front.cancel_decode(1);
    world.front.cancel_decode(2);
    assert_eq!(world.front.searches(), 0);
    waits.set(false);
    world.pass(100);
    // What the engine says to them is for nobody.
    waits.set(false);
    world.pass(20_000);
    assert!(world.answers.is_empty());
    let page = answer(&mut world, &waits, 3, "/fields?sample=300");
    assert_eq!(page["matched"], 100);
}
