//! `make bench-search`: searches with summaries beside going through the events, FTS5 and `grep`, on the same events in
//! one run; and what summaries cost publishers, the disk, and quiet turns.

mod beside;
mod client;
mod corpus;
mod others;

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::args::SearchArgs;
use crate::process;
use crate::report::{aligned, grouped};
use crate::results;
use crate::server::{self, Server};
use crate::setup::{check_room, version_of, Setup};
use client::Client;
use corpus::{ABSENT, COMMON, RARE, SPREAD};

/// Events of a round in which both servers are filled in turn.
const ROUND_EVENTS: u64 = 20_000;
/// Events of a slot: of the newest that is not full, no summary is waited for.
const SLOT_EVENTS: u64 = 4_096;

/// A line of the table: what was done, what it took, and how that compares.
struct Line {
    what: String,
    found: String,
    took: String,
    ratio: String,
}

/// Measures. Returns whether all searches found what they must.
///
/// # Errors
/// A server or a program could not be run.
pub fn run(args: &SearchArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    check_room(&setup.directory, 3 * args.events)?;
    let binary = setup.server_binary(&args.server)?;
    let mut lines = Vec::new();
    let words = fill(&setup, &binary, args.events, &mut lines)?;
    let is_right = search(&setup, &words, args.events, &mut lines)?;
    search_beside(&words, args.events, &mut lines)?;
    words.stop()?;
    search_others(&setup, args.events, &mut lines)?;
    let table = format!(
        "{}\n{} events\n\n{}",
        setup.cores.describe(),
        grouped(args.events as f64),
        table(&lines)
    );
    println!("{table}");
    let version = version_of(&binary)?;
    results::write(&args.results.path(), "make bench-search", &version, &table)?;
    Ok(is_right)
}

fn table(lines: &[Line]) -> String {
    let head = ["", "found", "took", "ratio"].map(str::to_owned).to_vec();
    let rows = lines.iter().map(|line| {
        vec![
            line.what.clone(),
            line.found.clone(),
            line.took.clone(),
            line.ratio.clone(),
        ]
    });
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[0])
}

/// A time as text, and what it is of another.
fn add(lines: &mut Vec<Line>, what: &str, (found, took): (u64, Duration), of: Option<Duration>) {
    lines.push(Line {
        what: what.into(),
        found: grouped(found as f64),
        took: format!("{:.2} ms", took.as_secs_f64() * 1e3),
        ratio: of.map_or_else(String::new, |of| {
            let ratio = took.as_secs_f64() / of.as_secs_f64();
            format!("1/{:.1}", 1.0 / ratio)
        }),
    });
}

fn add_figure(lines: &mut Vec<Line>, what: &str, figure: String, ratio: String) {
    lines.push(Line {
        what: what.into(),
        found: String::new(),
        took: figure,
        ratio,
    });
}

/// Fills a server with summaries and one without in turn, and waits until all summaries are made.
fn fill(setup: &Setup, binary: &Path, events: u64, lines: &mut Vec<Line>) -> io::Result<Server> {
    let start = |folder: &str, setting: &str| {
        let folder = setup.directory.join(folder);
        let flags = ["--search-index", setting, "--log-level", "debug"];
        Server::start_with(binary, folder, &setup.cores, &flags)
    };
    let servers = [start("words", "words")?, start("off", "off")?];
    let ids = [servers[0].id(), servers[1].id()];
    let mut took = [Duration::ZERO; 2];
    let mut clients = [
        Client::connect(servers[0].address)?,
        Client::connect(servers[1].address)?,
    ];
    for (round, first) in (0..events).step_by(ROUND_EVENTS as usize).enumerate() {
        let numbers = first..events.min(first + ROUND_EVENTS);
        // Each is first as often as it is second.
        for at in [round % 2, 1 - round % 2] {
            let publish = || clients[at].publish(numbers.clone(), events);
            took[at] += process::while_stopped(&[ids[1 - at]], publish)?;
        }
    }
    let [words, off] = servers;
    let rate = |took: Duration| events as f64 / took.as_secs_f64();
    let ratio = format!("{:.3}", rate(took[0]) / rate(took[1]));
    let figure = format!("{} events/s", grouped(rate(took[0])));
    add_figure(
        lines,
        "publishing 1,000 a request, of that with off",
        figure,
        ratio,
    );
    let behind = events - words.statistic("search_index_through")?;
    let figure = format!("{} events", grouped(behind as f64));
    add_figure(lines, "without summaries after that", figure, String::new());
    wait_for_summaries(&words, events)?;
    off.stop()?;
    let begun = Instant::now();
    let late = start("off", "words")?;
    wait_for_summaries(&late, events)?;
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    let figure = format!("{} events/s", grouped(rate));
    add_figure(
        lines,
        "making all of them in quiet turns",
        figure,
        String::new(),
    );
    let mut slices = late.slices_us()?;
    slices.sort_unstable();
    if let Some(longest) = slices.last() {
        let median = slices[slices.len() / 2];
        let figure = format!("{median} us, at most {longest} us");
        add_figure(
            lines,
            "slices of 1 ms and more of that",
            figure,
            String::new(),
        );
    }
    late.stop_and_remove()?;
    let bytes = words.statistic("search_index_bytes")? as f64 / events as f64;
    add_figure(
        lines,
        "their size",
        format!("{bytes:.1} bytes/event"),
        String::new(),
    );
    Ok(words)
}

