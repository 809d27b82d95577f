//! Each line is stored once while the server is down, and when the shipper is told to end.

use std::fs;

use super::{append, lines, stop, wait_for_lines, Scene};

/// While nothing can be stored lines wait in their files and not in memory.
#[test]
fn a_server_that_is_down_costs_no_memory() {
    const BYTES: usize = 40 * 1024 * 1024;
    let scene = Scene::new();
    let line = "x".repeat(1_000) + "\n";
    append(&scene.log(), line.repeat(BYTES / line.len()));
    let shipper = scene.follow(&[]);
    shipper.wait_for_word("trying again");
    let status = fs::read_to_string(format!("/proc/{}/status", shipper.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: usize = peak
        .unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kib * 1024 < BYTES / 2, "{kib} KiB");
    // It is told to end, does at once, and nothing is lost.
    let output = stop(shipper);
    assert_eq!(output.sum("accepted"), 0);
    let server = scene.setup.start();
    let lines = (BYTES / line.len()) as u64;
    assert_eq!(scene.once(&[]).expect(0).sum("read"), lines);
    assert_eq!(server.json("/stats")["unique_processed"], lines);
}

#[test]
fn a_signal_still_ships_what_is_there() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    append(&scene.log(), "2\n3\n");
    let output = stop(shipper);
    assert_eq!(output.sum("accepted"), 3);
    assert_eq!(lines(&server), ["1", "2", "3"]);
    assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
}
