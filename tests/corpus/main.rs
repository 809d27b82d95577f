//! What a fuzz target checks, and those checks for each file of its corpus.
//!
//! A *corpus* is the folder of inputs that a fuzz target starts from and adds to: `fuzz/corpus/TARGET/`. The fuzz
//! targets (`fuzz/fuzz_targets/`) run only with nightly Rust and `cargo-fuzz`, so what they check is here: each target
//! calls `check` of the module with its name. These tests call it for each committed file, so an input that once found
//! a fault is tried with every `cargo test`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../http/machine.rs"]
mod machine;

mod bulk;
mod connection;
mod encoding;
mod filters;
mod gelf;
mod hec;
mod http_model;
mod journal;
mod json_model;
mod keys;
mod msgpack;
mod otlp;
mod publish;
mod syslog;
mod times;
mod timestamp;
mod tokens;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// Makes a check for each file in the corpus of a target.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus is empty");
    for path in paths {
        // The last line that a failed test shows names the file.
        eprintln!("{}", path.display());
        check(&fs::read(&path).unwrap());
    }
}

#[test]
fn bulk() {
    run("bulk", bulk::check);
}

#[test]
fn connection() {
    run("connection", connection::check);
}

#[test]
fn publish() {
    run("publish", publish::check);
}

#[test]
fn timestamp() {
    run("timestamp", timestamp::check);
}

#[test]
fn encoding() {
    run("encoding", encoding::check);
}

#[test]
fn filters() {
    run("filters", filters::check);
}

#[test]
fn gelf() {
    run("gelf", gelf::check);
}

proptest! {
    /// Chunks of few messages, so that many of them meet.
    #[test]
    fn chunks_of_gelf_give_what_a_model_gives(
        steps in prop::collection::vec((0..60_u8, 0..4_u8, 0..4_u8, 1..4_u8, any::<u8>()), 0..100),
    ) {
        let bytes = |(pause, key, number, count, length)| [pause, key, number, count, length];
        gelf::check(&steps.into_iter().flat_map(bytes).collect::<Vec<u8>>());
    }
}

#[test]
fn keys() {
    run("keys", keys::check);
}

#[test]
fn times() {
    run("times", times::check);
}

#[test]
fn otlp() {
    run("otlp", otlp::check);
}

#[test]
fn hec() {
    run("hec", hec::check);
}

#[test]
fn journal() {
    run("journal", journal::check);
}

#[test]
fn msgpack() {
    run("msgpack", msgpack::check);
}

#[test]
fn syslog() {
    run("syslog", syslog::check);
}

#[test]
fn tokens() {
    run("tokens", tokens::check);
}

/// The work on segments took the merges of a transaction for flushes of memtables, and where it found more
/// merges than there were memtables in memory, it panicked in a build that checks its arithmetic.
#[test]
fn a_transaction_may_hold_more_merges_than_there_are_generations() {
    let many_events = [6, 0, 255];
    let idle_work = [10, 0, 0];
    let operations = [many_events, many_events, many_events, idle_work].concat();
    keys::check(&[&[0, 0, 0], &operations[..]].concat());
}
