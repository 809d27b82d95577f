//! Readers that are slow or stop: they lose nothing, cost a bounded amount, and nobody waits for them.

use std::fs;

use super::{publish_large, subscribers};
use crate::harness::{Server, Stream};
use crate::wait::wait_until;

/// Kibibytes that the server has in memory.
fn resident_kib(server: &Server) -> u64 {
    let pid = server.pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a size").parse().unwrap()
}

/// Longer than what sockets hold on both sides, and than what is kept of it in memory.
const EVENTS: usize = 1_200;
const EVENT_BYTES: usize = 16 * 1024;

#[test]
fn a_reader_that_stops_for_a_while_gets_everything_afterwards() {
    let server = Server::start(&[]);
    let mut slow: Vec<Stream> = (0..4).map(|_| Stream::lines(&server, "")).collect();
    let mut fast = Stream::events(&server, "");
    publish_large(&server, "e", EVENTS, EVENT_BYTES);
    let expected: Vec<u64> = (1..=EVENTS as u64).collect();
    assert_eq!(fast.seqs(EVENTS), expected);
    for stream in &mut slow {
        assert_eq!(stream.seqs(EVENTS), expected);
    }
    assert_eq!(subscribers(&server), 5);
}

#[test]
fn readers_that_take_nothing_cost_little_and_are_left_after_a_while() {
    let server = Server::start(&[]);
    publish_large(&server, "e", EVENTS, EVENT_BYTES);
    let before = resident_kib(&server);
    let stopped: Vec<Stream> = (0..40)
        .map(|_| Stream::lines(&server, "?after=0"))
        .collect();
    let mut fast = Stream::events(&server, "?after=0");
    assert_eq!(fast.seqs(EVENTS).len(), EVENTS);
    publish_large(&server, "f", 50, EVENT_BYTES);
    assert_eq!(fast.seqs(50).len(), 50);
    let growth = resident_kib(&server).saturating_sub(before);
    assert!(growth < 40 * 512, "{growth} KiB for 40 readers");
    // Whoever takes no byte for 30 s is closed.
    wait_until("those who stopped to be closed", || {
        subscribers(&server) == 1
    });
    drop(stopped);
}

#[test]
fn an_event_larger_than_a_buffer_passes() {
    let server = Server::start(&[]);
    let mut live = Stream::lines(&server, "");
    publish_large(&server, "e", 2, 3 * 1024 * 1024);
    let mut replayed = Stream::events(&server, "?after=0");
    assert_eq!((live.seqs(2), replayed.seqs(2)), (vec![1, 2], vec![1, 2]));
}