/// Waits until all full slots have summaries.
fn wait_for_summaries(server: &Server, events: u64) -> io::Result<()> {
    while server.statistic("search_index_through")? + SLOT_EVENTS < events {
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The searches, each beside going through all events. Says whether all found what they must.
fn search(setup: &Setup, server: &Server, events: u64, lines: &mut Vec<Line>) -> io::Result<bool> {
    let _ = setup;
    let mut client = Client::connect(server.address)?;
    let mut best = |target: &str| -> io::Result<(u64, Duration)> {
        let mut best = (0, Duration::MAX);
        for _ in 0..3 {
            let (found, took) = client.walk(target)?;
            best = (found, best.1.min(took));
        }
        Ok(best)
    };
    let mut is_right = true;
    for (name, word) in [
        ("rare", RARE),
        ("absent", ABSENT),
        ("spread", SPREAD),
        ("common", COMMON),
    ] {
        let through = best(&format!("/events?limit=1000&q=*{word}*"))?;
        let found = best(&format!("/events?limit=1000&q={word}"))?;
        add(
            lines,
            &format!("going through, *{name} word*"),
            through,
            None,
        );
        add(lines, &format!("a {name} word"), found, Some(through.1));
        is_right &= found.0 == through.0;
    }
    let through = best(&format!("/events?q=*{ABSENT}*"))?.1;
    let id = corpus::id(events / 3);
    let found = best(&format!("/events?event_id={id}"))?;
    add(lines, "an exact event_id", found, Some(through));
    is_right &= found.0 == 1;
    let found = best("/events?where=user=user-999999")?;
    add(lines, "a member with an absent value", found, Some(through));
    let hour = "since=2026-01-01T10:00:00Z&until=2026-01-01T11:00:00Z&buckets=60";
    let found = best(&format!("/histogram?{hour}"))?;
    add(
        lines,
        "histogram of an hour of the day",
        found,
        Some(through),
    );
    let day = "since=2025-12-31&until=2026-01-02&buckets=60";
    let found = best(&format!("/histogram?{day}"))?;
    add(lines, "histogram of all", found, Some(through));
    is_right &= found.0 == events;
    let begun = Instant::now();
    let answer = server::get(server.address, "/subscribe?follow=false")?;
    let took = begun.elapsed();
    add(
        lines,
        "reading all (/subscribe?follow=false)",
        (events, took),
        None,
    );
    is_right &= !answer.is_empty();
    Ok(is_right)
}

/// Publishers and `/health` beside searches, and the memory that all of this has taken.
fn search_beside(server: &Server, events: u64, lines: &mut Vec<Line>) -> io::Result<()> {
    let (few, many) = (beside::FEW, beside::MANY);
    let [mut alone, mut with] = beside::publish(server.address, events)?;
    let ratio = |a: Duration, b: Duration| format!("{:.2}", a.as_secs_f64() / b.as_secs_f64());
    let millis = |took: Duration| format!("{:.2} ms", took.as_secs_f64() * 1e3);
    let rows = [
        ("rate", with.sum(), ratio(alone.sum(), with.sum())),
        ("p99", with.p99(), ratio(with.p99(), alone.p99())),
    ];
    for (what, took, ratio) in rows {
        let what = format!("publishing beside {few} searches, of that without: {what}");
        add_figure(lines, &what, millis(took), ratio);
    }
    let what = format!("/health beside {many} searches: p99");
    let mut health = beside::health(server.address)?;
    add_figure(lines, &what, millis(health.p99()), String::new());
    let mib = process::peak_kib(server.id())? as f64 / 1024.0;
    add_figure(
        lines,
        "memory, at most",
        format!("{mib:.1} MiB"),
        String::new(),
    );
    Ok(())
}

fn search_others(setup: &Setup, events: u64, lines: &mut Vec<Line>) -> io::Result<()> {
    let skipped = |lines: &mut Vec<Line>, what: &str| {
        add_figure(lines, what, "skipped: not installed".into(), String::new());
    };
    match others::make_fts(&setup.directory, &setup.cores, events)? {
        None => skipped(lines, "FTS5"),
        Some(fts) => {
            let figure = format!("{} events/s", grouped(fts.events_per_second));
            add_figure(lines, "FTS5: making the index", figure, String::new());
            let figure = format!("{:.1} bytes/event", fts.bytes_per_event);
            add_figure(lines, "FTS5: its size", figure, String::new());
            for (name, word) in [("rare", RARE), ("common", COMMON)] {
                let found = fts.search(&setup.cores, word)?;
                add(lines, &format!("FTS5: a {name} word"), found, None);
            }
        }
    }
    let file = others::write_lines(&setup.directory, events)?;
    for (program, arguments) in [
        ("grep", ["-c", "-F"]),
        ("grep", ["-c", "-Fwi"]),
        ("rg", ["-c", "-Fwi"]),
    ] {
        for (name, word) in [("rare", RARE), ("common", COMMON)] {
            let arguments = [arguments[0], arguments[1], word];
            let what = format!("{program} {} a {name} word", arguments[1]);
            match others::search_lines(&setup.cores, program, &arguments, &file)? {
                Some(found) => add(lines, &what, found, None),
                None => skipped(lines, &what),
            }
        }
    }
    Ok(())
}
