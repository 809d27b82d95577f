//! Each line is stored once while the server is down, and when the shipper is told to end.

use std::fs;
use std::time::{Duration, Instant};

use super::{append, lines, stop, text, wait_for_lines, Scene};
use crate::fake::{Fake, Reply};
use crate::program::Running;
use crate::wait::wait_until;

/// While nothing can be stored lines wait in their files and not in memory.
#[test]
fn a_server_that_is_down_costs_no_memory() {
    const BYTES: usize = 40 * 1024 * 1024;
    let scene = Scene::new();
    let line = "x".repeat(10_000) + "\n";
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

/// The grace after a signal is one for all that is under way, and not for each wait. With one for each it would never
/// end in time; a busy machine may make it late, but not each time.
#[test]
fn a_signal_ends_it_in_time_while_the_server_does_not_answer() {
    let scene = Scene::new();
    for is_pipe in [false, true] {
        let is_in_time = (0..4).any(|_| grace(&scene, is_pipe) < Duration::from_secs(9));
        assert!(is_in_time, "is_pipe={is_pipe}");
    }
}

/// How long a shipper goes on after a signal, while there is no answer.
fn grace(scene: &Scene, is_pipe: bool) -> Duration {
    let fake = Fake::start(|_, asked| match asked.target.starts_with("/publish") {
        true => Reply::Silence(Vec::new()),
        false => Reply::json(200, "{}"),
    });
    append(&scene.log(), "1\n2\n");
    let log = scene.log();
    let argument = if is_pipe { "-" } else { text(&log) };
    let mut shipper = Running::start_at(&fake.url, &scene.arguments(argument, &[]));
    shipper.send(b"1\n");
    wait_until("a publication", || {
        let asked = fake.asked();
        asked.iter().any(|asked| asked.method == "POST")
    });
    let start = Instant::now();
    shipper.signal(rustix::process::Signal::TERM);
    shipper.wait().expect(i32::from(is_pipe));
    start.elapsed()
}
