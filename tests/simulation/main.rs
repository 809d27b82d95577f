//! The whole server but for its sockets, in a world that a seed makes up: the real loop, connections,
//! application and database; a wire, clients and a clock that exist only here. Bytes come and go in
//! pieces, clients stall, reset, end in the middle and send what nobody should; commits fail, the process
//! dies and comes back. After each turn of the loop everything that can be said of it is checked.
//!
//! `SEEDS=1000` runs more seeds, `SEED=7` runs one of them and prints what happens in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answer;
mod bytes;
mod client;
mod compose;
mod database;
mod judge;
#[path = "../server/random.rs"]
mod random;
mod request;
mod run;
mod setup;
mod stream;
mod time_limits;
mod trace;
mod trouble;
mod wire;
mod world;

use std::collections::BTreeMap;

use random::number_from;
use run::run;
use trace::Tally;

/// Seeds that a plain run tries.
const SEEDS: u64 = 256;

/// What must have happened in a plain run, or the simulation has gone blind.
const MARKS: [&str; 29] = [
    "100 continue",
    "408 for a body",
    "408 for a head",
    "413",
    "503 by the database",
    "503 for lack of memory",
    "503 while stopping",
    "a batch of duplicates",
    "a conflict",
    "a crash between commit and answer",
    "a crash",
    "a disk without room",
    "a locked database",
    "a lock that was waited for",
    "a page that nobody waits for",
    "a partial answer",
    "a reader that stalls for good",
    "a refused framing",
    "a request cut short",
    "a reset",
    "a start on what was stopped",
    "an answer in gzip",
    "an answer that the client never took",
    "an id alone",
    "an idle connection",
    "an unreadable table",
    "nobody was accepted for want of room",
    "requests in a row",
    "several publications in one commit",
];

#[test]
fn every_seed_ends_without_a_finding() {
    trace::watch();
    let seed = number_from("SEED", 0);
    if seed > 0 {
        println!("{}", run(seed, true));
        return;
    }
    let seeds = number_from("SEEDS", SEEDS);
    let mut all = Tally::default();
    let mut marks = BTreeMap::new();
    for seed in 1..=seeds {
        let tally = run(seed, false);
        if seed <= 2 {
            assert_eq!(tally.digest, run(seed, false).digest, "seed {seed} again");
        }
        for (mark, count) in &tally.marks {
            *marks.entry(*mark).or_insert(0) += count;
        }
        all.add(&tally);
    }
    println!("{marks:?}");
    println!("FIGURE simulation: {seeds} seeds, {all}, no finding");
    if seeds >= SEEDS {
        let missed = MARKS.iter().filter(|mark| !marks.contains_key(*mark));
        assert_eq!(missed.collect::<Vec<_>>(), [] as [&&str; 0]);
    }
}
